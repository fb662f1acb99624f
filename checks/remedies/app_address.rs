//! The remedy for an application that advertises the wrong address.

use crate::model::app_member::Member;
use crate::remedy::shell_quote;
use crate::{Remedy, Risk, Step, Target, View};

/// The remedy: `fix` is the setting with its value, and `verb` what the application does with the address.
pub(crate) fn configure(member: &Member<'_>, verb: &str, fix: &str, view: &View<'_>) -> Remedy {
    Remedy {
        title: format!("Configure the address that {} {verb}", member.service).into(),
        risk: Risk::Disruptive,
        impact: "The tasks of the service restart.".into(),
        steps: vec![Step::Manual {
            node: view.manager().map_or(Target::AnyManager, Target::Node),
            text: format!("set {fix}"),
            commands: vec![format!("docker service inspect --pretty {}", shell_quote(member.service))],
        }],
    }
}
