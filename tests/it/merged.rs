//! Notes about unusual bundles in a merge.

#![expect(clippy::unwrap_used, reason = "a broken fixture has to stop the test")]

use crate::support::{fixtures, folder_bundle};
use facts::bundle::Bundle;
use serde_json::{Value, json};
use std::time::Duration;
use swarm_doctor::judge::{Member, judge_swarm};
use swarm_doctor::policy::Policy;

fn notes(bundles: &[&Bundle]) -> Vec<String> {
    let members = bundles.iter().map(|bundle| Member::of((*bundle).clone())).collect();
    judge_swarm(std::iter::empty(), members, &Policy::default()).unwrap().1.notes
}

fn edited(bundle: &Bundle, artifact: &str, change: impl Fn(&mut Value)) -> Bundle {
    let mut bundle = bundle.clone();
    let content = bundle.artifacts.get_mut(artifact).unwrap();
    let mut value = serde_json::from_slice(content).unwrap();
    change(&mut value);
    *content = serde_json::to_vec(&value).unwrap();
    bundle
}

fn taken_later(bundle: &Bundle, minutes: u64) -> Bundle {
    let mut bundle = bundle.clone();
    bundle.manifest.taken += Duration::from_secs(60 * minutes);
    bundle
}

#[test]
fn what_is_odd_about_the_company_is_said() {
    let folder = fixtures().join("healthy/one-manager");
    let [manager, worker] = ["node1", "node2"].map(|node| folder_bundle(&folder.join(node)));
    assert_eq!(notes(&[&manager, &worker]), Vec::<String>::new());

    let twice = notes(&[&manager, &taken_later(&worker, 5), &worker]);
    assert_eq!(twice.len(), 1, "{twice:?}");
    assert!(
        twice[0].starts_with("node2 is there twice, taken at 2026-11-22 19:21:04 UTC and at "),
        "{twice:?}"
    );
    assert!(twice[0].ends_with(" 19:26:04 UTC: the later one counts"), "{twice:?}");

    let apart = notes(&[&manager, &taken_later(&worker, 120)]);
    assert_eq!(apart.len(), 1, "{apart:?}");
    assert!(apart[0].starts_with("they were taken 2 h 0 min apart, node1 at "), "{apart:?}");

    let mut other = worker.clone();
    other.manifest.host = "node3".into();
    let renamed = notes(&[&manager, &worker, &other]);
    assert_eq!(renamed, ["node2, node3 are one node, i76v0tg886229zsx1qzgfuit9, under several names"]);
    let cloned = edited(&other, "host/interfaces.json", |all| {
        for interface in all.as_array_mut().unwrap() {
            interface["mac"] = "02:00:00:00:00:09".into();
        }
    });
    let cloned = notes(&[&manager, &worker, &cloned]);
    assert_eq!(
        cloned,
        ["node2, node3 are different machines and all pass for node i76v0tg886229zsx1qzgfuit9"]
    );

    let strayed = edited(&other, "engine/info.json", |info| {
        info["Swarm"]["NodeID"] = "strayed".into();
        info["Swarm"]["Cluster"] = json!({ "ID": "elsewhere" });
    });
    let strayed = notes(&[&manager, &worker, &strayed]);
    assert_eq!(strayed.len(), 1, "{strayed:?}");
    assert!(strayed[0].starts_with("node3 is in another swarm, elsewhere, than the others, yo8lj5e51b"));
    assert!(strayed[0].ends_with("it is judged with no more than what was seen there"), "{strayed:?}");

    let without = edited(&other, "engine/info.json", |info| info["Swarm"]["NodeID"] = "third".into());
    let without = notes(&[&worker, &without]);
    assert_eq!(
        without,
        ["no manager that knows the swarm is among them: what only a manager knows stays unknown"]
    );
}

#[test]
fn options_of_daemon_json_that_differ_are_noted() {
    let folder = fixtures().join("healthy/one-manager");
    let [manager, worker] = ["node1", "node2"].map(|node| folder_bundle(&folder.join(node)));
    let with = |bundle: &Bundle, text: &str| {
        let mut bundle = bundle.clone();
        bundle.artifacts.insert("files/daemon.json".into(), text.into());
        for entry in bundle.manifest.entries.iter_mut().filter(|entry| entry.artifact == "files/daemon.json")
        {
            entry.status = facts::bundle::ArtifactStatus::Collected;
        }
        bundle
    };
    let mtu = with(&manager, r#"{"mtu": 1400, "debug": true}"#);
    assert_eq!(
        notes(&[&mtu, &worker]),
        ["daemon.json differs between the nodes: mtu is 1400 on node1 and not set on node2"]
    );
    assert_eq!(notes(&[&mtu, &with(&worker, r#"{"mtu": 1400}"#)]), Vec::<String>::new());
}

/// A worker has no task list; a manager has no copy of the worker's NetworkDB. Together they show a stale record.
#[test]
fn a_record_on_a_worker_is_compared_with_the_tasks_of_the_manager() {
    let folder = fixtures().join("healthy/one-manager");
    let [manager, worker] = ["node1", "node2"].map(|node| folder_bundle(&folder.join(node)));
    let stale = edited(&worker, "engine/networks/9mg6tgpzvsb0fnysoqjlbyz54.json", |network| {
        network["Services"]["db"]["Tasks"].as_array_mut().unwrap().push(json!({
            "Name": "db.3.0ldtask0ldtask0ldtask0ld0", "EndpointID": "ff", "EndpointIP": "10.0.1.77",
            "Info": { "Host IP": "192.0.2.9" }
        }));
    });
    let summaries = |bundles: &[&Bundle]| -> Vec<String> {
        let members = bundles.iter().map(|bundle| Member::of((*bundle).clone())).collect();
        let checks = checks::built_in().filter(|check| check.meta.id == "network/ghost-endpoint");
        let checks = checks.map(|check| check as &dyn checks::Check);
        let diagnosis = judge_swarm(checks, members, &Policy::default()).unwrap().1;
        diagnosis.findings.iter().map(|cause| cause.finding.summary.clone()).collect()
    };
    assert_eq!(summaries(&[&manager, &worker]), Vec::<String>::new());
    assert_eq!(summaries(&[&stale]), Vec::<String>::new());
    assert_eq!(
        summaries(&[&manager, &stale]),
        ["service discovery of node2 has an endpoint of db that does not exist any more: 10.0.1.77 on app"]
    );
    // A task that is missing in an older task list may be a new one.
    assert_eq!(summaries(&[&manager, &taken_later(&stale, 5)]), Vec::<String>::new());
}

#[test]
fn a_host_of_another_swarm_is_a_finding() {
    let folder = fixtures().join("healthy");
    let member = |path: &str| Member::of(folder_bundle(&folder.join(path)));
    let members =
        vec![member("one-manager/node1"), member("one-manager/node2"), member("three-managers/node2")];
    let checks = checks::built_in().filter(|check| check.meta.id == "swarm/different-swarms");
    let checks = checks.map(|check| check as &dyn checks::Check);
    let diagnosis = judge_swarm(checks, members, &Policy::default()).unwrap().1;
    let found: Vec<_> = diagnosis.all_findings().map(|finding| finding.summary.as_str()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("node2 (2) is a member of swarm "), "{found:?}");
}
