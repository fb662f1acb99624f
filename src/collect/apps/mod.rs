//! Applications that form their own cluster: their settings and their state.
//!
//! Only containers that are known to run such a program are examined, and only NiFi gets requests.

mod http;
mod inspected;
mod log;

use super::{Artifact, Place, Session, apart, netns};
use facts::app::{App, Apps, Config, Program, Resolved, version};
use facts::container::{Container, HostsFile};
use facts::{Fact, Need, Why};
use futures_util::stream::{self, StreamExt};
use inspected::Inspected;
pub(crate) use log::demultiplexed;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The most containers that are examined.
const MOST: usize = 32;
/// The most exited containers of which the last lines are read.
const MOST_EXITED: usize = 8;
/// How many files of one are read.
const MOST_FILES: usize = 32;
/// Number of concurrent applications, each on a separate thread.
const AT_ONCE: usize = 8;

pub(super) async fn apps(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Apps, "apps.json", "the containers of clustered applications");
    if let Some(why) = session.elsewhere() {
        return vec![place.missed(why)];
    }
    let named = session.options.apps.clone();
    let exited = match inspected::exited(session).await {
        Ok(exited) => exited,
        Err(why) => return vec![place.missed(why)],
    };
    let crashed = stream::iter(exited.iter().take(MOST_EXITED))
        .map(|it| async move { it.exited(log::last(session, it).await) });
    let crashed = crashed.buffered(AT_ONCE).collect().await;
    let inspected = match inspected::inspected(session, &named, exited).await {
        Ok(inspected) => inspected,
        Err(why) => return vec![place.missed(why)],
    };
    let containers = containers(session).await;
    let known = inspected.into_iter().take(MOST).map(|(program, it)| {
        let container = containers.iter().find(|container| container.id == it.id).cloned();
        examine(session, program, it, container)
    });
    let apps = stream::iter(known).buffered(AT_ONCE).collect().await;
    vec![place.kept_as_json(&Apps { named, apps, exited: crashed })]
}

/// The containers that run, as the checks see them.
async fn containers(session: &Session) -> Vec<Container> {
    let bundle = session.partial(&[Need::Containers, Need::TaskNetns]).await;
    let host = facts::parse::snapshot(&bundle).hosts.pop();
    match host.map(|host| host.containers) {
        Some(Fact::Seen(containers)) => containers.value,
        _ => Vec::new(),
    }
}

async fn examine(
    session: &Session,
    program: &'static Program,
    inspected: Inspected,
    container: Option<Container>,
) -> App {
    let mut app = inspected.app(program);
    let paths = inspected.paths(program);
    let (files, container) = files(session, &inspected, container, paths).await;
    for (path, read) in files {
        match read {
            Ok(Some(text)) => app.settings.add_file(&path, &text, &|name| program.wants(name)),
            Ok(None) => {}
            Err(why) => app.unread.push(format!("{path}: {why}")),
        }
    }
    app.log = log::lines(session, &inspected).await;
    let Some(container) = container.filter(|_| app.running) else { return app };
    if let Ok(netns) = container.netns.get() {
        app.addresses = netns.interfaces.iter().flat_map(|it| it.addresses.iter().copied()).collect();
    }
    let config = (program.read)(&app.settings, version(&app.image));
    let published = published(session, &app).await;
    let seen = apart(move || inside(&container, program, &config, &published)).await;
    match seen {
        Ok((names, asked)) => (app.names, app.http_probes) = (names, asked),
        Err(why) => app.unread.push(format!("its network namespace: {why}")),
    }
    app
}

/// A file of a container: `None` where there is none.
type Read = (String, Result<Option<String>, Why>);

/// The files of a container: of one that runs from its own root, of one that ended from the engine.
async fn files(
    session: &Session,
    inspected: &Inspected,
    container: Option<Container>,
    paths: Vec<String>,
) -> (Vec<Read>, Option<Container>) {
    let text = |content: Vec<u8>| String::from_utf8_lossy(&content).into_owned();
    let Some(container) = container.filter(|container| container.pid != 0) else {
        let mut files = Vec::new();
        for path in paths {
            let read = match session.engine().await {
                Ok(engine) => engine.archive(inspected.id.as_str(), &path).await,
                Err(why) => Err(why),
            };
            let read = match read {
                Err(Why::Refused { status: 404, .. }) => Ok(None),
                read => read.map(|content| Some(text(content))),
            };
            files.push((path, read));
        }
        return (files, None);
    };
    let kept = container.clone();
    let read = apart(move || {
        let process = netns::Process::open(&container)?;
        let read = |path: String| {
            let content = process.file(path.trim_start_matches('/'));
            (path, content.map(|content| content.map(text)))
        };
        let mut paths = paths;
        for mounted in process.mounted_settings() {
            if !paths.contains(&mounted) && paths.len() < MOST_FILES {
                paths.push(mounted);
            }
        }
        Ok(paths.into_iter().map(read).collect::<Vec<_>>())
    });
    match read.await {
        Ok(files) => (files, Some(kept)),
        Err(why) => (vec![("its files".to_owned(), Err(why))], Some(kept)),
    }
}

/// What callers from outside send in the `Host` header: this node's address and the published ports.
async fn published(session: &Session, app: &App) -> Vec<http::Published> {
    let bundle = session.partial(&[Need::Info, Need::Services]).await;
    let snapshot = facts::parse::snapshot(&bundle);
    let node =
        snapshot.hosts.first().and_then(|host| host.info.get().ok()).and_then(|info| info.swarm.node_addr);
    let services = snapshot.services.get().map(|services| services.value.clone()).unwrap_or_default();
    let Some((node, service)) = node.zip(services.into_iter().find(|service| service.id == app.service))
    else {
        return Vec::new();
    };
    let port = |port: &facts::service::PublishedPort| http::Published {
        node,
        published: port.published,
        target: port.target,
    };
    service.ports.iter().map(port).collect()
}

/// Resolves the names in the settings as the container does, and sends NiFi its requests.
fn inside(
    container: &Container,
    program: &Program,
    config: &Config,
    published: &[http::Published],
) -> Result<(Vec<Resolved>, Vec<facts::app::HttpProbe>), Why> {
    let process = netns::Process::open(container)?;
    process.enter()?;
    let names = resolved(container, config)?;
    let asked = match program.name {
        "nifi" => http::ask(container, config, &names, published)?,
        _ => Vec::new(),
    };
    Ok((names, asked))
}

/// The names in the settings and the container's own, resolved from the hosts file and by the engine.
fn resolved(container: &Container, config: &Config) -> Result<Vec<Resolved>, Why> {
    let host_settings =
        config.endpoints.iter().flat_map(|it| it.bind.iter().chain(&it.advertise)).map(|it| it.host.clone());
    let own = [container.service_name.clone(), container.hostname.clone()];
    let mut names: Vec<String> = own
        .into_iter()
        .chain(host_settings)
        .filter(|name| !name.is_empty() && name != "localhost" && name.parse::<IpAddr>().is_err())
        .collect();
    names.sort();
    names.dedup();
    let questions: Vec<String> =
        names.iter().flat_map(|name| [name.clone(), format!("tasks.{name}")]).collect();
    let doing = |error: std::io::Error| super::why(&error, "ask the engine's DNS server");
    let answers: BTreeMap<_, _> = netns::ask(&questions)
        .map_err(doing)?
        .into_iter()
        .map(|answer| (answer.name, answer.result))
        .collect();
    let hosts = container.hosts.get().map(|hosts| hosts.value.clone()).unwrap_or_default();
    let one = |name: String| Resolved {
        hosts: pinned(&hosts, &name),
        dns: answers.get(&name).cloned().unwrap_or_else(|| Err("not asked".into())),
        tasks: answers.get(&format!("tasks.{name}")).cloned().and_then(Result::ok).unwrap_or_default(),
        name,
    };
    Ok(names.into_iter().map(one).collect())
}

fn pinned(hosts: &HostsFile, name: &str) -> Vec<IpAddr> {
    hosts.lines_for(name).map(|line| line.addr).collect()
}
