//! What is known of one path.

use super::{Layer, Path, Row, State};
use facts::gossip_capture::{Gossip, GossipCapture, PeerCapture};
use facts::host::Protocol;
use facts::link::{Attempt, Outcome, Peer, Probe};
use facts::overlay::{self, Capture, Course, DataPlane, Echo, Overlay};
use facts::{Fact, Gap, Host};

/// From how many milliseconds on two clocks are apart.
const APART_MS: i64 = 60_000;

/// What is said of one path: its state, in a word or two, and why.
type Said = (State, String, String);

pub(super) fn row(host: &Host, peer: &Peer, probes: &[Probe]) -> Row {
    let paths = Layer::ALL.map(|layer| {
        let (state, says, why) = match layer {
            Layer::Icmp => probed(probes, Some(Attempt::Echo), ""),
            Layer::Manager => probed(probes, peer.manager_port.map(tcp), "it is no manager"),
            Layer::GossipTcp => probed(probes, Some(tcp(7946)), ""),
            Layer::GossipUdp => gossip(host, peer),
            Layer::Vxlan => crossing(host, peer, false),
            Layer::Mtu => mtu(host, peer),
            Layer::Esp => esp(host, peer),
            Layer::Clock => clock(host, peer),
        };
        Path { layer, state, says, why }
    });
    Row { name: peer.label(), addr: peer.addr.to_string(), paths: paths.into() }
}

fn said(state: State, says: impl Into<String>, why: impl Into<String>) -> Said {
    (state, says.into(), why.into())
}

/// What could not be looked at.
fn unseen(gap: &Gap) -> Said {
    said(State::Unknown, "", gap.why.to_string())
}

fn tcp(port: u16) -> Attempt {
    Attempt::Connect { protocol: Protocol::Tcp, port }
}

fn probed(probes: &[Probe], attempt: Option<Attempt>, none: &str) -> Said {
    let Some(attempt) = attempt else { return said(State::None, "", none) };
    let same = |probe: &&Probe| probe.attempt == attempt;
    let Some(probe) = probes.iter().find(same) else { return said(State::Unknown, "", "it was not tried") };
    let why = format!("{} {}", probe.attempt, probe.outcome);
    let (state, says) = match (&probe.outcome, attempt) {
        (Outcome::Open, Attempt::Echo) => (State::Proven, millis(probe.took_us)),
        (Outcome::Open, _) => (State::Proven, "open".to_owned()),
        // An echo that this machine may not send says nothing of the other.
        (Outcome::NotSent { .. }, Attempt::Echo) => (State::Unknown, "not sent".to_owned()),
        (Outcome::Refused { .. }, _) => (State::Refuted, "refused".to_owned()),
        (Outcome::Filtered, _) => (State::Refuted, "silent".to_owned()),
        (Outcome::Unreachable { .. }, _) => (State::Refuted, "rejected".to_owned()),
        (Outcome::NotSent { .. }, _) => (State::Refuted, "not sent".to_owned()),
    };
    (state, says, why)
}

fn gossip(host: &Host, peer: &Peer) -> Said {
    let capture: &GossipCapture = match host.gossip_capture.get() {
        Ok(capture) => capture,
        Err(gap) => return unseen(&gap),
    };
    let seconds = format!("{}.{} s", capture.listened_ms / 1000, capture.listened_ms % 1000 / 100);
    let Some(heard) = capture.with(peer.addr) else {
        return said(State::Unknown, "", "it was not listened for");
    };
    let PeerCapture { received, sent, answers, .. } = heard;
    let counted = format!("in {seconds} {received} datagrams received, {sent} sent");
    match capture.gossip(heard) {
        Gossip::Proven => {
            said(State::Proven, "answers", format!("{counted}; {answers} were answers to ours"))
        }
        Gossip::Refused => {
            said(State::Refuted, "refused", format!("{counted}, and ICMP says that nobody takes them"))
        }
        Gossip::Mute => said(State::Refuted, "silent", counted),
        Gossip::Deaf => said(State::Refuted, "deaf", format!("{counted}, and none of ours was answered")),
        Gossip::DeafHere => said(
            State::Refuted,
            "deaf here",
            format!("{counted}, and this machine answered none of its questions"),
        ),
        Gossip::NoProof if *sent == 0 && *received == 0 => {
            said(State::Unknown, "no proof", format!("the engines sent each other nothing in {seconds}"))
        }
        Gossip::NoProof if !capture.conclusive => {
            said(State::Unknown, "no proof", format!("{counted}; listen for longer (--listen)"))
        }
        Gossip::NoProof => said(State::Unknown, "no proof", counted),
    }
}

/// What came of asking a node over overlays that are encrypted, or that are not.
fn asked<'a>(
    overlays: &'a Fact<Vec<Overlay>>,
    peer: &Peer,
    encrypted: bool,
) -> Result<Vec<(&'a Overlay, &'a DataPlane, &'a overlay::Peer)>, Said> {
    let overlays = overlays.get().map_err(|gap| unseen(&gap))?;
    let of_kind = || overlays.value.iter().filter(|overlay| overlay.encrypted == encrypted);
    let kind = if encrypted { "encrypted overlay" } else { "overlay" };
    let mut asked = Vec::new();
    for overlay in of_kind() {
        let plane = overlay
            .data_plane
            .as_ref()
            .map_err(|why| said(State::Unknown, "", format!("{}: {why}", overlay.name)))?;
        asked.extend(plane.peers.iter().filter(|to| to.node == peer.addr).map(|to| (overlay, plane, to)));
    }
    if !asked.is_empty() {
        return Ok(asked);
    }
    let here = of_kind().next().is_some();
    Err(match (here, encrypted) {
        (false, _) => said(State::None, "", format!("this node is on no {kind}")),
        (true, true) => said(State::None, "", format!("the two share no {kind}")),
        (true, false) => said(State::Unknown, "", "the kernel here has no endpoint at that address"),
    })
}

fn crossing(host: &Host, peer: &Peer, encrypted: bool) -> Said {
    let asked = match asked(&host.overlays, peer, encrypted) {
        Ok(asked) => asked,
        Err(said) => return said,
    };
    let answered = asked.iter().find_map(|(overlay, plane, to)| match to.small {
        Echo::Answered { took_us } => Some((overlay, plane, took_us)),
        _ => None,
    });
    let over = |overlay: &Overlay, data_plane: &DataPlane| match encrypted {
        true => format!("over {}, as ESP", overlay.name),
        false => format!("over {}, port {}/udp", overlay.name, data_plane.port),
    };
    match (answered, asked.first()) {
        (Some((overlay, plane, took_us)), _) => {
            said(State::Proven, millis(took_us), format!("an echo came back {}", over(overlay, plane)))
        }
        (None, Some((overlay, plane, to))) => {
            let (says, more) = match to.capture.map(|wire| (wire, wire.course())) {
                None => ("lost", String::new()),
                Some((_, Course::HeldBack)) => ("held back", "; none of it left this machine".to_owned()),
                Some((Capture { sent, answers, .. }, Course::NotTaken)) => (
                    "not taken",
                    format!("; {sent} packets left, and {answers} answers came to this machine"),
                ),
                Some((Capture { sent, received, .. }, Course::OneWay)) => {
                    ("one way", format!("; {sent} packets left, and {received} others came from there"))
                }
                Some((Capture { sent, .. }, Course::Lost)) => {
                    ("lost", format!("; {sent} packets left, and none came from there"))
                }
            };
            said(State::Refuted, says, format!("no echo came back {}{more}", over(overlay, plane)))
        }
        (None, None) => said(State::Unknown, "", "nothing was asked"),
    }
}

/// Where no echo tells, what was overheard does not prove that both ways are open.
fn esp(host: &Host, peer: &Peer) -> Said {
    let (state, says, why) = crossing(host, peer, true);
    let heard = host.gossip_capture.get().ok().and_then(|capture| capture.with(peer.addr));
    match heard {
        Some(PeerCapture { esp_received, esp_sent, .. }) if esp_received + esp_sent > 0 => {
            (state, says, format!("{why}; {esp_received} ESP packets received, {esp_sent} sent"))
        }
        _ => (state, says, why),
    }
}

fn mtu(host: &Host, peer: &Peer) -> Said {
    let asked = match asked(&host.overlays, peer, false).or_else(|_| asked(&host.overlays, peer, true)) {
        Ok(asked) => asked,
        Err(said) => return said,
    };
    if let Some((overlay, plane, limit)) =
        asked.iter().find_map(|(overlay, plane, to)| Some((overlay, plane, to.limit(plane.mtu)?)))
    {
        let says = limit.passes.map_or_else(|| format!("<{}", limit.stops), |passes| passes.to_string());
        let why = format!("{} allows {} bytes, and {} do not pass", overlay.name, plane.mtu, limit.stops);
        return said(State::Refuted, says, why);
    }
    match asked.iter().find(|(_, _, to)| to.full.answered()) {
        Some((overlay, plane, _)) => {
            let why = format!("an echo of {} bytes came back over {}", plane.mtu, overlay.name);
            said(State::Proven, plane.mtu.to_string(), why)
        }
        None => said(
            State::Unknown,
            "",
            "no small echo came back either, or large ones get lost whatever their size",
        ),
    }
}

fn clock(host: &Host, peer: &Peer) -> Said {
    let clocks = match host.clocks.get() {
        Ok(clocks) => clocks,
        Err(gap) => return unseen(&gap),
    };
    let ahead = clocks.iter().find(|clock| clock.addr == peer.addr).and_then(|clock| clock.ahead_ms);
    let Some(ahead) = ahead else {
        return said(State::Unknown, "", "its kernel did not tell the time (ICMP timestamp)");
    };
    let says = match ahead.abs() {
        ms @ 0..10_000 => format!("{}{ms} ms", sign(ahead)),
        ms => format!("{}{} s", sign(ahead), ms / 1000),
    };
    let why = format!("its clock is {says} from this one's");
    said(if ahead.abs() < APART_MS { State::Proven } else { State::Refuted }, says, why)
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
