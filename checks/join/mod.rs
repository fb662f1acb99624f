//! Checks that run before this host joins a swarm.

mod already_a_member;
mod clock_skew;
mod gossip_port_blocked;
mod manager_unreachable;
mod not_a_manager;
mod not_a_swarm_manager_port;
mod own_address;
mod root_ca_unavailable;
mod token_malformed;
mod token_of_another_swarm;

use crate::model::blocked_port::{Direction, open_port};
use crate::{BuiltIn, Remedy, Subject};
use facts::join::{Found, Greeting, Join, Manager, TlsAnswer};
use facts::link::Outcome;
use facts::{Gap, Host, NodeName, Seen, Why};

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &already_a_member::CHECK,
    &token_malformed::CHECK,
    &own_address::CHECK,
    &manager_unreachable::CHECK,
    &not_a_manager::CHECK,
    &token_of_another_swarm::CHECK,
    &root_ca_unavailable::CHECK,
    &clock_skew::CHECK,
    &not_a_swarm_manager_port::CHECK,
    &gossip_port_blocked::CHECK,
];

/// The manager, where its hostname resolves.
fn manager(seen: &Seen<Join>) -> Result<&Manager, Gap> {
    match &seen.found {
        Found::Resolved(manager) => Ok(manager),
        Found::Unresolved { .. } => Err(not_applicable(seen, "its hostname cannot be resolved")),
    }
}

/// The TLS answer of the manager.
fn tls_answer(seen: &Seen<Join>) -> Result<&TlsAnswer, Gap> {
    match &manager(seen)?.greeting {
        Some(Greeting::Tls(answer)) => Ok(answer),
        _ => Err(not_applicable(seen, "no manager answers there")),
    }
}

/// A question that another finding has answered.
fn not_applicable(seen: &Seen<Join>, reason: &str) -> Gap {
    let reason = format!("{}: {reason}", seen.target);
    Gap { source: seen.source.clone(), why: Why::NotApplicable { reason } }
}

/// The path from this host to the manager, by the name on the command line.
fn link(host: &Host, join: &Join) -> Subject {
    let to = join.target.rsplit_once(':').map_or(join.target.as_str(), |(to, _)| to);
    Subject::Link { from: host.name.clone(), to: to.into() }
}

/// Opens a port of the manager, on the host that blocks it.
fn open(host: &Host, manager: &Manager, outcome: &Outcome, port: u16) -> Remedy {
    let local = matches!(outcome, Outcome::NotSent { .. });
    let there = || NodeName(manager.addr.ip().to_string());
    let port = format!("{port}/tcp");
    if local {
        open_port(host.name.clone(), &port, Direction::Out)
    } else {
        open_port(there(), &port, Direction::InOnPeer)
    }
}
