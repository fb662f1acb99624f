//! Ignored findings with the reason, and notes on the run.

use super::text::count;
use super::writer::{Indent, ReportWriter, Span, Style, Symbol};
use crate::judge::Diagnosis;
use std::io;

/// Writes them; nothing where there are none.
pub(super) fn write(writer: &mut ReportWriter<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    if !diagnosis.ignored.is_empty() {
        writer.blank()?;
        let text = count(diagnosis.ignored.len(), "finding");
        writer.flow(Indent(0, 2), &[Span::new(Style::Bold, "Ignored: "), Span::plain(text)])?;
    }
    for ignored in &diagnosis.ignored {
        let (finding, excuse) = (&ignored.finding, &ignored.excuse);
        let between = writer.symbol(Symbol::Between);
        let line = [
            Span::plain(format!("{} ", writer.symbol(Symbol::Severity(finding.severity)))),
            Span::check(Style::Plain, &finding.check),
            Span::plain(format!(" {between} {}: {}", finding.subject, finding.summary)),
        ];
        writer.flow(Indent(2, 4), &line)?;
        let until = excuse.until.map(|until| format!("until {until}, ")).unwrap_or_default();
        let why = format!("{} ({until}{})", excuse.reason, excuse.by);
        writer.flow(Indent(4, 6), &[Span::new(Style::Faint, why)])?;
    }
    if !diagnosis.notes.is_empty() {
        writer.blank()?;
    }
    for note in &diagnosis.notes {
        writer.flow(Indent(0, 2), &[Span::new(Style::Bold, "Note: "), Span::plain(format!("{note}."))])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::judge::Ignored;
    use crate::policy::Excuse;
    use crate::report::{Format as _, Human, Page, sample};

    #[test]
    fn ignored_findings_are_shown_with_the_reason_and_never_called_healthy() {
        let mut diagnosis = sample::warned();
        let until = Some("2027-01-31".parse().unwrap());
        let excuse = Excuse { reason: "a third comes".into(), until, by: "--ignore".into() };
        diagnosis.ignored.push(Ignored { finding: diagnosis.findings.remove(0).finding, excuse });
        diagnosis.notes.push("something was left out".into());
        let mut shown = Vec::new();
        Human { page: Page::PLAIN }.render(&diagnosis, &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        for part in [
            "- No active findings (1 ignored).",
            "Ignored: 1 finding",
            "a third comes (until 2027-01-31, --ignore)",
            "Note: something was left out.",
        ] {
            assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
        }
        assert!(!shown.contains("Healthy"), "{shown}");
        assert!(
            shown.ends_with("\n1 ignored · 1 check passed\n") || shown.contains("1 ignored · "),
            "{shown}"
        );
    }
}
