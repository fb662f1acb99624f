//! A healthy swarm under change: a warning or error during a change must still be present after the swarm has settled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::Lab;
use serde_json::Value;

use crate::fault::Swarm;
use crate::report::{Report, line, subject_of};
use crate::run::Bench;
use crate::scene::Scene;

/// Common operations, repeated in this order.
const CHANGES: [Change; 18] = [
    on_manager("network create", "until docker network create -d overlay churn; do sleep 0.5; done"),
    on_manager(
        "service create",
        "docker service create -q -d --no-resolve-image --network churn --name web --replicas 4 --publish 8080:80 \
         --health-cmd 'nc -z 127.0.0.1 80' --health-interval 2s --health-retries 20 --stop-grace-period 3s --update-max-failure-ratio 1 --rollback-max-failure-ratio 1 \
         lab/busybox:1 sh -c 'sleep 3; exec httpd -f -p 80'
         docker service create -q -d --no-resolve-image --network churn --name api --endpoint-mode dnsrr --mode global \
         lab/busybox:1 httpd -f -p 80",
    ),
    on_manager("scale up", "docker service scale -d web=8"),
    on_manager("update", "docker service update -q -d --no-resolve-image --env-add ROUND=1 --update-parallelism 2 web"),
    on_manager("scale down", "docker service scale -d web=3"),
    on_manager("update again", "docker service update -q -d --no-resolve-image --env-add ROUND=2 web"),
    on_manager("rollback", "docker service rollback -q -d web"),
    on_manager("drain", "docker node update --availability drain node2"),
    on_manager("update while drained", "docker service update -q -d --no-resolve-image --force api"),
    on_manager("activate", "docker node update --availability active node2"),
    on_manager("force", "docker service update -q -d --no-resolve-image --force web"),
    on_manager("pause", "docker node update --availability pause node3"),
    on_manager("second network", "docker network create -d overlay second; docker service update -q -d --no-resolve-image --network-add second web"),
    on_manager("active again", "docker node update --availability active node3"),
    Change { name: "engine restart", node: "node3", act: Act::Restart },
    on_manager("remove a service", "docker service rm api"),
    on_manager("remove the other", "docker service rm web"),
    // The engine refuses until the last task has ended, and keeps the name until the network is removed on the node as well.
    on_manager("remove the networks", "for name in churn second; do until docker network rm $name; do sleep 0.5; done; done"),
];

struct Change {
    name: &'static str,
    node: &'static str,
    act: Act,
}

enum Act {
    Shell(&'static str),
    Restart,
}

const fn on_manager(name: &'static str, script: &'static str) -> Change {
    Change { name, node: "node1", act: Act::Shell(script) }
}

/// Pause between two changes.
const PAUSE: Duration = Duration::from_secs(2);
/// Time limit for the swarm to settle after the last change.
const SETTLED: Duration = Duration::from_secs(120);

/// Changes a healthy swarm for `time` while the doctor runs on its nodes in turn. Returns the number of runs, and each
/// warning or error that is absent after the swarm has settled.
///
/// # Errors
///
/// If the swarm does not start or a change fails.
pub fn churn(bench: &Bench, time: Duration, progress: impl Fn(&str)) -> Result<(usize, Vec<String>)> {
    let scene = Scene::up(Swarm { managers: 1, workers: 2, nodes: 0 }, &bench.engines, &bench.doctor)?;
    let lab = &scene.lab;
    let end = Instant::now() + time;
    let now = AtomicUsize::new(0);
    let (runs, reported) = thread::scope(|scope| {
        let changes = scope.spawn(|| -> Result<()> {
            while Instant::now() < end {
                for (number, change) in CHANGES.iter().enumerate() {
                    now.store(number, Ordering::Relaxed);
                    change.make(lab).with_context(|| change.name)?;
                    thread::sleep(PAUSE);
                }
            }
            Ok(())
        });
        let mut reported: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut runs = 0;
        for node in lab.nodes().iter().cycle() {
            if changes.is_finished() {
                break;
            }
            let before = now.load(Ordering::Relaxed);
            let report = Report::of(node, &[])?;
            runs += 1;
            let during = &CHANGES[before..=now.load(Ordering::Relaxed).max(before)];
            let change = during[0].name;
            for (key, line) in alarms(&report) {
                // During its restart, an engine is reported as down; that is correct.
                if during.iter().any(|it| matches!(it.act, Act::Restart) && key.1.contains(it.node)) {
                    continue;
                }
                let line = format!("{}, during {change}: {line}", node.name());
                progress(&line);
                reported.entry(key).or_insert(line);
            }
        }
        let changed = changes.join().map_err(|_| anyhow::anyhow!("the changes panicked"))?;
        changed.map(|()| (runs, reported))
    })?;
    let mut settled = Vec::new();
    // A finding that stays is real damage, so a timeout is not an error here.
    let _ = lab.wait("silence", SETTLED, || {
        settled.clear();
        for node in lab.nodes() {
            settled.extend(alarms(&Report::of(node, &[])?).into_iter().map(|(key, _)| key));
        }
        Ok(settled.is_empty())
    });
    let unconfirmed = reported.into_iter().filter(|(key, _)| !settled.contains(key));
    Ok((runs, unconfirmed.map(|(_, line)| line).collect()))
}

impl Change {
    fn make(&self, lab: &Lab) -> Result<()> {
        let node = lab.node(self.node);
        match self.act {
            Act::Shell(script) => node.shell(script, &[]).map(drop),
            Act::Restart => {
                node.stop_engine()?;
                node.start_engine(&[])
            }
        }
    }
}

/// The warnings and errors, by check and subject, each with its line.
fn alarms(report: &Report) -> Vec<((String, String), String)> {
    let alarming = report.findings().filter(|finding| finding["severity"] != "info");
    let check = |finding: &Value| finding["check"].as_str().unwrap_or_default().to_owned();
    alarming.map(|finding| ((check(finding), subject_of(finding)), line(finding))).collect()
}
