//! Examines the nodes at the same time. A manager among them adds the nodes that only its node list has.

use super::missing::Missing;
use super::plan::{Plan, Target};
use super::progress::Progress;
use super::ssh::Ssh;
use super::swarm::{Job, Service};
use crate::bundle::{Writer, fit};
use crate::cli::{Fleet, Source, Via};
use crate::collect::Session;
use crate::error::{ExpectedError, notice};
use crate::examine::{Asked, options};
use crate::judge::Member;
use facts::bundle::Bundle;
use facts::{Need, Snapshot, Why};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

/// What the other nodes are known from.
const KNOWN_FROM: [Need; 6] =
    [Need::Info, Need::Nodes, Need::Networks, Need::SwarmState, Need::Certificates, Need::Interfaces];

/// The nodes that were examined, and those that were not.
#[derive(Debug)]
pub struct Gathered {
    /// The facts of each node; its bundle was dropped when it arrived.
    pub members: Vec<Member>,
    /// What is missing, and why.
    pub missing: Vec<Missing>,
}

/// How the nodes are examined beyond the options of each command.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Where all bundles are saved as one.
    pub save: Option<&'a Path>,
    /// How many last lines of each log are kept.
    pub log_lines: Option<usize>,
    /// Whether a terminal may show the progress.
    pub progress: bool,
}

/// One node that ended, with its bundle or the reason.
type Ended = (Target, String, Result<Bundle, Why>);

/// Examines all nodes.
pub async fn gather(
    source: &Source,
    fleet: &Fleet,
    asked: Asked,
    wanted: Wanted<'_>,
) -> Result<Gathered, ExpectedError> {
    let arguments = arguments(source, &asked, wanted.log_lines);
    let timeout = fleet.node_timeout.saturating_add(source.listen.unwrap_or_default());
    let session = Session::new(options(source, asked)?);
    let progress = Progress::start(wanted.progress);

    let known = facts::parse::snapshot(&session.partial(&KNOWN_FROM).await);
    let mut plan = match &fleet.hosts {
        Some(path) => Plan::of_hosts(path, &fleet.nodes)?,
        None => Plan::new(&fleet.nodes),
    };
    let here = session.options.endpoint.is_local();
    let local = if here { plan.local(&known) } else { None };
    if let Ok(nodes) = known.nodes.get() {
        plan.add_nodes(nodes);
    } else {
        plan.add_peers(&facts::parse::peers_of(&known));
    }
    if plan.targets().is_empty() {
        return Err(none_known(fleet));
    }

    let mut waiting: VecDeque<Target> =
        plan.targets().iter().filter(|target| Some(*target) != local.as_ref()).cloned().collect();
    progress.expect(plan.targets().len());
    let way = Way::of(fleet, &session, &known, waiting.make_contiguous(), timeout, arguments).await?;
    let mut running: FuturesUnordered<LocalBoxFuture<'_, Ended>> = FuturesUnordered::new();
    if let Some(target) = local {
        let stage = progress.node(&target.name, 0);
        let (session, lines) = (&session, wanted.log_lines);
        let collect = async move {
            stage.set("collecting");
            let mut bundle = session.bundle().await;
            if let Some(lines) = lines {
                crate::bundle::shorten_logs(&mut bundle, lines);
            }
            fit(&mut bundle);
            (target, "this node".to_owned(), Ok(bundle))
        };
        running.push(collect.boxed_local());
    }
    let mut writer = wanted.save.map(Writer::of_several).transpose()?;
    let mut gathered = Gathered { members: Vec::new(), missing: Vec::new() };
    let mut failed = Vec::new();
    let mut listed = known.nodes.get().is_ok() || fleet.hosts.is_some();
    loop {
        while running.len() < fleet.parallel.get() {
            let Some(target) = waiting.pop_front() else { break };
            let stage = progress.node(&target.name, running.len());
            let way = &way;
            let fetch = async move {
                let (origin, bundle) = match way {
                    Way::Ssh(ssh) => (ssh.shown(&target), ssh.bundle(&target, &stage).await),
                    Way::Swarm(service) => ("its task".to_owned(), service.bundle(&target, &stage).await),
                };
                (target, origin, bundle)
            };
            running.push(fetch.boxed_local());
        }
        let Some((target, origin, bundle)) = running.next().await else { break };
        progress.done();
        let bundle = match bundle {
            Ok(bundle) => bundle,
            Err(why) => {
                failed.push((target, origin, why));
                continue;
            }
        };
        if let Some(writer) = &mut writer {
            writer.machine(&bundle)?;
        }
        let member = Member::of(bundle);
        if let Some(why) = another_node(&target, &member) {
            failed.push((target, origin, why));
        }
        if let Ok(nodes) = member.snapshot.nodes.get() {
            listed = true;
            let found = plan.add_nodes(nodes);
            progress.expect(found.len());
            waiting.extend(found);
        }
        gathered.members.push(member);
    }
    if let Some(writer) = writer {
        writer.end()?;
    }
    failed.sort_by(|(one, ..), (other, ..)| one.name.cmp(&other.name));
    for (target, origin, why) in failed {
        gathered.missing.push(Missing { node: Some(plan.name(&target.addr)), origin, why });
    }
    if !listed {
        let what = "no manager sent a node list, so there may be more nodes than those that others remember";
        let origin = "GET /nodes".to_owned();
        gathered.missing.push(Missing { node: None, origin, why: Why::Undecidable { what: what.into() } });
    }
    Ok(gathered)
}

/// How the other nodes are reached.
enum Way {
    Ssh(Ssh),
    Swarm(Box<Service>),
}

impl Way {
    /// The way that the options name, or the one that is possible.
    async fn of(
        fleet: &Fleet,
        session: &Session,
        known: &Snapshot,
        targets: &[Target],
        timeout: Duration,
        arguments: Vec<String>,
    ) -> Result<Self, ExpectedError> {
        let ssh = |arguments| Ok(Self::Ssh(Ssh::new(fleet.ssh.clone(), timeout, fleet.keep, arguments)?));
        let obstacle = match (&fleet.image, known.nodes.get()) {
            (None, _) => "--image names no image",
            (_, Err(_)) => "no manager with a leader answers here",
            (_, Ok(_)) if fleet.hosts.is_some() => "--hosts names hosts and not nodes",
            (Some(image), Ok(nodes)) if fleet.via != Via::Ssh => {
                let job = Job { image, timeout, arguments: &arguments, nodes, targets };
                return Ok(Self::Swarm(Box::new(Service::create(&session.options, &job).await?)));
            }
            _ => return ssh(arguments),
        };
        match fleet.via {
            Via::Swarm => {
                return Err(ExpectedError::usage(format!(
                    "--via swarm is not possible: {obstacle}; use --via ssh"
                )));
            }
            Via::Auto if fleet.image.is_some() => notice(&format!("using ssh: {obstacle}")),
            Via::Auto | Via::Ssh => {}
        }
        ssh(arguments)
    }
}

fn none_known(fleet: &Fleet) -> ExpectedError {
    ExpectedError::usage(match (&fleet.hosts, fleet.nodes.is_empty()) {
        (_, false) => "--nodes: no node has such a name or address".to_owned(),
        (Some(path), true) => format!("{} names no host", path.display()),
        (None, true) => {
            "no node is known here: this host is in no swarm, and no engine lists nodes; name the nodes with \
                         --hosts, or a manager with --host"
                .to_owned()
        }
    })
}

/// Why the host that answered is not the node that was asked for, if it is not.
fn another_node(target: &Target, member: &Member) -> Option<Why> {
    let host = member.snapshot.hosts.first()?;
    let id = &host.info.get().ok()?.swarm.node_id;
    let wanted = target.id.as_ref()?;
    let what = || format!("{} is now {}, which is not node {}", target.addr, host.name, wanted.as_str());
    (!id.as_str().is_empty() && id != wanted).then(|| Why::Undecidable { what: what() })
}

/// The arguments of collecting on the other nodes.
fn arguments(source: &Source, asked: &Asked, log_lines: Option<usize>) -> Vec<String> {
    let millis = |time: Duration| format!("{}ms", time.as_millis());
    let mut words: Vec<String> = ["--file", "-"].map(str::to_owned).into();
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    option("--since", millis(source.since));
    option("--timeout", millis(source.timeout));
    if let Some(limit) = source.check_timeout {
        option("--check-timeout", millis(limit));
    }
    if let Some(listen) = source.listen {
        option("--listen", millis(listen));
    }
    if let Some(lines) = log_lines {
        option("--log-lines", lines.to_string());
    }
    for app in &source.apps {
        option("--app", format!("{}={}", app.program, app.service));
    }
    if asked.matrix {
        words.push("--clocks".to_owned());
    }
    words
}
