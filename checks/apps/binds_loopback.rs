use crate::model::app_member::{Member, first_per_service, members};
use crate::model::app_naming::own_name;
use crate::model::host_scope::{HostScope, scope_of_literal};
use crate::{Evidence, Findings, Judged, View};
use facts::Seen;
use facts::app::{Endpoint, HostSetting};
use facts::container::{Container, Netns};
use std::iter;

check! {
    /// A clustered application listens on loopback only.
    ///
    /// ## Why it matters
    /// Connections through a published port, a service's VIP or from a peer arrive at the task's addresses, where nothing
    /// listens: they are refused, while a health check inside the container succeeds. NiFi outside its official image
    /// listens at `127.0.0.1` by default.
    ///
    /// ## How to fix it
    /// Give each task a unique hostname that is not the name of a service, and configure that name.
    ///
    /// ## When it is wrong
    /// A proxy in the same container forwards incoming connections.
    ///
    /// Source: `nifi.web.https.host=127.0.0.1` in `nifi.properties` from 1.14.0 on.
    "apps/binds-loopback": Error, "a clustered application listens on loopback only";
    healthy "no clustered application listens on loopback only";
    needs Services, Apps, Containers, TaskNetns, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (endpoint, host_setting), rest) in first_per_service(&all, loopback_only) {
        let summary = format!(
            "{} in {} listens as its {} only at {} ({})",
            member.program.title,
            member.name(),
            endpoint.what,
            super::at(&host_setting.host, endpoint.port),
            host_setting.setting
        );
        let sockets = sockets(member, endpoint, view, out);
        let host_settings: Vec<&HostSetting> =
            iter::once(host_setting).chain(rest.map(|(_, host_setting)| host_setting)).collect();
        let finding = out.report(member.subject(), summary, member.evidence(&host_setting.setting));
        for socket in sockets {
            finding.with(socket);
        }
        for probe in
            member.app.iter().flat_map(|app| &app.http_probes).filter(|probe| probe.host.is_none()).take(6)
        {
            let what = match &probe.result {
                Ok(reply) => reply.status.to_string(),
                Err(error) => error.clone(),
            };
            finding.with(member.shown(format!("GET {} ({}): {what}", probe.url, probe.target)));
        }
        finding.remedy(own_name(member, &host_settings, view));
    }
    Ok(())
}

/// What others need to reach and only the member itself can.
fn loopback_only<'m>(member: &'m Member<'_>) -> Vec<(&'m Endpoint, &'m HostSetting)> {
    let is_sought = member.config.clustered || member.is_published();
    let bound = is_sought.then(|| member.bound()).into_iter().flatten();
    bound.filter(|(endpoint, _)| only_loopback(member, endpoint)).collect()
}

/// Whether all that is bound for the same purpose is loopback.
fn only_loopback(member: &Member<'_>, endpoint: &Endpoint) -> bool {
    let mut same = member.bound().filter(|(other, _)| other.what == endpoint.what);
    same.all(|(_, host_setting)| scope_of_literal(&host_setting.host) == Some(HostScope::Loopback))
}

/// The sockets that listen on the port, as the kernel lists them in the container.
fn sockets(
    member: &Member<'_>,
    endpoint: &Endpoint,
    view: &View<'_>,
    out: &mut Findings<'_>,
) -> Vec<Evidence> {
    let Some(app) = member.app else { return Vec::new() };
    let mut sockets = Vec::new();
    for host in &view.snapshot.hosts {
        let netns = host.containers.get().and_then(|containers| {
            match containers.iter().find(|container: &&Container| container.id == app.container) {
                Some(container) => container.netns.get().map(Some),
                None => Ok(None),
            }
        });
        match netns {
            Ok(netns) => sockets.extend(netns.into_iter().flat_map(|netns| listening(netns, endpoint.port))),
            Err(gap) => out.inconclusive(member.subject(), gap),
        }
    }
    sockets
}

fn listening(netns: &Seen<Netns>, port: Option<u16>) -> Vec<Evidence> {
    let on_port = netns.listeners.iter().filter(|it| Some(it.port) == port);
    on_port
        .map(|it| {
            Evidence::value(netns, format!("a socket listens at {}:{}/{}", it.addr, it.port, it.protocol))
        })
        .collect()
}
