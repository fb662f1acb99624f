use crate::model::app_member::{Member, members};
use crate::{Findings, Judged, Remedy, Risk, Severity, Step, Target, View};
use facts::app::Reply;

check! {
    /// A NiFi node is not connected to its cluster, or lists nodes that are not.
    ///
    /// ## Why it matters
    /// Until the nodes have voted on the flow, without a coordinator, and on a disconnected node, nothing can be changed and
    /// work is not distributed. The user interface may answer all the while.
    ///
    /// ## How to fix it
    /// A vote ends when as many nodes have joined as `nifi.cluster.flow.election.max.candidates` names, else after five
    /// minutes. A coordinator is elected in ZooKeeper: check that `nifi.zookeeper.connect.string` leads to it. The reason for
    /// a disconnection is in `logs/nifi-app.log` of the coordinator.
    ///
    /// ## When it is wrong
    /// In the first minutes after a start a vote is normal.
    ///
    /// Source: `ClusterReplicationManager` and `FlowResource` of NiFi: 409, 404 and 503 of `/controller/cluster`.
    "apps/not-in-cluster": Error, "a NiFi node is not connected to its cluster, or lists nodes that are not";
    healthy "every NiFi node is connected to its cluster";
    needs Services, Apps;
    caused_by "dns/embedded-resolver-unreachable", "dns/resolver-bypassed", "dns/no-common-network", "apps/setting-malformed", "apps/binds-foreign-address", "apps/binds-loopback", "apps/advertises-wildcard",
        "apps/advertises-loopback", "apps/advertises-foreign-address", "apps/shared-identity", "apps/request-refused";
    for each Cluster: run
}

const LIST: &str = "/nifi-api/controller/cluster";

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    for member in &members(view, out) {
        let Some((summary, shown, voting)) = outside(member) else { continue };
        let finding = out.report(member.subject(), summary, member.shown(shown));
        for line in member.app.iter().flat_map(|app| &app.log).rev().take(2) {
            finding.with(member.shown(format!("its log: {line}")));
        }
        let connect = member.app.and_then(|app| app.settings.first(&["nifi.zookeeper.connect.string"]));
        if let Some(setting) = connect {
            finding.with(member.evidence(setting));
        }
        if voting {
            finding.severity(Severity::Warning);
        }
        let text = match voting {
            true => "start as many nodes as NIFI_ELECTION_MAX_CANDIDATES names, or wait five minutes",
            false => {
                "check that ZooKeeper answers at nifi.zookeeper.connect.string, and why the node was disconnected"
            }
        };
        finding.remedy(Remedy {
            title: format!("Reconnect {} to its cluster", member.name()).into(),
            risk: Risk::Manual,
            impact: "Reading logs changes nothing.".into(),
            steps: vec![Step::Manual {
                node: Target::Described("the node of the task"),
                text: text.into(),
                commands: vec![format!(
                    "docker logs --tail 100 {}",
                    crate::remedy::shell_quote(member.name())
                )],
            }],
        });
    }
    Ok(())
}

/// The problem, its proof, and whether it is only a vote.
fn outside(member: &Member<'_>) -> Option<(String, String, bool)> {
    let app = member.app?;
    let name = member.name();
    let away: Vec<String> = app
        .nodes()
        .iter()
        .filter(|node| ["DISCONNECTED", "OFFLOADED", "CONNECTING"].contains(&node.status.as_str()))
        .map(|node| format!("{}:{} {}", node.address, node.api_port, node.status))
        .collect();
    if !away.is_empty() {
        let away = away.join(", ");
        return Some((format!("NiFi in {name} lists {away}"), format!("GET {LIST}: {away}"), false));
    }
    let membership = app.membership()?;
    if !membership.clustered || membership.connected_to_cluster {
        return None;
    }
    let (shown, reply) = match app.answer(LIST) {
        Some((probe, reply)) => {
            (format!("GET {}: {} {}", probe.url, reply.status, first(reply)), Some(reply))
        }
        None => ("GET /nifi-api/flow/cluster/summary: connectedToCluster is false".to_owned(), None),
    };
    let voting = reply.is_some_and(|reply| reply.status == 409);
    let what = match reply {
        Some(Reply { status: 409, .. }) => "still votes on the flow".to_owned(),
        Some(Reply { status: 503, .. }) => "finds no cluster coordinator".to_owned(),
        Some(Reply { status: 404, .. }) => "is disconnected from its cluster".to_owned(),
        _ => "is not connected to its cluster".to_owned(),
    };
    Some((format!("NiFi in {name} {what}"), shown, voting))
}

fn first(reply: &Reply) -> String {
    reply.body.lines().next().unwrap_or_default().chars().take(160).collect()
}
