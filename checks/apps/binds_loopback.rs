use super::member::{Member, members, one_a_service};
use super::naming::own_name;
use super::place::{Place, plain};
use crate::{Evidence, Findings, Judged, View};
use facts::Seen;
use facts::app::{Claim, Endpoint};
use facts::container::{Container, Netns};
use std::iter;

check! {
    /// A clustered application listens on loopback only.
    ///
    /// ## Why it matters
    /// What comes through a published port, a service's virtual address or from a peer arrives at the task's
    /// addresses, and nobody listens there: the connection is refused, while a health check inside the container
    /// succeeds. NiFi outside its official image listens at `127.0.0.1` by default.
    ///
    /// ## How to fix it
    /// Give each task a hostname of its own, which is no service's name, and tell the application that name.
    ///
    /// ## When it is wrong
    /// Where a proxy in the same container passes on what comes in.
    ///
    /// Source: `nifi.web.https.host=127.0.0.1` in `nifi.properties` from 1.14.0 on.
    "apps/binds-loopback": Error, "a clustered application listens on loopback only";
    needs Services, Apps, Containers, TaskNetns, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (endpoint, claim), rest) in one_a_service(&all, deaf) {
        let summary = format!(
            "{} in {} listens as its {} at {} only ({})",
            member.program.title,
            member.name(),
            endpoint.what,
            super::at(&claim.host, endpoint.port),
            claim.said
        );
        let sockets = sockets(member, endpoint, view, out);
        let claims: Vec<&Claim> = iter::once(claim).chain(rest.map(|(_, claim)| claim)).collect();
        let finding = out.report(member.subject(), summary, member.evidence(&claim.said));
        for socket in sockets {
            finding.with(socket);
        }
        for asked in member.app.iter().flat_map(|app| &app.asked).filter(|asked| asked.host.is_none()).take(6)
        {
            let what = match &asked.result {
                Ok(reply) => reply.status.to_string(),
                Err(error) => error.clone(),
            };
            finding.with(member.shown(format!("GET {} ({}): {what}", asked.url, asked.target)));
        }
        finding.remedy(own_name(member, &claims, view));
    }
    Ok(())
}

/// Where others are to reach a member, and only itself does.
fn deaf<'m>(member: &'m Member<'_>) -> Vec<(&'m Endpoint, &'m Claim)> {
    let is_sought = member.config.clustered || member.is_published();
    let bound = is_sought.then(|| member.bound()).into_iter().flatten();
    bound.filter(|(endpoint, _)| only_loopback(member, endpoint)).collect()
}

/// Whether all that is bound for the same purpose is loopback.
fn only_loopback(member: &Member<'_>, endpoint: &Endpoint) -> bool {
    let mut same = member.bound().filter(|(other, _)| other.what == endpoint.what);
    same.all(|(_, claim)| plain(&claim.host) == Some(Place::Loopback))
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
