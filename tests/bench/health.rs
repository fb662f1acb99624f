//! Healthy swarms of several sizes: every finding is a false alarm, except a missing kernel module.

use std::time::Duration;

use anyhow::Result;
use lab::IMAGE;

use crate::fault::Swarm;
use crate::report::Report;
use crate::run::Bench;
use crate::scene::Scene;

/// Sizes, used in turn.
const SIZES: [Swarm; 4] = [
    Swarm { managers: 1, workers: 0, nodes: 0 },
    Swarm { managers: 3, workers: 0, nodes: 0 },
    Swarm { managers: 1, workers: 2, nodes: 0 },
    Swarm { managers: 3, workers: 2, nodes: 0 },
];

/// Names of services and their options of `docker service create`.
const SERVICES: [(&str, &[&str]); 4] = [
    ("vip", &["--replicas", "2"]),
    ("dnsrr", &["--endpoint-mode", "dnsrr"]),
    ("host", &["--publish", "mode=host,target=80,published=8081", "--mode", "global"]),
    ("ingress", &["--publish", "8080:80", "--replicas", "2"]),
];

/// Starts healthy swarms until the doctor has run `runs` times; returns every finding.
pub fn healthy(bench: &Bench, runs: usize, progress: impl Fn(&str)) -> Result<Vec<String>> {
    let mut alarms = Vec::new();
    let mut done = 0;
    for swarm in SIZES.iter().cycle() {
        if done >= runs {
            break;
        }
        let scene = Scene::up(*swarm, &bench.engines, &bench.doctor)?;
        let manager = scene.lab.node("node1");
        // Half of the runs are on a swarm without services.
        for busy in [false, true] {
            if busy {
                manager.docker(&["network", "create", "-d", "overlay", "app"])?;
                for (name, flags) in SERVICES {
                    let common = ["service", "create", "-q", "-d", "--no-resolve-image", "--network", "app"];
                    let task = ["--name", name, IMAGE, "httpd", "-f", "-p", "80"];
                    manager.docker(&[&common[..], flags, &task].concat())?;
                }
                scene.lab.wait("running services", Duration::from_secs(60), || {
                    let states = manager.docker(&["service", "ls", "--format", "{{.Replicas}}"])?;
                    Ok(states.lines().all(|line| line.split('/').next() == line.split('/').nth(1)))
                })?;
            }
            for node in scene.lab.nodes() {
                let report = Report::of(node, &[])?;
                done += 1;
                let place = format!("{} of {}+{}", node.name(), swarm.managers, swarm.workers);
                let findings = report.lines();
                progress(&format!("{place}: exit {}, {} findings", report.exit, findings.len()));
                alarms.extend(findings.into_iter().map(|line| format!("{place}: {line}")));
                if report.exit != 0 {
                    alarms.push(format!("{place}: exit {}: {}", report.exit, report.json["checks"]));
                }
            }
        }
    }
    Ok(alarms)
}
