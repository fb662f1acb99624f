//! Evidence for people: where it was read, when it was logged, and what it is.

use super::Detail;
use super::text::{columns, count, cut, duration, utc};
use super::writer::{Indent, ReportWriter, Span, Style};
use checks::Evidence;
use facts::Timestamp;
use std::io;

/// How many pieces a report shows unless `-v` asks for all; checks give the most important ones first.
const SHOWN: usize = 6;
/// How many lines of the page one piece may take, unless `-v` asks for all.
const LINES: usize = 3;

/// Writes the evidence of one finding.
pub(super) fn write(
    writer: &mut ReportWriter<'_>,
    indent: usize,
    evidence: &[Evidence],
    detail: Detail,
) -> io::Result<()> {
    let shown = if detail.verbose { evidence.len() } else { SHOWN };
    for piece in evidence.iter().take(shown) {
        one(writer, indent, piece, detail)?;
    }
    match evidence.len().saturating_sub(shown) {
        0 => Ok(()),
        more => {
            let text = format!("and {} of evidence (-v shows all)", count(more, "more piece"));
            writer.flow(Indent(indent, indent), &[Span::new(Style::Faint, text)])
        }
    }
}

/// Where a piece was read; of a line of a log also when it was logged, and how long before the run.
pub(super) fn origin(evidence: &Evidence, taken: Timestamp) -> String {
    match evidence {
        Evidence::Line { source, line, at, .. } => {
            let logged = at.map(|at| format!(" at {}{}", utc(at), age(at, taken))).unwrap_or_default();
            format!("{}:{line}{logged}", source.origin)
        }
        Evidence::Value { source, .. } | Evidence::Absent { source, .. } => source.origin.clone(),
    }
}

/// What a piece shows. What is absent is described as such: `no process dockerd`, `permission denied`.
pub(super) fn text(evidence: &Evidence) -> &str {
    match evidence {
        Evidence::Line { text, .. }
        | Evidence::Value { shown: text, .. }
        | Evidence::Absent { what: text, .. } => text.trim_end(),
    }
}

/// ` (2 min 5 s before the run)`; empty where the clocks disagree.
fn age(at: Timestamp, taken: Timestamp) -> String {
    match u64::try_from(taken.as_millisecond() - at.as_millisecond()) {
        Ok(millis) => format!(" ({} before the run)", duration(millis)),
        Err(_) => String::new(),
    }
}

fn one(writer: &mut ReportWriter<'_>, indent: usize, evidence: &Evidence, detail: Detail) -> io::Result<()> {
    let origin = format!("{}: ", origin(evidence, detail.taken));
    let text = writer.clean(text(evidence)).into_owned();
    let beside = columns(&writer.clean(&origin)) + columns(&text) <= writer.room(indent);
    if beside {
        let spans = [Span::new(Style::Faint, origin), Span::plain(text)];
        return writer.flow(Indent(indent, indent + 2), &spans);
    }
    // A long text starts on a new line.
    writer.flow(Indent(indent, indent + 2), &[Span::new(Style::Faint, origin.trim_end())])?;
    let limit = if detail.verbose { usize::MAX } else { writer.room(indent + 2) * LINES };
    let text = cut(&text, limit, writer.ascii).into_owned();
    writer.flow(Indent(indent + 2, indent + 2), &[Span::plain(text)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Need, Source};

    #[test]
    fn a_line_of_a_log_comes_with_its_time_and_age() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let line = |at| Evidence::Line {
            source: Source { need: Need::EngineLog, artifact: "a".into(), origin: "journal".into() },
            line: 7,
            at,
            text: "x".into(),
        };
        let taken = at("2026-03-01T03:12:44Z");
        assert_eq!(
            origin(&line(Some(at("2026-03-01T03:10:39.5Z"))), taken),
            "journal:7 at 2026-03-01 03:10:39 UTC (2 min 4 s before the run)"
        );
        assert_eq!(
            origin(&line(Some(at("2026-03-01T04:00:00Z"))), taken),
            "journal:7 at 2026-03-01 04:00:00 UTC"
        );
        assert_eq!(origin(&line(None), taken), "journal:7");
    }
}
