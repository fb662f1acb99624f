//! The verdict, in one line.

use super::grouping::grouped;
use super::tally::Tally;
use super::text::count;
use super::writer::{Style, Symbol};
use crate::judge::Diagnosis;
use checks::Severity;

/// The verdict and what it rests on.
pub(super) struct Headline {
    pub(super) style: Style,
    pub(super) symbol: Symbol,
    pub(super) verdict: &'static str,
    pub(super) rest: String,
}

/// The headline of a diagnosis.
pub(super) fn headline(diagnosis: &Diagnosis) -> Headline {
    let tally = Tally::of(diagnosis);
    let found = diagnosis.all_findings().count();
    let causes = grouped(&diagnosis.findings).count();
    let worst = diagnosis.all_findings().map(|finding| finding.severity).max();
    let incomplete = match tally.incomplete {
        0 => String::new(),
        number => format!(" {} incomplete.", count(number, "check")),
    };
    let (style, symbol, verdict, rest) = match worst {
        Some(severity @ Severity::Error) => {
            let of = if found == causes { String::new() } else { format!(" ({})", count(found, "finding")) };
            let first = if causes > 1 { " Fix #1 first." } else { "" };
            let rest = format!(": {}{of}.{first}{incomplete}", count(causes, "root cause"));
            (Style::Red, Symbol::Severity(severity), "Unhealthy", rest)
        }
        Some(severity @ Severity::Warning) => (
            Style::Yellow,
            Symbol::Severity(severity),
            "No errors",
            format!(", {}.{incomplete}", tally.findings()),
        ),
        Some(severity @ Severity::Info) => {
            let rest = format!(", {}.{incomplete}", tally.findings());
            (Style::Cyan, Symbol::Severity(severity), "No errors or warnings", rest)
        }
        // What was not seen is never called healthy.
        None if tally.incomplete > 0 => {
            let of = format!("{} of {}", tally.incomplete, count(diagnosis.verdicts.len(), "check"));
            let rest = format!(": no problem found, but {of} could not run completely.");
            (Style::Yellow, Symbol::Unknown, "Incomplete", rest)
        }
        None if tally.ignored > 0 => {
            (Style::Plain, Symbol::Skipped, "No active findings", format!(" ({} ignored).", tally.ignored))
        }
        None if tally.passed == 0 => {
            (Style::Plain, Symbol::Skipped, "Nothing to check", ": no check applies here.".to_owned())
        }
        None => {
            (Style::Green, Symbol::Healthy, "Healthy", format!(": {} passed.", count(tally.passed, "check")))
        }
    };
    Headline { style, symbol, verdict, rest }
}
