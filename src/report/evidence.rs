//! Evidence for people: where it is to be seen, and what stands there.

use super::pen::{Indent, Ink, Pen, Span};
use super::text::{columns, count, cut};
use checks::Evidence;
use std::io;

/// How many pieces a report shows unless it is asked for all; they are given in the order of their weight.
const SHOWN: usize = 6;
/// How many lines of the page one piece may take, unless all is asked for.
const LINES: usize = 3;

/// Writes the evidence of one finding.
pub(super) fn write(
    pen: &mut Pen<'_>,
    indent: usize,
    evidence: &[Evidence],
    verbose: bool,
) -> io::Result<()> {
    let shown = if verbose { evidence.len() } else { SHOWN };
    for piece in evidence.iter().take(shown) {
        one(pen, indent, piece, verbose)?;
    }
    match evidence.len().saturating_sub(shown) {
        0 => Ok(()),
        more => {
            let text = format!("and {} more of evidence (-v shows all)", count(more, "piece"));
            pen.flow(Indent(indent, indent), &[Span::new(Ink::Faint, text)])
        }
    }
}

/// Where a piece is to be seen, and what stands there.
pub(super) fn said(evidence: &Evidence) -> (String, &str) {
    match evidence {
        Evidence::Line { source, line, text } => (format!("{}:{line}", source.origin), text),
        // What is absent is said in words that tell so: "no process dockerd", "permission denied".
        Evidence::Value { source, shown: text } | Evidence::Absent { source, what: text } => {
            (source.origin.clone(), text)
        }
    }
}

fn one(pen: &mut Pen<'_>, indent: usize, evidence: &Evidence, whole: bool) -> io::Result<()> {
    let (place, text) = said(evidence);
    let place = format!("{place}: ");
    let text = pen.clean(text.trim_end()).into_owned();
    let beside = columns(&pen.clean(&place)) + columns(&text) <= pen.room(indent);
    if beside {
        return pen.flow(Indent(indent, indent + 2), &[Span::new(Ink::Faint, place), Span::plain(text)]);
    }
    // A long text starts a line of its own, where as much of it as possible stands together.
    pen.flow(Indent(indent, indent + 2), &[Span::new(Ink::Faint, place.trim_end())])?;
    let limit = if whole { usize::MAX } else { pen.room(indent + 2) * LINES };
    let text = cut(&text, limit, pen.ascii).into_owned();
    pen.flow(Indent(indent + 2, indent + 2), &[Span::plain(text)])
}
