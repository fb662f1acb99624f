//! What a host in a setting means: to the container itself, which binds it, and to the others, who are told of it.

use super::member::Member;
use crate::{Evidence, View};
use facts::app::{Claim, Endpoint};
use facts::service::Service;
use std::net::IpAddr;

/// What a host means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Every interface.
    Everywhere,
    /// Whoever asks.
    Loopback,
    /// The container.
    Own,
    /// The virtual address of a service, which no container holds.
    Virtual {
        /// It, in words.
        what: String,
        /// The service is the member's own.
        own: bool,
    },
    /// Addresses that the container does not hold, or none.
    Foreign {
        /// They, in words.
        what: String,
        /// They.
        addrs: Vec<IpAddr>,
    },
    /// Not to be told from here.
    Unknown,
}

/// What a host means by itself.
pub(super) fn plain(host: &str) -> Option<Place> {
    match host.trim_matches(['[', ']']) {
        "" | "0.0.0.0" | "::" | "*" => Some(Place::Everywhere),
        "localhost" | "ip6-localhost" | "localhost.localdomain" => Some(Place::Loopback),
        host => host.parse().ok().filter(IpAddr::is_loopback).map(|_| Place::Loopback),
    }
}

/// What a member of a cluster advertises that means a place by itself.
pub(super) fn advertised_at<'m>(member: &'m Member<'_>, place: &Place) -> Vec<(&'m Endpoint, &'m Claim)> {
    let advertised = member.config.clustered.then(|| member.advertised());
    advertised.into_iter().flatten().filter(|(_, claim)| plain(&claim.host).as_ref() == Some(place)).collect()
}

/// The nodes that a member's own list of its cluster has at a place.
pub(super) fn listed_at(member: &Member<'_>, place: &Place) -> Vec<Evidence> {
    let nodes = member.nodes();
    let there = nodes.iter().filter(|node| plain(&node.address).as_ref() == Some(place));
    there
        .map(|node| {
            member.shown(format!("its list of nodes: {}:{} {}", node.address, node.api_port, node.status))
        })
        .collect()
}

/// What a host means inside the container of a member.
pub(super) fn inside(host: &str, member: &Member<'_>, view: &View<'_>) -> Place {
    if let Some(place) = plain(host) {
        return place;
    }
    if let Ok(addr) = host.parse::<IpAddr>() {
        return address(addr, member, view);
    }
    if member.hostname().is_some_and(|hostname| hostname.eq_ignore_ascii_case(host)) {
        return Place::Own;
    }
    if let Some(place) = resolved(host, member) {
        return place;
    }
    match service_of(host, member, view) {
        // Without a virtual address the name is that of the tasks.
        Some(service) if service.dnsrr => Place::Own,
        Some(service) => Place::Virtual { what: vips(service), own: service.name == member.service },
        None => Place::Unknown,
    }
}

fn address(addr: IpAddr, member: &Member<'_>, view: &View<'_>) -> Place {
    let services = view.snapshot.services.get().map(|services| services.value.as_slice()).unwrap_or_default();
    if let Some(service) = services.iter().find(|service| service.vips.iter().any(|(_, vip)| *vip == addr)) {
        let what = format!("{addr}, the virtual address of the service {}", service.name);
        return Place::Virtual { what, own: service.name == member.service };
    }
    let held = member.app.map(|app| app.addresses.as_slice()).unwrap_or_default();
    match held.iter().any(|address| address.addr == addr) {
        true => Place::Own,
        false if held.is_empty() => Place::Unknown,
        false => {
            Place::Foreign { what: format!("{addr}, which its container does not hold"), addrs: vec![addr] }
        }
    }
}

/// What the container itself made of the name.
fn resolved(host: &str, member: &Member<'_>) -> Option<Place> {
    let app = member.app.filter(|app| !app.addresses.is_empty())?;
    let name = app.names.iter().find(|name| name.name.eq_ignore_ascii_case(host))?;
    let addrs = name.inside();
    let holds = |addr: &IpAddr| app.addresses.iter().any(|address| address.addr == *addr);
    let list = |addrs: &[IpAddr]| addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (&name.dns, addrs.is_empty()) {
        (_, false) if addrs.iter().any(holds) => Some(Place::Own),
        (_, false) if !name.virtual_addresses().is_empty() => {
            let what = format!("{}, the virtual address of a service", list(&addrs));
            Some(Place::Virtual { what, own: member.goes_by(host) })
        }
        (_, false) => Some(Place::Foreign {
            what: format!("{}, which its container does not hold", list(&addrs)),
            addrs,
        }),
        (Err(error), true) if error == "NXDOMAIN" => {
            Some(Place::Foreign { what: "no address: NXDOMAIN".into(), addrs })
        }
        (_, true) => None,
    }
}

/// The service that a name stands for, as its own tasks see it: its own before others'.
fn service_of<'a>(host: &str, member: &Member<'a>, view: &View<'a>) -> Option<&'a Service> {
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
    let vips = if vips.is_empty() { "not known yet".to_owned() } else { vips.join(", ") };
    format!("{vips}, the virtual address of the service {}", service.name)
}
