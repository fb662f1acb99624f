//! What a task sees from inside: its network namespace, its DNS answers, and the files that names come from.

mod dns;
mod inside;
mod knock;

use super::{Artifact, Place, Session, apart};
use facts::container::Container;
use facts::{Fact, Need, Why};
use futures_util::future::join;
use futures_util::stream::{self, StreamExt};
use inside::Inside;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub(super) use dns::ask;
pub(super) use inside::Process;

/// How many containers are looked into; what is wrong with the names on a node shows in fewer.
const MOST: usize = 64;
/// How many are looked into at once, each on a thread of its own.
const AT_ONCE: usize = 8;
/// How many of them knock at their service's addresses, each for another service. Those come first, so that their
/// waiting is over at once.
const KNOCKING: usize = AT_ONCE;

pub(super) async fn task_namespaces(session: &Session) -> Vec<Artifact> {
    let whole = Place::new(Need::TaskNetns, "tasks", "/proc/PID/ns/net of each task's container");
    if let Some(why) = session.elsewhere() {
        return vec![whole.missed(why)];
    }
    let until = Instant::now() + session.options.deadline * 3 / 4;
    let bundle = session.partial(&[Need::Containers]).await;
    let host = facts::parse::snapshot(&bundle).hosts.pop();
    let containers = match host.map(|host| host.containers) {
        Some(Fact::Seen(containers)) => containers.value,
        Some(Fact::Unseen(gap)) => return vec![whole.missed(gap.why)],
        None => return Vec::new(),
    };
    let running: Vec<_> = containers.into_iter().filter(|container| container.pid != 0).collect();
    let running = knocking_first(running);
    let reason = format!("{MOST} of the {} containers with tasks were looked into", running.len());
    let look = |(at, (container, knocks)): (usize, (Container, bool))| {
        let left_out = match () {
            () if at >= MOST => Some(Why::NotAsked { reason: reason.clone() }),
            () if Instant::now() > until => {
                Some(Why::TimedOut { after_ms: super::millis(session.options.deadline) })
            }
            () => None,
        };
        async move {
            match left_out {
                Some(why) => Places::new(&container).missed(&why),
                None => look_into(session, container, knocks).await,
            }
        }
    };
    let looks = stream::iter(running.into_iter().enumerate()).map(look).buffered(AT_ONCE);
    looks.collect::<Vec<_>>().await.into_iter().flatten().collect()
}

/// The containers with whether they knock: the first of each service, and not more than so many.
fn knocking_first(containers: Vec<Container>) -> Vec<(Container, bool)> {
    let mut services = BTreeSet::new();
    let mut ordered: Vec<_> = containers
        .into_iter()
        .map(|container| {
            let knocks = services.len() < KNOCKING && services.insert(container.service.clone());
            (container, knocks)
        })
        .collect();
    ordered.sort_by_key(|(_, knocks)| !knocks);
    ordered
}

/// Where the three artifacts of one container go.
struct Places {
    netns: Place,
    hosts: Place,
    resolv_conf: Place,
}

impl Places {
    fn new(container: &Container) -> Self {
        let short: String = container.id.as_str().chars().take(12).collect();
        let place = |file: &str, origin: &str| {
            Place::new(
                Need::TaskNetns,
                format!("tasks/{short}/{file}"),
                format!("{origin} in container {short}"),
            )
        };
        Self {
            netns: place("netns.json", "the network namespace"),
            hosts: place("hosts", "/etc/hosts"),
            resolv_conf: place("resolv.conf", "/etc/resolv.conf"),
        }
    }

    fn missed(self, why: &Why) -> Vec<Artifact> {
        [self.netns, self.hosts, self.resolv_conf].map(|place| place.missed(why.clone())).into()
    }
}

async fn look_into(session: &Session, container: Container, knocks: bool) -> Vec<Artifact> {
    let places = Places::new(&container);
    let id = container.id.clone();
    let inside = match apart(move || Ok(inside::look(&container, knocks))).await {
        Ok(inside) => inside,
        Err(why) => return places.missed(&why),
    };
    let Inside { netns, hosts, resolv_conf } = inside;
    let netns = match netns {
        Ok(netns) => places.netns.kept_as_json(&netns),
        Err(why) => places.netns.missed(why),
    };
    let hosts = file(session, places.hosts, id.as_str(), "/etc/hosts", hosts);
    let resolv_conf = file(session, places.resolv_conf, id.as_str(), "/etc/resolv.conf", resolv_conf);
    let (hosts, resolv_conf) = join(hosts, resolv_conf).await;
    vec![netns, hosts, resolv_conf]
}

/// A file as it was read, else as the engine hands it out: that takes no more than the right to ask it.
async fn file(
    session: &Session,
    place: Place,
    id: &str,
    path: &str,
    read: Result<Option<Vec<u8>>, Why>,
) -> Artifact {
    let read = match read {
        Err(Why::Denied { .. }) => match session.engine().await {
            Ok(engine) => engine.archive(id, path).await.map(Some),
            Err(why) => Err(why),
        },
        read => read,
    };
    match read {
        Ok(Some(content)) => place.kept(content),
        Ok(None) | Err(Why::Refused { status: 404, .. }) => place.absent(),
        Err(why) => place.missed(why),
    }
}
