use super::member::{Member, members, one_a_service};
use super::naming::own_name;
use super::place::{Place, advertised_at, listed_at};
use crate::{Findings, Judged, View};
use facts::app::{Claim, Endpoint};
use std::iter;

check! {
    /// A clustered application tells its peers that it is at `localhost`.
    ///
    /// ## Why it matters
    /// Each member of such a cluster is called at the address that it gave to the others. Whoever calls
    /// `localhost` calls itself: members do not see one another, appear under one name, take turns, or stay alone.
    /// It looks healthy from outside, because the port answers. NiFi advertises `localhost` when
    /// `nifi.web.http.host` or `nifi.cluster.node.address` is left blank.
    ///
    /// ## How to fix it
    /// Give each task a hostname of its own, which is no service's name, and tell the application that name.
    ///
    /// ## When it is wrong
    /// Where the setting is overruled by a start script of one's own that is not seen from here.
    ///
    /// Source: `NiFiProperties.getNodeApiAddress`, `getClusterNodeProtocolAddress`.
    "apps/advertises-loopback": Error, "a clustered application tells its peers that it is at localhost";
    needs Services, Apps, Containers, Info;
    caused_by "apps/binds-loopback";
    for each Cluster: run
}

/// What it advertises at loopback, unless its own machine is all that it serves.
fn astray<'m>(member: &'m Member<'_>, view: &View<'_>) -> Vec<(&'m Endpoint, &'m Claim)> {
    let found = advertised_at(member, &Place::Loopback);
    let own = found.iter().all(|(endpoint, _)| member.is_for_its_machine(endpoint.port, view));
    if own { Vec::new() } else { found }
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (first, claim), rest) in one_a_service(&all, |it| astray(it, view)) {
        let title = member.program.title;
        let summary = match claim.said.value.is_empty() {
            true => format!(
                "{title} in {} advertises {} as its {}, because {} is blank",
                member.name(),
                super::at(&claim.host, first.port),
                first.what,
                claim.said.name
            ),
            false => format!(
                "{title} in {} advertises {} as its {} ({})",
                member.name(),
                super::at(&claim.host, first.port),
                first.what,
                claim.said
            ),
        };
        let claims: Vec<_> = iter::once(claim).chain(rest.map(|(_, claim)| claim)).collect();
        let finding = out.report(member.subject(), summary, member.evidence(&claim.said));
        for claim in claims.iter().skip(1) {
            finding.with(member.evidence(&claim.said));
        }
        for node in listed_at(member, &Place::Loopback) {
            finding.with(node);
        }
        finding.remedy(own_name(member, &claims, view));
    }
    Ok(())
}
