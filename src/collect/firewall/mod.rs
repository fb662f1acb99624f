//! Reads the firewall rules of this network namespace from the kernel. Nothing is changed, and no module is loaded.

mod attributes;
mod expressions;
mod ipsets;
mod legacy;
mod tables;
#[cfg(test)]
mod tests;
mod xt;

use super::{Artifact, Place, Session, why};
use facts::firewall::{Expr, Family, Ruleset, Table, Verdict};
use facts::host::{ModuleState, Modules};
use facts::{Need, Why};
use std::time::Duration;
use std::{io, thread};

/// The chains whose jump the engine removes and inserts again at the top whenever it creates a network
/// (libnetwork `arrangeUserFilterRule`).
const IN_FRONT: [&str; 3] = ["DOCKER-USER", "DOCKER-FORWARD", "DOCKER-ISOLATION-STAGE-1"];
/// The maximum duration of that on a busy host, and the interval of the checks.
const PAUSE: Duration = Duration::from_millis(300);
const LOOKS: u32 = 3;

pub(super) async fn firewall(session: &Session) -> Vec<Artifact> {
    let origin = "netlink: nf_tables; getsockopt(2) of ip_tables and ip6_tables";
    let place = Place::new(Need::Firewall, "host/firewall.json", origin);
    let modules =
        session.artifacts(Need::Modules).await.iter().find_map(|artifact| artifact.content.as_ref());
    let modules: Modules =
        modules.and_then(|content| serde_json::from_slice(content).ok()).unwrap_or_default();
    let state = modules.0.get("nf_tables").map(|module| module.state);
    // A request would load the module; without the module there are no rules.
    let asleep = matches!(state, Some(ModuleState::Loadable | ModuleState::Missing));
    session.of_this_machine(place, move || settled(!asleep).map_err(|error| gap(&error))).await
}

/// The rules, after the engine has finished changing them.
fn settled(nf_tables: bool) -> io::Result<Ruleset> {
    let mut rules = ruleset(nf_tables)?;
    for _ in 0..LOOKS {
        if !is_moving(&rules) {
            break;
        }
        thread::sleep(PAUSE);
        rules = ruleset(nf_tables)?;
    }
    Ok(rules)
}

/// Whether one of these chains exists without a jump to it.
fn is_moving(rules: &Ruleset) -> bool {
    let leads = |table: &Table, to: &str| {
        let jump = |expr: &Expr| matches!(expr, Expr::Verdict { verdict: Verdict::Jump(chain) | Verdict::Goto(chain) } if chain == to);
        table.chains.iter().flat_map(|chain| &chain.rules).any(|rule| rule.exprs.iter().any(jump))
    };
    rules.tables.iter().filter(|table| table.family == Family::Ip).any(|table| {
        let mut chains = table.chains.iter().map(|chain| chain.name.as_str());
        chains.any(|chain| IN_FRONT.contains(&chain) && !leads(table, chain))
    })
}

/// The rules of the network namespace of this thread.
fn ruleset(nf_tables: bool) -> io::Result<Ruleset> {
    if cfg!(target_endian = "big") {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "rules are read on little-endian machines alone",
        ));
    }
    let mut tables = if nf_tables { tables::tables()? } else { Vec::new() };
    tables.extend(legacy::tables()?);
    // Without the ipsets, rules that refer to them are undetermined.
    let ipsets = ipsets::ipsets(&mut tables).unwrap_or_default();
    Ok(Ruleset { tables, ipsets })
}

fn gap(error: &io::Error) -> Why {
    match error.kind() {
        io::ErrorKind::InvalidData => Why::Malformed { line: 0, what: error.to_string() },
        io::ErrorKind::Unsupported => Why::NotApplicable { reason: error.to_string() },
        _ => why(error, "read the packet filter's rules"),
    }
}
