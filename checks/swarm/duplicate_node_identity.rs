use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::log::{Line, Log, Program};
use facts::{Host, NodeId, Seen};

/// How far back in seconds lost sessions are counted; one is lost every few seconds.
const SECONDS: i64 = 120;
/// The number of lost sessions that a restarted manager does not explain.
const ENOUGH: u32 = 3;

check! {
    /// Two hosts use the same node identity, usually because one is a clone of the other's disk.
    ///
    /// ## Why it matters
    /// The managers keep one session per node. Each of the two hosts takes the session from the other every few seconds:
    /// tasks start and stop, run twice or not at all, and the address and hostname of the one entry in `docker node ls`
    /// alternate.
    ///
    /// ## How to fix it
    /// On the clone: leave the swarm, give the host a unique identity (hostname, machine-id, engine ID), and join. Leave the
    /// swarm on a host before it becomes a template.
    ///
    /// ## When it is wrong
    /// In the seconds after a leader change, a session may be lost once or twice.
    ///
    /// Source: swarmkit `manager/dispatcher/dispatcher.go` (`ErrSessionInvalid`), moby#46167.
    "swarm/duplicate-node-identity": Error, "another host uses the identity of this node";
    healthy "no other host uses the identity of this node";
    needs EngineLog, Info, Interfaces;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let info = host.info.get()?;
    let id = &info.swarm.node_id;
    let now = view.snapshot.taken;
    let recent: Vec<(&Line, &str)> = log
        .lines
        .iter()
        .filter(|line| line.at.is_some_and(|at| now.duration_since(at).as_secs() <= SECONDS))
        .filter_map(|line| Some((line, lost_session(line, id)?)))
        .collect();
    let invalid = |error: &str| error.contains("session invalid");
    let times: u32 = recent.iter().filter(|(_, error)| invalid(error)).map(|(line, _)| line.repeated).sum();
    // One of the two is rate limited, and the other loses one session after another.
    let throttled = recent.iter().rev().find(|(_, error)| !invalid(error));
    if times < ENOUGH && (throttled.is_none() || times == 0) {
        return Ok(());
    }
    let Some((last, error)) = recent.iter().rev().find(|(_, error)| invalid(error)) else { return Ok(()) };
    let addr = info.swarm.node_addr;
    let interfaces = host.interfaces.get()?;
    let held = |addr| interfaces.iter().any(|it| it.addresses.iter().any(|own| own.addr == addr));
    let clone = addr.filter(|addr| !held(*addr));
    let summary = match clone {
        Some(addr) => format!(
            "this host uses the identity of node {id} and does not have its address {addr}: it is a clone"
        ),
        None => format!(
            "another host uses the identity of this node, {id}, and takes over its session with the managers"
        ),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, quote(log, last, error));
    finding.with(Evidence::value(log, format!("{times} sessions lost within {SECONDS} s")));
    if let Some((line, error)) = throttled {
        finding.with(quote(log, line, error));
    } else {
        finding.confidence(Confidence::Medium);
    }
    if let Some(addr) = clone {
        finding.with(Evidence::absent(
            interfaces,
            format!("an interface with {addr}, which the node advertises"),
        ));
    }
    finding.remedy(remedy(host, clone.is_some()));
    Ok(())
}

/// The error with which this node lost its session.
fn lost_session<'a>(line: &'a Line, id: &NodeId) -> Option<&'a str> {
    let about = line.program == Program::Engine && line.message == "agent: session failed";
    let error = line.fields.get("error").filter(|_| about)?;
    let own = line.fields.get("node.id").is_none_or(|of| of == id.as_str());
    let lost =
        error.contains("session invalid") || error.contains("exceeded rate limit count of registrations");
    (own && lost).then_some(error.as_str())
}

fn quote(log: &Seen<Log>, line: &Line, error: &str) -> Evidence {
    match Evidence::log(log, line) {
        Evidence::Line { source, line, at, text } => {
            Evidence::Line { source, line, at, text: format!("{text}: {error}") }
        }
        other => other,
    }
}

fn remedy(host: &Host, here: bool) -> Remedy {
    let node = || if here { Target::from(&host.name) } else { Target::Described("the cloned host") };
    Remedy {
        title: "Give the cloned host a unique identity".into(),
        risk: Risk::Disruptive,
        impact: "The tasks on the clone end. The tasks on the original host are not affected.".into(),
        steps: vec![
            Step::Manual {
                node: Target::Described("both hosts"),
                text: "find the clone: the newer host, with another hostname or address than the node".into(),
                commands: vec!["hostname".into(), "ip -brief addr".into(), "cat /etc/machine-id".into()],
            },
            Step::Manual {
                node: node(),
                text: "leave the swarm; the engine deletes the copied identity".into(),
                commands: vec!["docker swarm leave --force".into()],
            },
            Step::Manual {
                node: node(),
                text: "set a unique hostname and new IDs, restart dockerd, and join".into(),
                commands: vec![
                    "hostnamectl set-hostname NAME".into(),
                    "rm -f /etc/machine-id /etc/docker/key.json /var/lib/docker/engine-id".into(),
                    "systemd-machine-id-setup".into(),
                    "systemctl restart docker".into(),
                ],
            },
        ],
    }
}
