//! VIPs on a kernel without IPVS. `cargo xtask lab vm` tests a kernel with it.

use crate::live::doctor::{install, run};
use crate::live::needs_a_lab;
use lab::Lab;
use std::path::Path;
use std::time::Duration;

#[test]
fn an_unreachable_vip_is_a_consequence_of_missing_ipvs_and_its_tasks_answer() {
    needs_a_lab!();
    if Path::new("/proc/net/ip_vs").exists() || Path::new("/sys/module/ip_vs").exists() {
        println!("skipped: this kernel has IPVS");
        return;
    }
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let manager = lab.node("node1");
    manager.docker(&["network", "create", "-d", "overlay", "app"]).unwrap();
    let serve = ["httpd", "-f", "-p", "8080"];
    // Services of a stack have an underscore in their names.
    let create = ["service", "create", "-q", "--no-resolve-image", "--network", "app", "--mode", "global"];
    manager.docker(&[&create[..], &["--name", "shop_web", lab::IMAGE], &serve].concat()).unwrap();
    for node in lab.nodes() {
        install(node);
        let mut last = String::new();
        let folded = lab.wait("unreachable VIP", Duration::from_secs(60), || {
            let report = run(node);
            assert_eq!(report.causes(), [""; 0], "{}: {:#}", node.name(), report.json["findings"]);
            let kernel = &report.json["findings"][0];
            last = kernel.to_string();
            let silent = &kernel["consequences"][0];
            let proof = silent["evidence"][0]["text"].as_str().unwrap_or_default();
            Ok(kernel["check"] == "host/ipvs-missing"
                && silent["check"] == "network/vip-unreachable"
                && proof.matches(", task ").count() == 2
                && proof.contains(":8080/tcp open"))
        });
        assert!(folded.is_ok(), "{}: {last}", node.name());
        // The probe leaves no trace in the log of the service.
        let log = manager.docker(&["service", "logs", "shop_web"]).unwrap();
        assert_eq!(log, "", "{log}");
    }
}
