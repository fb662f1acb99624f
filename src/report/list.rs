//! The list of checks.

use checks::BuiltIn;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use facts::Need;
use serde::Serialize;
use std::io::{self, Write};

/// From this width on, what a check needs has a column of its own.
const WIDE: u16 = 100;

/// A check as programs see it.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    title: &'a str,
    severity: &'static str,
    needs: &'a [Need],
    caused_by: &'a [checks::Str],
}

/// Writes the list of checks: a table as wide as told, or JSON.
pub fn list(
    checks: &mut dyn Iterator<Item = &'static BuiltIn>,
    json: bool,
    width: u16,
    out: &mut dyn Write,
) -> io::Result<()> {
    if json {
        let listed: Vec<Listed<'_>> = checks
            .map(|BuiltIn { meta, .. }| Listed {
                id: &meta.id,
                title: &meta.title,
                severity: meta.severity.as_str(),
                needs: &meta.needs,
                caused_by: &meta.caused_by,
            })
            .collect();
        serde_json::to_writer_pretty(&mut *out, &listed)?;
        return out.write_all(b"\n");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.clamp(60, 160));
    // On a narrow page four columns would leave each of them a word or two a line.
    let wide = width >= WIDE;
    table.set_header(if wide {
        vec!["CHECK", "SEVERITY", "LOOKS FOR", "NEEDS"]
    } else {
        vec!["CHECK", "SEVERITY", "LOOKS FOR"]
    });
    for BuiltIn { meta, .. } in checks {
        let needs = meta.needs.iter().map(|need| need.name()).collect::<Vec<_>>().join(", ");
        let mut cells = vec![meta.id.to_string(), meta.severity.as_str().to_owned(), meta.title.to_string()];
        if wide {
            cells.push(needs);
        } else if let Some(title) = cells.last_mut() {
            title.push_str(&format!("\n(needs {needs})"));
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // An id is there to be copied, so that it is never broken; what it needs matters least.
    let constraints = [
        ColumnConstraint::ContentWidth,
        ColumnConstraint::ContentWidth,
        ColumnConstraint::LowerBoundary(Width::Fixed(24)),
        ColumnConstraint::UpperBoundary(Width::Percentage(33)),
    ];
    for (column, constraint) in table.column_iter_mut().zip(constraints) {
        column.set_constraint(constraint);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::CHECKS;
    use crate::report::text::columns;

    fn listed(json: bool) -> String {
        let mut out = Vec::new();
        list(&mut CHECKS.iter().copied(), json, 80, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_check_is_on_a_line_with_its_whole_id() {
        let shown = listed(false);
        for check in CHECKS {
            assert!(shown.lines().any(|line| line.starts_with(check.meta.id.as_ref())), "{shown}");
        }
        assert!(shown.lines().all(|line| columns(line) <= 80), "{shown}");
    }

    #[test]
    fn programs_get_needs_and_causes() {
        let listed: serde_json::Value = serde_json::from_str(&listed(true)).unwrap();
        assert_eq!(listed[0]["id"], "swarm/stale-advertise-addr");
        assert_eq!(listed[0]["severity"], "error");
        assert_eq!(listed[0]["needs"][1], "interfaces");
        assert_eq!(listed[0]["caused_by"][0], "swarm/not-a-member");
    }
}
