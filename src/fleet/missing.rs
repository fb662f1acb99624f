//! Nodes that were to be examined and were not, as an incomplete check with the reason for each.

use crate::judge::{Diagnosis, Status, Verdict};
use crate::matrix::Matrix;
use checks::Subject;
use facts::{Gap, Need, NodeName, Source, Timestamp, Why};
use std::fmt;
use std::time::Duration;

/// The id under which reports list the nodes that were not examined.
pub const CHECK: &str = "swarm/node-not-examined";

/// A node that was not examined, or the question whether all nodes are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The node; `None` where the node list is what is missing.
    pub node: Option<NodeName>,
    /// How it was to be reached, such as `ssh admin@192.0.2.2`.
    pub origin: String,
    /// Why it was not examined.
    pub why: Why,
}

impl Missing {
    /// What it is about.
    fn subject(&self) -> Subject {
        self.node.clone().map_or(Subject::Cluster, Subject::Node)
    }

    /// The paths from it: none, with the reason.
    pub fn matrix(&self) -> Matrix {
        Matrix {
            host: self.subject().to_string().as_str().into(),
            taken: Timestamp::now(),
            took_ms: 0,
            listened_ms: None,
            peers: Vec::new(),
            why: Some(format!("not examined: {}", self.why)),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.subject(), self.why, self.origin)
    }
}

/// Adds the verdict on whether all nodes were examined. It comes first, and an unknown fails the run unless the policy
/// allows it.
pub fn report(diagnosis: &mut Diagnosis, missing: &[Missing]) {
    let gap = |missing: &Missing| {
        let source = Source { need: Need::Info, artifact: String::new(), origin: missing.origin.clone() };
        (missing.subject(), Gap { source, why: missing.why.clone() })
    };
    let verdict = Verdict {
        check: CHECK.into(),
        title: "a node of the swarm was not examined".into(),
        healthy: "every node of the swarm was examined".into(),
        status: if missing.is_empty() { Status::Healthy } else { Status::Unknown },
        unknown: missing.iter().map(gap).collect(),
        took: Duration::ZERO,
    };
    diagnosis.verdicts.insert(0, verdict);
}
