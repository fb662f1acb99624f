//! What a host that is not a member sees of a swarm before it joins.

use crate::link::Outcome;
use crate::swarm::Certificate;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The manager to join through, and the token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The manager as given by the user, with its port, such as `m1.example.com:2377`.
    pub target: String,
    /// `None` if no token was given.
    pub token: Option<Token>,
    /// The result of resolving and probing the manager.
    pub found: Found,
}

/// The result of resolving the hostname of a manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Found {
    /// The hostname cannot be resolved.
    Unresolved {
        /// The error of the resolver.
        what: String,
    },
    /// The hostname has an address, and the manager was probed there.
    Resolved(Box<Manager>),
}

/// A manager, probed from the host that joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manager {
    /// The probed address and port.
    pub addr: SocketAddr,
    /// The source address of packets to it; `None` without a route.
    pub from: Option<IpAddr>,
    /// A TCP connection to its manager port.
    pub port: Outcome,
    /// A TCP connection to its port 7946.
    pub gossip: Outcome,
    /// The TLS handshake on the manager port; `None` if the port is not open, or is 7946.
    pub greeting: Option<Greeting>,
}

/// The result of a TLS handshake on the manager port, without a client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Greeting {
    /// The handshake failed.
    NoTls {
        /// The error.
        what: String,
    },
    /// The handshake succeeded.
    Tls(Box<TlsAnswer>),
}

/// What the server sent over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsAnswer {
    /// The negotiated protocol (ALPN). A manager selects `h2` or none.
    pub protocol: Option<String>,
    /// The server certificate; `None` if it cannot be parsed.
    pub certificate: Option<Certificate>,
    /// The root CA of the swarm, which a manager returns without authentication.
    pub root_ca: RootCa,
}

/// The answer to `docker.swarmkit.v1.CA/GetRootCACertificate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RootCa {
    /// The manager returned it.
    Returned {
        /// `None` if the certificate cannot be parsed.
        certificate: Option<Certificate>,
        /// SHA-256 of the returned certificate, in hex: the first part of a join token.
        digest: String,
    },
    /// The manager did not return it.
    Unavailable {
        /// The error or the answer instead.
        what: String,
    },
}

/// A join token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Token {
    /// The format is valid.
    Valid {
        /// SHA-256 of the root CA of the swarm that the token is for, in hex.
        root_ca: String,
        /// The swarm requires FIPS (`SWMTKN-2-1-`).
        fips: bool,
    },
    /// The format is invalid; every engine rejects it.
    Malformed {
        /// The format error.
        flaw: Flaw,
    },
}

/// A format error of a join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Flaw {
    /// It has no characters.
    Empty,
    /// It is an unlock key (`SWMKEY-`).
    UnlockKey,
    /// It does not begin with `SWMTKN-1-` or `SWMTKN-2-`.
    Foreign,
    /// The number of parts between hyphens is wrong.
    Parts {
        /// The number of parts.
        has: usize,
        /// The required number of parts.
        wants: usize,
    },
    /// A part is too short or too long.
    Length {
        /// `authority` or `secret`.
        part: String,
        /// Its length in characters.
        has: usize,
        /// The required length in characters.
        wants: usize,
    },
    /// The digest of the root CA is not a number of at most 256 bits in base 36.
    NoDigest,
}
