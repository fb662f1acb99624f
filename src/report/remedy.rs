//! A remedy for people: what to do, how much it may hurt, and on which node to type what.

use super::pen::{Indent, Ink, Pen, Span};
use checks::{Remedy, Risk, Step};
use std::io;

/// Writes a remedy.
pub(super) fn write(pen: &mut Pen<'_>, indent: usize, remedy: &Remedy) -> io::Result<()> {
    let lead = Span::new(Ink::Bold, "What to do: ");
    pen.flow(Indent(indent, indent + 2), &[lead, Span::plain(remedy.title.as_ref())])?;
    let ink = match remedy.risk {
        Risk::Safe => Ink::Green,
        Risk::Disruptive | Risk::Manual => Ink::Yellow,
        Risk::Destructive => Ink::Red,
    };
    let risk = [
        Span::plain("Risk: "),
        Span::solid(ink, remedy.risk.as_str()),
        Span::plain(if remedy.impact.is_empty() { "" } else { ": " }),
        Span::plain(remedy.impact.as_ref()),
    ];
    pen.flow(Indent(indent + 2, indent + 2), &risk)?;
    steps(pen, indent, &remedy.steps)
}

/// Writes steps with the nodes on which they are done.
pub(super) fn steps(pen: &mut Pen<'_>, indent: usize, steps: &[Step]) -> io::Result<()> {
    let mut node = None;
    for (at, step) in steps.iter().enumerate() {
        // The order of the steps counts, so that only neighbours are grouped.
        if node != Some(step.node()) {
            node = Some(step.node());
            let place = [Span::plain("On "), Span::new(Ink::Bold, step.node().as_str()), Span::plain(":")];
            pen.flow(Indent(indent + 2, indent + 4), &place)?;
        }
        let number = if steps.len() > 1 { format!("{}. ", at + 1) } else { String::new() };
        let hang = indent + 4 + number.len();
        pen.flow(Indent(indent + 4, hang), &[Span::plain(number), Span::plain(step.text())])?;
        for command in step.commands() {
            pen.line(hang + 2, Ink::Cyan, &command)?;
        }
    }
    Ok(())
}
