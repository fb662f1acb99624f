use super::member::{members, one_a_service};
use super::naming::{own_name, own_number};
use super::place::{Place, advertised_at, listed_at};
use crate::{Findings, Judged, View};
use std::iter;

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
    let all = members(view, out);
    for (member, (first, claim), rest) in one_a_service(&all, |it| advertised_at(it, &Place::Everywhere)) {
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
        let claims: Vec<_> = iter::once(claim).chain(rest.map(|(_, claim)| claim)).collect();
        let finding = out.report(member.subject(), summary, member.evidence(&claim.said));
        for said in claims.iter().skip(1).map(|claim| &claim.said).chain(identity) {
            finding.with(member.evidence(said));
        }
        for node in listed_at(member, &Place::Everywhere) {
            finding.with(node);
        }
        for line in member.app.iter().flat_map(|app| &app.log).filter(|line| line.contains("0.0.0.0")).take(1)
        {
            finding.with(member.shown(format!("its log: {line}")));
        }
        finding.remedy(match zookeeper {
            true => own_number(member, first.what.trim_start_matches("server."), view),
            false => own_name(member, &claims, view),
        });
    }
    Ok(())
}
