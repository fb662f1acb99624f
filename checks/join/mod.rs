//! What would keep this machine from joining a swarm, before it tries.

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

use crate::network::blocked::open_port;
use crate::{BuiltIn, Remedy, Subject};
use facts::join::{Found, Greeting, Join, Manager, Spoken};
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

/// The manager, where its name leads anywhere.
fn manager(seen: &Seen<Join>) -> Result<&Manager, Gap> {
    match &seen.found {
        Found::At(manager) => Ok(manager),
        Found::Nowhere { .. } => Err(moot(seen, "its name has no address")),
    }
}

/// What the manager said, where it is one.
fn spoken(seen: &Seen<Join>) -> Result<&Spoken, Gap> {
    match &manager(seen)?.greeting {
        Some(Greeting::Tls(spoken)) => Ok(spoken),
        _ => Err(moot(seen, "no manager answers there")),
    }
}

/// A question that another finding has made idle.
fn moot(seen: &Seen<Join>, reason: &str) -> Gap {
    let reason = format!("{}: {reason}", seen.target);
    Gap { source: seen.source.clone(), why: Why::NotApplicable { reason } }
}

/// The way from this machine to the manager, by the name that it was given.
fn way(host: &Host, join: &Join) -> Subject {
    let to = join.target.rsplit_once(':').map_or(join.target.as_str(), |(to, _)| to);
    Subject::Link { from: host.name.clone(), to: to.into() }
}

/// What to do where a port of the manager is blocked, by whom it is blocked.
fn open(host: &Host, manager: &Manager, outcome: &Outcome, port: u16) -> Remedy {
    let local = matches!(outcome, Outcome::NotSent { .. });
    let there = || NodeName(manager.addr.ip().to_string());
    open_port(if local { host.name.clone() } else { there() }, &format!("{port}/tcp"), local)
}
