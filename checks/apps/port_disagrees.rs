use crate::model::app_member::{Member, members};
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
    /// Connections to the published port are forwarded to a port of the task on which nothing listens, and are refused. The
    /// port in the stack and the port in the application's own file do not agree.
    ///
    /// ## How to fix it
    /// Publish the port on which the application listens, or change the application's port.
    ///
    /// ## When it is wrong
    /// A plugin opens the port only on demand.
    ///
    /// Source: the `ports:` of a stack against `nifi.web.http.port`.
    "apps/port-disagrees": Error, "a clustered application does not listen on the port that its service publishes";
    healthy "every clustered application listens on the ports that its service publishes";
    needs Services, Apps, Containers, TaskNetns, Info;
    caused_by "apps/binds-foreign-address", "apps/setting-malformed";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let mut reported = Vec::new();
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
        let closed: Vec<&PublishedPort> = match netns {
            // A program that is still starting listens on no port yet.
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
        let Some(port) = closed.first().filter(|_| !reported.contains(&member.service)) else { continue };
        reported.push(member.service);
        let (published, target) = (port.published, port.target);
        let summary = format!(
            "{} publishes {published} to port {target}, and {} in {} listens as its {} on {own}",
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
            title: format!("Publish port {own} of {}", member.service).into(),
            risk: Risk::Disruptive,
            impact: "Connections through the published port are interrupted.".into(),
            steps: vec![update(
                view,
                member.service,
                format!("publish {published} to port {own}"),
                vec![ServiceChange::Port { published, from: target, to: own }],
            )],
        });
    }
    Ok(())
}

/// The network namespace of its container, where that runs on a node that was examined.
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

/// The listening sockets, without the engine's DNS server.
fn sockets(netns: &Seen<Netns>) -> impl Iterator<Item = Evidence> {
    let own = |addr: IpAddr| addr != IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
    let tcp = netns.listeners.iter().filter(move |it| it.protocol == Protocol::Tcp && own(it.addr)).take(6);
    tcp.map(|it| Evidence::value(netns, format!("a socket listens at {}:{}/tcp", it.addr, it.port)))
}
