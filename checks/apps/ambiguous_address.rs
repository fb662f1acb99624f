use crate::model::app_member::{Member, members};
use crate::remedies::app_address::configure;
use crate::{Confidence, Findings, Judged, Severity, View};
use facts::app::Requirement;

check! {
    /// A clustered application picks the address that it advertises from several networks.
    ///
    /// ## Why it matters
    /// A task that publishes a port through the routing mesh has an address on the ingress network besides those on its
    /// own networks. Elasticsearch that listens on 0.0.0.0 publishes the lowest of its addresses, which is that of
    /// the ingress network; Cassandra broadcasts the first. Peers cannot connect to it there, and no cluster forms.
    ///
    /// ## How to fix it
    /// Configure the address to advertise, or publish no port through the routing mesh.
    ///
    /// ## When it is wrong
    /// The order of the addresses is such that the application picks the right one.
    ///
    /// Source: elastic/elasticsearch#49916; docker-library/cassandra#168, #169.
    "apps/ambiguous-address": Error, "a clustered application picks its address from several networks";
    healthy "no clustered application picks its address from several networks";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let mut reported = Vec::new();
    for member in &members(view, out) {
        let Some(spec) = member.spec else { continue };
        for requirement in &member.config.requirements {
            let Requirement::OneNetwork { setting, how, fix, certain } = requirement else { continue };
            let published = spec.ports.iter().find(|port| port.ingress);
            let why = match published {
                Some(port) => format!("the published port {} adds the ingress network", port.published),
                None if spec.networks.len() > 1 => {
                    format!("it is attached to {} networks", spec.networks.len())
                }
                None => continue,
            };
            if reported.contains(&member.service) || !is_several(member) {
                continue;
            }
            reported.push(member.service);
            let summary =
                format!("{} in {} {how} ({setting}), and {why}", member.program.title, member.name());
            let finding = out.report(member.subject(), summary, member.evidence(setting));
            finding.confidence(Confidence::Medium);
            if !certain {
                finding.severity(Severity::Warning);
            }
            if let Some(app) = member.app.filter(|app| !app.addresses.is_empty()) {
                let held: Vec<String> = app.addresses.iter().map(|it| it.addr.to_string()).collect();
                finding.with(member.shown(format!("{}: its addresses are {}", app.name, held.join(", "))));
            }
            finding.remedy(configure(member, "advertises", fix, view));
        }
    }
    Ok(())
}

/// Whether other tasks have to reach it.
fn is_several(member: &Member<'_>) -> bool {
    member.has_twins() || !member.config.peers.is_empty()
}
