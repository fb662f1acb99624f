use super::member::members;
use super::naming::{own_name, own_number};
use super::place::{Place, plain};
use crate::{Findings, Judged, View};

check! {
    /// A clustered application tells its peers that it is at `0.0.0.0`.
    ///
    /// ## Why it matters
    /// `0.0.0.0` means every interface to the one who binds it and oneself to the one who calls it. An application
    /// that advertises what it binds, as NiFi does with `nifi.web.http.host`, so sends every peer back to itself.
    /// In a ZooKeeper ensemble only a server's own entry may say so; where another server's entry does, mostly
    /// because `ZOO_MY_ID` is another number, that server is never found.
    ///
    /// ## How to fix it
    /// Give each task a hostname of its own, which is no service's name, and tell the application that name. Where
    /// it must listen everywhere, use the setting that says only that.
    ///
    /// ## When it is wrong
    /// Where the setting is overruled by a start script of one's own that is not seen from here.
    ///
    /// Source: `NiFiProperties.getNodeApiAddress`; 31z4/zookeeper-docker#115.
    "apps/advertises-wildcard": Error, "a clustered application tells its peers that it is at 0.0.0.0";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let mut told = Vec::new();
    for member in members(view, out).iter().filter(|member| member.config.clustered) {
        let wrong: Vec<_> =
            member.advertised().filter(|(_, claim)| plain(&claim.host) == Some(Place::Everywhere)).collect();
        let Some((first, claim)) = wrong.first() else { continue };
        if told.contains(&member.service.to_owned()) {
            continue;
        }
        told.push(member.service.to_owned());
        let host = if claim.host.is_empty() { "every interface" } else { &claim.host };
        let summary = format!(
            "{} in {} advertises {} as its {} ({})",
            member.program.title,
            member.name(),
            super::at(host, first.port),
            first.what,
            claim.said
        );
        let zookeeper = member.program.name == "zookeeper";
        let identity = member.config.identity.as_ref();
        let summary = match (zookeeper, identity) {
            (true, Some(id)) => format!(
                "ZooKeeper in {} is server {} and has {} at {host} ({})",
                member.name(),
                id.value,
                first.what,
                claim.said
            ),
            (true, None) => {
                format!(
                    "ZooKeeper in {} does not know its number and has {} at {host} ({})",
                    member.name(),
                    first.what,
                    claim.said
                )
            }
            (false, _) => summary,
        };
        let claims: Vec<_> = wrong.iter().map(|(_, claim)| *claim).collect();
        let finding = out.report(member.subject(), summary, member.evidence(&claim.said));
        for said in wrong.iter().skip(1).map(|(_, claim)| &claim.said).chain(identity) {
            finding.and(member.evidence(said));
        }
        for node in member.nodes().iter().filter(|node| plain(&node.address) == Some(Place::Everywhere)) {
            finding.and(
                member
                    .shown(format!("its list of nodes: {}:{} {}", node.address, node.api_port, node.status)),
            );
        }
        for line in member.app.iter().flat_map(|app| &app.log).filter(|line| line.contains("0.0.0.0")).take(1)
        {
            finding.and(member.shown(format!("its log: {line}")));
        }
        finding.remedy(match zookeeper {
            true => own_number(member, first.what.trim_start_matches("server."), view),
            false => own_name(member, &claims, view),
        });
    }
    Ok(())
}
