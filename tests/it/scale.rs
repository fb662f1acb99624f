//! What it takes to judge many nodes as one swarm: `cargo test --release --test it scale -- --ignored --nocapture` makes a
//! bundle of 500 nodes, judges it, and prints seconds and memory. `SWARM_DOCTOR_SCALE=FILE` keeps the bundle.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that prints what it measured")]

use crate::support::{fixtures, folder_bundle};
use facts::bundle::Bundle;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;
use swarm_doctor::bundle::Writer;
use swarm_doctor::examine::offline;
use swarm_doctor::policy::Policy;

/// How many nodes there are.
const NODES: usize = 500;
/// The node that no overlay reaches.
const CUT_OFF: usize = 17;

fn name(node: usize) -> String {
    format!("node{node}")
}

fn addr(node: usize) -> String {
    format!("192.168.{}.{}", node / 200, node % 200 + 1)
}

fn id(node: usize) -> String {
    format!("i{node:024}")
}

/// A node of the swarm, made of one that was recorded: a manager where it is the first.
fn node(number: usize, base: &Bundle) -> Bundle {
    let mut bundle = base.clone();
    let old: [(String, String, &str); 2] =
        [("node1".into(), "192.0.2.1".into(), "manager"), ("node2".into(), "192.0.2.2".into(), "worker")];
    let (old_name, old_addr, _) = &old[usize::from(number > 1)];
    let text = |content: &[u8]| {
        let text = String::from_utf8_lossy(content);
        let own = text
            .replace(old_name.as_str(), &name(number))
            .replace(&format!("{old_addr}\""), &format!("{}\"", addr(number)));
        own.replace(&format!("{old_addr}:"), &format!("{}:", addr(number)))
    };
    for content in bundle.artifacts.values_mut() {
        *content = text(content).into_bytes();
    }
    bundle.manifest.host = name(number).as_str().into();
    let edit = |bundle: &mut Bundle, artifact: &str, change: &dyn Fn(&mut Value)| {
        let content = bundle.artifacts.get_mut(artifact).unwrap();
        let mut value = serde_json::from_slice(content).unwrap();
        change(&mut value);
        *content = serde_json::to_vec(&value).unwrap();
    };
    edit(&mut bundle, "engine/info.json", &|info| {
        info["Swarm"]["NodeID"] = id(number).into();
        info["Swarm"]["NodeAddr"] = addr(number).into();
        info["Swarm"]["RemoteManagers"] = json!([{ "NodeID": id(1), "Addr": format!("{}:2377", addr(1)) }]);
    });
    if number == 1 {
        edit(&mut bundle, "engine/nodes.json", &|nodes| {
            let all = nodes.as_array().unwrap();
            let of = |manager| all.iter().find(|node| node["ManagerStatus"].is_object() == manager).unwrap();
            let many = (1..=NODES).map(|number| {
                let mut node = of(number == 1).clone();
                node["ID"] = id(number).into();
                node["Description"]["Hostname"] = name(number).into();
                node["Status"]["Addr"] = addr(number).into();
                if number == 1 {
                    node["ManagerStatus"]["Addr"] = format!("{}:2377", addr(1)).into();
                }
                node
            });
            *nodes = many.collect();
        });
    }
    let others = || (1..=NODES).filter(move |other| *other != number);
    edit(&mut bundle, "probes.json", &|probes| {
        let attempts = |other: usize| {
            let peer = json!({
                "addr": addr(other),
                "name": (number == 1).then(|| name(other)),
                "node_id": (number == 1).then(|| id(other)),
                "manager_port": (other == 1).then_some(2377),
            });
            let echo = json!({ "kind": "echo" });
            let gossip = json!({ "kind": "connect", "protocol": "tcp", "port": 7946 });
            let open = move |attempt: Value| json!({ "peer": peer.clone(), "attempt": attempt, "outcome": { "kind": "open" }, "took_us": 900 });
            [open(echo), open(gossip)]
        };
        *probes = others().flat_map(attempts).collect();
    });
    edit(&mut bundle, "overlays.json", &|overlays| {
        for overlay in
            overlays.as_array_mut().unwrap().iter_mut().filter(|it| it["data_plane"]["Ok"].is_object())
        {
            let peers = &mut overlay["data_plane"]["Ok"]["peers"];
            let one = peers[0].clone();
            let many = others().map(|other| {
                let mut peer = one.clone();
                peer["node"] = addr(other).into();
                peer["endpoint"] = format!("10.0.{}.{}", other / 200, other % 200 + 2).into();
                if number == CUT_OFF || other == CUT_OFF {
                    peer["small"] = json!({ "kind": "lost" });
                    peer["full"] = json!({ "kind": "lost" });
                }
                peer
            });
            *peers = many.collect();
        }
    });
    bundle
}

fn status(line: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = text.lines().find_map(|it| it.strip_prefix(line)).unwrap_or_default();
    value.trim().to_owned()
}

#[test]
#[ignore = "a benchmark"]
fn many_nodes() {
    let healthy = fixtures().join("healthy/one-manager");
    let [manager, worker] = ["node1", "node2"].map(|node| folder_bundle(&healthy.join(node)));
    let kept = std::env::var_os("SWARM_DOCTOR_SCALE").map(PathBuf::from);
    let file = kept.clone().unwrap_or_else(|| std::env::temp_dir().join("swarm-doctor-500-nodes.tar.zst"));
    let began = Instant::now();
    let mut writer = Writer::of_several(&file).unwrap();
    for number in 1..=NODES {
        writer.machine(&node(number, if number == 1 { &manager } else { &worker })).unwrap();
    }
    writer.end().unwrap();
    let written = began.elapsed();
    let size = std::fs::metadata(&file).unwrap().len();
    println!("written in {written:.1?}, {} KiB; {} so far", size >> 10, status("VmHWM:"));
    let began = Instant::now();
    let (_, diagnosis) = offline(std::slice::from_ref(&file), &Policy::default()).unwrap();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!(
        "{NODES} nodes read and judged in {:.1?}, {} at most, load average {}",
        began.elapsed(),
        status("VmHWM:"),
        load.trim()
    );
    for cause in diagnosis.findings.iter().take(5) {
        let finding = &cause.finding;
        println!(
            "{} {}: {} (+{})",
            finding.check,
            finding.subject,
            finding.summary,
            cause.consequences.len()
        );
    }
    println!("{} causes, notes {:?}", diagnosis.findings.len(), diagnosis.notes);
    if kept.is_none() {
        std::fs::remove_file(file).unwrap();
    }
}
