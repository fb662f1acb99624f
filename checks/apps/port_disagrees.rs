use super::member::{Member, members};
use crate::service_change::update;
use crate::{Evidence, Findings, Judged, Remedy, Risk, ServiceChange, View};
use facts::container::{Container, Netns};
use facts::host::Protocol;
use facts::service::PublishedPort;
use facts::{Gap, Seen};
use std::net::{IpAddr, Ipv4Addr};

check! {
    /// A clustered application does not listen on the port that its service publishes.
    ///
    /// ## Why it matters
    /// What comes to the published port is passed on to a port of the task on which nobody listens: the connection is
    /// refused. The port in the stack and the port in the application's own file were changed apart.
    ///
    /// ## How to fix it
    /// Publish the port that the application listens on, or change the application's.
    ///
    /// ## When it is wrong
    /// Where a plugin opens the port only when it is wanted.
    ///
    /// Source: the `ports:` of a stack against `nifi.web.http.port`.
    "apps/port-disagrees": Error, "a clustered application does not listen on the port that its service publishes";
    needs Services, Apps, Containers, TaskNetns, Info;
    caused_by "apps/binds-foreign-address", "apps/setting-malformed";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let mut told = Vec::new();
    for member in &members(view, out) {
        let Some((endpoint, own)) = member.config.endpoints.iter().find_map(|it| Some((it, it.port?))) else {
            continue;
        };
        let published =
            member.spec.iter().flat_map(|spec| &spec.ports).filter(|it| it.protocol == Some(Protocol::Tcp));
        let netns = match netns(member, view) {
            Ok(netns) => netns,
            Err(gap) => {
                out.inconclusive(member.subject(), gap);
                continue;
            }
        };
        let deaf: Vec<&PublishedPort> = match netns {
            // One that is still starting listens nowhere yet.
            Some(netns) if listens(netns, own) => published.filter(|it| !listens(netns, it.target)).collect(),
            Some(_) => continue,
            None if member.app.is_some() || member.program.name != "nifi" => continue,
            None => {
                let ports: Vec<_> = published.collect();
                match ports.iter().any(|it| it.target == own) {
                    true => continue,
                    false => ports,
                }
            }
        };
        let Some(port) = deaf.first().filter(|_| !told.contains(&member.service)) else { continue };
        told.push(member.service);
        let (published, target) = (port.published, port.target);
        let summary = format!(
            "{} publishes {published} to {target}, and {} in {} listens as its {} on {own}",
            member.service,
            member.program.title,
            member.name(),
            endpoint.what
        );
        let first = member.shown(format!("{}: its {} has the port {own}", member.name(), endpoint.what));
        let finding = out.report(member.subject(), summary, first);
        for socket in netns.iter().flat_map(|netns| sockets(netns)) {
            finding.with(socket);
        }
        finding.remedy(Remedy {
            title: "Publish the port that is listened on".into(),
            risk: Risk::Disruptive,
            impact: "connections through the published port break off".into(),
            steps: vec![update(
                view,
                member.service,
                format!("let {published} lead to {own}"),
                vec![ServiceChange::Port { published, from: target, to: own }],
            )],
        });
    }
    Ok(())
}

/// What its container shows, where that runs on a node that was looked at.
fn netns<'a>(member: &Member<'_>, view: &View<'a>) -> Result<Option<&'a Seen<Netns>>, Gap> {
    let Some(app) = member.app.filter(|app| app.running) else { return Ok(None) };
    for host in &view.snapshot.hosts {
        let containers = host.containers.get()?;
        if let Some(container) = containers.value.iter().find(|it: &&Container| it.id == app.container) {
            return container.netns.get().map(Some);
        }
    }
    Ok(None)
}

fn listens(netns: &Netns, port: u16) -> bool {
    netns.listeners.iter().any(|it| it.protocol == Protocol::Tcp && it.port == port)
}

/// The sockets that listen, but for the engine's DNS server.
fn sockets(netns: &Seen<Netns>) -> impl Iterator<Item = Evidence> {
    let own = |addr: IpAddr| addr != IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
    let tcp = netns.listeners.iter().filter(move |it| it.protocol == Protocol::Tcp && own(it.addr)).take(6);
    tcp.map(|it| Evidence::value(netns, format!("a socket listens at {}:{}/tcp", it.addr, it.port)))
}
