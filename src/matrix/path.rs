//! The state of one path.

use super::{Layer, Path, Row, State};
use facts::gossip_capture::{Gossip, GossipCapture, PeerCapture};
use facts::host::Protocol;
use facts::link::{Attempt, Outcome, Peer, Probe};
use facts::overlay::{self, Capture, DataPlane, Echo, EchoPath, Overlay};
use facts::{Fact, Gap, Host};

/// Clock skew in milliseconds from which a path is refuted.
const SKEW_MS: i64 = 60_000;

/// Packet loss in percent from which a path is refuted.
const LOSS_PERCENT: u32 = 20;

/// The state of a path, a word or two for the table, and the reason.
type Cell = (State, String, String);

pub(super) fn row(host: &Host, peer: &Peer, probes: &[Probe]) -> Row {
    let paths = Layer::ALL.map(|layer| {
        let (state, says, why) = match layer {
            Layer::Icmp => probed(probes, Some(Attempt::Echo), ""),
            Layer::Manager => probed(probes, peer.manager_port.map(tcp), "not a manager"),
            Layer::GossipTcp => probed(probes, Some(tcp(7946)), ""),
            Layer::GossipUdp => gossip(host, peer),
            Layer::Vxlan => overlay_echo(host, peer, false),
            Layer::Loss => loss(host, peer, probes),
            Layer::Mtu => mtu(host, peer),
            Layer::Esp => esp(host, peer),
            Layer::Clock => clock(host, peer),
        };
        Path { layer, state, says, why }
    });
    Row { name: peer.label(), addr: peer.addr.to_string(), paths: paths.into() }
}

fn cell(state: State, says: impl Into<String>, why: impl Into<String>) -> Cell {
    (state, says.into(), why.into())
}

/// A path that was not observed.
fn unseen(gap: &Gap) -> Cell {
    cell(State::Unknown, "", gap.why.to_string())
}

fn tcp(port: u16) -> Attempt {
    Attempt::Connect { protocol: Protocol::Tcp, port }
}

fn probed(probes: &[Probe], attempt: Option<Attempt>, none: &str) -> Cell {
    let Some(attempt) = attempt else { return cell(State::None, "", none) };
    let same = |probe: &&Probe| probe.attempt == attempt;
    let Some(probe) = probes.iter().find(same) else { return cell(State::Unknown, "", "not probed") };
    let why = format!("{} {}", probe.attempt, probe.outcome);
    let (state, says) = match (&probe.outcome, attempt) {
        (Outcome::Open, Attempt::Echo) => (State::Proven, millis(probe.took_us)),
        (Outcome::Open, _) => (State::Proven, "open".to_owned()),
        // An echo that this node may not send shows nothing about the peer.
        (Outcome::NotSent { .. }, Attempt::Echo) => (State::Unknown, "not sent".to_owned()),
        (Outcome::Refused { .. }, _) => (State::Refuted, "refused".to_owned()),
        (Outcome::Filtered, _) => (State::Refuted, "silent".to_owned()),
        (Outcome::Unreachable { .. }, _) => (State::Refuted, "rejected".to_owned()),
        (Outcome::NotSent { .. }, _) => (State::Refuted, "not sent".to_owned()),
    };
    (state, says, why)
}

fn gossip(host: &Host, peer: &Peer) -> Cell {
    let capture: &GossipCapture = match host.gossip_capture.get() {
        Ok(capture) => capture,
        Err(gap) => return unseen(&gap),
    };
    let seconds = format!("{}.{} s", capture.listened_ms / 1000, capture.listened_ms % 1000 / 100);
    let Some(heard) = capture.with(peer.addr) else {
        return cell(State::Unknown, "", "no packets were captured");
    };
    let PeerCapture { received, sent, answers, .. } = heard;
    let counted = format!("captured for {seconds}: {received} datagrams received, {sent} sent");
    match capture.gossip(heard) {
        Gossip::Proven => cell(State::Proven, "answers", format!("{counted}; {answers} were replies")),
        Gossip::Refused => {
            cell(State::Refuted, "refused", format!("{counted}; ICMP port unreachable received"))
        }
        Gossip::Mute => cell(State::Refuted, "silent", counted),
        Gossip::Deaf => cell(State::Refuted, "one way", format!("{counted}; none of ours got a reply")),
        Gossip::DeafHere => cell(State::Refuted, "no reply", format!("{counted}; this node sent no reply")),
        Gossip::NoProof if *sent == 0 && *received == 0 => {
            cell(State::Unknown, "no proof", format!("the engines exchanged no datagram in {seconds}"))
        }
        Gossip::NoProof if !capture.conclusive => {
            cell(State::Unknown, "no proof", format!("{counted}; capture for longer (--listen)"))
        }
        Gossip::NoProof => cell(State::Unknown, "no proof", counted),
    }
}

/// The probes of a node over encrypted overlays, or over the others.
fn probed_over<'a>(
    overlays: &'a Fact<Vec<Overlay>>,
    peer: &Peer,
    encrypted: bool,
) -> Result<Vec<(&'a Overlay, &'a DataPlane, &'a overlay::Peer)>, Cell> {
    let overlays = overlays.get().map_err(|gap| unseen(&gap))?;
    let of_kind = || overlays.value.iter().filter(|overlay| overlay.encrypted == encrypted);
    let kind = if encrypted { "encrypted overlay" } else { "overlay" };
    let mut shared = Vec::new();
    for overlay in of_kind() {
        let plane = overlay
            .data_plane
            .as_ref()
            .map_err(|why| cell(State::Unknown, "", format!("{}: {why}", overlay.name)))?;
        shared.extend(plane.peers.iter().filter(|to| to.node == peer.addr).map(|to| (overlay, plane, to)));
    }
    if !shared.is_empty() {
        return Ok(shared);
    }
    let here = of_kind().next().is_some();
    Err(match (here, encrypted) {
        (false, _) => cell(State::None, "", format!("this node has no {kind}")),
        (true, true) => cell(State::None, "", format!("no shared {kind}")),
        (true, false) => cell(State::Unknown, "", "no forwarding entry for that node"),
    })
}

fn overlay_echo(host: &Host, peer: &Peer, encrypted: bool) -> Cell {
    let shared = match probed_over(&host.overlays, peer, encrypted) {
        Ok(shared) => shared,
        Err(said) => return said,
    };
    let answered = shared.iter().find_map(|(overlay, plane, to)| match to.small {
        Echo::Answered { took_us } => Some((overlay, plane, took_us)),
        _ => None,
    });
    let over = |overlay: &Overlay, plane: &DataPlane| {
        if encrypted {
            format!("over {} (ESP)", overlay.name)
        } else {
            format!("over {}, port {}/udp", overlay.name, plane.port)
        }
    };
    match (answered, shared.first()) {
        (Some((overlay, plane, _)), _) if shared.iter().all(|(_, _, to)| to.drops_tcp_only()) => {
            cell(State::Refuted, "no tcp", format!("echo answered {}, TCP SYN lost", over(overlay, plane)))
        }
        (Some((overlay, plane, took_us)), _) => {
            cell(State::Proven, millis(took_us), format!("echo answered {}", over(overlay, plane)))
        }
        (None, Some((overlay, plane, to))) => {
            let (says, more) = match to.capture.map(|captured| (captured, captured.path())) {
                None => ("lost", String::new()),
                Some((_, EchoPath::NotSent)) => ("not sent", "; no packet left this node".to_owned()),
                Some((Capture { sent, answers, .. }, EchoPath::ReplyDropped)) => (
                    "dropped",
                    format!("; captured: {sent} packets sent, {answers} replies received and dropped here"),
                ),
                Some((Capture { sent, received, .. }, EchoPath::OneWay)) => {
                    ("one way", format!("; captured: {sent} packets sent, {received} other packets received"))
                }
                Some((Capture { sent, .. }, EchoPath::Lost)) => {
                    ("lost", format!("; captured: {sent} packets sent, none received"))
                }
            };
            cell(State::Refuted, says, format!("echo lost {}{more}", over(overlay, plane)))
        }
        (None, None) => cell(State::Unknown, "", "not probed"),
    }
}

/// Capture packets alone do not prove that both directions are open.
fn esp(host: &Host, peer: &Peer) -> Cell {
    let (state, says, why) = overlay_echo(host, peer, true);
    let heard = host.gossip_capture.get().ok().and_then(|capture| capture.with(peer.addr));
    match heard {
        Some(PeerCapture { esp_received, esp_sent, .. }) if esp_received + esp_sent > 0 => {
            (state, says, format!("{why}; captured: {esp_received} ESP packets received, {esp_sent} sent"))
        }
        _ => (state, says, why),
    }
}

/// The packet loss over an overlay, otherwise on the underlay.
fn loss(host: &Host, peer: &Peer, probes: &[Probe]) -> Cell {
    let shared = probed_over(&host.overlays, peer, false).unwrap_or_default();
    let over = shared.iter().find_map(|(overlay, _, to)| Some((format!("over {}", overlay.name), to.burst?)));
    let below = || probes.iter().find_map(|probe| Some(("on the underlay".to_owned(), probe.burst?)));
    match over.or_else(below) {
        Some((path, burst)) => {
            let state = if burst.loss_percent() < LOSS_PERCENT { State::Proven } else { State::Refuted };
            cell(state, format!("{} %", burst.loss_percent()), format!("{path}: {burst}"))
        }
        None => {
            cell(State::None, "", "not probed: no echo was answered, or the bundle is of an older version")
        }
    }
}

fn mtu(host: &Host, peer: &Peer) -> Cell {
    let shared =
        match probed_over(&host.overlays, peer, false).or_else(|_| probed_over(&host.overlays, peer, true)) {
            Ok(shared) => shared,
            Err(said) => return said,
        };
    if let Some((overlay, plane, limit)) =
        shared.iter().find_map(|(overlay, plane, to)| Some((overlay, plane, to.limit(plane.mtu)?)))
    {
        let says = limit.passes.map_or_else(|| format!("<{}", limit.stops), |passes| passes.to_string());
        let why = format!("{} has MTU {}, and {} bytes do not pass", overlay.name, plane.mtu, limit.stops);
        return cell(State::Refuted, says, why);
    }
    match shared.iter().find(|(_, _, to)| to.full.answered()) {
        Some((overlay, plane, _)) => {
            let why = format!("echo of {} bytes answered over {}", plane.mtu, overlay.name);
            cell(State::Proven, plane.mtu.to_string(), why)
        }
        None => {
            cell(State::Unknown, "", "small echoes are lost too, or the loss does not depend on the size")
        }
    }
}

fn clock(host: &Host, peer: &Peer) -> Cell {
    let clocks = match host.clocks.get() {
        Ok(clocks) => clocks,
        Err(gap) => return unseen(&gap),
    };
    let ahead = clocks.iter().find(|clock| clock.addr == peer.addr).and_then(|clock| clock.ahead_ms);
    let Some(ahead) = ahead else {
        return cell(State::Unknown, "", "its kernel did not report the time (ICMP timestamp)");
    };
    let says = match ahead.abs() {
        ms @ 0..10_000 => format!("{}{ms} ms", sign(ahead)),
        ms => format!("{}{} s", sign(ahead), ms / 1000),
    };
    let why = format!("clock offset to this node: {says}");
    cell(if ahead.abs() < SKEW_MS { State::Proven } else { State::Refuted }, says, why)
}

fn sign(number: i64) -> &'static str {
    match number {
        ..0 => "-",
        0 => "",
        1.. => "+",
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}
