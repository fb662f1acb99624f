//! What came of asking one node over all overlays that both are on.

use super::reach::Reach;
use crate::Evidence;
use facts::host::Protocol;
use facts::link::Outcome;
use facts::log::Log;
use facts::overlay::{Capture, Course, DataPlane, Echo, Overlay, Peer, Tried};
use facts::swarm::SwarmState;
use facts::{Gap, Host, Seen, Timestamp, Why};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What came of asking one node over all overlays that both are on.
pub(super) struct Crossing<'a> {
    /// The address to which its packets go.
    pub(super) node: IpAddr,
    /// One echo for each overlay.
    pub(super) asked: Vec<Asked<'a>>,
}

/// What came of asking one node over one overlay.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) overlay: &'a Overlay,
    pub(super) data_plane: &'a DataPlane,
    pub(super) peer: &'a Peer,
}

/// The echoes by node.
pub(super) fn by_node(overlays: &[Overlay]) -> Vec<Crossing<'_>> {
    let mut nodes: BTreeMap<IpAddr, Vec<Asked<'_>>> = BTreeMap::new();
    for overlay in overlays {
        let Ok(plane) = &overlay.data_plane else { continue };
        for peer in &plane.peers {
            nodes.entry(peer.node).or_default().push(Asked { overlay, data_plane: plane, peer });
        }
    }
    nodes.into_iter().map(|(node, asked)| Crossing { node, asked }).collect()
}

/// The overlays that could not be looked at, and nodes that were not asked.
pub(super) fn gaps(overlays: &Seen<Vec<Overlay>>) -> impl Iterator<Item = Gap> {
    let why = |overlay: &Overlay| match &overlay.data_plane {
        Err(why) => Some(why.clone()),
        Ok(DataPlane { not_probed: 0, .. }) => None,
        Ok(DataPlane { not_probed, .. }) => {
            let reason = format!("{not_probed} more nodes on {} were not asked", overlay.name);
            Some(Why::NotAsked { reason })
        }
    };
    overlays.iter().filter_map(why).map(|why| Gap { source: overlays.source.clone(), why })
}

impl<'a> Crossing<'a> {
    /// Whether anything came back over any overlay that is encrypted, or that is not.
    pub(super) fn answers(&self, encrypted: bool) -> bool {
        self.of(encrypted).any(|asked| asked.peer.small.answered())
    }

    /// What was asked over overlays that are encrypted, or that are not.
    pub(super) fn of(&self, encrypted: bool) -> impl Iterator<Item = &Asked<'a>> {
        self.asked.iter().filter(move |asked| asked.overlay.encrypted == encrypted)
    }

    /// Whether the node answered beneath the overlays, where it did not over them.
    pub(super) fn answers_beneath(&self) -> bool {
        let beneath = self.asked.iter().filter_map(|asked| asked.peer.underlay.as_ref());
        beneath.into_iter().any(Echo::answered)
    }

    /// How far the echoes got over those that are encrypted, or that are not, where that was listened to.
    pub(super) fn course(&self, encrypted: bool) -> Option<Course> {
        let wires = self.of(encrypted).filter_map(|asked| asked.peer.capture);
        let sum = |sum: Capture, capture: Capture| Capture {
            sent: sum.sent + capture.sent,
            received: sum.received + capture.received,
            answers: sum.answers + capture.answers,
        };
        wires.reduce(sum).map(Capture::course)
    }

    /// Whether nothing came back over any overlay.
    pub(super) fn silent(&self) -> bool {
        self.asked.iter().all(|asked| !asked.peer.small.answered())
    }
}

impl Asked<'_> {
    /// The port of the data plane, such as `4789/udp`.
    pub(super) fn port(&self) -> String {
        format!("{}/{}", self.data_plane.port, Protocol::Udp)
    }

    /// Over what whom was asked, and what came of it.
    pub(super) fn shown(&self) -> String {
        let Self { overlay, data_plane: plane, peer } = self;
        let beneath = match &peer.underlay {
            Some(echo) => format!("; {} itself, beneath the overlay, {}", peer.node, once(echo)),
            None => String::new(),
        };
        let wire = match (&peer.capture, overlay.encrypted) {
            (None, _) => String::new(),
            (Some(Capture { sent, received, .. }), true) => {
                format!("; of ESP meanwhile {sent} packets went there and {received} came from there")
            }
            (Some(Capture { sent, received, answers }), false) => format!(
                "; on the wire meanwhile {sent} packets went there and {received} came from there, {answers} of them answers"
            ),
        };
        let packets = peer.packets.map(|packets| format!("; {packets} packets sent")).unwrap_or_default();
        format!(
            "{} (VNI {}, {}) to {} on {}: small echo {}, one of {} bytes {}{beneath}{wire}{packets}",
            overlay.name,
            plane.vni,
            self.port(),
            peer.endpoint,
            peer.node,
            said(&peer.small),
            plane.mtu,
            said(&peer.full)
        )
    }

    /// What came of the sizes between, where they were tried.
    pub(super) fn between(&self) -> Option<String> {
        let one = |tried: &Tried| {
            format!("{} {}", tried.size, if tried.echo.answered() { "answered" } else { "lost" })
        };
        let all: Vec<_> = self.peer.sizes.iter().map(one).collect();
        (!all.is_empty()).then(|| format!("sizes between: {}", all.join(", ")))
    }
}

/// What came of an echo, in words.
fn said(echo: &Echo) -> String {
    match echo {
        Echo::Lost => "lost twice".into(),
        other => once(other),
    }
}

/// What came of an echo that was asked for once.
fn once(echo: &Echo) -> String {
    match echo {
        Echo::Answered { took_us } => format!("answered in {took_us} us"),
        Echo::Lost => "lost".into(),
        Echo::TooBig { mtu: 0 } => "too big".into(),
        Echo::TooBig { mtu } => format!("too big, {mtu} would fit"),
        Echo::NotSent { errno } => format!("not sent (errno {errno})"),
    }
}

/// How long after a node joined gossip its endpoints, and ours at its place, may still be on their way. Seen were two
/// seconds and a half.
pub(super) const ON_THE_WAY: i64 = 10;

/// The nodes that have joined gossip within so many seconds, with how many ago: after this engine's start, all of them.
pub(super) fn newcomers(log: &Log, now: Timestamp, within: i64) -> BTreeMap<IpAddr, i64> {
    let mut newcomers = BTreeMap::new();
    for line in &log.lines {
        let Some(ago) = line.at.map(|at| now.as_second() - at.as_second()) else { continue };
        let joined =
            || line.message.strip_prefix("Node ")?.strip_suffix(", joined gossip cluster")?.split_once('/');
        if ago <= within
            && let Some((_, addr)) = joined()
            && let Ok(addr) = addr.parse()
        {
            newcomers.insert(addr, ago);
        }
    }
    newcomers
}

/// Why nothing is said of a node that keeps silent and has only just joined.
pub(super) fn too_early(log: &Seen<Log>, seconds: i64) -> Gap {
    let reason = format!("it joined gossip {seconds} s ago, and endpoints may still be on their way");
    Gap { source: log.source.clone(), why: Why::NotAsked { reason } }
}

/// Whether a node that keeps silent on the overlays is there otherwise: its machine answers, and nothing says that
/// its engine is off.
pub(super) fn is_up(reach: &Reach<'_>) -> bool {
    let refused = matches!(reach.gossip(), Some(Outcome::Refused { .. }));
    reach.machine_answers() && (!refused || reach.engine_answers())
}

/// The address of its own that this node was given for the overlays' packets (`--data-path-addr`). Then the addresses they
/// go to need not be those of any node.
pub(super) fn apart(host: &Host) -> Result<Option<IpAddr>, Gap> {
    let ip = |text: &str| text.parse::<SocketAddr>().map(|addr| addr.ip()).or_else(|_| text.parse()).ok();
    let state = host.swarm_state.get()?;
    let apart =
        |state: &SwarmState| ip(&state.data_path_addr).filter(|own| ip(&state.advertise_addr) != Some(*own));
    Ok(state.value.as_ref().and_then(apart))
}

/// Where the other nodes take the overlays' packets of this one to come from, with what tells so.
pub(super) fn own_address(host: &Host) -> Result<Option<(IpAddr, Evidence)>, Gap> {
    if let Some(addr) = apart(host)? {
        let state = host.swarm_state.get()?;
        return Ok(Some((addr, Evidence::value(state, format!("DataPathAddr: {addr}")))));
    }
    let info = host.info.get()?;
    Ok(info.swarm.node_addr.map(|addr| (addr, Evidence::value(info, format!("Swarm.NodeAddr: {addr}")))))
}

/// The interface that the overlays' packets leave by: its name and MTU.
pub(super) fn underlay(host: &Host) -> Result<Option<(&str, u32)>, Gap> {
    let interfaces = host.interfaces.get()?;
    let Some((own, _)) = own_address(host)? else { return Ok(None) };
    let held = interfaces.value.iter().find(|interface| interface.holds(own));
    Ok(held.map(|interface| (interface.name.as_str(), interface.mtu)))
}
