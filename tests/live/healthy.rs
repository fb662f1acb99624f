//! Healthy swarms: no finding, except for missing kernel modules.

use crate::live::doctor::{Report, install, run, run_as};
use crate::live::needs_a_lab;
use lab::Lab;

fn assert_healthy(report: &Report, node: &lab::Node, peers: usize) {
    assert_eq!(report.causes(), [""; 0], "{}: {:#}", node.name(), report.json["findings"]);
    assert_eq!(report.exit, 0, "{}: {:#}", node.name(), report.json);
    assert_eq!(report.stderr, "");
    assert_eq!(report.json["summary"]["checks"]["incomplete"], 0, "{:#}", report.json["checks"]);
    let answers = report.json["peers"].as_array().unwrap();
    assert_eq!(answers.len(), peers, "{}: {answers:?}", node.name());
    for answer in answers.iter().flat_map(|peer| peer["answers"].as_array().unwrap()) {
        assert_eq!(answer["outcome"], "open", "{}: {answer}", node.name());
    }
}

#[test]
fn one_manager_and_two_workers_with_services() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(2).up().unwrap();
    let manager = lab.node("node1");
    manager.docker(&["network", "create", "-d", "overlay", "app"]).unwrap();
    for (name, flags) in [
        ("vip", vec!["--publish", "8080:80"]),
        ("dnsrr", vec!["--endpoint-mode", "dnsrr"]),
        ("host", vec!["--publish", "mode=host,target=80,published=8081", "--mode", "global"]),
    ] {
        let common =
            ["service", "create", "-q", "-d", "--no-resolve-image", "--network", "app", "--name", name];
        manager.docker(&[&common[..], &flags, &[lab::IMAGE, "sleep", "100000"]].concat()).unwrap();
    }
    let limit = std::time::Duration::from_secs(60);
    let running = || {
        let states = manager.docker(&["service", "ls", "--format", "{{.Replicas}}"])?;
        Ok(states.lines().all(|line| line.split('/').next() == line.split('/').nth(1)))
    };
    lab.wait("running services", limit, running).unwrap();
    for node in lab.nodes() {
        install(node);
        let report = run(node);
        assert_healthy(&report, node, 2);
        let role = report.json["host"]["role"].as_str().unwrap();
        let expected = if node.name() == "node1" { "manager (leader)" } else { "worker" };
        assert_eq!(role, expected);
    }
    let table = manager.exec(&["swarm-doctor"]).unwrap();
    assert!(table.stdout.contains("manager (leader)") && table.stdout.contains("Peers"), "{}", table.stdout);
}

#[test]
fn a_single_node() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    install(lab.node("node1"));
    assert_healthy(&run(lab.node("node1")), lab.node("node1"), 0);
}

#[test]
fn managers_of_newer_engines() {
    needs_a_lab!();
    let fetched = ["26.1.5", "28.5.2"].iter().all(|version| lab::Engine::find(version).is_ok());
    if !fetched {
        println!("skipped: engines 26.1.5 and 28.5.2 cannot be fetched here");
        return;
    }
    let lab = Lab::builder().managers(3).engines(&["26.1.5", "28.5.2"]).up().unwrap();
    for node in lab.nodes() {
        install(node);
        assert_healthy(&run(node), node, 2);
        assert_healthy(&run_as(node, &["--listen", "6s"], None), node, 2);
    }
}
