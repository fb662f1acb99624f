//! Scripted checks.

use checks::{BuiltIn, Confidence, Evidence, Findings, Judged, Meta, Remedy, Risk, Run, Step, Subject, View};
use facts::{Gap, Need, NodeName, Source, Why};
use std::borrow::Cow;

/// Wider than any page, and still not to be wrapped.
pub(in crate::report) const LONG_COMMAND: &str = "docker service update --dns-add 10.0.0.2 --dns-add 10.0.0.3 --dns-rm 10.0.0.53 --dns-option timeout:2 web";

/// Checks such as `list` and `explain` show.
pub(in crate::report) static CHECKS: &[&BuiltIn] =
    &[&STALE, &QUORUM, &PORTS, &DNS, &DISK, &CLOCK, &EVEN, &IPVS];

macro_rules! sample {
    ($name:ident, $id:literal, $severity:ident, $title:literal, $needs:expr, $causes:expr, $run:expr) => {
        pub(in crate::report) static $name: BuiltIn = BuiltIn {
            meta: Meta {
                id: Cow::Borrowed($id),
                title: Cow::Borrowed($title),
                healthy: Cow::Borrowed(""),
                severity: checks::Severity::$severity,
                explain: Cow::Borrowed(EXPLAINED),
                needs: Cow::Borrowed($needs),
                caused_by: Cow::Borrowed($causes),
                remaining: false,
            },
            run: Run::Cluster($run),
            file: file!(),
        };
    };
}

const EXPLAINED: &str = " A manager advertises an address that its host no longer has.

 ## Why it matters
 Peers dial the advertised address. After a host is re-addressed, raft
 keeps the old one, and the manager silently drops out of the quorum.

 ## How to fix it
 Demote the node, let it leave, and join it again from the new address:

 ```sh
 docker swarm join --advertise-addr 10.0.0.3 --token SWMTKN-1-xyz 10.0.0.1:2377
 ```

 ## When it is wrong
 - behind 1:1 NAT no interface holds the advertised address,
   rightly so
 - never otherwise
";

sample!(
    STALE,
    "swarm/stale-advertise-addr",
    Error,
    "the manager advertises an address it does not have",
    &[Need::Nodes, Need::Interfaces],
    &[Cow::Borrowed("swarm/not-a-member")],
    stale
);
sample!(
    QUORUM,
    "swarm/lost-quorum",
    Error,
    "more than half of the managers do not answer",
    &[Need::Nodes],
    &[Cow::Borrowed("swarm/stale-advertise-addr")],
    quorum
);
sample!(
    PORTS,
    "network/port-closed",
    Warning,
    "a node does not answer on a port that the swarm needs",
    &[Need::Probes],
    &[Cow::Borrowed("swarm/stale-advertise-addr")],
    ports
);
sample!(
    DNS,
    "dns/upstream-dead",
    Warning,
    "a name server of the node does not answer",
    &[Need::ResolvConf, Need::EngineLog],
    &[],
    dns
);
sample!(DISK, "host/disk-full", Error, "the disk of the data root is full", &[Need::Disk], &[], |_, _| {
    denied(Need::Disk)
});
sample!(CLOCK, "host/clock-skew", Warning, "the clock is not kept in step", &[Need::Clock], &[], |_, _| gap(
    Need::Clock,
    Why::TimedOut { after_ms: 2000 }
));
sample!(
    EVEN,
    "swarm/even-managers",
    Warning,
    "an even number of managers tolerates no more than one fewer",
    &[Need::Nodes],
    &[],
    |_, _| gap(Need::Nodes, Why::NotApplicable { reason: "this node is a worker".into() })
);
sample!(IPVS, "host/ipvs-missing", Warning, "the kernel has no IPVS", &[Need::Modules], &[], |_, _| Ok(()));
sample!(IPVS_MISSING, "host/ipvs-missing", Warning, "the kernel has no IPVS", &[Need::Modules], &[], ipvs);

sample!(
    UPRIGHT,
    "swarm/stale-advertise-addr",
    Error,
    "the manager advertises an address it does not have",
    &[Need::Nodes],
    &[],
    |_, _| Ok(())
);

/// A line of a log that no page holds.
pub(in crate::report) fn long_line() -> String {
    let line =
        "level=error msg=\"fatal task error\" error=\"network sandbox join failed: subnet join failed\" ";
    format!("{line}{}\nmodule=node/agent/taskmanager 節点=\u{202e}", "node.id=x7k2m9 ".repeat(24))
}

pub(super) fn source(need: Need, artifact: &str, origin: &str) -> Source {
    Source { need, artifact: artifact.into(), origin: origin.into() }
}

fn value(need: Need, origin: &str, shown: &str) -> Evidence {
    Evidence::Value { source: source(need, "engine/x.json", origin), shown: shown.into() }
}

fn gap(need: Need, why: Why) -> Judged {
    Err(Gap { source: source(need, "host/x.json", need.name()), why })
}

pub(super) fn denied(need: Need) -> Judged {
    gap(need, Why::Denied { what: "connect to /var/run/docker.sock".into() })
}

fn stale(_: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let subject = Subject::Node("m3".into());
    let first = value(Need::Nodes, "GET /nodes", "ManagerStatus.Addr 192.0.2.3:2377");
    let by_hand = |node: &str, text: &str, command: &str| Step::Manual {
        node: checks::Target::Node(node.into()),
        text: text.into(),
        commands: vec![command.into()],
    };
    let remedy = Remedy {
        title: "Rejoin the manager from its present address".into(),
        risk: Risk::Destructive,
        impact: "the swarm has one manager fewer until the node has joined again".into(),
        steps: vec![
            by_hand("m1", "demote the node, from a manager that answers", "docker node demote m3"),
            by_hand("m3", "leave the swarm", "docker swarm leave"),
            by_hand(
                "m3",
                "join it again from the address it has now, with the token that a manager that answers prints",
                "docker swarm join --advertise-addr 10.0.0.3 --token TOKEN 10.0.0.1:2377",
            ),
        ],
    };
    out.report(subject, "raft knows this manager as 192.0.2.3:2377, which no interface holds", first)
        .with(value(
            Need::Interfaces,
            "netlink",
            "eth0 10.0.0.3/24, docker0 172.17.0.1/16, docker_gwbridge 172.18.0.1/16",
        ))
        .with(Evidence::Absent {
            source: source(Need::Interfaces, "host/interfaces.json", "netlink"),
            what: "no interface with 192.0.2.3".into(),
        })
        .remedy(remedy);
    Ok(())
}

fn quorum(_: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let first = Evidence::Absent {
        source: source(Need::Nodes, "engine/nodes.json", "GET /nodes"),
        what: "answered 500: rpc error: code = Unknown desc = The swarm does not have a leader".into(),
    };
    out.report(Subject::Cluster, "1 of 3 managers answers, and 2 are needed", first);
    Ok(())
}

fn ports(_: &View<'_>, out: &mut Findings<'_>) -> Judged {
    for at in 1..=6 {
        let link =
            Subject::Link { from: NodeName("m3".into()), to: NodeName(format!("worker-{at}.example.net")) };
        let first = value(Need::Probes, "probe", &format!("10.0.0.{at}:7946/tcp filtered (no answer)"));
        out.report(link, format!("10.0.0.{at} does not answer on 7946/tcp"), first);
    }
    Ok(())
}

fn dns(_: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let subject = Subject::Service("evil\u{1b}]0;pwned\u{7}\u{202e}gnp".into());
    let log = source(Need::EngineLog, "logs/messages", "/var/log/messages");
    let first = Evidence::Line { source: log, line: 51_200, at: None, text: long_line() };
    let node = NodeName::from("m1");
    let remedy = Remedy {
        title: "Name servers that answer".into(),
        risk: Risk::Safe,
        impact: "containers get the new servers when they start the next time".into(),
        steps: vec![Step::Manual {
            node: checks::Target::Node(node),
            text: "give the service name servers that answer".into(),
            commands: vec![LONG_COMMAND.into()],
        }],
    };
    out.report(subject, "10.0.0.53 has not answered 41 questions since 02:10", first)
        .with(value(Need::ResolvConf, "/etc/resolv.conf", "nameserver 10.0.0.53"))
        .confidence(Confidence::Medium)
        .remedy(remedy);
    Ok(())
}

fn ipvs(_: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let node = NodeName::from("m1");
    let first = Evidence::Absent {
        source: source(Need::Modules, "host/modules.json", "/proc/modules"),
        what: "no ip_vs".into(),
    };
    out.report(
        Subject::Node(node.clone()),
        "neither loaded nor built in is ip_vs, without which no VIP answers",
        first,
    )
    .remedy(Remedy {
        title: "Load the module".into(),
        risk: Risk::Safe,
        impact: "services answer on their virtual addresses from then on".into(),
        steps: vec![Step::LoadModule { node: checks::Target::Node(node), module: "ip_vs".into() }],
    });
    Ok(())
}
