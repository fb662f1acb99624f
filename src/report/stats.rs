//! How long a run took, and with what.

use super::pen::{Indent, Ink, Pen, Span};
use super::text::count;
use crate::judge::Diagnosis;
use std::cmp::Reverse;
use std::io;
use std::time::Duration;

/// Checks that took less are counted together.
const BRIEF: Duration = Duration::from_micros(100);

/// Writes how long each kind of fact and each check took, the longest first.
pub(super) fn write(pen: &mut Pen<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let said = format!("{} ms, at once; a kind waits for those that it rests on", diagnosis.header.took_ms);
    pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, "Collected in "), Span::plain(said)])?;
    let mut kinds: Vec<_> = diagnosis.collected.iter().collect();
    kinds.sort_by_key(|(need, took)| (Reverse(**took), **need));
    for (need, took) in kinds {
        line(pen, *took, need.name())?;
    }
    let echoes: Vec<u32> = diagnosis.header.peers.iter().filter_map(|peer| peer.echoes).collect();
    if let Some(most) = echoes.iter().max() {
        let said = format!(
            "{} to {}, at most {most} to one",
            count(usize::try_from(echoes.iter().sum::<u32>()).unwrap_or(usize::MAX), "packet"),
            count(echoes.len(), "other node")
        );
        pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, "Asked over the overlays with "), Span::plain(said)])?;
    }
    let all: Duration = diagnosis.verdicts.iter().map(|verdict| verdict.took).sum();
    pen.blank()?;
    pen.flow(
        Indent(0, 2),
        &[Span::new(Ink::Bold, "Judged in "), Span::plain(millis(all).trim_start().to_owned())],
    )?;
    let (mut long, brief): (Vec<_>, Vec<_>) =
        diagnosis.verdicts.iter().partition(|verdict| verdict.took >= BRIEF);
    long.sort_by_key(|verdict| Reverse(verdict.took));
    for verdict in long {
        line(pen, verdict.took, &verdict.check)?;
    }
    let rest = brief.iter().map(|verdict| verdict.took).sum();
    line(pen, rest, &format!("{}, less than 0.1 ms each", count(brief.len(), "other check")))
}

fn line(pen: &mut Pen<'_>, took: Duration, what: &str) -> io::Result<()> {
    pen.line(2, Ink::Plain, &format!("{}  {what}", millis(took)))
}

fn millis(took: Duration) -> String {
    format!("{:>8.1} ms", took.as_secs_f64() * 1000.0)
}
