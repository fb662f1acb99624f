//! The last lines of a report, which are what an operator sees on a small screen: the tally, the root causes by number,
//! and what to run first.

use super::Page;
use super::grouping::grouped;
use super::tally::Tally;
use super::text::{columns, count, cut_end, duration};
use super::writer::{Indent, ReportWriter, Span, Style, Symbol};
use crate::judge::{Cause, Diagnosis, Status};
use checks::Finding;
use std::io;

/// How many root causes are listed.
const LISTED: usize = 10;
/// How wide the columns of the subject and of the check may be.
const COLUMNS: (usize, usize) = (16, 30);
/// The least room for a summary that is worth showing.
const SUMMARY: usize = 16;

/// Writes the last lines.
pub(super) fn write(writer: &mut ReportWriter<'_>, diagnosis: &Diagnosis, page: &Page) -> io::Result<()> {
    line(writer, diagnosis, page.elapsed_ms)?;
    let groups: Vec<&[Cause]> = grouped(&diagnosis.findings).collect();
    let firsts: Vec<&Finding> = groups.iter().filter_map(|group| Some(&group.first()?.finding)).collect();
    rows(writer, &firsts)?;
    let open = diagnosis.open().count();
    if open > 0 && diagnosis.header.unprivileged && page.here.is_some() {
        let text = format!("Run as root to complete {}.", count(open, "check"));
        writer.flow(Indent(0, 2), &[Span::plain(text)])?;
    }
    let Some(first) = firsts.first() else { return Ok(()) };
    start(writer, first)?;
    let mut more = vec![Span::plain(format!("More: swarm-doctor explain {}", first.check))];
    if page.here.is_some_and(|here| here.fixable) {
        more.push(Span::plain("Apply here: swarm-doctor run --fix"));
    }
    writer.items(Indent(0, 2), more)
}

/// The tally, and how long the run took.
pub(super) fn line(
    writer: &mut ReportWriter<'_>,
    diagnosis: &Diagnosis,
    elapsed_ms: Option<u64>,
) -> io::Result<()> {
    let tally = Tally::of(diagnosis);
    let worst = diagnosis.all_findings().map(|finding| finding.severity).max();
    let mut items = Vec::new();
    if !tally.findings().is_empty() {
        items.push(Span::new(worst.map_or(Style::Plain, Style::of), tally.findings()));
    }
    let style = match (worst, tally.incomplete) {
        (None, 0) if diagnosis.count(Status::Healthy) > 0 => Style::Green,
        (None, 1..) => Style::Yellow,
        _ => Style::Plain,
    };
    items.push(Span::new(style, tally.checks()));
    items.extend(elapsed_ms.map(|elapsed| Span::plain(duration(elapsed))));
    writer.items(Indent(0, 2), items)
}

/// One line for each root cause: its number in the report, where, the check, and as much of its summary as fits.
fn rows(writer: &mut ReportWriter<'_>, firsts: &[&Finding]) -> io::Result<()> {
    let listed = firsts.get(..LISTED).unwrap_or(firsts);
    let clean = |writer: &ReportWriter<'_>, text: &str| writer.clean(text).into_owned();
    let widest =
        |limit: usize, texts: &[String]| texts.iter().map(|text| columns(text)).max().unwrap_or(0).min(limit);
    let subjects: Vec<String> = listed.iter().map(|it| clean(writer, &it.subject.to_string())).collect();
    let checks: Vec<String> = listed.iter().map(|it| clean(writer, &it.check)).collect();
    let (subject_width, check_width) = (widest(COLUMNS.0, &subjects), widest(COLUMNS.1, &checks));
    let digits = listed.len().to_string().len();
    for (at, ((finding, subject), check)) in listed.iter().zip(&subjects).zip(&checks).enumerate() {
        let lead = format!("{:>digits$} ", at + 1);
        let symbol = writer.symbol(Symbol::Severity(finding.severity));
        let symbol = Span::new(Style::of(finding.severity), symbol);
        let used = 2 + digits + 3 + subject_width + 2 + check_width.max(columns(check)) + 2;
        let room = writer.room(used);
        if room < SUMMARY {
            // No room for columns.
            let text = Span::plain(format!(" {subject} "));
            let spans = [Span::plain(lead), symbol, text, Span::check(Style::Bold, &finding.check)];
            writer.flow(Indent(2, 6), &spans)?;
            continue;
        }
        let subject = cut_end(subject, subject_width, writer.ascii);
        let pad = " ".repeat(subject_width.saturating_sub(columns(&subject)));
        let gap = " ".repeat(check_width.saturating_sub(columns(check)) + 2);
        let summary = clean(writer, &finding.summary);
        writer.whole(&[
            Span::plain(format!("  {lead}")),
            symbol,
            Span::plain(format!(" {subject}{pad}  ")),
            Span::check(Style::Bold, &finding.check),
            Span::plain(format!("{gap}{}", cut_end(&summary, room, writer.ascii))),
        ])?;
    }
    match firsts.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => writer.flow(Indent(2, 4), &[Span::plain(format!("and {more} more"))]),
    }
}

/// What to do first: the first command of the first remedy that has one, and where to run it.
fn start(writer: &mut ReportWriter<'_>, first: &Finding) -> io::Result<()> {
    let Some(step) = first.remedy.iter().flat_map(|remedy| &remedy.steps).next() else {
        return Ok(());
    };
    let lead = format!("Start with 1, on {}:", writer.clean(&step.target().to_string()));
    let Some(command) = step.commands().into_iter().next() else {
        let spans = [Span::new(Style::Bold, lead), Span::plain(format!(" {}", step.text()))];
        return writer.flow(Indent(0, 2), &spans);
    };
    if columns(&lead) + 2 + columns(&writer.clean(&command)) <= writer.room(0) {
        return writer.whole(&[
            Span::new(Style::Bold, lead),
            Span::plain("  "),
            Span::new(Style::Cyan, command),
        ]);
    }
    writer.flow(Indent(0, 2), &[Span::new(Style::Bold, lead)])?;
    writer.line(2, Style::Cyan, &command)
}
