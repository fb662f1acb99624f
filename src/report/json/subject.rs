//! A subject in the report for programs.

use checks::Subject;
use serde::Serialize;

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Whom<'a> {
    Cluster,
    Node { name: &'a str },
    Link { from: &'a str, to: &'a str },
    Service { name: &'a str },
    Network { name: &'a str },
}

pub(super) fn whom(subject: &Subject) -> Whom<'_> {
    match subject {
        Subject::Cluster => Whom::Cluster,
        Subject::Node(name) => Whom::Node { name: name.as_str() },
        Subject::Link { from, to } => Whom::Link { from: from.as_str(), to: to.as_str() },
        Subject::Service(name) => Whom::Service { name },
        Subject::Network(name) => Whom::Network { name },
    }
}
