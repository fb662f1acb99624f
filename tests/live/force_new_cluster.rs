//! Re-creating a cluster with `--force-new-cluster`: refused on a manager with an older raft log than another one, and the
//! printed commands restore the previous swarm.

use crate::live::doctor::install;
use crate::live::needs_a_lab;
use lab::{Lab, Node};
use std::time::Duration;

const BUNDLE: &str = "/run/node2.tar.zst";

fn fix(node: &Node, flags: &[&str]) -> String {
    let fix = ["swarm-doctor", "fix", "swarm/lost-quorum", "--level", "destructive", "--yes"];
    let confirm = ["--confirm", "swarm/lost-quorum=node1"];
    let command = node.command(&[&fix[..], &confirm, flags].concat()).unwrap();
    let output = command.timeout(Duration::from_secs(400)).run().unwrap();
    format!("{}{}", output.stdout, output.stderr)
}

/// The output in one line.
fn flat(output: &str) -> String {
    output.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_older_raft_log_is_refused_and_the_printed_commands_restore_the_previous_swarm() {
    needs_a_lab!();
    let lab = Lab::builder().managers(3).up().unwrap();
    let (node, other) = (lab.node("node1"), lab.node("node2"));
    install(node);
    install(other);
    let create = |on: &Node, name: &str| {
        let words = ["service", "create", "-q", "--detach", "--no-resolve-image", "--name", name, lab::IMAGE];
        on.docker(&[&words[..], &["sleep", "100000"]].concat()).unwrap();
    };
    create(node, "early");
    let list_services = |on: &Node| on.exec(&["docker", "service", "ls"]).unwrap();
    node.stop_engine().unwrap();
    let minute = Duration::from_secs(60);
    lab.wait("a leader", minute, || Ok(list_services(other).success())).unwrap();
    // The other managers commit another entry without node1, and are lost afterwards.
    create(other, "late");
    other.exec(&["swarm-doctor", "run", "--save", BUNDLE]).unwrap();
    let bundle = other.read_file(BUNDLE).unwrap();
    other.power_off().unwrap();
    lab.node("node3").power_off().unwrap();
    node.start_engine(&[]).unwrap();
    node.write_file(BUNDLE, bundle).unwrap();
    lab.wait("no leader", minute, || Ok(list_services(node).stderr.contains("leader"))).unwrap();

    let said = flat(&fix(node, &["--compare", BUNDLE]));
    assert!(said.contains("Not applied: the manager node2 has a newer raft log"), "{said}");
    let said = fix(node, &[]);
    let flatly = flat(&said);
    assert!(flatly.contains("cannot be seen from here"), "{said}");
    assert!(flatly.contains("The new cluster has one manager, node1 at 192.0.2.1, and 1 services"), "{said}");
    assert_eq!(node.docker(&["service", "ls", "--format", "{{.Name}}"]).unwrap(), "early");

    // Run the printed commands unchanged.
    let (_, restore) = said.split_once("restores the previous state:").unwrap();
    let commands: Vec<&str> =
        restore.lines().filter_map(|line| line.trim().strip_prefix("on node1: ")).collect();
    assert!(commands.len() > 3, "{restore}");
    for command in commands {
        node.shell(command, &[]).unwrap();
    }
    for former in [other, lab.node("node3")] {
        former.power_on().unwrap();
        former.start_engine(&[]).unwrap();
    }
    let names = || node.exec(&["docker", "service", "ls", "--format", "{{.Name}}"]);
    lab.wait("the old swarm", Duration::from_secs(180), || {
        let said = names()?.stdout;
        let ready =
            node.exec(&["docker", "node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}"])?.stdout;
        let whole =
            ready.lines().filter(|line| *line == "Ready Reachable" || *line == "Ready Leader").count() == 3;
        Ok(whole && said.contains("early") && said.contains("late"))
    })
    .unwrap();
}
