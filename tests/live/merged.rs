//! Bundles of several nodes, diagnosed as one swarm, give the same root cause as a live run. `diff` of two bundles lists the
//! change between them.

use crate::live::doctor::install;
use crate::live::needs_a_lab;
use lab::{Lab, Node};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Bundles of nodes, copied to the host.
struct Bundles(tempfile::TempDir);

impl Bundles {
    fn of<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Self {
        let bundles = Self(tempfile::tempdir().unwrap());
        for node in nodes {
            let there = "/root/bundle.tar.zst";
            let collected = node.exec(&["swarm-doctor", "collect", "-f", there]).unwrap();
            assert!(collected.success(), "{}: {}", node.name(), collected.stderr);
            std::fs::write(bundles.path(node.name()), node.read_file(there).unwrap()).unwrap();
            node.remove_file(there).unwrap();
        }
        bundles
    }

    fn path(&self, node: &str) -> PathBuf {
        self.0.path().join(format!("{node}.tar.zst"))
    }

    fn all(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.to_string_lossy().ends_with(".zst")).collect()
    }

    /// The findings of all bundles together, which must equal those of one merged bundle.
    fn judged(&self) -> Vec<Finding> {
        let merge = [&["merge".into()], self.all().as_slice()].concat();
        let direct = doctor(&merge);
        let file = self.0.path().join("merged.tar.zst");
        let written = [&merge[..], &["-f".into(), file.clone()]].concat();
        let output = started(&written);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let merged = doctor(&["run".into(), "--bundle".into(), file.clone()]);
        std::fs::remove_file(file).unwrap();
        assert_eq!(direct["findings"], merged["findings"]);
        causes(&direct)
    }
}

/// A root cause: check, displayed subject, summary.
type Finding = (String, String, String);

#[expect(
    clippy::disallowed_methods,
    reason = "the program under test reads bundles on this machine, in no node"
)]
fn started(words: &[PathBuf]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swarm-doctor")).args(words).output().unwrap()
}

fn doctor(words: &[PathBuf]) -> Value {
    let output = started(&[words, &["-o".into(), "json".into()]].concat());
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn causes(report: &Value) -> Vec<Finding> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subject = |subject: &Value| match subject["kind"].as_str() {
        Some("link") => format!("{} -> {}", text(&subject["from"]), text(&subject["to"])),
        Some("cluster") => "the swarm".to_owned(),
        _ => text(&subject["name"]),
    };
    let findings = report["findings"].as_array().expect("findings").iter();
    let named = findings.filter(|f| f["check"] != "host/ipvs-missing");
    named.map(|f| (text(&f["check"]), subject(&f["subject"]), text(&f["summary"]))).collect()
}

fn live(node: &Node) -> Vec<Finding> {
    causes(&crate::live::doctor::run(node).json)
}

/// Waits until the first finding on this node is of this check; returns it.
fn wait_for(lab: &Lab, node: &Node, check: &str) -> Finding {
    let mut said = Vec::new();
    let first = |said: &Vec<Finding>| said.first().is_some_and(|finding| finding.0 == check);
    let outcome = lab.wait(check, Duration::from_secs(120), || {
        said = live(node);
        Ok(first(&said))
    });
    assert!(outcome.is_ok(), "{}: {said:#?}", node.name());
    said.remove(0)
}

fn difference(before: &Path, after: &Path) -> Value {
    doctor(&["diff".into(), before.into(), after.into()])
}

/// The facts that differ, as `area key: before -> after`.
fn changes(difference: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let changes = difference["changes"].as_array().expect("changes").iter();
    changes
        .map(|it| {
            let [area, key, was, is] = ["area", "key", "before", "after"].map(|key| text(&it[key]));
            format!("{area} {key}: {was} -> {is}")
        })
        .collect()
}

#[test]
fn three_bundles_give_the_root_cause_of_the_live_run() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(2).up().unwrap();
    lab.nodes().iter().for_each(install);
    let [node2, node3] = [lab.node("node2"), lab.node("node3")];
    let before = Bundles::of(lab.nodes());
    assert_eq!(before.judged(), []);

    // A port is closed on one node.
    let rule = ["-p", "udp", "--dport", "4789", "-j", "DROP"];
    node3.exec(&[&["iptables", "-I", "INPUT"], &rule[..]].concat()).unwrap();
    let cause = wait_for(&lab, node3, "host/firewall-drops-swarm");
    let after = Bundles::of(lab.nodes());
    assert_eq!(after.judged(), [cause]);
    let difference = difference(&before.path("node3"), &after.path("node3"));
    let changes = changes(&difference);
    assert!(changes.iter().any(|it| it.contains("INPUT: ") && it.contains("4789")), "{changes:#?}");
    assert!(changes.iter().any(|it| it.contains("192.0.2.1 over ingress: answers -> lost")), "{changes:#?}");
    assert_eq!(difference["new"][0]["check"], "host/firewall-drops-swarm");
    node3.exec(&[&["iptables", "-D", "INPUT"], &rule[..]].concat()).unwrap();

    // A node no longer has its advertise address.
    let moved = "ip addr flush dev eth0; ip addr add 192.0.2.33/24 dev eth0";
    node3.shell(moved, &[]).unwrap();
    let down = || Ok(lab.node("node1").docker(&["node", "ls"])?.contains("Down"));
    let cause = wait_for(&lab, node3, "swarm/stale-advertise-addr");
    let after = Bundles::of(lab.nodes());
    assert_eq!(after.judged(), [cause]);
    let changes = self::changes(&self::difference(&before.path("node3"), &after.path("node3")));
    assert!(changes.iter().any(|it| it.contains("eth0 192.0.2.3/24: present -> -")), "{changes:#?}");
    node3.shell("ip addr flush dev eth0; ip addr add 192.0.2.3/24 dev eth0", &[]).unwrap();
    lab.wait("all nodes", Duration::from_secs(120), || down().map(|down| !down)).unwrap();
    // Gossip logs errors about unreachable nodes for some time.
    let well = || lab.nodes().iter().all(|node| live(node).is_empty());
    lab.wait("health", Duration::from_secs(120), || Ok(well())).unwrap();

    // An engine does not start.
    node2.write_file("/etc/docker/daemon.json", "{\"live-restore\": true}\n").unwrap();
    node2.stop_engine().unwrap();
    assert!(node2.start_engine(&[]).is_err(), "the engine takes live-restore in a swarm");
    lab.wait("a node that is down", Duration::from_secs(120), down).unwrap();
    let cause = wait_for(&lab, node2, "engine/live-restore");
    let after = Bundles::of(lab.nodes());
    assert_eq!(after.judged(), [cause]);
    let changes = self::changes(&self::difference(&before.path("node2"), &after.path("node2")));
    assert!(changes.iter().any(|it| it == "daemon-json live-restore: - -> true"), "{changes:#?}");

    // Without a bundle of the worker, the others report it.
    node2.power_off().unwrap();
    let cause = wait_for(&lab, lab.node("node1"), "swarm/node-down");
    let left = Bundles::of([lab.node("node1"), node3]);
    assert_eq!(left.judged(), [cause]);
}
