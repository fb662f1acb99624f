//! The state inside the containers of tasks: network namespace, DNS answers, hosts file and resolv.conf.

mod dns;
mod inside;
mod vip_probe;

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

/// The maximum number of containers that are examined.
const MAX_CONTAINERS: usize = 64;
/// How many containers are examined at once, each on a separate thread.
const PARALLEL: usize = 8;
/// The maximum number of containers that probe the VIP of their service, one for each service. They come first, so
/// that their timeouts run in parallel.
const MAX_VIP_PROBES: usize = PARALLEL;

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
    let running = vip_probes_first(running);
    let reason = format!("{MAX_CONTAINERS} of {} task containers were examined", running.len());
    let examine = |(at, (container, probe_vips)): (usize, (Container, bool))| {
        let skipped = match () {
            () if at >= MAX_CONTAINERS => Some(Why::NotAsked { reason: reason.clone() }),
            () if Instant::now() > until => {
                Some(Why::TimedOut { after_ms: super::millis(session.options.deadline) })
            }
            () => None,
        };
        async move {
            match skipped {
                Some(why) => Places::new(&container).missed(&why),
                None => examine_container(session, container, probe_vips).await,
            }
        }
    };
    let artifacts = stream::iter(running.into_iter().enumerate()).map(examine).buffered(PARALLEL);
    artifacts.collect::<Vec<_>>().await.into_iter().flatten().collect()
}

/// The containers, each with whether it probes the VIP of its service: the first one of each service, up to the
/// maximum.
fn vip_probes_first(containers: Vec<Container>) -> Vec<(Container, bool)> {
    let mut services = BTreeSet::new();
    let mut ordered: Vec<_> = containers
        .into_iter()
        .map(|container| {
            let probe_vips = services.len() < MAX_VIP_PROBES && services.insert(container.service.clone());
            (container, probe_vips)
        })
        .collect();
    ordered.sort_by_key(|(_, probe_vips)| !probe_vips);
    ordered
}

/// The three artifacts of one container.
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

async fn examine_container(session: &Session, container: Container, probe_vips: bool) -> Vec<Artifact> {
    let places = Places::new(&container);
    let id = container.id.clone();
    let inside = match apart(move || Ok(inside::examine(&container, probe_vips))).await {
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

/// A file as it was read, else from the archive API of the engine, which needs only access to the socket.
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
