//! The report in brief: one line for each cause, and the tally.

use super::human::tally;
use super::pen::{Ink, Mark, Pen, Span};
use super::text::count;
use super::{Format, Page, alike};
use crate::judge::Diagnosis;
use std::io::{self, Write};

/// The report in brief. Lines are not wrapped, so that they can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// What it is written on.
    pub page: Page,
}

impl Format for Short {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let mut pen = Pen::new(out, self.page.width, self.page.color, self.page.ascii);
        for group in alike::grouped(&diagnosis.findings) {
            let Some(cause) = group.first() else { continue };
            let finding = &cause.finding;
            let elsewhere = alike::elsewhere(group, "").map(|said| format!(". {said}")).unwrap_or_default();
            let ink = Ink::of(finding.severity);
            let lead = format!("{} {}", pen.mark(Mark::Of(finding.severity)), finding.severity.as_str());
            let more = match cause.consequences.len() {
                0 => String::new(),
                more => format!(" ({} of it)", count(more, "consequence")),
            };
            pen.whole(&[
                Span::new(ink, lead),
                Span::plain(" "),
                Span::new(Ink::Bold, finding.check.as_ref()),
                Span::plain(format!(" {}: {}{more}{elsewhere}", finding.subject, finding.summary)),
            ])?;
        }
        tally(&mut pen, diagnosis, self.page.elapsed_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn each_cause_is_one_line_and_the_tally_is_the_last() {
        let mut out = Vec::new();
        Short { page: Page::PLAIN }.render(&sample::rich(), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), sample::rich().findings.len() + 1, "{shown}");
        assert_eq!(
            lines[0],
            "✗ error swarm/stale-advertise-addr m3: raft knows this manager as 192.0.2.3:2377, which no \
             interface holds (7 consequences of it)"
        );
        assert_eq!(lines.last(), Some(&"1 healthy · 2 warnings · 2 errors · 2 unknown · 1 skipped"));
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
    }
}
