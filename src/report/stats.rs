//! How long a run took: each kind of fact, and each check.

use super::text::count;
use super::writer::{Indent, ReportWriter, Span, Style};
use crate::judge::Diagnosis;
use std::cmp::Reverse;
use std::io;
use std::time::Duration;

/// Checks that took less are counted together.
const BRIEF: Duration = Duration::from_micros(100);

/// Writes how long each kind of fact and each check took, the longest first.
pub(super) fn write(writer: &mut ReportWriter<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let text =
        format!("{} ms, in parallel; a kind of fact waits for those it depends on", diagnosis.header.took_ms);
    writer.flow(Indent(0, 2), &[Span::new(Style::Bold, "Collected in "), Span::plain(text)])?;
    let mut kinds: Vec<_> = diagnosis.collected.iter().collect();
    kinds.sort_by_key(|(need, took)| (Reverse(**took), **need));
    for (need, took) in kinds {
        line(writer, *took, need.name())?;
    }
    let echoes: Vec<u32> = diagnosis.header.peers.iter().filter_map(|peer| peer.echoes).collect();
    if let Some(most) = echoes.iter().max() {
        let text = format!(
            "{} to {}, at most {most} to one",
            count(usize::try_from(echoes.iter().sum::<u32>()).unwrap_or(usize::MAX), "packet"),
            count(echoes.len(), "other node")
        );
        writer.flow(Indent(0, 2), &[Span::new(Style::Bold, "Overlay probes: "), Span::plain(text)])?;
    }
    let all: Duration = diagnosis.verdicts.iter().map(|verdict| verdict.took).sum();
    writer.blank()?;
    writer.flow(
        Indent(0, 2),
        &[Span::new(Style::Bold, "Checks ran in "), Span::plain(millis(all).trim_start().to_owned())],
    )?;
    let (mut long, brief): (Vec<_>, Vec<_>) =
        diagnosis.verdicts.iter().partition(|verdict| verdict.took >= BRIEF);
    long.sort_by_key(|verdict| Reverse(verdict.took));
    for verdict in long {
        line(writer, verdict.took, &verdict.check)?;
    }
    let rest = brief.iter().map(|verdict| verdict.took).sum();
    line(writer, rest, &format!("{}, less than 0.1 ms each", count(brief.len(), "other check")))
}

fn line(writer: &mut ReportWriter<'_>, took: Duration, what: &str) -> io::Result<()> {
    writer.line(2, Style::Plain, &format!("{}  {what}", millis(took)))
}

fn millis(took: Duration) -> String {
    format!("{:>8.1} ms", took.as_secs_f64() * 1000.0)
}
