//! What each format costs on a swarm of 500 nodes, each looked at from inside.

use checks::{Check, Evidence, Findings, Meta, Severity, Subject, View};
use clap::ValueEnum;
use facts::{Need, Source};
use std::time::Instant;
use swarm_doctor::cli::Format;
use swarm_doctor::judge::{Diagnosis, Link, Role, Spot};
use swarm_doctor::matrix::{Layer, Path, State};

const NODES: usize = 500;
/// Nodes that no other node reaches on the overlay.
const UNREACHABLE: [usize; 3] = [17, 230, 444];

struct Blocked(Meta);

impl Check for Blocked {
    fn meta(&self) -> &Meta {
        &self.0
    }

    fn judge(&self, _: &View<'_>, out: &mut Findings<'_>) {
        let source = |origin: &str| Source {
            need: Need::Overlays,
            artifact: "host/overlays.json".into(),
            origin: origin.into(),
        };
        for to in UNREACHABLE {
            let (to, own) = (format!("node{to}"), self.0.caused_by.is_empty());
            for from in (1..=NODES).map(|at| format!("node{at}")).filter(|from| *from != to) {
                if own && from != "node1" {
                    continue;
                }
                let subject = if own {
                    Subject::Node(to.as_str().into())
                } else {
                    Subject::Link { from: from.as_str().into(), to: to.as_str().into() }
                };
                let summary = format!(
                    "no echo of {from} comes back from {to} over ingress, port 4789/udp, although both kernels know the way"
                );
                let proof = Evidence::Value {
                    source: source("echoes over the overlays"),
                    shown: format!("{to}: sent 3, came back 0"),
                };
                out.report(subject, summary, proof);
            }
        }
    }
}

fn spot(at: usize) -> Spot {
    Spot {
        label: format!("node{at}"),
        addr: Some(format!("10.0.{}.{}", at / 250, at % 250)),
        role: match at {
            1 => Role::Leader,
            2..=7 => Role::Manager,
            _ => Role::Worker,
        },
        state: Some(if at == 444 { "down" } else { "ready" }.into()),
        availability: None,
        looked_at: true,
    }
}

fn link(from: usize, to: usize) -> Link {
    let unreachable = UNREACHABLE.contains(&to) || UNREACHABLE.contains(&from);
    let proven = |layer: Layer, says: &str| Path {
        layer,
        state: State::Proven,
        says: says.into(),
        why: format!("{layer} open"),
    };
    let vxlan = Path {
        layer: Layer::Vxlan,
        state: if unreachable { State::Refuted } else { State::Proven },
        says: if unreachable { "lost" } else { "0.3 ms" }.into(),
        why: "an echo over ingress, port 4789/udp".into(),
    };
    let paths = vec![proven(Layer::Icmp, "0.2 ms"), proven(Layer::GossipTcp, "open"), vxlan];
    Link { from: from - 1, to: to - 1, paths, echo_us: Some(210) }
}

/// A swarm of 500 nodes, of which three are unreachable.
pub(crate) fn diagnosis() -> Diagnosis {
    static CAUSE: [checks::Str; 1] = [std::borrow::Cow::Borrowed("network/cause")];
    let blocked = |id: &'static str, severity, caused_by: &'static [checks::Str]| {
        Blocked(Meta {
            id: id.into(),
            title: "the overlay does not reach a node".into(),
            healthy: "".into(),
            severity,
            explain: "".into(),
            needs: vec![Need::Overlays].into(),
            caused_by: caused_by.into(),
            remaining: false,
        })
    };
    let (one, two) =
        (blocked("network/cause", Severity::Error, &[]), blocked("network/felt", Severity::Warning, &CAUSE));
    let mut diagnosis = super::judged(&[&one, &two], "node1");
    diagnosis.map.spots = (1..=NODES).map(spot).collect();
    let ways =
        (1..=NODES).flat_map(|from| (1..=NODES).filter(move |to| *to != from).map(move |to| (from, to)));
    diagnosis.map.links = ways.map(|(from, to)| link(from, to)).collect();
    diagnosis
}

/// Prints seconds and MB for each format.
pub(crate) fn measure() {
    let began = Instant::now();
    let diagnosis = diagnosis();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!(
        "{NODES} nodes, {} ways, {} findings; made in {:.2} s; load {}",
        diagnosis.map.links.len(),
        diagnosis.all_findings().count(),
        began.elapsed().as_secs_f64(),
        load.trim()
    );
    for format in Format::value_variants() {
        let began = Instant::now();
        let report = super::rendered(&diagnosis, *format);
        let seconds = began.elapsed().as_secs_f64();
        println!("{:<12} {seconds:>6.2} s {:>8.2} MB", format!("{format:?}"), report.len() as f64 / 1e6);
        // A page of more than a few megabytes is no pleasure on a phone.
        assert!(*format != Format::Html || report.len() < 3_000_000, "{}", report.len());
        if let Some(folder) = std::env::var_os("SWARM_DOCTOR_REPORTS") {
            std::fs::write(std::path::Path::new(&folder).join(format!("{format:?}")), report).unwrap();
        }
    }
}
