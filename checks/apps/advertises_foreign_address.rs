use super::member::{Member, members, one_a_service};
use super::naming::own_name;
use super::place::{Place, inside};
use crate::{Confidence, Findings, Judged, View};
use facts::app::{Claim, Endpoint};
use std::iter;
use std::net::IpAddr;

check! {
    /// A clustered application tells its peers that it is where another is, or nobody.
    ///
    /// ## Why it matters
    /// What a member advertises is where all others look for it. The name of a service with several tasks leads to its
    /// virtual address, and so to any of them; that of another service leads to another application; an address that was
    /// typed in belongs to whichever task has it now, and task addresses change with every restart; and a name that does
    /// not resolve leads nowhere. Each member comes up, and the cluster never forms or falls apart again.
    ///
    /// ## How to fix it
    /// Give each task a hostname of its own, which is no service's name, and tell the application that name.
    ///
    /// ## When it is wrong
    /// Where another service passes on what comes to its name, as a proxy does. One task behind a virtual address is
    /// found there, and nothing is said of it; nor of addresses outside the task's own networks.
    ///
    /// Source: Docker docs, "Use swarm mode networking" (a service's name is its virtual address).
    "apps/advertises-foreign-address": Error, "a clustered application tells its peers that it is where it is not";
    needs Services, Apps, Info;
    caused_by "apps/binds-foreign-address", "apps/setting-malformed", "apps/shared-identity";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (endpoint, claim, first), rest) in one_a_service(&all, |member| astray(member, view)) {
        let summary = format!(
            "{} in {} advertises {} as its {} ({}), and that is {}",
            member.program.title,
            member.name(),
            super::at(&claim.host, endpoint.port),
            endpoint.what,
            claim.said,
            first.what
        );
        let claims: Vec<&Claim> = iter::once(claim).chain(rest.map(|(_, claim, _)| claim)).collect();
        let finding = out
            .report(member.subject(), summary, member.evidence(&claim.said))
            .confidence(first.confidence)
            .remedy(own_name(member, &claims, view));
        if let Some(app) = member.app.filter(|app| !app.addresses.is_empty()) {
            let held: Vec<String> = app.addresses.iter().map(|it| it.addr.to_string()).collect();
            finding.with(member.shown(format!("{}: its addresses are {}", app.name, held.join(", "))));
        }
    }
    Ok(())
}

/// What a member advertises that leads elsewhere.
fn astray<'m>(member: &'m Member<'_>, view: &View<'_>) -> Vec<(&'m Endpoint, &'m Claim, Wrong)> {
    // An ensemble of ZooKeeper lists where the others are, and nothing of itself that anyone else reads.
    if !member.is_clustered() || member.program.name == "zookeeper" {
        return Vec::new();
    }
    let all: Vec<_> =
        member.advertised().map(|(it, claim)| (it, claim, wrong(claim, member, view))).collect();
    // Beside one that leads here, another is for somebody else.
    let here: Vec<&str> = all.iter().filter(|it| it.2.is_none()).map(|(it, ..)| it.what.as_str()).collect();
    all.iter()
        .filter(|(it, ..)| !here.contains(&it.what.as_str()))
        .filter_map(|(it, claim, wrong)| Some((*it, *claim, wrong.clone()?)))
        .collect()
}

/// Where an advertised host leads instead.
#[derive(Clone)]
struct Wrong {
    what: String,
    confidence: Confidence,
}

fn wrong(claim: &Claim, member: &Member<'_>, view: &View<'_>) -> Option<Wrong> {
    if let Some(what) = shared(&claim.host, member) {
        return Some(Wrong { what, confidence: Confidence::High });
    }
    let (what, confidence) = match inside(&claim.host, member, view) {
        // One task is found at its virtual address; where more are, any of them answers.
        Place::Virtual { what, own: true } if member.has_twins() => {
            (format!("{what}, behind which any of its tasks answers"), Confidence::High)
        }
        Place::Virtual { what, own: false } => (what, Confidence::Medium),
        Place::Foreign { what, addrs } if is_among(&addrs, member) || leads_nowhere(claim, &addrs) => {
            (what, Confidence::High)
        }
        _ => return None,
    };
    Some(Wrong { what, confidence })
}

/// What a name is that stands for all tasks of the service, of which each one tells it as its own.
fn shared(host: &str, member: &Member<'_>) -> Option<String> {
    let spec = member.spec;
    let bare = host.strip_prefix("tasks.").unwrap_or(host);
    let round_robin = bare != host || spec.is_some_and(|spec| spec.dnsrr);
    let fixed =
        spec.and_then(|spec| spec.hostname.as_deref()).is_some_and(|name| name.eq_ignore_ascii_case(host));
    if !member.has_twins() {
        return None;
    }
    // By the engine's DNS server the others are told of its twins as well.
    let resolved = member.app.into_iter().flat_map(|app| &app.names);
    let addrs: Vec<IpAddr> = resolved
        .clone()
        .filter(|name| name.name.eq_ignore_ascii_case(host))
        .flat_map(|name| name.dns.clone().unwrap_or_default())
        .collect();
    let virtuals: Vec<IpAddr> = resolved.flat_map(|name| name.virtual_addresses()).collect();
    let held = |addr: &IpAddr| member.app.is_some_and(|app| app.addresses.iter().any(|it| it.addr == *addr));
    let twins: Vec<String> = addrs
        .iter()
        .filter(|addr| !held(addr) && !virtuals.contains(addr))
        .map(ToString::to_string)
        .collect();
    let own = addrs.iter().any(held);
    match (own && !twins.is_empty(), (round_robin && member.goes_by(bare)) || fixed) {
        (true, _) => Some(format!("{} as well, another task of the service", twins.join(", "))),
        (false, true) => Some("the name of each of its tasks, of which any answers".to_owned()),
        (false, false) => None,
    }
}

/// Whether the addresses are of networks that the container is in, so that another task has them or none.
fn is_among(addrs: &[IpAddr], member: &Member<'_>) -> bool {
    let held = member.app.map(|app| app.addresses.as_slice()).unwrap_or_default();
    !addrs.is_empty() && addrs.iter().all(|addr| held.iter().any(|own| own.covers(*addr)))
}

/// Whether it is a plain name without an address. One with dots may be meant for callers from outside.
fn leads_nowhere(claim: &Claim, addrs: &[IpAddr]) -> bool {
    addrs.is_empty() && !claim.host.contains(['.', ':'])
}
