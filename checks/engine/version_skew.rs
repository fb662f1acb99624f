use crate::model::engine_version::EngineVersion;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::swarm::Node;

check! {
    /// The engine versions of the nodes are far apart.
    ///
    /// ## Why it matters
    /// Engines are tested with the release before and after them. Over a longer distance joins fail (engines from 28 on
    /// require ALPN, which managers before 28 omit once their certificate was renewed), encrypted overlay networks may not
    /// connect (SPI mismatch of 29.0 to 29.2.0), and services can use options that old nodes do not know.
    ///
    /// ## How to fix it
    /// Upgrade the oldest nodes, one release at a time: workers first, then one manager after the other.
    ///
    /// ## When it is wrong
    /// During an upgrade.
    ///
    /// Source: swarmkit#3189, moby#51798; Docker docs "Upgrade a swarm".
    "engine/version-skew": Warning, "the engine versions of the nodes are far apart";
    healthy "the engine versions of the nodes are close";
    needs Nodes;
    for each Cluster: run
}

/// The lines of releases, oldest first.
const RELEASES: &[(u16, u16)] = &[
    (17, 3),
    (17, 6),
    (17, 9),
    (17, 12),
    (18, 3),
    (18, 6),
    (18, 9),
    (19, 3),
    (20, 10),
    (23, 0),
    (24, 0),
    (25, 0),
    (26, 0),
    (27, 0),
    (28, 0),
    (29, 0),
];
/// The distance in releases from which on managers are too far apart.
const MANAGERS: usize = 3;
/// The distance in releases from which on any nodes are too far apart.
const NODES: usize = 4;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let known: Vec<(&Node, EngineVersion)> =
        nodes.iter().filter_map(|node| Some((node, EngineVersion::parse(&node.engine)?))).collect();
    let managers: Vec<_> = known.iter().filter(|(node, _)| node.manager.is_some()).copied().collect();
    let (role, pair) = match (wide(&managers, MANAGERS), wide(&known, NODES)) {
        (Some(pair), _) => ("managers", pair),
        (None, Some(pair)) => ("nodes", pair),
        (None, None) => return Ok(()),
    };
    let ((oldest, old), (newest, new)) = pair;
    let summary = format!("{role} run engines from {old} ({}) to {new} ({})", oldest.name, newest.name);
    let shown = known.iter().map(|(node, version)| format!("{}: {version}", node.name)).collect::<Vec<_>>();
    out.report(Subject::Cluster, summary, Evidence::value(nodes, shown.join(", ")))
        .confidence(Confidence::High)
        .remedy(Remedy {
            title: format!("Upgrade the engine of {}", oldest.name).into(),
            risk: Risk::Disruptive,
            impact: "All tasks on a node restart during its upgrade.".into(),
            steps: vec![Step::Manual {
                node: oldest.name.clone().into(),
                text: "drain the node, upgrade its engine, activate it again; then the next oldest node"
                    .into(),
                commands: vec![
                    format!(
                        "docker node update --availability drain {}",
                        crate::shell_quote(oldest.name.as_str())
                    ),
                    "apt-cache madison docker-ce".into(),
                ],
            }],
        });
    Ok(())
}

type Versions<'a> = (&'a Node, EngineVersion);

/// The node with the oldest and the one with the newest engine, if they are at least this many releases apart.
fn wide<'a>(nodes: &[Versions<'a>], limit: usize) -> Option<(Versions<'a>, Versions<'a>)> {
    let oldest = nodes.iter().min_by_key(|(_, version)| *version)?;
    let newest = nodes.iter().max_by_key(|(_, version)| *version)?;
    let distance = release(newest.1)?.saturating_sub(release(oldest.1)?);
    (distance >= limit).then_some((*oldest, *newest))
}

/// The position of a version among the releases.
fn release(version: EngineVersion) -> Option<usize> {
    RELEASES.iter().rposition(|(major, minor)| (version.0, version.1) >= (*major, *minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_releases_between_versions() {
        let of = |text: &str| release(EngineVersion::parse(text).unwrap()).unwrap();
        assert_eq!(of("20.10.24") - of("19.03.15"), 1);
        assert_eq!(of("23.0.6") - of("20.10.24"), 1);
        assert_eq!(of("26.1.5"), of("26.0.0"));
        assert_eq!(of("29.3.0") - of("20.10.5"), 7);
    }
}
