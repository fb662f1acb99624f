//! A finding for people: the cause with its evidence and its remedy, and beneath it what follows from it.

use super::pen::{Indent, Ink, Mark, Pen, Span};
use super::text::count;
use super::{evidence, remedy};
use crate::judge::Cause;
use checks::{Confidence, Finding};
use std::io;

/// How many consequences of one check are shown unless all are asked for: on a large swarm one cause is felt
/// on every node in the same words.
const ALIKE: usize = 3;

/// How wide lines are in formats that hold text.
const PLAIN_WIDTH: u16 = 100;

/// Writes a cause and all that belongs to it.
pub(super) fn write(pen: &mut Pen<'_>, number: &str, cause: &Cause, verbose: bool) -> io::Result<()> {
    let finding = &cause.finding;
    let ink = Ink::of(finding.severity);
    let lead = format!("{number}{} {}", pen.mark(Mark::Of(finding.severity)), weight(finding));
    let head = [lead, finding.check.to_string(), finding.subject.to_string()];
    let mut inks = [ink, Ink::Bold, Ink::Plain].into_iter();
    let head = head.into_iter().map(|text| Span::new(inks.next().unwrap_or(Ink::Plain), text)).collect();
    pen.items(Indent(0, 2), head)?;
    pen.flow(Indent(2, 2), &[Span::new(Ink::Bold, finding.summary.as_str())])?;
    pen.blank()?;
    pen.flow(Indent(2, 2), &[Span::new(Ink::Bold, "Evidence:")])?;
    evidence::write(pen, 4, finding.evidence(), verbose)?;
    if let Some(remedy) = &finding.remedy {
        pen.blank()?;
        remedy::write(pen, 2, remedy)?;
    }
    if !cause.consequences.is_empty() {
        pen.blank()?;
        consequences(pen, &cause.consequences, verbose)?;
    }
    Ok(())
}

/// A cause and all that belongs to it, as clean lines of text for formats that hold text.
pub(super) fn plain(cause: &Cause) -> io::Result<Vec<String>> {
    let mut text = Vec::new();
    write(&mut Pen::new(&mut text, PLAIN_WIDTH, false, false), "", cause, false)?;
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

/// How much a finding weighs, and how sure it is where it is not proven.
pub(super) fn weight(finding: &Finding) -> String {
    match finding.confidence {
        Confidence::High => finding.severity.as_str().to_owned(),
        Confidence::Medium => format!("{} (likely)", finding.severity.as_str()),
        Confidence::Low => format!("{} (only a hint)", finding.severity.as_str()),
    }
}

fn consequences(pen: &mut Pen<'_>, found: &[Finding], verbose: bool) -> io::Result<()> {
    pen.flow(Indent(2, 2), &[Span::new(Ink::Bold, "And because of it:")])?;
    for alike in found.chunk_by(|one, next| one.check == next.check && one.severity == next.severity) {
        // A line that says "1 more" takes as much room as the one it stands for.
        let shown = if verbose || alike.len() <= ALIKE + 1 { alike.len() } else { ALIKE };
        for finding in alike.iter().take(shown) {
            let mark = format!("{} ", pen.mark(Mark::Of(finding.severity)));
            let lead = match finding.confidence {
                Confidence::High => finding.check.to_string(),
                Confidence::Medium | Confidence::Low => format!("{}, {}", finding.check, weight(finding)),
            };
            let line = [
                Span::new(Ink::of(finding.severity), mark),
                Span::plain(format!("{lead} · ").replace('·', pen.mark(Mark::Between))),
                Span::plain(format!("{}: {}", finding.subject, finding.summary)),
            ];
            pen.flow(Indent(4, 6), &line)?;
            if verbose {
                evidence::write(pen, 8, finding.evidence(), verbose)?;
            }
        }
        if let Some(first) = alike.first().filter(|_| alike.len() > shown) {
            let text = format!(
                "and {} of {} (-v shows all)",
                count(alike.len() - shown, "more finding"),
                first.check
            );
            pen.flow(Indent(6, 6), &[Span::new(Ink::Faint, text)])?;
        }
    }
    Ok(())
}
