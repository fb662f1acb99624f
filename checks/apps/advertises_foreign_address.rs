use crate::model::app_member::{Member, first_per_service, members};
use crate::model::app_naming::own_name;
use crate::model::host_scope::{HostScope, scope_inside};
use crate::{Confidence, Findings, Judged, View};
use facts::app::{Endpoint, HostSetting};
use std::iter;
use std::net::IpAddr;

check! {
    /// A clustered application advertises an address that leads to another task, or to none.
    ///
    /// ## Why it matters
    /// Peers connect to the address that a member advertises. The name of a service with several tasks resolves to its
    /// VIP, so any of them answers. The name of another service leads to another application. A fixed IP address belongs to
    /// whichever task holds it now, and task addresses change with every restart. A name that does not resolve leads
    /// nowhere. Each member starts, and the cluster does not form or falls apart again.
    ///
    /// ## How to fix it
    /// Give each task a unique hostname that is not the name of a service, and advertise that name.
    ///
    /// ## When it is wrong
    /// Another service forwards what arrives at its name, as a proxy does. A single task behind a VIP is reachable there
    /// and is not reported; nor are addresses outside the task's own networks.
    ///
    /// Source: Docker docs, "Use swarm mode networking" (the name of a service resolves to its VIP).
    "apps/advertises-foreign-address": Error, "a clustered application advertises an address that it does not hold";
    healthy "every clustered application advertises an address that it holds";
    needs Services, Apps, Info;
    caused_by "apps/binds-foreign-address", "apps/setting-malformed", "apps/shared-identity";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (endpoint, host_setting, first), rest) in
        first_per_service(&all, |member| astray(member, view))
    {
        let summary = format!(
            "{} in {} advertises {} as its {} ({}), which is {}",
            member.program.title,
            member.name(),
            super::at(&host_setting.host, endpoint.port),
            endpoint.what,
            host_setting.setting,
            first.what
        );
        let host_settings: Vec<&HostSetting> =
            iter::once(host_setting).chain(rest.map(|(_, host_setting, _)| host_setting)).collect();
        let finding = out
            .report(member.subject(), summary, member.evidence(&host_setting.setting))
            .confidence(first.confidence)
            .remedy(own_name(member, &host_settings, view));
        if let Some(app) = member.app.filter(|app| !app.addresses.is_empty()) {
            let held: Vec<String> = app.addresses.iter().map(|it| it.addr.to_string()).collect();
            finding.with(member.shown(format!("{}: its addresses are {}", app.name, held.join(", "))));
        }
    }
    Ok(())
}

/// What a member advertises that leads to another task or to none.
fn astray<'m>(member: &'m Member<'_>, view: &View<'_>) -> Vec<(&'m Endpoint, &'m HostSetting, Wrong)> {
    // A ZooKeeper server lists its peers; no server reads its own entry.
    if !member.is_clustered() || member.program.name == "zookeeper" {
        return Vec::new();
    }
    let all: Vec<_> = member
        .advertised()
        .map(|(it, host_setting)| (it, host_setting, wrong(host_setting, member, view)))
        .collect();
    // Beside an address that leads here, another is for other callers.
    let here: Vec<&str> = all.iter().filter(|it| it.2.is_none()).map(|(it, ..)| it.what.as_str()).collect();
    all.iter()
        .filter(|(it, ..)| !here.contains(&it.what.as_str()))
        .filter_map(|(it, host_setting, wrong)| Some((*it, *host_setting, wrong.clone()?)))
        .collect()
}

/// Where an advertised host leads.
#[derive(Clone)]
struct Wrong {
    what: String,
    confidence: Confidence,
}

fn wrong(host_setting: &HostSetting, member: &Member<'_>, view: &View<'_>) -> Option<Wrong> {
    if let Some(what) = shared(&host_setting.host, member) {
        return Some(Wrong { what, confidence: Confidence::High });
    }
    let (what, confidence) = match scope_inside(&host_setting.host, member, view) {
        // A single task is reachable at its VIP; of several, any answers.
        HostScope::Vip { what, own: true } if member.has_twins() => {
            (format!("{what}, where any of its tasks answers"), Confidence::High)
        }
        HostScope::Vip { what, own: false } => (what, Confidence::Medium),
        HostScope::Foreign { what, addrs }
            if is_among(&addrs, member) || leads_nowhere(host_setting, &addrs) =>
        {
            (what, Confidence::High)
        }
        _ => return None,
    };
    Some(Wrong { what, confidence })
}

/// What a name resolves to that every task of the service advertises as its own.
fn shared(host: &str, member: &Member<'_>) -> Option<String> {
    let spec = member.spec;
    let bare = host.strip_prefix("tasks.").unwrap_or(host);
    let round_robin = bare != host || spec.is_some_and(|spec| spec.dnsrr);
    let fixed =
        spec.and_then(|spec| spec.hostname.as_deref()).is_some_and(|name| name.eq_ignore_ascii_case(host));
    if !member.has_twins() {
        return None;
    }
    // The engine's DNS server answers with the other tasks as well.
    let resolved = member.app.into_iter().flat_map(|app| &app.names);
    let addrs: Vec<IpAddr> = resolved
        .clone()
        .filter(|name| name.name.eq_ignore_ascii_case(host))
        .flat_map(|name| name.dns.clone().unwrap_or_default())
        .collect();
    let virtuals: Vec<IpAddr> = resolved.flat_map(|name| name.vips()).collect();
    let held = |addr: &IpAddr| member.app.is_some_and(|app| app.addresses.iter().any(|it| it.addr == *addr));
    let twins: Vec<String> = addrs
        .iter()
        .filter(|addr| !held(addr) && !virtuals.contains(addr))
        .map(ToString::to_string)
        .collect();
    let own = addrs.iter().any(held);
    match (own && !twins.is_empty(), (round_robin && member.goes_by(bare)) || fixed) {
        (true, _) => Some(format!("also {}, another task of the service", twins.join(", "))),
        (false, true) => Some("the name of all its tasks, any of which answers".to_owned()),
        (false, false) => None,
    }
}

/// Whether the addresses are in the networks of the container, so that another task holds them or none.
fn is_among(addrs: &[IpAddr], member: &Member<'_>) -> bool {
    let held = member.app.map(|app| app.addresses.as_slice()).unwrap_or_default();
    !addrs.is_empty() && addrs.iter().all(|addr| held.iter().any(|own| own.covers(*addr)))
}

/// Whether it is a plain name that does not resolve. A name with dots may be for callers from outside.
fn leads_nowhere(host_setting: &HostSetting, addrs: &[IpAddr]) -> bool {
    addrs.is_empty() && !host_setting.host.contains(['.', ':'])
}
