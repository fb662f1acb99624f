//! The checks that found nothing: those that could not tell and, where asked for, those that were skipped and
//! those that found all well.

use super::pen::{Indent, Ink, Mark, Pen, Span};
use super::text::{count, cut};
use crate::judge::{Diagnosis, Status, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// How many ids of checks one reason lists, and how many origins, unless all are asked for.
const LISTED: usize = 8;

/// Writes what could not be judged.
pub(super) fn unknown(pen: &mut Pen<'_>, diagnosis: &Diagnosis, verbose: bool) -> io::Result<()> {
    let open: Vec<&Verdict> = diagnosis.open().collect();
    if open.is_empty() {
        return Ok(());
    }
    pen.blank()?;
    let said = format!("{} could not look at everything", count(open.len(), "check"));
    pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, "Unknown: "), Span::plain(said)])?;
    if verbose {
        return open.iter().try_for_each(|verdict| one_by_one(pen, verdict));
    }
    // One locked door keeps many checks out, and is worth one line.
    let mut reasons: BTreeMap<String, (BTreeSet<&str>, Vec<&str>)> = BTreeMap::new();
    for verdict in &open {
        for (_, gap) in verdict.open() {
            let (origins, ids) = reasons.entry(gap.why.to_string()).or_default();
            origins.insert(&gap.source.origin);
            if ids.last() != Some(&verdict.check.as_ref()) {
                ids.push(&verdict.check);
            }
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, (_, ids))| std::cmp::Reverse(ids.len()));
    for (reason, (origins, ids)) in reasons {
        let origins: Vec<&str> = origins.into_iter().collect();
        let reason = cut(&pen.clean(&reason), pen.room(4) * 2, pen.ascii).into_owned();
        let line = [
            Span::new(Ink::Yellow, format!("{} ", pen.mark(Mark::Unknown))),
            Span::plain(reason),
            Span::new(Ink::Faint, format!(" ({})", listed(&origins))),
        ];
        pen.flow(Indent(2, 4), &line)?;
        let line = format!("{}: {}", count(ids.len(), "check"), listed(&ids));
        pen.flow(Indent(4, 6), &[Span::plain(line)])?;
    }
    Ok(())
}

fn listed(names: &[&str]) -> String {
    // A line that says "1 more" takes as much room as the name it stands for.
    let shown = if names.len() <= LISTED + 1 { names.len() } else { LISTED };
    let mut text = names.iter().take(shown).copied().collect::<Vec<_>>().join(", ");
    if names.len() > shown {
        text.push_str(&format!(" and {} more", names.len() - shown));
    }
    text
}

fn one_by_one(pen: &mut Pen<'_>, verdict: &Verdict) -> io::Result<()> {
    titled(pen, Ink::Yellow, Mark::Unknown, verdict)?;
    for (subject, gap) in verdict.open() {
        let line = format!("{subject}: {}: {}", gap.source.origin, gap.why);
        pen.flow(Indent(4, 6), &[Span::new(Ink::Faint, line)])?;
    }
    Ok(())
}

fn titled(pen: &mut Pen<'_>, ink: Ink, mark: Mark, verdict: &Verdict) -> io::Result<()> {
    let mark = Span::new(ink, format!("{} ", pen.mark(mark)));
    let id = Span::plain(format!("{}: ", verdict.check));
    pen.flow(Indent(2, 4), &[mark, id, Span::new(Ink::Faint, verdict.title.as_ref())])
}

/// Writes one by one what was skipped and what is well.
pub(super) fn quiet(pen: &mut Pen<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let of = |status: Status| diagnosis.verdicts.iter().filter(move |verdict| verdict.status == status);
    if of(Status::Skipped).next().is_some() {
        pen.blank()?;
        let said = "the question does not arise here, or was not asked";
        pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, "Skipped: "), Span::plain(said)])?;
        for verdict in of(Status::Skipped) {
            let reasons: BTreeSet<String> =
                verdict.unknown.iter().map(|(_, gap)| gap.why.to_string()).collect();
            let mark = Span::new(Ink::Faint, format!("{} ", pen.mark(Mark::Skipped)));
            let id = Span::plain(format!("{}: ", verdict.check));
            let reasons = reasons.into_iter().collect::<Vec<_>>().join("; ");
            pen.flow(Indent(2, 4), &[mark, id, Span::new(Ink::Faint, reasons)])?;
        }
    }
    if of(Status::Healthy).next().is_some() {
        pen.blank()?;
        // Titles name ailments, which become statements of health by being ruled out.
        let said = "these ailments were looked for and ruled out";
        pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, "Healthy: "), Span::plain(said)])?;
        for verdict in of(Status::Healthy) {
            titled(pen, Ink::Green, Mark::Healthy, verdict)?;
        }
    }
    Ok(())
}
