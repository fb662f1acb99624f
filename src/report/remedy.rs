//! A remedy for people: what to do, its risk, and which commands to run on which node.

use super::text::sentence;
use super::writer::{Indent, ReportWriter, Span, Style};
use checks::{Remedy, Risk, Step};
use std::io;

/// Writes a remedy.
pub(super) fn write(writer: &mut ReportWriter<'_>, indent: usize, remedy: &Remedy) -> io::Result<()> {
    let lead = Span::new(Style::Bold, "Remedy: ");
    writer.flow(Indent(indent, indent + 2), &[lead, Span::plain(remedy.title.as_ref())])?;
    let style = match remedy.risk {
        Risk::Safe => Style::Green,
        Risk::Disruptive | Risk::Manual => Style::Yellow,
        Risk::Destructive => Style::Red,
    };
    let risk = [
        Span::plain("Risk: "),
        Span::solid(style, format!("{}.", remedy.risk.as_str())),
        Span::plain(if remedy.impact.is_empty() { "" } else { " " }),
        Span::plain(sentence(&remedy.impact)),
    ];
    writer.flow(Indent(indent + 2, indent + 2), &risk)?;
    steps(writer, indent, &remedy.steps)
}

/// The risk of a remedy with its impact: `safe. Running tasks are not affected.`
pub(super) fn risk(remedy: &Remedy) -> String {
    format!("{}. {}", remedy.risk.as_str(), sentence(&remedy.impact)).trim_end().to_owned()
}

/// Writes steps, grouped by the node to run them on.
pub(super) fn steps(writer: &mut ReportWriter<'_>, indent: usize, steps: &[Step]) -> io::Result<()> {
    let mut node = None;
    for (at, step) in steps.iter().enumerate() {
        // The order of the steps matters, so only consecutive ones are grouped.
        if node != Some(step.target()) {
            node = Some(step.target());
            let place =
                [Span::plain("On "), Span::new(Style::Bold, step.target().to_string()), Span::plain(":")];
            writer.flow(Indent(indent + 2, indent + 4), &place)?;
        }
        let number = if steps.len() > 1 { format!("{}. ", at + 1) } else { String::new() };
        let hang = indent + 4 + number.len();
        writer.flow(Indent(indent + 4, hang), &[Span::plain(number), Span::plain(step.text())])?;
        for command in step.commands() {
            writer.line(hang + 2, Style::Cyan, &command)?;
        }
    }
    Ok(())
}
