//! The checks without a finding: those that are incomplete and, with `-v`, those that were skipped or passed.

use super::text::{count, cut};
use super::writer::{Indent, ReportWriter, Span, Style, Symbol};
use crate::fleet::NOT_EXAMINED;
use crate::judge::{Diagnosis, Status, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// How many ids of checks one reason lists, and how many origins, unless `-v` asks for all.
const LISTED: usize = 8;

/// Writes what could not be checked, and why.
pub(super) fn unknown(writer: &mut ReportWriter<'_>, diagnosis: &Diagnosis, verbose: bool) -> io::Result<()> {
    // The report begins with the nodes that were not examined.
    let open: Vec<&Verdict> = diagnosis.open().filter(|verdict| verdict.check != NOT_EXAMINED).collect();
    if open.is_empty() {
        return Ok(());
    }
    writer.blank()?;
    let text = format!("{}, because these facts are missing", count(open.len(), "check"));
    writer.flow(Indent(0, 2), &[Span::new(Style::Bold, "Incomplete: "), Span::plain(text)])?;
    if verbose {
        return open.iter().try_for_each(|verdict| one_by_one(writer, verdict));
    }
    // One missing fact stops many checks, and takes one line.
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
        let reason = cut(&writer.clean(&reason), writer.room(4) * 2, writer.ascii).into_owned();
        let line = [
            Span::new(Style::Yellow, format!("{} ", writer.symbol(Symbol::Unknown))),
            Span::plain(reason),
            Span::new(Style::Faint, format!(" ({})", listed(&origins))),
        ];
        writer.flow(Indent(2, 4), &line)?;
        let line = format!("{}: {}", count(ids.len(), "check"), listed(&ids));
        writer.flow(Indent(4, 6), &[Span::plain(line)])?;
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

fn one_by_one(writer: &mut ReportWriter<'_>, verdict: &Verdict) -> io::Result<()> {
    let symbol = Span::new(Style::Yellow, format!("{} ", writer.symbol(Symbol::Unknown)));
    let id = Span::plain(format!("{}: ", verdict.check));
    writer.flow(Indent(2, 4), &[symbol, id, Span::new(Style::Faint, verdict.title.as_ref())])?;
    for (subject, gap) in verdict.open() {
        let line = format!("{subject}: {}: {}", gap.source.origin, gap.why);
        writer.flow(Indent(4, 6), &[Span::new(Style::Faint, line)])?;
    }
    Ok(())
}

/// Writes one by one what was skipped and what passed.
pub(super) fn quiet(writer: &mut ReportWriter<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let of = |status: Status| diagnosis.verdicts.iter().filter(move |verdict| verdict.status == status);
    if of(Status::Skipped).next().is_some() {
        writer.blank()?;
        let text = "not applicable here, or not requested";
        writer.flow(Indent(0, 2), &[Span::new(Style::Bold, "Skipped: "), Span::plain(text)])?;
        for verdict in of(Status::Skipped) {
            let reasons: BTreeSet<String> =
                verdict.unknown.iter().map(|(_, gap)| gap.why.to_string()).collect();
            let symbol = Span::new(Style::Faint, format!("{} ", writer.symbol(Symbol::Skipped)));
            let id = Span::plain(format!("{}: ", verdict.check));
            let reasons = reasons.into_iter().collect::<Vec<_>>().join("; ");
            writer.flow(Indent(2, 4), &[symbol, id, Span::new(Style::Faint, reasons)])?;
        }
    }
    if of(Status::Healthy).next().is_some() {
        writer.blank()?;
        writer.flow(Indent(0, 2), &[Span::new(Style::Bold, "Passed:")])?;
        for verdict in of(Status::Healthy) {
            let symbol = Span::new(Style::Green, format!("{} ", writer.symbol(Symbol::Healthy)));
            // A check without a phrase for health has a title that names the problem.
            let text = match verdict.healthy.as_ref() {
                "" => format!("not found: {}", verdict.title),
                healthy => healthy.to_owned(),
            };
            let id = Span::plain(format!("{}: ", verdict.check));
            writer.flow(Indent(2, 4), &[symbol, id, Span::new(Style::Faint, text)])?;
        }
    }
    Ok(())
}
