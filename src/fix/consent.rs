//! Whether a plan may be applied: by what the command line allows, and by the answer at the terminal.

use super::level::Level;
use facts::NodeName;

/// What the command line says about consent.
#[derive(Clone, Copy)]
pub(super) struct Permission<'a> {
    /// `--yes`.
    pub(super) yes: bool,
    /// The level that was named.
    pub(super) level: Option<Level>,
    /// `--confirm`.
    pub(super) confirm: &'a [String],
}

/// What becomes of a plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// It is applied.
    Given,
    /// It is not applied, and why.
    Withheld(String),
    /// A person is asked.
    Asked {
        /// What has to be typed instead of `y`; for destructive plans.
        name: Option<String>,
    },
}

impl Permission<'_> {
    /// What is allowed without another word.
    pub(super) fn limit(&self) -> Level {
        // Asked one by one, a person is the limit; unattended, only what is safe needs no level.
        self.level.unwrap_or(if self.yes { Level::Safe } else { Level::Destructive })
    }

    /// Whether something of this level may be applied. `what` is the check or the receipt that `--confirm` names.
    pub(super) fn consent(
        &self,
        level: Level,
        what: &str,
        here: &NodeName,
        cluster: Option<&str>,
        option: &str,
    ) -> Consent {
        let word = level.as_str();
        if level > self.limit() {
            return Consent::Withheld(format!("it is {word}; allow it with {option}{word}"));
        }
        if !self.yes {
            return Consent::Asked { name: (level == Level::Destructive).then(|| here.to_string()) };
        }
        let confirmed = |given: &String| {
            let names = [Some(here.as_str()), cluster];
            given.split_once('=').is_some_and(|(id, name)| id == what && names.contains(&Some(name)))
        };
        if level < Level::Destructive || self.confirm.iter().any(confirmed) {
            Consent::Given
        } else {
            Consent::Withheld(format!("it is destructive; confirm with --confirm {what}={here}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Consent, Level, Permission};

    #[test]
    fn a_destructive_plan_needs_its_level_and_its_name() {
        let consent = |yes, level, confirm: &[&str]| {
            let confirm: Vec<String> = confirm.iter().map(|text| (*text).to_owned()).collect();
            let permission = Permission { yes, level, confirm: &confirm };
            permission.consent(Level::Destructive, "a/b", &"node1".into(), Some("c1"), "--fix=")
        };
        assert!(matches!(consent(true, None, &["a/b=node1"]), Consent::Withheld(_)));
        assert!(matches!(consent(true, Some(Level::Disruptive), &["a/b=node1"]), Consent::Withheld(_)));
        assert!(matches!(consent(true, Some(Level::Destructive), &["a/c=node1"]), Consent::Withheld(_)));
        assert_eq!(consent(true, Some(Level::Destructive), &["a/b=node1"]), Consent::Given);
        assert_eq!(consent(true, Some(Level::Destructive), &["a/b=c1"]), Consent::Given);
        assert_eq!(consent(false, None, &[]), Consent::Asked { name: Some("node1".into()) });
    }
}
