//! What was overheard on the wire between this node and the others.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What was overheard in some seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GossipCapture {
    /// Duration of the capture, in milliseconds.
    pub listened_ms: u64,
    /// Whether the capture was long enough for silence to be conclusive, or all peers were seen before.
    pub conclusive: bool,
    /// The captured packets per peer.
    pub peers: Vec<PeerCapture>,
}

/// The captured packets between this node and a peer.
///
/// Gossip is encrypted, but the size of a datagram shows its type: memberlist pings one peer after the other, about one per
/// second, and the ack is by far the smallest message. Incoming packets are captured before this node's firewall, outgoing
/// ones after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCapture {
    /// The other's address.
    pub addr: IpAddr,
    /// How many datagrams of gossip came from it.
    pub received: u32,
    /// How many went to it.
    pub sent: u32,
    /// How many of those that came are answers.
    pub answers: u32,
    /// How many of those that went are answers.
    pub answered: u32,
    /// To how many of those that went nothing came in the time that gossip gives an answer.
    pub unanswered: u32,
    /// To how many of those that came nothing went in that time.
    pub ignored: u32,
    /// Whether an ICMP error reported that nothing listens there.
    pub refused: bool,
    /// How many packets of encrypted overlays came from it.
    pub esp_received: u32,
    /// How many of those went to it.
    pub esp_sent: u32,
}

/// What that says of gossip's datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gossip {
    /// They get there, and answers come back.
    Proven,
    /// The other machine, or one on the way, says no.
    Refused,
    /// Nothing comes from there, while this node asks.
    Mute,
    /// What comes from there is all right, and what goes there is never answered.
    Deaf,
    /// What comes from there arrives at this machine, and its engine never answers it.
    DeafHere,
    /// Nothing was proven.
    NoProof,
}

impl GossipCapture {
    /// What was overheard with the one that has this address.
    pub fn with(&self, addr: IpAddr) -> Option<&PeerCapture> {
        self.peers.iter().find(|heard| heard.addr == addr)
    }

    /// What that says of gossip's datagrams.
    pub fn gossip(&self, heard: &PeerCapture) -> Gossip {
        let silence = self.conclusive;
        match heard {
            PeerCapture { refused: true, answers: 0, .. } => Gossip::Refused,
            PeerCapture { answered: 0, ignored: 2.., .. } if silence => Gossip::DeafHere,
            PeerCapture { answers: 1.., .. } => Gossip::Proven,
            PeerCapture { received: 0, unanswered: 1.., .. } if silence => Gossip::Mute,
            PeerCapture { unanswered: 2.., .. } if silence => Gossip::Deaf,
            _ => Gossip::NoProof,
        }
    }
}

impl PeerCapture {
    /// Nothing yet.
    pub fn nothing(addr: IpAddr) -> Self {
        Self {
            addr,
            received: 0,
            sent: 0,
            answers: 0,
            answered: 0,
            unanswered: 0,
            ignored: 0,
            refused: false,
            esp_received: 0,
            esp_sent: 0,
        }
    }
}
