//! The output of a monitoring plugin: a line with the state and the numbers, then the causes.

use super::Format;
use super::tally::Tally;
use super::text::{clean, columns, count, cut};
use crate::exit::{ExitCode, FailOn};
use crate::judge::Diagnosis;
use std::io::{self, Write};

/// How much of one cause is shown; monitoring systems keep little.
const COLUMNS: usize = 300;
/// How many causes are listed.
const CAUSES: usize = 12;

/// What a monitoring system reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nagios {
    /// The minimum severity that makes the state worse than OK.
    pub fail_on: FailOn,
    /// Whether incomplete checks leave the state OK.
    pub allow_unknown: bool,
}

impl Format for Nagios {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let state = match ExitCode::of(diagnosis, self.fail_on.of_plugin(), self.allow_unknown).of_plugin() {
            0 => "OK",
            1 => "WARNING",
            2 => "CRITICAL",
            _ => "UNKNOWN",
        };
        let tally = Tally::of(diagnosis);
        let Tally { errors, warnings, incomplete, .. } = tally;
        let text = if tally.findings().is_empty() {
            tally.checks()
        } else {
            format!("{}, {}", tally.findings(), tally.checks())
        };
        let worst = diagnosis.findings.first().map(|cause| &cause.finding);
        let worst = worst.map(|found| format!(": {} on {}: {}", found.check, found.subject, found.summary));
        let first = format!("SWARM {state} - {text}{}", worst.unwrap_or_default());
        let seconds = format!("{}.{:03}s", diagnosis.header.took_ms / 1000, diagnosis.header.took_ms % 1000);
        // Thresholds are ranges: more than none is too many.
        let numbers = format!("errors={errors};;0 warnings={warnings};0 unknown={incomplete} time={seconds}");
        writeln!(out, "{} | {numbers}", line(&first))?;
        for cause in diagnosis.findings.iter().take(CAUSES) {
            let found = &cause.finding;
            let text = format!(
                "{}: {} on {}: {}",
                found.severity.as_str(),
                found.check,
                found.subject,
                found.summary
            );
            writeln!(out, "{}", line(&text))?;
            if let Some(remedy) = &found.remedy {
                writeln!(out, "{}", line(&format!("  remedy: {}", remedy.title)))?;
            }
        }
        match diagnosis.findings.len().saturating_sub(CAUSES) {
            0 => Ok(()),
            more => writeln!(out, "and {}", count(more, "more finding")),
        }
    }
}

/// A line without the character that begins the numbers.
fn line(text: &str) -> String {
    let text = clean(text, true).replace('|', "/");
    if columns(&text) > COLUMNS { cut(&text, COLUMNS, true).into_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn shown(diagnosis: &Diagnosis, fail_on: FailOn, allow_unknown: bool) -> String {
        let mut out = Vec::new();
        Nagios { fail_on, allow_unknown }.render(diagnosis, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_first_line_has_the_state_the_worst_and_the_numbers() {
        let shown = shown(&sample::rich(), FailOn::Error, false);
        let first = shown.lines().next().unwrap();
        assert!(
            first.starts_with(
                "SWARM CRITICAL - 2 errors, 7 warnings, 1 check passed, 2 incomplete, 1 skipped: swarm/stale-advertise-addr on m3: "
            ),
            "{first}"
        );
        assert!(first.ends_with(" | errors=2;;0 warnings=7;0 unknown=2 time=0.084s"), "{first}");
        assert_eq!(shown.matches('|').count(), 1, "{shown}");
        assert!(shown.is_ascii(), "{shown}");
    }

    #[test]
    fn the_state_is_what_the_process_ends_with() {
        let state = |text: &str| text.split(' ').nth(1).unwrap_or_default().to_owned();
        assert_eq!(state(&shown(&sample::healthy(), FailOn::Error, false)), "OK");
        assert_eq!(state(&shown(&sample::blind(), FailOn::Error, false)), "UNKNOWN");
        assert_eq!(state(&shown(&sample::blind(), FailOn::Error, true)), "OK");
        assert_eq!(state(&shown(&sample::warned(), FailOn::Error, true)), "WARNING");
        assert_eq!(state(&shown(&sample::rich(), FailOn::Never, true)), "OK");
    }
}
