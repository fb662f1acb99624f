//! Addresses in firewall rules, where they are bytes in registers and keys of sets.

use super::addresses::Addresses;
use facts::firewall::{Bytes, Expr, Load, Net, Ruleset, Xt};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// The rules with other addresses; nothing where they cannot be read.
pub(super) fn replaced(content: &[u8], addresses: &Addresses) -> Option<Vec<u8>> {
    let mut ruleset: Ruleset = serde_json::from_slice(content).ok()?;
    for table in &mut ruleset.tables {
        let mut sets = BTreeSet::new();
        for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
            rule_replaced(&mut rule.exprs, addresses, &mut sets);
        }
        for set in table.sets.iter_mut().filter(|set| sets.contains(&set.name)) {
            for element in &mut set.elements {
                for key in [&mut element.key, &mut element.last].into_iter().flatten() {
                    bytes(key, addresses, u32::MAX);
                }
            }
        }
    }
    serde_json::to_vec_pretty(&ruleset).ok()
}

/// Which registers hold an address, with the bits of it that are left.
fn rule_replaced(exprs: &mut [Expr], addresses: &Addresses, sets: &mut BTreeSet<String>) {
    let mut held: BTreeMap<u32, u32> = BTreeMap::new();
    for expr in exprs {
        match expr {
            // The source and the destination of IPv4, or their first bytes. Of IPv6 these are parts of its source,
            // which is compared with more than four bytes.
            Expr::Load { what: Load::Network { offset: 12 | 16, length: 1..=4 }, to } => {
                held.insert(*to, u32::MAX);
            }
            Expr::Load { to, .. } | Expr::Constant { to, .. } => drop(held.remove(to)),
            Expr::Bitwise { from, to, mask, .. } => {
                let kept = held.get(from).map(|_| number(mask));
                match kept {
                    Some(kept) => drop(held.insert(*to, kept)),
                    None => drop(held.remove(to)),
                }
            }
            Expr::Compare { reg, data, .. } => {
                if let Some(mask) = held.get(reg) {
                    bytes(data, addresses, *mask);
                }
            }
            Expr::Range { reg, from, to, .. } if held.contains_key(reg) => {
                bytes(from, addresses, u32::MAX);
                bytes(to, addresses, u32::MAX);
                if from.0 > to.0 {
                    std::mem::swap(from, to);
                }
            }
            Expr::Lookup { set, reg, .. } if held.contains_key(reg) => drop(sets.insert(set.clone())),
            Expr::Match { ask, .. } => asked(ask, addresses),
            _ => {}
        }
    }
}

fn asked(ask: &mut Xt, addresses: &Addresses) {
    match ask {
        Xt::Source(net) | Xt::Destination(net) => {
            if let Net { addr: IpAddr::V4(addr), mask: IpAddr::V4(mask) } = net {
                let changed = addresses.address(*addr).to_bits() & mask.to_bits();
                *net = Net { addr: Ipv4Addr::from_bits(changed).into(), ..*net };
            }
        }
        Xt::AddressRange { from, to, .. } => {
            for addr in [&mut *from, &mut *to] {
                if let IpAddr::V4(four) = addr {
                    *addr = addresses.address(*four).into();
                }
            }
            if from > to {
                std::mem::swap(from, to);
            }
        }
        _ => {}
    }
}

/// An address, or its first bytes, with the bits that a mask leaves of it.
fn bytes(data: &mut Bytes, addresses: &Addresses, mask: u32) {
    // What is longer begins with an address: keys of several fields.
    let mut whole = [0; 4];
    let length = data.0.len().min(4);
    whole[..length].copy_from_slice(&data.0[..length]);
    let changed = addresses.address(whole.into()).to_bits() & mask;
    data.0[..length].copy_from_slice(&changed.to_be_bytes()[..length]);
}

fn number(mask: &Bytes) -> u32 {
    let mut whole = [0; 4];
    let length = mask.0.len().min(4);
    whole[..length].copy_from_slice(&mask.0[..length]);
    u32::from_be_bytes(whole)
}
