use crate::model::app_member::{first_per_service, members};
use crate::model::app_naming::{own_name, own_number};
use crate::model::host_scope::{HostScope, advertised_with, listed_with};
use crate::{Findings, Judged, View};
use std::iter;

check! {
    /// A clustered application advertises `0.0.0.0`.
    ///
    /// ## Why it matters
    /// `0.0.0.0` means every interface to the program that binds it, and itself to a program that connects to it. An
    /// application that advertises what it binds, as NiFi does with `nifi.web.http.host`, sends every peer back to itself.
    /// In a ZooKeeper ensemble only a server's own entry may be 0.0.0.0. Where the entry of another server is, mostly
    /// because `ZOO_MY_ID` is another number, that server is never found.
    ///
    /// ## How to fix it
    /// Give each task a unique hostname that is not the name of a service, and configure that name. Where the program must
    /// listen on all interfaces, use the setting that only binds.
    ///
    /// ## When it is wrong
    /// A start script that is not visible from here overrides the setting.
    ///
    /// Source: `NiFiProperties.getNodeApiAddress`; 31z4/zookeeper-docker#115.
    "apps/advertises-wildcard": Error, "a clustered application advertises 0.0.0.0";
    healthy "no clustered application advertises 0.0.0.0";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (first, host_setting), rest) in
        first_per_service(&all, |it| advertised_with(it, &HostScope::AnyAddress))
    {
        let host = if host_setting.host.is_empty() { "every interface" } else { &host_setting.host };
        let summary = format!(
            "{} in {} advertises {} as its {} ({})",
            member.program.title,
            member.name(),
            super::at(host, first.port),
            first.what,
            host_setting.setting
        );
        let zookeeper = member.program.name == "zookeeper";
        let identity = member.config.identity.as_ref();
        let summary = match (zookeeper, identity) {
            (true, Some(id)) => format!(
                "ZooKeeper in {} is server {} and has {} at {host} ({})",
                member.name(),
                id.value,
                first.what,
                host_setting.setting
            ),
            (true, None) => {
                format!(
                    "ZooKeeper in {} has no server number and has {} at {host} ({})",
                    member.name(),
                    first.what,
                    host_setting.setting
                )
            }
            (false, _) => summary,
        };
        let host_settings: Vec<_> =
            iter::once(host_setting).chain(rest.map(|(_, host_setting)| host_setting)).collect();
        let finding = out.report(member.subject(), summary, member.evidence(&host_setting.setting));
        for setting in host_settings.iter().skip(1).map(|host_setting| &host_setting.setting).chain(identity)
        {
            finding.with(member.evidence(setting));
        }
        for node in listed_with(member, &HostScope::AnyAddress) {
            finding.with(node);
        }
        for line in member.app.iter().flat_map(|app| &app.log).filter(|line| line.contains("0.0.0.0")).take(1)
        {
            finding.with(member.shown(format!("its log: {line}")));
        }
        finding.remedy(match zookeeper {
            true => own_number(member, first.what.trim_start_matches("server."), view),
            false => own_name(member, &host_settings, view),
        });
    }
    Ok(())
}
