//! Diagnoses for the tests of the formats, made by the judge itself from scripted checks.

mod ailments;

use crate::judge::{Diagnosis, judge};
use crate::policy::Policy;
use ailments::{EVEN, IPVS, IPVS_MISSING, UPRIGHT, denied, source};
use checks::{Check, Findings, Meta, Subject, View};
use facts::bundle::{Bundle, Manifest};
use facts::host::Protocol;
use facts::link::{Attempt, Outcome, Peer, Probe};
use facts::{Fact, Need, NodeName, Seen};
use std::collections::BTreeMap;

pub(super) use ailments::{CHECKS, LONG_COMMAND, STALE, long_line};

/// A probe of one kind to one peer.
fn probe(at: u8, attempt: Attempt, outcome: Outcome) -> Probe {
    let name = (at != 9).then(|| NodeName(format!("m{at}")));
    let peer = Peer { addr: [10, 0, 1, at].into(), name, node_id: None, manager_port: Some(2377) };
    Probe { peer, attempt, outcome, took_us: 310, burst: None }
}

fn probes(peers: impl Iterator<Item = (u8, Outcome)>) -> Vec<Probe> {
    let tcp = |port| Attempt::Connect { protocol: Protocol::Tcp, port };
    peers
        .flat_map(|(at, outcome)| {
            [
                probe(at, Attempt::Echo, Outcome::Open),
                probe(at, tcp(2377), outcome.clone()),
                probe(at, tcp(7946), outcome),
            ]
        })
        .collect()
}

fn diagnosed<'a>(checks: impl IntoIterator<Item = &'a dyn Check>, probes: Vec<Probe>) -> Diagnosis {
    let manifest = Manifest {
        schema: facts::bundle::SCHEMA.into(),
        tool: "0.1.0".into(),
        host: "m1".into(),
        taken: "2026-03-01T03:12:44.5Z".parse().unwrap(),
        took_ms: 84,
        utc_offset_seconds: 3600,
        unprivileged: false,
        root: None,
        entries: Vec::new(),
    };
    let mut snapshot =
        facts::parse::snapshot(&Bundle { manifest: manifest.clone(), artifacts: BTreeMap::new() });
    snapshot.hosts[0].probes =
        Fact::Seen(Seen { value: probes, source: source(Need::Probes, "probes.json", "probe") });
    let mut diagnosis = judge(checks, &snapshot, &manifest, &Policy::default());
    let header = &mut diagnosis.header;
    header.role = "manager (leader)".into();
    header.engine = Some("28.5.2".into());
    header.api = Some("1.51".into());
    header.node_id = Some("x7k2m9q4w1z8r5t3y6u0p2abc".into());
    header.cluster_id = Some("c1u5t3r9q8w7e6r5t4y3u2i1o".into());
    header.node_addr = Some("10.0.0.1".into());
    header.os = "Debian GNU/Linux 12 (bookworm)".into();
    header.kernel = "6.1.0-18-amd64".into();
    diagnosis
}

/// A manager that has moved, what follows from it, a warning beside it, and two locked doors.
pub(super) fn rich() -> Diagnosis {
    let peers = [(2, Outcome::Open), (3, Outcome::Filtered), (9, Outcome::NotSent { errno: 1 })];
    diagnosed(CHECKS.iter().map(|check| *check as &dyn Check), probes(peers.into_iter()))
}

/// Nothing wrong, and every peer answers.
pub(super) fn healthy() -> Diagnosis {
    let peers = [(2, Outcome::Open), (3, Outcome::Open)];
    diagnosed([&UPRIGHT as &dyn Check, &EVEN, &IPVS], probes(peers.into_iter()))
}

/// One warning and no error, on a node that is alone.
pub(super) fn warned() -> Diagnosis {
    diagnosed([&IPVS_MISSING as &dyn Check, &EVEN], Vec::new())
}

/// Twelve checks before one locked door.
pub(super) fn blind() -> Diagnosis {
    struct Locked(Meta);
    impl Check for Locked {
        fn meta(&self) -> &Meta {
            &self.0
        }
        fn judge(&self, _: &View<'_>, out: &mut Findings<'_>) {
            for need in [Need::Info, Need::Nodes] {
                if let Err(gap) = denied(need) {
                    out.inconclusive(Subject::Cluster, gap);
                }
            }
        }
    }
    let locked: Vec<Locked> = (1..=12)
        .map(|at| Locked(Meta { id: format!("swarm/ailment-{at}").into(), ..STALE.meta.clone() }))
        .collect();
    let mut diagnosis = diagnosed(locked.iter().map(|check| check as &dyn Check), Vec::new());
    let header = &mut diagnosis.header;
    (header.engine, header.api, header.node_id, header.cluster_id, header.node_addr) =
        (None, None, None, None, None);
    header.role = "unknown".into();
    header.unprivileged = true;
    diagnosis
}

/// Thirty peers, of which the seventh does not answer.
pub(super) fn crowd() -> Diagnosis {
    let peers =
        (1..=30).map(|at| (at, if at == 7 { Outcome::Refused { errno: 111 } } else { Outcome::Open }));
    diagnosed([&IPVS as &dyn Check], probes(peers))
}
