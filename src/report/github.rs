//! The report as annotations of a GitHub workflow. Ten of a kind are shown there, so that the worst come first.

use super::tally::Tally;
use super::text::{clean, count, cut};
use super::{Format, finding};
use crate::judge::Diagnosis;
use checks::Severity;
use std::cmp::Reverse;
use std::io::{self, Write};

/// The longest message that is shown.
const MESSAGE: usize = 4000;

/// Annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Github;

impl Format for Github {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let mut causes: Vec<_> = diagnosis.findings.iter().collect();
        causes.sort_by_key(|cause| Reverse(cause.finding.severity));
        for cause in causes {
            let found = &cause.finding;
            let command = match found.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "notice",
            };
            let title = format!("{} on {}", found.check, found.subject);
            // The first line repeats the title.
            let lines = finding::plain(cause, diagnosis.header.taken)?.into_iter().skip(1);
            let text: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
            writeln!(out, "::{command} title={}::{}", property(&title), message(text.join("\n").trim()))?;
        }
        let open: Vec<&str> = diagnosis.open().map(|verdict| verdict.check.as_ref()).collect();
        if !open.is_empty() {
            let text = format!("{} incomplete: {}", count(open.len(), "check"), open.join(", "));
            writeln!(out, "::warning title=swarm-doctor::{}", message(&text))?;
        }
        writeln!(out, "::notice title=swarm-doctor::{}", message(&Tally::of(diagnosis).line()))
    }
}

/// A message, in which lines may be broken.
fn message(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(|line| clean(line, false)).collect();
    cut(&lines.join("\n"), MESSAGE, false).replace('%', "%25").replace('\n', "%0A")
}

/// The value of a property, which ends at a comma or a colon.
fn property(text: &str) -> String {
    clean(text, false).replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn nothing_but_commands_is_written_and_errors_come_first() {
        let mut out = Vec::new();
        Github.render(&sample::rich(), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let first = shown.lines().next().unwrap();
        assert!(first.starts_with("::error title=swarm/stale-advertise-addr on m3::raft knows"), "{shown}");
        assert!(first.contains("%0A"), "{shown}");
        let kinds: Vec<_> = shown.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(kinds, ["::error", "::warning", "::warning", "::notice"], "{shown}");
    }

    #[test]
    fn what_ends_a_message_or_a_property_is_escaped() {
        assert_eq!(message("50%\n::error::x\r"), "50%25%0A::error::x\\r");
        assert_eq!(property("a,b: c%\n::"), "a%2Cb%3A c%25⏎%3A%3A");
    }
}
