use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::{Line, Program};
use regex::Regex;
use std::sync::LazyLock;

check! {
    /// Gossip of a node has reported connectivity issues for several minutes.
    ///
    /// ## Why it matters
    /// Gossip computes a health score from its own probes: 0 is healthy, 8 is the worst. A high score means that probes
    /// get no answer in time, or that other nodes suspect this node. Other nodes then may declare it failed and remove
    /// the records of its tasks: names and VIPs lose tasks that run.
    ///
    /// ## How to fix it
    /// Open 7946/tcp and 7946/udp between the nodes. If they are open, reduce the CPU load of the node, or the packet
    /// loss of its network.
    ///
    /// ## When it is wrong
    /// A busy node has a score of 1 or 2 from time to time. Only a score of at least 3 in four reports within
    /// five minutes is reported.
    ///
    /// Source: moby `daemon/libnetwork/networkdb/cluster.go` (`healthscore`, printed every minute while it is not 0);
    /// memberlist `awareness.go`.
    "network/gossip-degraded": Warning, "gossip of the node reports connectivity issues";
    healthy "gossip reports no connectivity issues";
    needs EngineLog;
    caused_by "network/gossip-port-blocked", "network/gossip-join-failed", "network/peer-unreachable", "network/no-route", "network/port-taken",
        "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "host/firewall-drops-swarm",
        "swarm/stale-advertise-addr", "swarm/local-advertise-addr", "swarm/node-down", "engine/unreachable";
    for each Host: run
}

/// Reports older than this do not count, in seconds.
const WINDOW_SECONDS: i64 = 300;
/// The last report must not be older than this, in seconds: it is repeated every minute.
const FRESH_SECONDS: i64 = 120;
/// How many reports count.
const REPORTS: usize = 4;
/// The lowest score that counts.
const SCORE: u32 = 3;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let now = log.ends.unwrap_or(view.snapshot.taken).as_second();
    let age = |line: &Line| line.at.map_or(i64::MAX, |at| now - at.as_second());
    let in_window = log.lines.iter().filter(|line| (0..=WINDOW_SECONDS).contains(&age(line)));
    let reports: Vec<(&Line, u32)> = in_window.filter_map(|line| Some((line, score(line)?))).collect();
    let Some((last, score)) = reports.last().filter(|(line, _)| age(line) <= FRESH_SECONDS) else {
        return Ok(());
    };
    if reports.len() < REPORTS || reports.iter().any(|(_, score)| *score < SCORE) {
        return Ok(());
    }
    let summary = format!(
        "gossip of {} reports connectivity issues: health score {score} (0 is healthy, 8 the worst), {} reports in 5 min",
        host.name,
        reports.len()
    );
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, last));
    if let Some((first, _)) = reports.first() {
        finding.with(Evidence::log(log, first));
    }
    finding.confidence(Confidence::Medium).remedy(Remedy {
        title: format!("Check the network and the CPU load of {}", host.name).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "check the CPU load and the packet loss to the other nodes; 7946/tcp and 7946/udp have to be open"
                .into(),
            commands: vec!["uptime".into(), "ip -s link".into()],
        }],
    });
    Ok(())
}

fn score(line: &Line) -> Option<u32> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "the pattern is constant")]
        Regex::new(r"^NetworkDB stats .* - healthscore:(\d+) \(connectivity issues\)")
            .expect("the pattern compiles")
    });
    let found = (line.program == Program::Engine).then(|| FORM.captures(&line.message))??;
    found.get(1)?.as_str().parse().ok()
}
