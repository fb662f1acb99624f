//! The short report: one line for each root cause, and the tally.

use super::text::count;
use super::writer::{ReportWriter, Span, Style, Symbol};
use super::{Format, Page, grouping, summary};
use crate::judge::Diagnosis;
use std::io::{self, Write};

/// The short report. Lines are not wrapped, so that they can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// What it is written on.
    pub page: Page,
}

impl Format for Short {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let mut writer = ReportWriter::new(out, self.page.terminal);
        for group in grouping::grouped(&diagnosis.findings) {
            let Some(cause) = group.first() else { continue };
            let finding = &cause.finding;
            let symbol = writer.symbol(Symbol::Severity(finding.severity));
            let mut parts = vec![format!(" {}: {}", finding.subject, finding.summary)];
            if let more @ 1.. = cause.consequences.len() {
                parts.push(count(more, "consequence"));
            }
            parts.extend(grouping::elsewhere(group, ""));
            let steps = || finding.remedy.iter().flat_map(|remedy| &remedy.steps);
            let first = steps().find_map(|step| Some((step.target(), step.commands().into_iter().next()?)));
            let fix = first.map(|(node, command)| (format!(" | on {node}: "), command)).unwrap_or_default();
            writer.whole(&[
                Span::new(Style::of(finding.severity), format!("{symbol} {}", finding.severity.as_str())),
                Span::plain(format!(" ({}) ", finding.confidence.as_str())),
                Span::check(Style::Bold, &finding.check),
                Span::plain(parts.join("; ")),
                Span::plain(fix.0),
                Span::new(Style::Cyan, fix.1),
            ])?;
        }
        summary::line(&mut writer, diagnosis, self.page.elapsed_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn each_cause_is_one_line_with_its_first_command_and_the_tally_is_the_last() {
        let mut out = Vec::new();
        Short { page: Page::PLAIN }.render(&sample::rich(), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), sample::rich().findings.len() + 1, "{shown}");
        assert_eq!(
            lines[0],
            "✗ error (high) swarm/stale-advertise-addr m3: raft knows this manager as 192.0.2.3:2377, which no \
             interface holds; 7 consequences | on m1: docker node demote m3"
        );
        assert_eq!(lines.last(), Some(&"2 errors, 7 warnings · 1 check passed, 2 incomplete, 1 skipped"));
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
    }
}
