use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::{Line, Log, Program};
use facts::{Host, NodeId, Seen};

/// How far back the quarrel is looked for: an attempt comes every few seconds.
const SECONDS: i64 = 120;
/// From how many lost sessions on it is more than a manager that was restarted.
const ENOUGH: u32 = 3;

check! {
    /// Two machines pass for the same node, mostly because one was cloned from the other's disk.
    ///
    /// ## Why it matters
    /// The managers keep one session for each node. Each of the two takes it from the other every few seconds: tasks come
    /// and go, run twice or not at all, and the address and hostname of the one entry in `docker node ls` flip.
    ///
    /// ## How to fix it
    /// On the copy: leave the swarm, give the machine an identity of its own (hostname, machine-id, the engine's id), and
    /// join. Before a machine becomes a template, let it leave the swarm.
    ///
    /// ## When it is wrong
    /// In the seconds after a leader was replaced, a session may be lost once or twice.
    ///
    /// Source: swarmkit `manager/dispatcher/dispatcher.go` (`ErrSessionInvalid`), moby#46167.
    "swarm/duplicate-node-identity": Error, "another machine passes for this node";
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
    // Whoever is being driven out all the time is told to slow down, and the other one loses session after session.
    let throttled = recent.iter().rev().find(|(_, error)| !invalid(error));
    if times < ENOUGH && (throttled.is_none() || times == 0) {
        return Ok(());
    }
    let Some((last, error)) = recent.iter().rev().find(|(_, error)| invalid(error)) else { return Ok(()) };
    let addr = info.swarm.node_addr;
    let interfaces = host.interfaces.get()?;
    let held = |addr| interfaces.iter().any(|it| it.addresses.iter().any(|own| own.addr == addr));
    let copy = addr.filter(|addr| !held(*addr));
    let summary = match copy {
        Some(addr) => format!(
            "this machine passes for the node {id}, whose address {addr} it does not hold: it is a copy"
        ),
        None => format!(
            "another machine passes for this node, {id}, and takes its session with the managers from it"
        ),
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, quote(log, last, error));
    finding.with(Evidence::value(log, format!("{times} sessions were lost to another within {SECONDS} s")));
    if let Some((line, error)) = throttled {
        finding.with(quote(log, line, error));
    } else {
        finding.confidence(Confidence::Medium);
    }
    if let Some(addr) = copy {
        finding.with(Evidence::absent(
            interfaces,
            format!("an interface with {addr}, which the node advertises"),
        ));
    }
    finding.remedy(remedy(host, copy.is_some()));
    Ok(())
}

/// The error with which this node lost its session, where this line has one.
fn lost_session<'a>(line: &'a Line, id: &NodeId) -> Option<&'a str> {
    let about = line.program == Program::Engine && line.message == "agent: session failed";
    let error = line.fields.get("error").filter(|_| about)?;
    let own = line.fields.get("node.id").is_none_or(|of| of == id.as_str());
    let says =
        error.contains("session invalid") || error.contains("exceeded rate limit count of registrations");
    (own && says).then_some(error.as_str())
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
    let node = || if here { host.name.clone() } else { "the copy".into() };
    Remedy {
        title: "Give the copy an identity of its own".into(),
        risk: Risk::Disruptive,
        impact: "the tasks that run on the copy end; the original keeps its own".into(),
        steps: vec![
            Step::Manual {
                node: "both machines".into(),
                text: "see which one is the copy: the younger one, whose hostname or address is not that of the node"
                    .into(),
                commands: vec!["hostname".into(), "ip -brief addr".into(), "cat /etc/machine-id".into()],
            },
            Step::Manual {
                node: node(),
                text: "leave the swarm; the engine forgets whose place it took".into(),
                commands: vec!["docker swarm leave --force".into()],
            },
            Step::Manual {
                node: node(),
                text: "give the machine a hostname and ids of its own, then start it anew and join".into(),
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
