//! What a host in a setting stands for: inside the container, which binds it, and for peers, which connect to it.

use super::app_member::Member;
use crate::{Evidence, View};
use facts::app::{Endpoint, HostSetting};
use facts::service::Service;
use std::net::IpAddr;

/// What a host stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostScope {
    /// Every interface.
    AnyAddress,
    /// The loopback interface of whichever host uses it.
    Loopback,
    /// The container.
    Own,
    /// The VIP of a service, which no container holds.
    Vip {
        /// The address and its service.
        what: String,
        /// Whether the service is the member's own.
        own: bool,
    },
    /// Addresses that the container does not hold, or none.
    Foreign {
        /// The addresses, for a sentence.
        what: String,
        /// The addresses.
        addrs: Vec<IpAddr>,
    },
    /// Not known from here.
    Unknown,
}

/// What a host stands for wherever it is used; `None` where that depends on the container.
pub(crate) fn scope_of_literal(host: &str) -> Option<HostScope> {
    match host.trim_matches(['[', ']']) {
        "" | "0.0.0.0" | "::" | "*" => Some(HostScope::AnyAddress),
        "localhost" | "ip6-localhost" | "localhost.localdomain" => Some(HostScope::Loopback),
        host => host.parse().ok().filter(IpAddr::is_loopback).map(|_| HostScope::Loopback),
    }
}

/// What a cluster member advertises that has this scope everywhere.
pub(crate) fn advertised_with<'m>(
    member: &'m Member<'_>,
    scope: &HostScope,
) -> Vec<(&'m Endpoint, &'m HostSetting)> {
    let advertised = member.config.clustered.then(|| member.advertised());
    advertised
        .into_iter()
        .flatten()
        .filter(|(_, setting)| scope_of_literal(&setting.host).as_ref() == Some(scope))
        .collect()
}

/// The nodes with this scope in the member's own list of its cluster.
pub(crate) fn listed_with(member: &Member<'_>, scope: &HostScope) -> Vec<Evidence> {
    let nodes = member.nodes();
    let matching = nodes.iter().filter(|node| scope_of_literal(&node.address).as_ref() == Some(scope));
    matching
        .map(|node| {
            member.shown(format!("its list of nodes: {}:{} {}", node.address, node.api_port, node.status))
        })
        .collect()
}

/// What a host stands for inside the container of a member.
pub(crate) fn scope_inside(host: &str, member: &Member<'_>, view: &View<'_>) -> HostScope {
    if let Some(scope) = scope_of_literal(host) {
        return scope;
    }
    if let Ok(addr) = host.parse::<IpAddr>() {
        return scope_of_address(addr, member, view);
    }
    if member.hostname().is_some_and(|hostname| hostname.eq_ignore_ascii_case(host)) {
        return HostScope::Own;
    }
    if let Some(scope) = scope_by_lookup(host, member) {
        return scope;
    }
    match service_called(host, member, view) {
        // Without a VIP the name stands for the tasks.
        Some(service) if service.dnsrr => HostScope::Own,
        Some(service) => HostScope::Vip { what: vips(service), own: service.name == member.service },
        None => HostScope::Unknown,
    }
}

fn scope_of_address(addr: IpAddr, member: &Member<'_>, view: &View<'_>) -> HostScope {
    let services = view.snapshot.services.get().map(|services| services.value.as_slice()).unwrap_or_default();
    if let Some(service) = services.iter().find(|service| service.vips.iter().any(|(_, vip)| *vip == addr)) {
        let what = format!("{addr}, the VIP of service {}", service.name);
        return HostScope::Vip { what, own: service.name == member.service };
    }
    let held = member.app.map(|app| app.addresses.as_slice()).unwrap_or_default();
    if held.iter().any(|address| address.addr == addr) {
        HostScope::Own
    } else if held.is_empty() {
        HostScope::Unknown
    } else {
        HostScope::Foreign { what: format!("{addr}, which its container does not hold"), addrs: vec![addr] }
    }
}

/// What the container itself resolved the name to.
fn scope_by_lookup(host: &str, member: &Member<'_>) -> Option<HostScope> {
    let app = member.app.filter(|app| !app.addresses.is_empty())?;
    let name = app.names.iter().find(|name| name.name.eq_ignore_ascii_case(host))?;
    let addrs = name.inside();
    let holds = |addr: &IpAddr| app.addresses.iter().any(|address| address.addr == *addr);
    let list = |addrs: &[IpAddr]| addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (&name.dns, addrs.is_empty()) {
        (_, false) if addrs.iter().any(holds) => Some(HostScope::Own),
        (_, false) if !name.vips().is_empty() => {
            let what = format!("{}, the VIP of a service", list(&addrs));
            Some(HostScope::Vip { what, own: member.goes_by(host) })
        }
        (_, false) => Some(HostScope::Foreign {
            what: format!("{}, which its container does not hold", list(&addrs)),
            addrs,
        }),
        (Err(error), true) if error == "NXDOMAIN" => {
            Some(HostScope::Foreign { what: "a name that does not resolve (NXDOMAIN)".into(), addrs })
        }
        (_, true) => None,
    }
}

/// The service that a name stands for in the member's tasks: its own service comes before others.
fn service_called<'a>(host: &str, member: &Member<'a>, view: &View<'a>) -> Option<&'a Service> {
    let is = |service: &&Service| service.is_called(host);
    let own = member.spec?;
    let stack = |service: &&Service| service.stack() == own.stack();
    let services = view.snapshot.services.get().ok()?;
    let others = || services.value.iter().filter(stack).find(is);
    Some(own).filter(|own| is(own)).or_else(others)
}

fn vips(service: &Service) -> String {
    let mut vips: Vec<String> = service.vips.iter().map(|(_, vip)| vip.to_string()).collect();
    vips.sort();
    match vips.is_empty() {
        true => format!("the VIP of service {}", service.name),
        false => format!("{}, the VIP of service {}", vips.join(", "), service.name),
    }
}
