//! All nodes from one command, over ssh.

use crate::live::doctor::{Report, install, run_as};
use crate::live::needs_a_lab;
use lab::{Lab, Node};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn all_nodes(node: &Node, flags: &[&str]) -> Report {
    run_as(node, &[&["--all-nodes", "--via", "ssh"], flags].concat(), None)
}

/// Why nodes were not examined, by node.
fn not_examined(report: &Report) -> Vec<(String, String)> {
    let checks = report.json["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "swarm/node-not-examined").unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let unknown = check["unknown"].as_array().unwrap().iter();
    unknown.map(|it| (text(&it["subject"]["name"]), text(&it["reason"]))).collect()
}

/// The copies of the program and its processes that are on a node.
fn left(node: &Node) -> String {
    // The brackets keep this script from finding itself.
    let script = "ls -d /tmp/swarm[-]doctor.* /var/tmp/swarm[-]doctor.* /dev/shm/swarm[-]doctor.* 2>/dev/null || true; \
                  grep -l 'swarm[-]doctor' /proc/[0-9]*/cmdline 2>/dev/null || true";
    node.shell(script, &[]).unwrap()
}

/// A program that passes for swarm-doctor of this version until it collects.
fn impostor(node: &Node, collect: &str) {
    let script =
        format!("#!/bin/sh\nif [ $1 = version ]; then exec /opt/swarm-doctor version; fi\n{collect}\n");
    node.shell("cp /usr/local/bin/swarm-doctor /opt/swarm-doctor && rm /usr/local/bin/swarm-doctor", &[])
        .unwrap();
    node.write_file("/usr/local/bin/swarm-doctor", script).unwrap();
    node.shell("chmod 755 /usr/local/bin/swarm-doctor", &[]).unwrap();
}

#[test]
fn one_command_examines_every_node_over_ssh_and_leaves_nothing() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(2).up().unwrap();
    lab.start_ssh().unwrap();
    let [node1, node2, node3] = ["node1", "node2", "node3"].map(|name| lab.node(name));

    // The others do not have the program: it is copied, and removed.
    install(node1);
    let report = all_nodes(node1, &["--node-timeout", "60s"]);
    assert_eq!((report.causes(), report.exit), (vec![], 0), "{:#}", report.json["findings"]);
    assert_eq!(not_examined(&report), []);
    assert_eq!(report.json["nodes"], serde_json::json!(["node1", "node2", "node3"]));
    assert_eq!([left(node2), left(node3)], ["", ""]);
    let absent = |node: &Node| {
        !node.exec(&["test", "-e", "/root/.cache/swarm-doctor/swarm-doctor"]).unwrap().success()
    };
    assert!(absent(node2) && absent(node3));

    // With --keep the next run finds the copy. From a file of hosts, with arguments for ssh.
    node1.write_file("/root/hosts", "192.0.2.1\nroot@node2 # the second\n").unwrap();
    let hosts = ["--hosts", "/root/hosts", "--ssh", "-p 22 {addr}", "--keep", "--node-timeout", "60s"];
    let report = all_nodes(node1, &hosts);
    assert_eq!((not_examined(&report), report.exit), (vec![], 0));
    assert_eq!(report.json["nodes"], serde_json::json!(["node1", "node2"]));
    assert!(!absent(node2) && left(node2).is_empty());
    let report = all_nodes(node1, &["--hosts", "/root/hosts"]);
    assert_eq!((not_examined(&report), report.exit), (vec![], 0));
    node2.remove_file("/root/.cache/swarm-doctor").unwrap();

    // A kill in the middle of the copy or of the collecting leaves nothing running, and nothing on disk.
    for after in [150, 700] {
        let words = ["swarm-doctor", "run", "--all-nodes", "--listen", "3s"];
        let mut killed =
            node1.command(&words).unwrap().into_std().stdout(std::process::Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(after));
        let kill = "for exe in /proc/[0-9]*/exe; do case $(readlink $exe) in */swarm-doctor) pid=${exe#/proc/}; \
                    kill -9 ${pid%/exe};; esac; done";
        node1.shell(kill, &[]).unwrap();
        killed.wait().unwrap();
        let gone = || Ok([left(node1), left(node2), left(node3)] == ["", "", ""]);
        lab.wait("end of what the killed run started", Duration::from_secs(30), gone).unwrap();
    }

    // From a worker, which has no node list: a manager that answers sends it.
    [node2, node3].into_iter().for_each(install);
    let rule = ["-p", "udp", "--dport", "4789", "-j", "DROP"];
    node3.exec(&[&["iptables", "-I", "INPUT"], &rule[..]].concat()).unwrap();
    let report = all_nodes(node2, &[]);
    assert_eq!(report.causes().first(), Some(&"host/firewall-drops-swarm"), "{}", report.first());
    assert!(report.first().contains("node3"), "{}", report.first());
    assert_eq!(not_examined(&report), []);
    node3.exec(&[&["iptables", "-D", "INPUT"], &rule[..]].concat()).unwrap();

    // One that hangs, one that sends half.
    impostor(node2, "sleep 1000");
    impostor(node3, "/opt/swarm-doctor \"$@\" | head -c 3000");
    let began = Instant::now();
    let report = all_nodes(node1, &["--node-timeout", "4s"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(report.exit, 3, "{}", report.first());
    let missing = not_examined(&report);
    assert_eq!(missing[0], ("node2".to_owned(), "no answer within 4000 ms".to_owned()));
    assert!(missing[1].0 == "node3" && missing[1].1.contains("the bundle is damaged"), "{missing:?}");
    let allowed = all_nodes(node1, &["--node-timeout", "4s", "--allow-unknown"]);
    assert_eq!((allowed.exit, not_examined(&allowed).len()), (0, 2));

    // One that is off.
    node3.power_off().unwrap();
    let report = all_nodes(node1, &["--node-timeout", "4s", "--nodes", "node[13]"]);
    let missing = not_examined(&report);
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(missing[0].0, "node3");
    assert_ne!(report.exit, 0);
}

/// What runs with `--via swarm` left: services on the manager, containers on all nodes.
fn created(lab: &Lab) -> String {
    let services =
        lab.node("node1").docker(&["service", "ls", "-q", "--filter", "label=swarm-doctor.run"]).unwrap();
    let containers = |node: &Node| node.docker(&["ps", "-aq", "--filter", "name=swarm-doctor"]).unwrap();
    let on = lab.nodes().iter().filter(|node| node.engine_answers());
    std::iter::once(services).chain(on.map(containers)).collect()
}

fn nothing_left(lab: &Lab) {
    let empty = || Ok(created(lab).is_empty());
    lab.wait("removal of what a run created", Duration::from_secs(30), empty).unwrap();
}

#[test]
fn the_swarm_itself_examines_every_node_and_nothing_is_left() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(2).up().unwrap();
    let [node1, node2, node3] = ["node1", "node2", "node3"].map(|name| lab.node(name));
    install(node1);
    lab.import_program(std::path::Path::new(env!("CARGO_BIN_EXE_swarm-doctor")), "lab/doctor:1").unwrap();
    let run = |flags: &[&str]| {
        let way = ["--all-nodes", "--via", "swarm", "--image", "lab/doctor:1"];
        run_as(node1, &[&way, flags].concat(), None)
    };

    let report = run(&[]);
    assert_eq!((report.causes(), report.exit), (vec![], 0), "{:#}", report.json["findings"]);
    assert_eq!(not_examined(&report), []);
    assert_eq!(report.json["nodes"], serde_json::json!(["node1", "node2", "node3"]));
    assert!(report.stderr.contains("creating the service swarm-doctor-"), "{}", report.stderr);
    nothing_left(&lab);

    // The bundles come over 2377 alone; the fault is named on the node that has it.
    for node in [node2, node3] {
        node.shell(
            "for port in '-p tcp --dport 7946' '-p udp --dport 7946' '-p udp --dport 4789'; do \
                    iptables -I INPUT $port -j DROP; done",
            &[],
        )
        .unwrap();
    }
    let report = run(&[]);
    assert_eq!(not_examined(&report), [], "{}", report.stderr);
    assert!(report.causes().contains(&"host/firewall-drops-swarm"), "{:?}", report.causes());
    for node in [node2, node3] {
        node.shell("iptables -F INPUT", &[]).unwrap();
    }

    // Signals end a run, and what it created goes with it; after a kill the next run removes it.
    for (signal, after) in [("INT", 900), ("TERM", 1_500), ("KILL", 600), ("KILL", 1_200), ("KILL", 2_500)] {
        let words = ["swarm-doctor", "run", "--all-nodes", "--via", "swarm", "--image", "lab/doctor:1", "-q"];
        let mut command = node1.command(&words).unwrap().into_std();
        let mut run = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(after));
        let script = "for exe in /proc/[0-9]*/exe; do case $(readlink $exe) in /usr/local/bin/swarm-doctor) pid=${exe#/proc/}; \
                      kill -$1 ${pid%/exe};; esac; done";
        node1.shell(script, &[signal]).unwrap();
        run.wait().unwrap();
        if signal != "KILL" {
            nothing_left(&lab);
        }
    }
    assert_eq!(not_examined(&run(&[])), []);
    nothing_left(&lab);

    // One without the image and one that is drained; then one whose engine is stopped.
    node2.docker(&["image", "rm", "lab/doctor:1"]).unwrap();
    node1.docker(&["node", "update", "--availability", "drain", "node3"]).unwrap();
    let report = run(&["--node-timeout", "10s"]);
    let missing = not_examined(&report);
    assert_eq!((report.exit, missing.len()), (3, 2), "{missing:?} {:?}", report.causes());
    assert!(missing[0].0 == "node2" && missing[0].1.contains("No such image"), "{missing:?}");
    assert!(missing[1].0 == "node3" && missing[1].1.contains("availability drain"), "{missing:?}");
    node1.docker(&["node", "update", "--availability", "active", "node3"]).unwrap();
    node3.freeze_engine().unwrap();
    let began = Instant::now();
    let report = run(&["--node-timeout", "5s", "--nodes", "node[13]"]);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    let missing = not_examined(&report);
    assert!(missing.len() == 1 && missing[0].0 == "node3", "{missing:?}");
    assert_ne!(report.exit, 0);
    node3.thaw_engine().unwrap();
    nothing_left(&lab);
}
