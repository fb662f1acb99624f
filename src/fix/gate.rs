//! Whether a plan may be carried out: by what the command line allows, and by what the person at the terminal says.

use super::Ground;
use super::level::Level;
use super::plan::Plan;
use crate::cli::Fixing;

/// What becomes of a plan.
pub(super) enum Consent {
    /// It is carried out.
    Given,
    /// It is not, and this is why.
    Withheld(String),
    /// A person is asked; for what can be lost, the name has to be typed.
    Asked {
        /// What has to be typed instead of yes.
        name: Option<String>,
    },
}

/// What a command line allows.
pub(super) fn consent(plan: &Plan, fixing: &Fixing, allowed: Option<Level>, ground: &Ground) -> Consent {
    let level = plan.level();
    // Asked one by one, a person is the limit; unattended, only what is safe goes without being named.
    let limit = allowed.unwrap_or(if fixing.yes { Level::Safe } else { Level::Destructive });
    if level > limit {
        return Consent::Withheld(format!("it is {}; --fix={} allows it", level.as_str(), level.as_str()));
    }
    let check = plan.finding.check.as_ref();
    let names = ground.names();
    if level == Level::Destructive && fixing.yes {
        let confirmed = |given: &String| {
            given
                .split_once('=')
                .is_some_and(|(id, name)| id == check && names.iter().any(|known| known == name))
        };
        return match fixing.confirm.iter().any(confirmed) {
            true => Consent::Given,
            false => Consent::Withheld(format!(
                "it is destructive; --confirm {check}={} says that you know whom it will hurt",
                ground.here
            )),
        };
    }
    match fixing.yes {
        true => Consent::Given,
        false => Consent::Asked { name: (level == Level::Destructive).then(|| ground.here.to_string()) },
    }
}
