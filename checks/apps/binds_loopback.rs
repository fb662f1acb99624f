use crate::model::app_member::{Member, first_per_service, members};
use crate::model::app_naming::own_name;
use crate::model::host_scope::{HostScope, scope_of_literal};
use crate::{Evidence, Findings, Judged, View};
use facts::app::{Endpoint, HostSetting};
use facts::container::{Container, Netns};
use facts::host::Listener;
use facts::{Gap, Seen};
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
    for (member, (endpoint, host_setting), rest) in
        first_per_service(&all, |member| loopback_only(member, view))
    {
        let sockets = sockets(member, view, out);
        let on_port: Vec<_> = sockets.iter().filter(|(_, it)| Some(it.port) == endpoint.port).collect();
        let at = match (scope_of_literal(&host_setting.host), on_port.first()) {
            (Some(HostScope::Loopback), _) | (_, None) => super::at(&host_setting.host, endpoint.port),
            // The setting names a host, and the name resolves to loopback in the container.
            (_, Some((_, listener))) => super::at(&listener.addr.to_string(), endpoint.port),
        };
        let summary = format!(
            "{} in {} listens as its {} only at {at} ({})",
            member.program.title,
            member.name(),
            endpoint.what,
            host_setting.setting
        );
        let host_settings: Vec<&HostSetting> =
            iter::once(host_setting).chain(rest.map(|(_, host_setting)| host_setting)).collect();
        let finding = out.report(member.subject(), summary, member.evidence(&host_setting.setting));
        for (netns, it) in on_port {
            let shown = format!("a socket listens at {}:{}/{}", it.addr, it.port, it.protocol);
            finding.with(Evidence::value(netns, shown));
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
fn loopback_only<'m>(member: &'m Member<'_>, view: &View<'_>) -> Vec<(&'m Endpoint, &'m HostSetting)> {
    let is_sought = member.config.clustered || member.is_published();
    let bound = is_sought.then(|| member.bound()).into_iter().flatten();
    let listeners: Vec<&Listener> =
        namespaces(member, view).filter_map(Result::ok).flat_map(|netns| &netns.listeners).collect();
    bound.filter(|(endpoint, _)| only_loopback(member, endpoint, &listeners)).collect()
}

/// Whether all that is bound for the same purpose is loopback. The sockets decide where the program listens, otherwise the
/// settings: a name in them may resolve to loopback, and a setting may be overridden.
fn only_loopback(member: &Member<'_>, endpoint: &Endpoint, listeners: &[&Listener]) -> bool {
    let mut same = member.bound().filter(|(other, _)| other.what == endpoint.what);
    same.all(|(other, host_setting)| {
        let mut on_port = listeners.iter().filter(|it| Some(it.port) == other.port).peekable();
        if on_port.peek().is_some() {
            on_port.all(|it| it.addr.is_loopback())
        } else {
            scope_of_literal(&host_setting.host) == Some(HostScope::Loopback)
        }
    })
}

/// The namespace of the member's container, or why it was not examined.
fn namespaces<'v>(
    member: &Member<'_>,
    view: &View<'v>,
) -> impl Iterator<Item = Result<&'v Seen<Netns>, Gap>> {
    let container = member.app.map(|app| &app.container);
    view.snapshot.hosts.iter().filter_map(move |host| {
        let containers = match host.containers.get() {
            Ok(containers) => containers,
            Err(gap) => return container.map(|_| Err(gap)),
        };
        let own = containers.value.iter().find(|it: &&Container| Some(&it.id) == container)?;
        Some(own.netns.get())
    })
}

/// The sockets that listen in the container, as the kernel lists them.
fn sockets<'v>(
    member: &Member<'_>,
    view: &View<'v>,
    out: &mut Findings<'_>,
) -> Vec<(&'v Seen<Netns>, &'v Listener)> {
    let mut sockets = Vec::new();
    for netns in namespaces(member, view) {
        match netns {
            Ok(netns) => sockets.extend(netns.listeners.iter().map(|listener| (netns, listener))),
            Err(gap) => out.inconclusive(member.subject(), gap),
        }
    }
    sockets
}
