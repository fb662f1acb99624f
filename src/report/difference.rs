//! What changed between two bundles, for people and for programs.

use super::pen::{Indent, Ink, Mark, Pen, Span};
use super::terminal::Terminal;
use super::text::{count, cut};
use crate::diff::{Change, Difference, Said, Side};
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
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

/// Writes the difference for people: what is said anew, what is not said any more, and the facts.
pub fn table(difference: &Difference, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    let mut pen = Pen::new(out, terminal.width, terminal.color, terminal.ascii);
    side(&mut pen, "before", &difference.before)?;
    side(&mut pen, "after ", &difference.after)?;
    for note in &difference.notes {
        let mark = format!("{} ", pen.mark(Mark::Of(Severity::Warning)));
        pen.flow(Indent(0, 2), &[Span::new(Ink::of(Severity::Warning), mark), Span::plain(note.as_str())])?;
    }
    said(&mut pen, "New:", &difference.new)?;
    said(&mut pen, "Gone:", &difference.gone)?;
    changes(&mut pen, &difference.changes)?;
    pen.blank()?;
    let tally = [
        (difference.new.len(), "new"),
        (difference.gone.len(), "gone"),
        (difference.still.len(), "as before"),
    ];
    let mut tally: Vec<Span<'_>> =
        tally.iter().map(|(number, word)| Span::plain(format!("{number} {word}"))).collect();
    tally.push(Span::plain(format!("{} changed", count(difference.changes.len(), "fact"))));
    pen.items(Indent(0, 2), tally)
}

fn side(pen: &mut Pen<'_>, which: &str, side: &Side) -> io::Result<()> {
    let taken = side.taken.strftime("taken %Y-%m-%d %H:%M:%S UTC").to_string();
    let nodes = match side.nodes.as_slice() {
        [one] => one.to_string(),
        several => count(several.len(), "node"),
    };
    pen.items(
        Indent(0, 2),
        vec![Span::new(Ink::Bold, which.to_owned()), Span::plain(nodes), Span::plain(taken)],
    )
}

fn said(pen: &mut Pen<'_>, title: &str, said: &[Said]) -> io::Result<()> {
    if said.is_empty() {
        return Ok(());
    }
    pen.blank()?;
    pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, title)])?;
    for one in said {
        let severity = match one.severity {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            _ => Severity::Info,
        };
        let lead = Span::new(Ink::of(severity), format!("{} ", pen.mark(Mark::Of(severity))));
        let follows = if one.consequence { ", which follows from another" } else { "" };
        let text = format!("{}, {}{follows}: {}", one.check, one.subject, one.summary);
        pen.flow(Indent(2, 4), &[lead, Span::plain(text)])?;
    }
    Ok(())
}

fn changes(pen: &mut Pen<'_>, changes: &[Change]) -> io::Result<()> {
    for of_one in changes.chunk_by(|one, next| (one.area, &one.node) == (next.area, &next.node)) {
        let Some(first) = of_one.first() else { continue };
        pen.blank()?;
        let title = format!("{} of {}:", first.area.name(), first.node);
        pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, title)])?;
        for change in of_one {
            let shown = |value: &str| cut(&pen.clean(value), LONG, pen.ascii).into_owned();
            // What is there or is not needs no value.
            let bare = |value: &str| matches!(value, "there" | "held");
            let (ink, sign, text) = match (&change.before, &change.after) {
                (None, Some(is)) if bare(is) => (Ink::Green, "+", String::new()),
                (None, Some(is)) => (Ink::Green, "+", format!(": {}", shown(is))),
                (Some(was), None) if bare(was) => (Ink::Red, "-", String::new()),
                (Some(was), None) => (Ink::Red, "-", format!(": {}", shown(was))),
                (was, is) => {
                    let of = |value: &Option<String>| value.as_deref().map(shown).unwrap_or_default();
                    (Ink::Yellow, "~", format!(": {} -> {}", of(was), of(is)))
                }
            };
            let key = shown(&change.key);
            pen.flow(
                Indent(2, 6),
                &[Span::new(ink, format!("{sign} ")), Span::plain(format!("{key}{text}"))],
            )?;
        }
    }
    Ok(())
}
