//! The echoes of one node over every overlay that this node shares with it.

use super::gossip_datagrams::member_without_udp;
use super::reachability::Reach;
use crate::Evidence;
use facts::host::Protocol;
use facts::link::Outcome;
use facts::log::Log;
use facts::overlay::{Capture, DataPlane, Echo, EchoPath, Overlay, Peer, SizedEcho};
use facts::swarm::SwarmState;
use facts::{Gap, Host, Seen, Timestamp, Why};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// The echoes of one node over every shared overlay.
pub(crate) struct NodeEchoes<'a> {
    /// The address to which VXLAN packets for the node are sent.
    pub(crate) node: IpAddr,
    /// One entry for each overlay.
    pub(crate) echoes: Vec<OverlayEcho<'a>>,
}

/// The echoes of one node over one overlay.
#[derive(Clone, Copy)]
pub(crate) struct OverlayEcho<'a> {
    pub(crate) overlay: &'a Overlay,
    pub(crate) plane: &'a DataPlane,
    pub(crate) peer: &'a Peer,
}

/// The echoes by node.
pub(crate) fn by_node(overlays: &[Overlay]) -> Vec<NodeEchoes<'_>> {
    let mut nodes: BTreeMap<IpAddr, Vec<OverlayEcho<'_>>> = BTreeMap::new();
    for overlay in overlays {
        let Ok(plane) = &overlay.data_plane else { continue };
        for peer in &plane.peers {
            nodes.entry(peer.node).or_default().push(OverlayEcho { overlay, plane, peer });
        }
    }
    nodes.into_iter().map(|(node, echoes)| NodeEchoes { node, echoes }).collect()
}

/// Overlays that could not be read, and nodes that were not probed.
pub(crate) fn gaps(overlays: &Seen<Vec<Overlay>>) -> impl Iterator<Item = Gap> {
    let why = |overlay: &Overlay| match &overlay.data_plane {
        Err(why) => Some(why.clone()),
        Ok(DataPlane { not_probed: 0, .. }) => None,
        Ok(DataPlane { not_probed, .. }) => {
            let reason = format!("{not_probed} more nodes on {} were not probed", overlay.name);
            Some(Why::NotAsked { reason })
        }
    };
    overlays.iter().filter_map(why).map(|why| Gap { source: overlays.source.clone(), why })
}

impl<'a> NodeEchoes<'a> {
    /// The echoes over encrypted overlays, or over the others.
    pub(crate) fn over(&self, encrypted: bool) -> impl Iterator<Item = &OverlayEcho<'a>> {
        self.echoes.iter().filter(move |echo| echo.overlay.encrypted == encrypted)
    }

    /// Whether the node answered over any encrypted overlay, or over any other.
    pub(crate) fn answers(&self, encrypted: bool) -> bool {
        self.over(encrypted).any(|echo| echo.peer.answers())
    }

    /// Whether the node answered over no overlay.
    pub(crate) fn is_silent(&self) -> bool {
        self.echoes.iter().all(|echo| !echo.peer.answers())
    }

    /// Whether the node answered on the underlay. It is only probed there if it is silent on an overlay.
    pub(crate) fn answers_on_underlay(&self) -> bool {
        self.echoes.iter().filter_map(|echo| echo.peer.underlay.as_ref()).any(Echo::answered)
    }

    /// How far the echoes got; `None` if no packets were captured.
    pub(crate) fn path(&self, encrypted: bool) -> Option<EchoPath> {
        let captured = self.over(encrypted).filter_map(|echo| echo.peer.capture);
        let sum = |sum: Capture, one: Capture| Capture {
            sent: sum.sent + one.sent,
            received: sum.received + one.received,
            answers: sum.answers + one.answers,
        };
        captured.reduce(sum).map(Capture::path)
    }
}

impl OverlayEcho<'_> {
    /// The port of the data plane, such as `4789/udp`.
    pub(crate) fn port(&self) -> String {
        format!("{}/{}", self.plane.port, Protocol::Udp)
    }

    /// The echoes with their results, on one line.
    pub(crate) fn describe(&self) -> String {
        let Self { overlay, plane, peer } = self;
        let underlay = match &peer.underlay {
            Some(echo) => format!("; underlay echo to {} {}", peer.node, describe_one(echo)),
            None => String::new(),
        };
        let captured = match (&peer.capture, overlay.encrypted) {
            (None, _) => String::new(),
            (Some(Capture { sent, received, .. }), true) => {
                format!("; captured: {sent} ESP packets sent, {received} received")
            }
            (Some(Capture { sent, received, answers }), false) => {
                format!("; captured: {sent} VXLAN packets sent, {received} received ({answers} echo replies)")
            }
        };
        let burst = peer.burst.map(|burst| format!("; burst: {burst}")).unwrap_or_default();
        let tcp = peer.tcp.as_ref().map(|tcp| format!("; TCP {}", describe_tcp(tcp))).unwrap_or_default();
        let packets = peer.packets.map(|packets| format!("; {packets} packets sent")).unwrap_or_default();
        format!(
            "{} (VNI {}, {}) to {} on {}: small echo {}, echo of {} bytes {}{tcp}{burst}{underlay}{captured}{packets}",
            overlay.name,
            plane.vni,
            self.port(),
            peer.endpoint,
            peer.node,
            describe_echo(&peer.small),
            plane.mtu,
            describe_echo(&peer.full)
        )
    }

    /// The echoes of sizes between small and full; `None` if none was sent.
    pub(crate) fn describe_sizes(&self) -> Option<String> {
        let one = |sized: &SizedEcho| {
            format!("{} {}", sized.size, if sized.echo.answered() { "answered" } else { "lost" })
        };
        let all: Vec<_> = self.peer.sizes.iter().map(one).collect();
        (!all.is_empty()).then(|| format!("sizes between: {}", all.join(", ")))
    }
}

/// An echo that is sent a second time if the first is lost.
fn describe_echo(echo: &Echo) -> String {
    match echo {
        Echo::Lost => "lost twice".into(),
        other => describe_one(other),
    }
}

fn describe_one(echo: &Echo) -> String {
    match echo {
        Echo::Answered { took_us } => format!("answered in {took_us} us"),
        Echo::Lost => "lost".into(),
        Echo::TooBig { mtu: 0 } => "too big".into(),
        Echo::TooBig { mtu } => format!("too big, path MTU {mtu}"),
        Echo::NotSent { errno } => format!("not sent (errno {errno})"),
    }
}

/// A SYN to a port that nothing listens on: a reset is the expected answer.
fn describe_tcp(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Open | Outcome::Refused { .. } => "SYN answered",
        Outcome::Filtered => "SYN lost",
        Outcome::Unreachable { .. } => "SYN rejected with an ICMP error",
        Outcome::NotSent { .. } => "SYN not sent",
    }
}

/// For how many seconds after a node joined gossip its endpoints may still be missing here, and ours there. The longest
/// seen was 2.5 s.
const SETTLE_SECONDS: i64 = 10;
/// The same for a node that gossip had given up. Its endpoints were forgotten, and come back with the bulk sync that each
/// node does with one other node every 30 s.
const SETTLE_AGAIN_SECONDS: i64 = 45;
/// Within how many seconds before a refutation this node has to have failed to reach others, how often. A busy node is
/// suspected now and then and refutes it at once; no other node removes its endpoints.
const CUT_OFF: (i64, usize) = (30, 2);

/// The nodes whose endpoints may still be on the way.
#[derive(Default)]
pub(crate) struct Joins {
    by_addr: BTreeMap<IpAddr, i64>,
    /// When this node last learned that others had given it up: any of them may have forgotten its endpoints.
    refuted: Option<i64>,
}

impl Joins {
    /// The joins that happened a moment ago. After a start of this engine these are all nodes.
    pub(crate) fn unsettled(log: &Log, now: Timestamp) -> Self {
        Self::lately(log, now, SETTLE_SECONDS, SETTLE_AGAIN_SECONDS)
    }

    /// The joins of the last `first` seconds, or of the last `again` seconds for a node that had been given up.
    ///
    /// Source: moby `daemon/libnetwork/networkdb/event_delegate.go`, `NotifyJoin`, `NotifyLeave`; memberlist `state.go`,
    /// `refute`.
    pub(crate) fn lately(log: &Log, now: Timestamp, first: i64, again: i64) -> Self {
        let (mut joins, mut left, mut unreached) = (Self::default(), BTreeSet::new(), Vec::new());
        for line in &log.lines {
            let Some(ago) = line.at.map(|at| now.as_second() - at.as_second()) else { continue };
            let refutes = line.message.starts_with("memberlist: Refuting a suspect message")
                || line.message.starts_with("memberlist: Refuting a dead message");
            if member_without_udp(&line.message).is_some() || line.message.starts_with("memberlist: Suspect ")
            {
                unreached.push(ago);
            }
            let (before, often) = CUT_OFF;
            let cut_off = || unreached.iter().filter(|then| **then - ago <= before).count() >= often;
            if refutes && ago <= again && cut_off() {
                joins.refuted = Some(ago);
            }
            let addr_before = |end: &str| {
                let (_, addr) = line.message.strip_prefix("Node ")?.strip_suffix(end)?.split_once('/')?;
                addr.parse::<IpAddr>().ok()
            };
            if let Some(addr) = addr_before(", left gossip cluster") {
                left.insert(addr);
            }
            if let Some(addr) = addr_before(", joined gossip cluster")
                && ago <= if left.contains(&addr) { again } else { first }
            {
                joins.by_addr.insert(addr, ago);
            }
        }
        joins
    }

    /// How many seconds ago the node joined, if its endpoints may still be on the way.
    pub(crate) fn ago(&self, node: IpAddr) -> Option<i64> {
        self.by_addr.get(&node).copied().or(self.refuted)
    }
}

/// The gap for a silent node that joined gossip a moment ago. It leaves the question open, so that `--wait` runs again.
pub(crate) fn too_early(log: &Seen<Log>, seconds: i64) -> Gap {
    let what = format!(
        "the node joined gossip {seconds} s ago and its overlay entries may still be on the way; run again"
    );
    Gap { source: log.source.clone(), why: Why::Undecidable { what } }
}

/// Whether a node that is silent on the overlays is up: its host answers, and no probe shows that its engine is stopped.
pub(crate) fn is_up(reach: &Reach<'_>) -> bool {
    let refused = matches!(reach.gossip(), Some(Outcome::Refused { .. }));
    reach.host_answers() && (!refused || reach.engine_answers())
}

/// The separate address for VXLAN packets (`--data-path-addr`), if this node has one. Then the remote VTEP addresses need
/// not be the advertised addresses of the nodes.
pub(crate) fn data_path_addr(host: &Host) -> Result<Option<IpAddr>, Gap> {
    let ip = |text: &str| text.parse::<SocketAddr>().map(|addr| addr.ip()).or_else(|_| text.parse()).ok();
    let state = host.swarm_state.get()?;
    let separate =
        |state: &SwarmState| ip(&state.data_path_addr).filter(|own| ip(&state.advertise_addr) != Some(*own));
    Ok(state.value.as_ref().and_then(separate))
}

/// The source address from which other nodes accept the VXLAN packets of this node, with the evidence for it.
pub(crate) fn accepted_source(host: &Host) -> Result<Option<(IpAddr, Evidence)>, Gap> {
    if let Some(addr) = data_path_addr(host)? {
        let state = host.swarm_state.get()?;
        return Ok(Some((addr, Evidence::value(state, format!("DataPathAddr: {addr}")))));
    }
    let info = host.info.get()?;
    Ok(info.swarm.node_addr.map(|addr| (addr, Evidence::value(info, format!("Swarm.NodeAddr: {addr}")))))
}

/// The interface by which VXLAN packets leave this node.
pub(crate) fn underlay(host: &Host) -> Result<Option<&facts::host::Interface>, Gap> {
    let interfaces = host.interfaces.get()?;
    let Some((own, _)) = accepted_source(host)? else { return Ok(None) };
    Ok(interfaces.value.iter().find(|interface| interface.holds(own)))
}
