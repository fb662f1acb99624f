//! The same finding on many nodes is one root cause to a person, and many findings to a program.

use super::text::count;
use crate::judge::Cause;
use checks::{Finding, Subject};

/// How many of the nodes are named.
const NAMED: usize = 12;

/// The causes, with consecutive ones that differ only in the node as one group.
pub(super) fn grouped(causes: &[Cause]) -> impl Iterator<Item = &[Cause]> {
    causes.chunk_by(|one, next| {
        let (Subject::Node(a), Subject::Node(b)) = (&one.finding.subject, &next.finding.subject) else {
            return false;
        };
        let same = |one: &Finding, next: &Finding| shape(one, a.as_str()) == shape(next, b.as_str());
        let felt = one.consequences.iter().zip(&next.consequences);
        same(&one.finding, &next.finding)
            && one.consequences.len() == next.consequences.len()
            && felt.into_iter().all(|(one, next)| same(one, next))
    })
}

/// A finding without the name of its node.
fn shape<'a>(finding: &'a Finding, node: &str) -> (&'a str, &'a str, &'a str, String, String) {
    let unnamed = |text: &str| text.replace(node, "\0");
    (
        finding.check.as_ref(),
        finding.severity.as_str(),
        finding.confidence.as_str(),
        unnamed(&finding.subject.to_string()),
        unnamed(&finding.summary),
    )
}

/// The other nodes of a group; `None` where there are none.
pub(super) fn elsewhere(grouping: &[Cause], hint: &str) -> Option<String> {
    let others = grouping.get(1..).filter(|others| !others.is_empty())?;
    let mut named: Vec<String> =
        others.iter().take(NAMED).map(|cause| cause.finding.subject.to_string()).collect();
    if let more @ 1.. = others.len().saturating_sub(NAMED) {
        named.push(format!("{more} more{hint}"));
    }
    Some(format!("The same on {}: {}", count(others.len(), "more node"), named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use checks::{Evidence, Findings, Meta};
    use facts::{Need, Source};

    /// A warning of each of these nodes, in these words.
    fn causes(given: &[(&str, &str)]) -> Vec<Cause> {
        let meta = Meta {
            id: "host/problem".into(),
            title: "a node has a problem".into(),
            healthy: "".into(),
            severity: checks::Severity::Warning,
            explain: "".into(),
            needs: vec![].into(),
            caused_by: (&[]).into(),
            remaining: false,
        };
        let mut found = Findings::of(&meta);
        for (node, says) in given {
            let source = Source { need: Need::Disk, artifact: "a".into(), origin: "a".into() };
            let proof = Evidence::Value { source, shown: "x".into() };
            found.report(Subject::Node((*node).into()), *says, proof);
        }
        let alone = |finding| Cause { finding, consequences: Vec::new() };
        found.found.into_iter().map(alone).collect()
    }

    #[test]
    fn the_same_of_many_nodes_is_one_thing_and_another_value_is_another() {
        let given = [("a", "a is ill"), ("b", "b is ill"), ("c", "c is ill"), ("d", "d is dead")];
        let causes = causes(&given);
        let sizes: Vec<usize> = grouped(&causes).map(<[Cause]>::len).collect();
        assert_eq!(sizes, [3, 1]);
        assert_eq!(elsewhere(&causes[..3], "").as_deref(), Some("The same on 2 more nodes: b, c"));
        assert_eq!(elsewhere(&causes[..1], ""), None);
    }

    #[test]
    fn of_very_many_only_some_are_named() {
        let names: Vec<String> = (0..500).map(|at| format!("n{at}")).collect();
        let given: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "ill")).collect();
        let said = elsewhere(&causes(&given), " (-v shows all)").unwrap();
        assert!(said.starts_with("The same on 499 more nodes: n1, n2, "), "{said}");
        assert!(said.ends_with(", n12, 487 more (-v shows all)"), "{said}");
    }
}
