//! Fixes that change the membership and need several nodes: the commands that one node prints for others are run there
//! unchanged.

use crate::live::doctor::install;
use crate::live::needs_a_lab;
use lab::{Lab, Node};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Applies the fix of one check at level destructive; returns the output.
fn fix(node: &Node, check: &str, token: &str) -> String {
    let confirm = format!("{check}={}", node.name());
    let mut words =
        vec!["swarm-doctor", "fix", check, "--level", "destructive", "--yes", "--confirm", &confirm];
    words.extend((!token.is_empty()).then_some("--token-stdin"));
    let command = node.command(&words).unwrap().stdin(format!("{token}\n")).timeout(Duration::from_secs(300));
    let output = command.run().unwrap();
    format!("{}{}", output.stdout, output.stderr)
}

/// The output in one line.
fn flat(output: &str) -> String {
    output.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn managers(node: &Node) -> Vec<String> {
    let list = node.docker(&["node", "ls", "--format", "{{.Hostname}} {{.Status}} {{.ManagerStatus}}"]);
    let list = list.unwrap_or_default();
    let of = |line: &str| (line.contains("Leader") || line.contains("Reachable")) && line.contains("Ready");
    list.lines().filter(|line| of(line)).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

fn wait_for_managers(lab: &Lab, wanted: &[&str]) {
    let what = format!("the managers {wanted:?}");
    let there = || {
        let mut found = managers(lab.node("node1"));
        found.sort();
        Ok(found == wanted)
    };
    lab.wait(&what, LIMIT, there).unwrap();
}

/// Runs the printed commands (`on NODE: COMMAND`) in order. TOKEN is the output of the last `join-token` command.
fn run_printed(lab: &Lab, said: &str, wanted: &dyn Fn(&str) -> bool) {
    let mut token = String::new();
    for line in said.lines() {
        let Some((name, command)) = line.trim().strip_prefix("on ").and_then(|line| line.split_once(": "))
        else {
            continue;
        };
        if !wanted(line) {
            continue;
        }
        let command = command.replace("TOKEN", &token);
        println!("on {name}: {}", command.split(" --token").next().unwrap_or_default());
        // A started engine would keep the script's output open.
        let output = lab
            .node(name)
            .shell(&format!("{{ {command}; }} < /dev/null > /run/output 2>&1; cat /run/output"), &[]);
        let output = output.unwrap();
        if command.contains("join-token") {
            token = output.trim().to_owned();
        }
    }
}

#[test]
fn a_forced_new_cluster_keeps_its_services_and_the_managers_rejoin_with_the_printed_commands() {
    needs_a_lab!();
    let lab = Lab::builder().managers(3).workers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    for name in ["web", "api"] {
        let service = ["service", "create", "--detach", "--no-resolve-image", "--name", name];
        node.docker(&[&service[..], &["--replicas", "2", "lab/busybox:1", "sleep", "1000000"]].concat())
            .unwrap();
    }
    for name in ["node2", "node3"] {
        lab.node(name).power_off().unwrap();
    }
    let lost = || Ok(!node.exec(&["docker", "node", "ls"])?.success());
    lab.wait("a swarm without a leader", LIMIT, lost).unwrap();
    let said = fix(node, "swarm/lost-quorum", "");
    assert!(said.contains("Fixed 1"), "{said}");
    let services = node.docker(&["service", "ls", "-q"]).unwrap();
    assert_eq!(services.lines().count(), 2, "{services}");

    // The printed commands restore the old state, and the cluster can be re-created again.
    run_printed(&lab, &said, &|line| {
        line.contains("/swarm.new")
            || line.contains("cp -a")
            || line.ends_with("stop")
            || line.ends_with("start")
    });
    let known = || {
        Ok(node.shell("docker info --format '{{len .Swarm.RemoteManagers}}'", &[]).is_ok_and(|n| n == "3"))
    };
    lab.wait("the managers that were known before", LIMIT, known).unwrap();
    assert!(lost().unwrap());
    node.remove_file("/var/lib/docker/swarm.new").unwrap();
    let said = fix(node, "swarm/lost-quorum", "");
    assert!(said.contains("Fixed 1"), "{said}");

    for name in ["node2", "node3"] {
        lab.node(name).power_on().unwrap();
        lab.node(name).start_engine(&[]).unwrap();
        let own = format!("on {name}: ");
        let id = said.lines().skip_while(|line| !line.contains(&own)).nth(1).unwrap_or_default().to_owned();
        run_printed(&lab, &said, &|line| {
            line.contains(&own) || line == id || line.contains("join-token -q manager")
        });
    }
    wait_for_managers(&lab, &["node1", "node2", "node3"]);
    let replicas = || Ok(node.docker(&["service", "ls", "--format", "{{.Replicas}}"])? == "2/2\n2/2");
    lab.wait("all replicas", LIMIT, replicas).unwrap();
    for name in ["node1", "node2", "node3"] {
        let up = || Ok(lab.node(name).docker(&["node", "ls", "-q"])?.lines().count() == 4);
        lab.wait("four nodes", LIMIT, up).unwrap();
    }
}

#[test]
fn a_new_cluster_is_refused_while_other_managers_may_return() {
    needs_a_lab!();
    let lab = Lab::builder().managers(3).up().unwrap();
    let node = lab.node("node1");
    install(node);
    let others = || ["node2", "node3"].map(|name| lab.node(name));
    let lost = || Ok(!node.exec(&["docker", "node", "ls"])?.success());
    others().iter().for_each(|other| other.freeze_engine().unwrap());
    lab.wait("a swarm without a leader", LIMIT, lost).unwrap();
    let said = flat(&fix(node, "swarm/lost-quorum", ""));
    assert!(!said.contains("... ") && !said.contains("Fixed 1"), "{said}");
    assert!(said.contains("a new cluster would leave two swarms"), "{said}");
    others().iter().for_each(|other| other.thaw_engine().unwrap());
    wait_for_managers(&lab, &["node1", "node2", "node3"]);

    let shut = "nft add table ip shut; nft 'add chain ip shut in { type filter hook input priority -300; policy drop; }'";
    for other in others() {
        other.shell(shut, &[]).unwrap();
    }
    lab.wait("a swarm without a leader", LIMIT, lost).unwrap();
    let said = flat(&fix(node, "swarm/lost-quorum", ""));
    // Hosts that a firewall hides look like hosts that are down: the confidence is not high, so nothing is applied.
    assert!(said.contains("Not applied: a destructive fix needs a finding with high confidence"), "{said}");
    for other in others() {
        other.shell("nft delete table ip shut", &[]).unwrap();
    }
    wait_for_managers(&lab, &["node1", "node2", "node3"]);
}

#[test]
fn a_manager_that_moved_is_demoted_by_another_and_joins_again() {
    needs_a_lab!();
    let lab = Lab::builder().managers(3).workers(1).up().unwrap();
    let (first, moved) = (lab.node("node1"), lab.node("node3"));
    install(first);
    install(moved);
    moved.stop_engine().unwrap();
    moved.shell("ip addr flush dev eth0; ip addr add 192.0.2.33/24 dev eth0", &[]).unwrap();
    let check = "swarm/stale-advertise-addr";
    // The agent of the moved manager picks a manager at random, itself included. Only a session with another one shows
    // its new address, so the engine is started until it has one.
    let mut planned = String::new();
    let named = (0..8).any(|_| {
        moved.start_engine(&[]).unwrap();
        let listed = || {
            planned = first.exec(&["swarm-doctor", "run", "--dry-run"])?.stdout;
            Ok(planned.contains(&format!("{check} on node3")))
        };
        let named = lab.wait("the moved manager", Duration::from_secs(15), listed).is_ok();
        if !named {
            moved.stop_engine().unwrap();
        }
        named
    });
    assert!(named, "{planned}");
    let said = flat(&fix(moved, check, "rubbish"));
    assert!(!said.contains("... "), "{said}");
    let said = flat(&fix(first, check, ""));
    assert!(said.contains("2 of the 2 other managers answer and 2 are needed"), "{said}");
    assert!(said.contains("Done on this node"), "{said}");
    let demoted = || {
        let format = "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}";
        Ok(moved.docker(&["info", "--format", format])? == "active false")
    };
    lab.wait("the node to learn that it is a worker", LIMIT, demoted).unwrap();
    let token = first.docker(&["swarm", "join-token", "-q", "manager"]).unwrap();
    // A correct root CA digest with a wrong secret fails at the join, and the previous membership is restored.
    let said = flat(&fix(moved, check, &format!("{}0000", &token[..token.len() - 4])));
    assert!(said.contains("Failed: POST /swarm/join"), "{said}");
    assert_eq!(moved.docker(&["info", "--format", "{{.Swarm.NodeAddr}}"]).unwrap(), "192.0.2.3");
    let said = flat(&fix(moved, check, &token));
    assert!(said.contains("Fixed 1"), "{said}");
    wait_for_managers(&lab, &["node1", "node2", "node3"]);
}
