use super::*;
use facts::bundle::{ArtifactStatus, Bundle, Entry};
use facts::{Need, parse};

/// The paths of the demo bundle, with some artifacts replaced.
fn paths(put: &[(Need, &str, &str)]) -> Matrix {
    let mut bundle: Bundle = crate::demo::bundle().unwrap();
    for (need, artifact, content) in put {
        bundle.manifest.entries.retain(|entry| entry.need != *need);
        let entry = Entry {
            need: *need,
            artifact: (*artifact).to_owned(),
            origin: "a test".into(),
            status: ArtifactStatus::Collected,
            written: None,
            took_us: 0,
        };
        bundle.put(entry, Some(content.as_bytes().to_vec()));
    }
    Matrix::of(&parse::snapshot(&bundle), 7)
}

fn of(matrix: &Matrix, layer: Layer) -> (State, &str, &str) {
    let path = matrix.peers[0].paths.iter().find(|path| path.layer == layer).unwrap();
    (path.state, path.says.as_str(), path.why.as_str())
}

const PROBES: &str = r#"[
    {"peer": {"addr": "192.0.2.2", "name": "node2", "node_id": null, "manager_port": null},
     "attempt": {"kind": "echo"}, "outcome": {"kind": "open"}, "took_us": 260},
    {"peer": {"addr": "192.0.2.2", "name": "node2", "node_id": null, "manager_port": null},
     "attempt": {"kind": "connect", "protocol": "tcp", "port": 7946}, "outcome": {"kind": "filtered"}, "took_us": 1}
]"#;
const OVERLAYS: &str = r#"[{"id": "n1", "name": "ingress", "ingress": true, "encrypted": false, "data_plane": {"Ok":
    {"vni": 4096, "port": 4789, "mtu": 1450, "not_probed": 0, "peers": [
        {"node": "192.0.2.2", "endpoint": "10.0.0.3", "mac": "02:42:0a:00:00:03", "small": {"kind": "answered",
         "took_us": 140}, "full": {"kind": "lost"}, "sizes": [{"size": 1350, "echo": {"kind": "answered",
         "took_us": 1}}, {"size": 1370, "echo": {"kind": "lost"}}], "tcp": {"kind": "filtered"}, "burst": {"sent": 10,
         "received": 7, "rtt_us": 400, "max_us": 900, "jitter_us": 100}}]}}}]"#;
const GOSSIP_CAPTURE: &str = r#"{"listened_ms": 5012, "conclusive": true, "peers": [{"addr": "192.0.2.2", "received": 0, "sent": 3,
    "answers": 0, "answered": 0, "unanswered": 2, "ignored": 0, "refused": false, "esp_received": 0, "esp_sent": 0}]}"#;
const CLOCKS: &str = r#"[{"addr": "192.0.2.2", "ahead_ms": -75000}]"#;

#[test]
fn each_layer_has_its_state_and_reason() {
    let matrix = paths(&[
        (Need::Probes, "probes.json", PROBES),
        (Need::Overlays, "overlays.json", OVERLAYS),
        (Need::GossipCapture, "gossip-capture.json", GOSSIP_CAPTURE),
        (Need::Clocks, "clocks.json", CLOCKS),
    ]);
    assert_eq!(matrix.peers.len(), 1);
    assert_eq!(of(&matrix, Layer::Icmp), (State::Proven, "0.2 ms", "icmp echo open"));
    assert_eq!(of(&matrix, Layer::Manager), (State::None, "", "not a manager"));
    assert_eq!(of(&matrix, Layer::GossipTcp), (State::Refuted, "silent", "7946/tcp filtered (no answer)"));
    assert_eq!(
        of(&matrix, Layer::GossipUdp),
        (State::Refuted, "silent", "captured for 5.0 s: 0 datagrams received, 3 sent")
    );
    assert_eq!(
        of(&matrix, Layer::Vxlan),
        (State::Refuted, "no tcp", "echo answered over ingress, port 4789/udp, TCP SYN lost")
    );
    let loss = "over ingress: 3 of 10 echoes lost (30 %), RTT 0.4 ms, jitter 0.1 ms";
    assert_eq!(of(&matrix, Layer::Loss), (State::Refuted, "30 %", loss));
    assert_eq!(
        of(&matrix, Layer::Mtu),
        (State::Refuted, "1350", "ingress has MTU 1450, and 1370 bytes do not pass")
    );
    assert_eq!(of(&matrix, Layer::Esp), (State::None, "", "this node has no encrypted overlay"));
    assert_eq!(of(&matrix, Layer::Clock), (State::Refuted, "-75 s", "clock offset to this node: -75 s"));
    assert_eq!(crate::exit::ExitCode::of_paths(std::slice::from_ref(&matrix)).number(), 1);
}

#[test]
fn a_layer_that_was_not_observed_is_unknown_with_the_reason() {
    let matrix = paths(&[(Need::Probes, "probes.json", PROBES), (Need::Overlays, "overlays.json", "[]")]);
    let not_asked = "not collected: not in the bundle";
    assert_eq!(of(&matrix, Layer::GossipUdp), (State::Unknown, "", not_asked));
    assert_eq!(of(&matrix, Layer::Clock), (State::Unknown, "", not_asked));
    assert_eq!(matrix.listened_ms, None);
    let alone = paths(&[(Need::Probes, "probes.json", "[]")]);
    assert_eq!((alone.peers.len(), alone.why.as_deref()), (0, Some("this node knows no other node")));
    assert_eq!(crate::exit::ExitCode::of_paths(std::slice::from_ref(&alone)).number(), 3);
}
