//! A saved bundle gives the same report as the live run.

use crate::live::doctor::{install, run_as};
use crate::live::needs_a_lab;
use lab::Lab;

#[test]
fn a_saved_bundle_gives_the_report_of_the_run_that_saved_it() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let node = lab.node("node1");
    let create = ["service", "create", "-q", "--no-resolve-image", "--name", "web", "--hostname", "web"];
    node.docker(&[&create[..], &["--replicas", "2", lab::IMAGE, "sleep", "100000"]].concat()).unwrap();
    install(node);
    // A fault, so that there is a finding.
    lab.node("node2").power_off().unwrap();
    let live = run_as(node, &["--save", "/root/live.tar.zst"], None);
    let saved = run_as(node, &["--bundle", "/root/live.tar.zst"], None);
    assert_eq!(
        serde_json::to_string_pretty(&live.json).unwrap(),
        serde_json::to_string_pretty(&saved.json).unwrap()
    );
    assert_eq!(live.exit, saved.exit);
    let collected = node.exec(&["swarm-doctor", "collect", "-f", "/root/later.tar.zst"]).unwrap();
    assert!(collected.success(), "{}", collected.stderr);
    let first = node.exec(&["swarm-doctor", "run", "-o", "json", "--bundle", "/root/later.tar.zst"]).unwrap();
    let second =
        node.exec(&["swarm-doctor", "run", "-o", "json", "--bundle", "/root/later.tar.zst"]).unwrap();
    assert_eq!(first.stdout, second.stdout);
    // A bundle is meant to be shared, so it must not contain a secret.
    let token = node.docker(&["swarm", "join-token", "-q", "manager"]).unwrap();
    let secret = token.rsplit('-').next().unwrap();
    let bundle =
        swarm_doctor::bundle::read_from(&node.read_file("/root/later.tar.zst").unwrap()[..]).unwrap();
    assert!(bundle.artifacts.contains_key("engine/swarm.json"));
    for (name, content) in &bundle.artifacts {
        assert!(!String::from_utf8_lossy(content).contains(secret), "{name} holds the join token");
    }
}
