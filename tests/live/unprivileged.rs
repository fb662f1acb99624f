//! A user without privileges: checks that need more are unknown, with the reason.

use crate::live::doctor::{install, run_as};
use crate::live::needs_a_lab;
use lab::Lab;

#[test]
fn without_privileges_checks_are_unknown_with_a_reason() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    let report = run_as(node, &[], Some((65534, 65534)));
    assert_eq!(report.exit, 3, "{:#}", report.json);
    assert_eq!(report.stderr, "");
    assert_eq!(report.json["host"]["unprivileged"], true);
    let unknown: Vec<_> = report.json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|check| check["unknown"].as_array().unwrap())
        .filter(|unknown| unknown["open"] == true)
        .collect();
    assert!(!unknown.is_empty());
    for one in unknown {
        assert!(one["reason"].as_str().unwrap().contains("permission denied"), "{one}");
    }
    let allowed = run_as(node, &["--allow-unknown"], Some((65534, 65534)));
    assert_eq!(allowed.exit, 0);
}
