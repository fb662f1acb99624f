//! A user who may see little: what could not be seen is unknown, with the reason, and nothing breaks.

use crate::live::doctor::{install, run_as};
use crate::live::needs_a_lab;
use lab::Lab;

#[test]
fn a_user_in_no_group_gets_unknowns_with_their_reasons() {
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
