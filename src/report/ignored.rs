//! What is wrong and does not count, with the reason, and what is to be said of the judgment itself.

use super::pen::{Indent, Ink, Mark, Pen, Span};
use crate::judge::Diagnosis;
use std::io;

/// Writes them; nothing where there are none.
pub(super) fn write(pen: &mut Pen<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    if !diagnosis.ignored.is_empty() {
        pen.blank()?;
        let said = match diagnosis.ignored.len() {
            1 => "1 finding, which does not count".to_owned(),
            many => format!("{many} findings, which do not count"),
        };
        pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, "Ignored: "), Span::plain(said)])?;
    }
    for ignored in &diagnosis.ignored {
        let (finding, excuse) = (&ignored.finding, &ignored.excuse);
        let line = [
            Span::plain(format!("{} ", pen.mark(Mark::Of(finding.severity)))),
            Span::plain(format!("{} · ", finding.check).replace('·', pen.mark(Mark::Between))),
            Span::plain(format!("{}: {}", finding.subject, finding.summary)),
        ];
        pen.flow(Indent(2, 4), &line)?;
        let until = excuse.until.map(|until| format!("until {until}, ")).unwrap_or_default();
        let why = format!("{} ({until}{})", excuse.reason, excuse.by);
        pen.flow(Indent(4, 6), &[Span::new(Ink::Faint, why)])?;
    }
    if !diagnosis.notes.is_empty() {
        pen.blank()?;
    }
    for note in &diagnosis.notes {
        pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, "Note: "), Span::plain(format!("{note}."))])?;
    }
    Ok(())
}

/// How many there are, in the middle of a sentence.
pub(super) fn said(diagnosis: &Diagnosis) -> String {
    match diagnosis.ignored.len() {
        1 => "; 1 finding is ignored.".to_owned(),
        many => format!("; {many} findings are ignored."),
    }
}

#[cfg(test)]
mod tests {
    use crate::judge::Ignored;
    use crate::policy::Excuse;
    use crate::report::{Format as _, Human, Page, sample};

    #[test]
    fn what_is_ignored_is_shown_with_its_reason_and_never_called_healthy() {
        let mut diagnosis = sample::warned();
        let until = Some("2027-01-31".parse().unwrap());
        let excuse = Excuse { reason: "a third comes".into(), until, by: "--ignore".into() };
        diagnosis.ignored.push(Ignored { finding: diagnosis.findings.remove(0).finding, excuse });
        diagnosis.notes.push("something was left out".into());
        let mut shown = Vec::new();
        Human { page: Page::PLAIN }.render(&diagnosis, &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        for part in [
            "Nothing that counts was found; 1 finding is ignored.",
            "Ignored: 1 finding, which does not count",
            "a third comes (until 2027-01-31, --ignore)",
            "Note: something was left out.",
        ] {
            assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
        }
        assert!(!shown.contains("Healthy"), "{shown}");
    }
}
