//! The report as a monitoring plugin says it: a line with the state and the numbers, then the causes.

use super::Format;
use super::text::{clean, columns, count, cut};
use crate::exit::{ExitCode, FailOn};
use crate::judge::{Diagnosis, Status};
use std::io::{self, Write};

/// How much of one cause is told; monitors keep little.
const COLUMNS: usize = 300;
/// How many causes are told.
const CAUSES: usize = 12;

/// What a monitoring system reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nagios {
    /// From which weight on a finding counts.
    pub fail_on: FailOn,
    /// Whether all is well even where a check could not tell.
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
        let of = |status| diagnosis.count(status);
        let (errors, warnings) = (of(Status::Error), of(Status::Warning));
        let unknown = diagnosis.open().count();
        let mut said: Vec<String> = Vec::new();
        said.extend((errors > 0).then(|| count(errors, "error")));
        said.extend((warnings > 0).then(|| count(warnings, "warning")));
        said.extend((unknown > 0).then(|| format!("{} could not tell", count(unknown, "check"))));
        if said.is_empty() {
            said.push(format!("{} healthy", count(of(Status::Healthy), "check")));
        }
        let worst = diagnosis.findings.first().map(|cause| &cause.finding);
        let worst = worst.map(|found| format!(": {} on {}: {}", found.check, found.subject, found.summary));
        let first = format!("SWARM {state} - {}{}", said.join(", "), worst.unwrap_or_default());
        let seconds = format!("{}.{:03}s", diagnosis.header.took_ms / 1000, diagnosis.header.took_ms % 1000);
        // Thresholds are ranges: more than none is too many.
        let numbers = format!("errors={errors};;0 warnings={warnings};0 unknown={unknown} time={seconds}");
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
                writeln!(out, "{}", line(&format!("  what to do: {}", remedy.title)))?;
            }
        }
        match diagnosis.findings.len().saturating_sub(CAUSES) {
            0 => Ok(()),
            more => writeln!(out, "and {}", count(more, "more finding")),
        }
    }
}

/// A line without the mark that begins the numbers.
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
                "SWARM CRITICAL - 2 errors, 2 warnings, 2 checks could not tell: swarm/stale-advertise-addr on m3: "
            ),
            "{first}"
        );
        assert!(first.ends_with(" | errors=2;;0 warnings=2;0 unknown=2 time=0.084s"), "{first}");
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
