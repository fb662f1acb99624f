//! Rules that ignore findings, each with the reason.

use super::Excuse;
use crate::check_id;
use crate::rules::Catalogue;
use checks::{Finding, Subject};
use jiff::civil::Date;

/// A rule: what is ignored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    check: String,
    /// The subject as reports show it; all of them where none is named.
    subject: Option<String>,
    excuse: Excuse,
    /// The rule names the check by an old id.
    pub(super) notice: Option<String>,
}

impl Ignore {
    /// Ignores the findings of this check, on this subject or on any.
    pub(super) fn new(
        check: String,
        subject: Option<String>,
        excuse: Excuse,
        catalogue: &Catalogue,
    ) -> Result<Self, String> {
        let found = check_id::exact(&check, catalogue)?;
        if excuse.reason.trim().is_empty() {
            return Err(format!("a reason is expected, such as {check}=\"until the new disks are here\""));
        }
        Ok(Self { check: found.id().to_owned(), subject, excuse, notice: found.notice() })
    }

    /// Parses `CHECK[@SUBJECT]=REASON`, where the reason may end with `until YYYY-MM-DD`.
    pub(super) fn parse(text: &str, catalogue: &Catalogue) -> Result<Self, String> {
        let (what, reason) =
            text.split_once('=').ok_or("CHECK[@SUBJECT]=REASON is expected; a reason is required")?;
        let (check, subject) = match what.split_once('@') {
            Some((check, subject)) => (check, Some(subject.to_owned())),
            None => (what, None),
        };
        let (reason, until) = match reason.rsplit_once("until ") {
            Some((before, date)) => match date.trim().parse() {
                Ok(date) => (before.trim_end_matches([' ', ',', ';']), Some(date)),
                Err(_) => (reason, None),
            },
            None => (reason, None),
        };
        let excuse = Excuse { reason: reason.to_owned(), until, by: "--ignore".into() };
        Self::new(check.to_owned(), subject, excuse, catalogue)
    }

    /// Whether it applies to this finding.
    pub(super) fn covers(&self, finding: &Finding) -> bool {
        finding.check == self.check
            && self.subject.as_deref().is_none_or(|subject| is_named(&finding.subject, subject))
    }

    /// Whether it still applies on this day.
    pub(super) fn holds(&self, today: Date) -> bool {
        self.excuse.until.is_none_or(|until| today <= until)
    }

    pub(super) fn excuse(&self) -> Excuse {
        self.excuse.clone()
    }

    /// The note that it expired.
    pub(super) fn expired(&self, finding: &Finding) -> String {
        let Excuse { reason, until, by } = &self.excuse;
        let until = until.map(|until| until.to_string()).unwrap_or_default();
        format!(
            "{} on {} is active again: it was ignored until {until} ({by}): {reason}",
            finding.check, finding.subject
        )
    }
}

/// Whether a subject goes by this name, as reports show it or by its bare name.
fn is_named(subject: &Subject, name: &str) -> bool {
    let bare = match subject {
        Subject::Service(bare) | Subject::Network(bare) => bare.as_str(),
        _ => "",
    };
    subject.to_string() == name || bare == name
}
