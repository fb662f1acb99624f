//! A finding for people: the root cause with its evidence and its remedy, and its consequences.

use super::text::count;
use super::writer::{Indent, ReportWriter, Span, Style, Symbol};
use super::{Detail, Terminal, evidence, remedy};
use crate::judge::Cause;
use checks::{Confidence, Finding};
use facts::Timestamp;
use std::io;

/// How many consequences of one check are shown unless `-v` asks for all: on a large swarm one cause has the same
/// consequence on every node.
const SHOWN: usize = 3;

/// How wide lines are in formats that hold text.
const PLAIN_WIDTH: u16 = 100;

/// Writes a cause and all that belongs to it.
pub(super) fn write(
    writer: &mut ReportWriter<'_>,
    number: &str,
    cause: &Cause,
    detail: Detail,
) -> io::Result<()> {
    let finding = &cause.finding;
    let symbol = writer.symbol(Symbol::Severity(finding.severity));
    let head = vec![
        Span::new(Style::of(finding.severity), format!("{number}{symbol} {}", finding.severity.as_str())),
        Span::check(Style::Bold, &finding.check),
        Span::plain(finding.subject.to_string()),
        Span::plain(confidence(finding.confidence)),
    ];
    writer.items(Indent(0, 2), head)?;
    writer.flow(Indent(2, 2), &[Span::new(Style::Bold, finding.summary.as_str())])?;
    writer.blank()?;
    writer.flow(Indent(2, 2), &[Span::new(Style::Bold, "Evidence:")])?;
    evidence::write(writer, 4, finding.evidence(), detail)?;
    if let Some(remedy) = &finding.remedy {
        writer.blank()?;
        remedy::write(writer, 2, remedy)?;
    }
    if !cause.consequences.is_empty() {
        writer.blank()?;
        consequences(writer, &cause.consequences, detail)?;
    }
    Ok(())
}

/// A cause and all that belongs to it, as clean lines of text for formats that hold text.
pub(super) fn plain(cause: &Cause, taken: Timestamp) -> io::Result<Vec<String>> {
    let mut text = Vec::new();
    let terminal = Terminal { width: PLAIN_WIDTH, ..Terminal::PLAIN };
    let detail = Detail { verbose: false, taken };
    write(&mut ReportWriter::new(&mut text, terminal), "", cause, detail)?;
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

/// The confidence of a finding.
pub(super) fn confidence(confidence: Confidence) -> String {
    format!("confidence {}", confidence.as_str())
}

/// The finding that a consequence follows from.
pub(super) fn caused_by(cause: &Cause) -> String {
    format!("caused by {} on {}", cause.finding.check, cause.finding.subject)
}

fn consequences(writer: &mut ReportWriter<'_>, found: &[Finding], detail: Detail) -> io::Result<()> {
    writer.flow(Indent(2, 2), &[Span::new(Style::Bold, "Consequences:")])?;
    for same in found.chunk_by(|one, next| one.check == next.check && one.severity == next.severity) {
        // A line that says "1 more" takes as much room as the one it stands for.
        let shown = if detail.verbose || same.len() <= SHOWN + 1 { same.len() } else { SHOWN };
        for finding in same.iter().take(shown) {
            let symbol = format!("{} ", writer.symbol(Symbol::Severity(finding.severity)));
            let between = writer.symbol(Symbol::Between);
            let sure = match finding.confidence {
                Confidence::High => String::new(),
                less => format!(" ({})", confidence(less)),
            };
            let line = [
                Span::new(Style::of(finding.severity), symbol),
                Span::check(Style::Plain, &finding.check),
                Span::plain(format!(" {between} {}{sure}: {}", finding.subject, finding.summary)),
            ];
            writer.flow(Indent(4, 6), &line)?;
            if detail.verbose {
                evidence::write(writer, 8, finding.evidence(), detail)?;
            }
        }
        if let Some(first) = same.first().filter(|_| same.len() > shown) {
            let more = count(same.len() - shown, "more finding");
            let text = format!("and {more} of {} (-v shows all)", first.check);
            writer.flow(Indent(6, 6), &[Span::new(Style::Faint, text)])?;
        }
    }
    Ok(())
}
