//! Lines of the log that a rule looks for.

use facts::log::{Line, Log};
use facts::{Gap, Seen, SignedDuration, Timestamp};
use regex::Regex;

/// Which lines a rule looks for, and how many of them within which time make a finding.
pub(super) struct LogLines {
    /// What their message, or the message followed by the error field, has to match.
    pub(super) pattern: Regex,
    /// How many lines make a finding.
    pub(super) count: u64,
    /// How old they may be when the facts are collected. Any age without one.
    pub(super) window: Option<SignedDuration>,
}

impl LogLines {
    /// The lines that match, if they are enough, with their number. A log with missing lines that has too few of them
    /// decides nothing.
    pub(super) fn find<'a>(
        &self,
        log: &'a Seen<Log>,
        now: Timestamp,
    ) -> Result<Option<(Vec<&'a Line>, u64)>, Gap> {
        let since = self.window.and_then(|window| now.checked_sub(window).ok());
        let recent = |line: &&Line| since.is_none_or(|since| line.at.is_some_and(|at| at >= since));
        let matching = |line: &&Line| match line.error() {
            "" => self.pattern.is_match(&line.message),
            error => self.pattern.is_match(&format!("{} {error}", line.message)),
        };
        let found: Vec<&Line> = log.lines.iter().filter(recent).filter(matching).collect();
        let count = found.iter().map(|line| u64::from(line.repeated.max(1))).sum();
        if count < self.count {
            Log::gap_since(log, since)?;
            return Ok(None);
        }
        Ok(Some((found, count)))
    }
}
