//! A subject in the report for programs.

use checks::Subject;
use serde::Serialize;

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum JsonSubject<'a> {
    Cluster,
    Node { name: &'a str },
    Link { from: &'a str, to: &'a str },
    Service { name: &'a str },
    Network { name: &'a str },
}

pub(super) fn json_subject(subject: &Subject) -> JsonSubject<'_> {
    match subject {
        Subject::Cluster => JsonSubject::Cluster,
        Subject::Node(name) => JsonSubject::Node { name: name.as_str() },
        Subject::Link { from, to } => JsonSubject::Link { from: from.as_str(), to: to.as_str() },
        Subject::Service(name) => JsonSubject::Service { name },
        Subject::Network(name) => JsonSubject::Network { name },
    }
}
