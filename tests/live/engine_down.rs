//! A stopped (SIGSTOP) and a killed dockerd: checks that do not need the engine still run.

use crate::live::doctor::{Report, install, run};
use crate::live::needs_a_lab;
use lab::Lab;
use std::time::Duration;

fn assert_unreachable(report: &Report, words: &str) {
    assert_eq!(report.exit, 1);
    assert!(report.first().starts_with("\"engine/unreachable\""), "{}", report.first());
    assert!(report.first().contains(words), "{}", report.first());
    assert!(report.took < Duration::from_secs(5), "{:?}", report.took);
    // These checks do not need the engine.
    for check in ["engine/daemon-json-malformed", "network/port-taken", "swarm/certificate-expired"] {
        assert_eq!(report.status(check), "healthy", "{check}: {:#}", report.json["checks"]);
    }
    assert_eq!(report.status("swarm/node-down"), "unknown");
    assert!(report.json["host"]["role"].as_str().unwrap().starts_with("manager"), "{}", report.json["host"]);
}

#[test]
fn a_stopped_and_a_killed_engine_are_distinguished_and_other_checks_run() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    node.freeze_engine().unwrap();
    assert_unreachable(&run(node), "is stopped (SIGSTOP)");
    node.thaw_engine().unwrap();
    lab.wait("healthy manager", Duration::from_secs(60), || Ok(run(node).exit == 0)).unwrap();
    node.kill_engine().unwrap();
    assert_unreachable(&run(node), "is not running");
}
