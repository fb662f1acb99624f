//! What came of asking one node over all overlays that both are on.

use super::reach::Reach;
use facts::host::Protocol;
use facts::link::Outcome;
use facts::log::Log;
use facts::overlay::{Echo, Overlay, Peer, Plane, Tried};
use facts::{Gap, Host, Seen, Timestamp, Why};
use std::collections::BTreeMap;
use std::net::IpAddr;

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
    pub(super) plane: &'a Plane,
    pub(super) peer: &'a Peer,
}

/// The echoes by node.
pub(super) fn by_node(overlays: &[Overlay]) -> Vec<Crossing<'_>> {
    let mut nodes: BTreeMap<IpAddr, Vec<Asked<'_>>> = BTreeMap::new();
    for overlay in overlays {
        let Ok(plane) = &overlay.plane else { continue };
        for peer in &plane.peers {
            nodes.entry(peer.node).or_default().push(Asked { overlay, plane, peer });
        }
    }
    nodes.into_iter().map(|(node, asked)| Crossing { node, asked }).collect()
}

/// The overlays that could not be looked at, and nodes that were not asked.
pub(super) fn gaps(overlays: &Seen<Vec<Overlay>>) -> impl Iterator<Item = Gap> {
    let why = |overlay: &Overlay| overlay.plane.as_ref().err().cloned();
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

    /// Whether nothing came back over any overlay.
    pub(super) fn silent(&self) -> bool {
        self.asked.iter().all(|asked| !asked.peer.small.answered())
    }
}

impl Asked<'_> {
    /// The port of the data plane, such as `4789/udp`.
    pub(super) fn port(&self) -> String {
        format!("{}/{}", self.plane.port, Protocol::Udp)
    }

    /// Over what whom was asked, and what came of it.
    pub(super) fn shown(&self) -> String {
        let Self { overlay, plane, peer } = self;
        format!(
            "{} (VNI {}, {}) to {} on {}: small echo {}, one of {} bytes {}",
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
        let all: Vec<_> = self.peer.between.iter().map(one).collect();
        (!all.is_empty()).then(|| format!("sizes between: {}", all.join(", ")))
    }
}

/// What came of an echo, in words.
fn said(echo: &Echo) -> String {
    match echo {
        Echo::Answered { took_us } => format!("answered in {took_us} us"),
        Echo::Lost => "lost twice".into(),
        Echo::TooBig { mtu: 0 } => "too big".into(),
        Echo::TooBig { mtu } => format!("too big, {mtu} would fit"),
        Echo::NotSent { errno } => format!("not sent (errno {errno})"),
    }
}

/// How long after a node joined gossip its endpoints, and ours at its place, may still be on their way. Seen were two
/// seconds and a half.
const ON_THE_WAY: i64 = 10;

/// The nodes that have joined gossip just now, with how many seconds ago: after this engine's start, all of them.
pub(super) fn newcomers(log: &Log, now: Timestamp) -> BTreeMap<IpAddr, i64> {
    let mut newcomers = BTreeMap::new();
    for line in &log.lines {
        let Some(ago) = line.at.map(|at| now.as_second() - at.as_second()) else { continue };
        let joined =
            || line.message.strip_prefix("Node ")?.strip_suffix(", joined gossip cluster")?.split_once('/');
        if ago <= ON_THE_WAY
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

/// The MTU of the interface that holds the address this node advertises, with the interface's name.
pub(super) fn underlay(host: &Host) -> Result<Option<(&str, u32)>, Gap> {
    let interfaces = host.interfaces.get()?;
    let Some(own) = host.info.get()?.swarm.node_addr else { return Ok(None) };
    let held = interfaces.value.iter().find(|interface| interface.holds(own));
    Ok(held.map(|interface| (interface.name.as_str(), interface.mtu)))
}
