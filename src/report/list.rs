//! The list of checks.

use checks::Meta;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use facts::Need;
use serde::Serialize;
use std::io::{self, Write};

/// A check as programs see it.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    title: &'a str,
    severity: &'static str,
    needs: &'a [Need],
    caused_by: &'a [checks::Str],
}

/// Writes the list of checks for programs.
pub fn json(checks: &mut dyn Iterator<Item = &'static Meta>, out: &mut dyn Write) -> io::Result<()> {
    let listed: Vec<Listed<'_>> = checks
        .map(|meta| Listed {
            id: &meta.id,
            title: &meta.title,
            severity: meta.severity.as_str(),
            needs: &meta.needs,
            caused_by: &meta.caused_by,
        })
        .collect();
    super::json::write(&listed, true, out)
}

/// Writes the list of checks as a table; `verbose` adds the facts that each check reads.
pub fn list(
    checks: &mut dyn Iterator<Item = &'static Meta>,
    verbose: bool,
    width: u16,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.clamp(60, 160));
    let titles: &[&str] =
        if verbose { &["CHECK", "SEVERITY", "FINDS", "READS"] } else { &["CHECK", "SEVERITY", "FINDS"] };
    table.set_header(titles.iter().copied());
    for meta in checks {
        let mut cells = vec![meta.id.to_string(), meta.severity.as_str().to_owned(), meta.title.to_string()];
        if verbose {
            cells.push(meta.needs.iter().map(|need| need.name()).collect::<Vec<_>>().join(", "));
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // Ids are copied, so they are never broken; the facts that a check reads matter least.
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

    fn listed(verbose: bool) -> String {
        let mut out = Vec::new();
        list(&mut CHECKS.iter().map(|check| &check.meta), verbose, 80, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_check_is_on_a_line_with_its_whole_id() {
        for verbose in [false, true] {
            let shown = listed(verbose);
            for check in CHECKS {
                assert!(shown.lines().any(|line| line.starts_with(check.meta.id.as_ref())), "{shown}");
            }
            assert!(shown.lines().all(|line| columns(line) <= 80), "{shown}");
            assert_eq!(shown.contains("READS"), verbose, "{shown}");
        }
    }

    #[test]
    fn programs_get_needs_and_causes() {
        let mut out = Vec::new();
        json(&mut CHECKS.iter().map(|check| &check.meta), &mut out).unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(listed[0]["id"], "swarm/stale-advertise-addr");
        assert_eq!(listed[0]["severity"], "error");
        assert_eq!(listed[0]["needs"][1], "interfaces");
        assert_eq!(listed[0]["caused_by"][0], "swarm/not-a-member");
    }
}
