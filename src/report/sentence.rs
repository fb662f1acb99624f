//! What it all comes to, in one sentence.

use super::ignored;
use super::pen::{Ink, Mark};
use super::text::count;
use crate::judge::{Diagnosis, Status};
use checks::Severity;

/// A sentence that begins with the verdict.
pub(super) struct Sentence {
    pub(super) ink: Ink,
    pub(super) mark: Mark,
    pub(super) verdict: &'static str,
    pub(super) rest: String,
}

/// The sentence for a diagnosis.
pub(super) fn sentence(diagnosis: &Diagnosis) -> Sentence {
    let found = diagnosis.all_findings().count();
    let causes = diagnosis.findings.len();
    let open = diagnosis.open().count();
    let healthy = diagnosis.count(Status::Healthy);
    let worst = diagnosis.all_findings().map(|finding| finding.severity).max();
    let findings = match (found, causes) {
        (found, causes) if found == causes => count(found, "finding"),
        (found, causes) => format!("{} with {}", count(found, "finding"), count(causes, "cause")),
    };
    let first = if causes > 1 { "; begin with the first" } else { "" };
    let (ink, mark, verdict, rest) = match worst {
        Some(Severity::Error) => {
            (Ink::Red, Mark::Of(Severity::Error), "Not well", format!(": {findings}{first}."))
        }
        Some(Severity::Warning) => {
            let verdict = "Nothing at error level was found";
            (Ink::Yellow, Mark::Of(Severity::Warning), verdict, format!("; {findings} to look at."))
        }
        Some(Severity::Info) => {
            let verdict = "Nothing at error or warning level was found";
            (Ink::Green, Mark::Of(Severity::Info), verdict, format!("; {findings} worth knowing."))
        }
        None if open == 0 && !diagnosis.ignored.is_empty() => {
            (Ink::Plain, Mark::Skipped, "Nothing that counts was found", ignored::said(diagnosis))
        }
        None if open == 0 && healthy == 0 => {
            (Ink::Plain, Mark::Skipped, "Nothing to examine", ": no check applies here.".to_owned())
        }
        None if open == 0 => {
            let rest = format!(": {} looked, and nothing is wrong.", count(healthy, "check"));
            (Ink::Green, Mark::Healthy, "Healthy", rest)
        }
        None => (Ink::Yellow, Mark::Unknown, "Nothing wrong was found", String::new()),
    };
    // What was not seen must never read as health.
    let rest = match (worst, open) {
        (_, 0) => rest,
        (None, open) => format!("{rest}, but {} could not tell.", count(open, "check")),
        (Some(_), open) => format!("{rest} {} could not look at everything.", count(open, "check")),
    };
    Sentence { ink, mark, verdict, rest }
}
