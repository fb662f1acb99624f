//! What changed between two bundles, for people and for programs.

use super::terminal::Terminal;
use super::text::{count, cut, utc};
use super::writer::{Indent, ReportWriter, Span, Style, Symbol};
use crate::diff::{Change, Difference, KnownFinding, Side};
use checks::Severity;
use serde::Serialize;
use std::io::{self, Write};

/// The layout; a change that could break a reader changes its number.
const LAYOUT: &str = "swarm-doctor.diff/v1";
/// How long a value may be.
const LONG: usize = 200;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    #[serde(flatten)]
    difference: &'a Difference,
}

/// Writes the difference for programs.
pub fn json(difference: &Difference, out: &mut dyn Write) -> io::Result<()> {
    let document = Document { schema: LAYOUT, version: env!("CARGO_PKG_VERSION"), difference };
    super::json::write(&document, true, out)
}

/// Writes the difference for people: new findings, resolved findings, and changed facts.
pub fn table(difference: &Difference, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = ReportWriter::new(out, terminal);
    side(&mut writer, "before", &difference.before)?;
    side(&mut writer, "after ", &difference.after)?;
    for note in &difference.notes {
        let symbol = format!("{} ", writer.symbol(Symbol::Severity(Severity::Warning)));
        writer.flow(
            Indent(0, 2),
            &[Span::new(Style::of(Severity::Warning), symbol), Span::plain(note.as_str())],
        )?;
    }
    findings(&mut writer, "New findings:", &difference.new)?;
    findings(&mut writer, "Resolved findings:", &difference.resolved)?;
    changes(&mut writer, &difference.changes)?;
    writer.blank()?;
    let tally = [
        (difference.new.len(), "new"),
        (difference.resolved.len(), "resolved"),
        (difference.unchanged.len(), "unchanged"),
    ];
    let mut tally: Vec<Span<'_>> =
        tally.iter().map(|(number, word)| Span::plain(format!("{number} {word}"))).collect();
    tally.push(Span::plain(format!("{} changed", count(difference.changes.len(), "fact"))));
    writer.items(Indent(0, 2), tally)
}

fn side(writer: &mut ReportWriter<'_>, which: &str, side: &Side) -> io::Result<()> {
    let taken = format!("taken {}", utc(side.taken));
    let nodes = match side.nodes.as_slice() {
        [one] => one.to_string(),
        several => count(several.len(), "node"),
    };
    writer.items(
        Indent(0, 2),
        vec![Span::new(Style::Bold, which.to_owned()), Span::plain(nodes), Span::plain(taken)],
    )
}

fn findings(writer: &mut ReportWriter<'_>, title: &str, findings: &[KnownFinding]) -> io::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    writer.blank()?;
    writer.flow(Indent(0, 2), &[Span::new(Style::Bold, title)])?;
    for one in findings {
        let severity = match one.severity {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            _ => Severity::Info,
        };
        let lead = Span::new(Style::of(severity), format!("{} ", writer.symbol(Symbol::Severity(severity))));
        let follows = if one.consequence { " (consequence)" } else { "" };
        let text = format!(" on {}{follows}: {}", one.subject, one.summary);
        writer.flow(Indent(2, 4), &[lead, Span::check(Style::Plain, &one.check), Span::plain(text)])?;
    }
    Ok(())
}

fn changes(writer: &mut ReportWriter<'_>, changes: &[Change]) -> io::Result<()> {
    for of_one in changes.chunk_by(|one, next| (one.area, &one.node) == (next.area, &next.node)) {
        let Some(first) = of_one.first() else { continue };
        writer.blank()?;
        let title = format!("{} of {}:", first.area.name(), first.node);
        writer.flow(Indent(0, 2), &[Span::new(Style::Bold, title)])?;
        for change in of_one {
            let shown = |value: &str| cut(&writer.clean(value), LONG, writer.ascii).into_owned();
            // What is present or absent has no value.
            let bare = |value: &str| value == crate::diff::PRESENT;
            let (style, sign, text) = match (&change.before, &change.after) {
                (None, Some(is)) if bare(is) => (Style::Green, "+", String::new()),
                (None, Some(is)) => (Style::Green, "+", format!(": {}", shown(is))),
                (Some(was), None) if bare(was) => (Style::Red, "-", String::new()),
                (Some(was), None) => (Style::Red, "-", format!(": {}", shown(was))),
                (was, is) => {
                    let of = |value: &Option<String>| value.as_deref().map(shown).unwrap_or_default();
                    (Style::Yellow, "~", format!(": {} -> {}", of(was), of(is)))
                }
            };
            let key = shown(&change.key);
            writer.flow(
                Indent(2, 6),
                &[Span::new(style, format!("{sign} ")), Span::plain(format!("{key}{text}"))],
            )?;
        }
    }
    Ok(())
}
