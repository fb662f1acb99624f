//! What a machine sees of a swarm that it has yet to join.

use crate::link::Outcome;
use crate::swarm::Certificate;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The manager that was named, and what was seen of it. Its secret is the only thing of a token that is not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The manager as it was named, with its port, such as `m1.example.com:2377`.
    pub target: String,
    /// The token, where one was given.
    pub token: Option<Token>,
    /// Where the manager is, or why its name leads nowhere.
    pub found: Found,
}

/// Where a manager is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Found {
    /// The name has no address.
    #[serde(rename = "unresolved")]
    Nowhere {
        /// Why, in the words of whoever was asked.
        what: String,
    },
    /// It has one.
    #[serde(rename = "resolved")]
    At(Box<Manager>),
}

/// A manager as it looks from a machine that is to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manager {
    /// Its address and port.
    pub addr: SocketAddr,
    /// The address from which this machine reaches it, where there is a way at all.
    pub from: Option<IpAddr>,
    /// What came of a connection to its manager port.
    pub port: Outcome,
    /// What came of a connection to 7946/tcp.
    pub gossip: Outcome,
    /// What it said where TLS was begun.
    pub greeting: Option<Greeting>,
}

/// How whoever listens on the manager port answers to the first words of a join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Greeting {
    /// TLS did not come about.
    #[serde(rename = "no-tls")]
    Silent {
        /// What it ended in.
        what: String,
    },
    /// TLS came about.
    Tls(Box<Spoken>),
}

/// What was said over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// The protocol that was agreed on (ALPN). A manager says `h2`, or nothing.
    pub protocol: Option<String>,
    /// The certificate that it showed, where it can be read.
    pub certificate: Option<Certificate>,
    /// The swarm's authority, as it tells everyone who asks.
    #[serde(rename = "root_ca")]
    pub authority: Authority,
}

/// The answer to `docker.swarmkit.v1.CA/GetRootCACertificate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Authority {
    /// The manager returned it.
    Returned {
        /// The certificate, where it can be read.
        certificate: Option<Certificate>,
        /// SHA-256 of the returned certificate, in hex: the first part of a join token.
        digest: String,
    },
    /// The manager did not return it.
    #[serde(rename = "unavailable")]
    Untold {
        /// What came in its place.
        what: String,
    },
}

/// A join token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Token {
    /// It is one in form.
    #[serde(rename = "valid")]
    Sound {
        /// The SHA-256 of the authority of the swarm that it is for, in hex.
        #[serde(rename = "root_ca")]
        authority: String,
        /// The swarm demands FIPS (`SWMTKN-2-1-`).
        fips: bool,
    },
    /// It is none, and no engine takes it.
    Malformed {
        /// What is wrong with it.
        flaw: Flaw,
    },
}

/// What is wrong with what was given for a join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Flaw {
    /// There is nothing in it.
    Empty,
    /// It is a key that unlocks managers, `SWMKEY-`.
    UnlockKey,
    /// It does not begin with `SWMTKN-1-` or `SWMTKN-2-`.
    Foreign,
    /// It has another number of parts between its hyphens.
    Parts {
        /// How many there are.
        has: usize,
        /// How many there have to be.
        wants: usize,
    },
    /// A part is too short or too long.
    Length {
        /// `authority` or `secret`.
        part: String,
        /// How many characters it has.
        has: usize,
        /// How many it has to have.
        wants: usize,
    },
    /// The part that names the authority is no number in base 36 of 256 bits.
    NoDigest,
}
