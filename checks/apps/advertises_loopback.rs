use crate::model::app_member::{Member, first_per_service, members};
use crate::model::app_naming::own_name;
use crate::model::host_scope::{HostScope, advertised_with, listed_with};
use crate::{Findings, Judged, View};
use facts::app::{Endpoint, HostSetting};
use std::iter;

check! {
    /// A clustered application advertises `localhost`.
    ///
    /// ## Why it matters
    /// Peers connect to the address that a member advertises. A peer that connects to `localhost` reaches itself: members
    /// do not see one another, appear under one name, replace one another, or stay alone. From outside all looks healthy,
    /// because the port answers. NiFi advertises `localhost` when `nifi.web.http.host` or `nifi.cluster.node.address` is
    /// blank.
    ///
    /// ## How to fix it
    /// Give each task a unique hostname that is not the name of a service, and configure that name.
    ///
    /// ## When it is wrong
    /// A start script that is not visible from here overrides the setting.
    ///
    /// Source: `NiFiProperties.getNodeApiAddress`, `getClusterNodeProtocolAddress`.
    "apps/advertises-loopback": Error, "a clustered application advertises localhost";
    healthy "no clustered application advertises localhost";
    needs Services, Apps, Containers, Info;
    caused_by "apps/binds-loopback";
    for each Cluster: run
}

/// What it advertises at loopback, unless it only serves its own host.
fn astray<'m>(member: &'m Member<'_>, view: &View<'_>) -> Vec<(&'m Endpoint, &'m HostSetting)> {
    let found = advertised_with(member, &HostScope::Loopback);
    let own = found.iter().all(|(endpoint, _)| member.is_for_its_host(endpoint.port, view));
    if own { Vec::new() } else { found }
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (first, host_setting), rest) in first_per_service(&all, |it| astray(it, view)) {
        let title = member.program.title;
        let summary = match host_setting.setting.value.is_empty() {
            true => format!(
                "{title} in {} advertises {} as its {}, because {} is blank",
                member.name(),
                super::at(&host_setting.host, first.port),
                first.what,
                host_setting.setting.name
            ),
            false => format!(
                "{title} in {} advertises {} as its {} ({})",
                member.name(),
                super::at(&host_setting.host, first.port),
                first.what,
                host_setting.setting
            ),
        };
        let host_settings: Vec<_> =
            iter::once(host_setting).chain(rest.map(|(_, host_setting)| host_setting)).collect();
        let finding = out.report(member.subject(), summary, member.evidence(&host_setting.setting));
        for host_setting in host_settings.iter().skip(1) {
            finding.with(member.evidence(&host_setting.setting));
        }
        for node in listed_with(member, &HostScope::Loopback) {
            finding.with(node);
        }
        finding.remedy(own_name(member, &host_settings, view));
    }
    Ok(())
}
