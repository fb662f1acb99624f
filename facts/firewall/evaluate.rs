//! The path of a packet through the chains.

use super::header::{Direction, Flow, Packet};
use super::rule::{Act, PacketState};
use super::{Base, Chain, Expr, Family, Hook, Rule, Ruleset, Table, Verdict};

/// The effect of the rules on a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It is accepted by all chains.
    Passes,
    /// It is dropped or rejected.
    Blocked {
        /// The rule or policy.
        location: Location<'a>,
        /// The kind of rejection; none for a drop.
        rejected: Option<&'a str>,
        /// A rule before this one may have blocked it already.
        maybe_dropped_earlier: bool,
    },
    /// It depends on something unknown.
    Undetermined {
        /// The rule or policy.
        location: Location<'a>,
        /// What it depends on.
        depends_on: String,
    },
    /// A rule changes its destination.
    Redirected {
        /// The rule.
        location: Location<'a>,
        /// The action, such as `redirect`.
        how: &'a str,
    },
}

/// A rule, or the policy of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The table.
    pub table: &'a Table,
    /// The chain that the rule is in.
    pub chain: &'a Chain,
    /// The rule with its number in the chain, from 1; none for the policy.
    pub rule: Option<(usize, &'a Rule)>,
    /// The chains that the packet passed in this table, in order.
    pub path: Vec<&'a str>,
}

/// The maximum number of rules that are evaluated for one packet.
const RULE_LIMIT: usize = 200_000;
/// The maximum jump depth of the kernel.
const JUMP_LIMIT: usize = 16;

/// Evaluates all chains that a packet passes between the wire and a program.
pub fn evaluate<'a>(ruleset: &'a Ruleset, packet: &Packet) -> Outcome<'a> {
    let mut packet_state = PacketState::new(packet, &ruleset.ipsets);
    for before in packet.before() {
        let mut past = PacketState::new(&before, &ruleset.ipsets);
        go(ruleset, &mut past);
        packet_state.continue_from(&past);
    }
    go(ruleset, &mut packet_state)
}

fn go<'a>(ruleset: &'a Ruleset, packet_state: &mut PacketState<'_>) -> Outcome<'a> {
    let packet = packet_state.packet;
    let mut open = None;
    let mut left = RULE_LIMIT;
    for hook in hooks(packet) {
        for Stop { table, chain, base, unordered } in at(ruleset, packet, *hook) {
            packet_state.enter(base);
            if unordered && ruleset.tables.iter().any(marks) {
                packet_state.may_be_marked();
            }
            let mut walk = Walk {
                packet_state: &mut *packet_state,
                table,
                path: Vec::new(),
                may: Vec::new(),
                left: &mut left,
            };
            if after_snat(packet, base) && (base.drops || !chain.rules.is_empty()) {
                let (location, on) = (walk.location(chain, None), "its source address after SNAT".to_owned());
                open.get_or_insert(Outcome::Undetermined { location, depends_on: on });
                continue;
            }
            let end = walk.base(chain, base);
            let may = std::mem::take(&mut walk.may);
            let ends = |end: &End<'_>| matches!(end.kind, Kind::Drop | Kind::Reject(_));
            if ends(&end) && may.iter().all(|(other, _)| ends(other)) {
                let before = open.is_some() || unordered || !may.is_empty();
                return end.outcome(before);
            }
            // A packet that certainly passes is not undetermined, whichever rule accepts it.
            let passes = |end: &End<'_>| end.kind == Kind::Accept;
            if passes(&end) && may.iter().all(|(other, _)| passes(other)) {
                continue;
            }
            open = open.or_else(|| {
                let odd = may.into_iter().find(|(other, _)| other.kind != end.kind || !passes(other));
                Some(match odd {
                    Some((odd, on)) => Outcome::Undetermined { location: odd.location, depends_on: on },
                    None => end.outcome(false),
                })
            });
        }
    }
    open.unwrap_or(Outcome::Passes)
}

fn hooks(packet: &Packet) -> &'static [Hook] {
    match (packet.direction, packet.flow) {
        (Direction::In, _) => &[Hook::Ingress, Hook::Prerouting, Hook::Input],
        (Direction::Out, _) => &[Hook::Output, Hook::Postrouting, Hook::Egress],
        // Both may have another address before routing.
        (Direction::Forward, flow) if flow == Flow::Answer || packet.redirected => {
            &[Hook::Forward, Hook::Postrouting, Hook::Egress]
        }
        (Direction::Forward, _) => {
            &[Hook::Ingress, Hook::Prerouting, Hook::Forward, Hook::Postrouting, Hook::Egress]
        }
    }
}

/// Whether a forwarded packet may have another source address in this chain, because SNAT (`NF_IP_PRI_NAT_SRC`) comes
/// before it.
fn after_snat(packet: &Packet, base: &Base) -> bool {
    const NAT_SRC: i32 = 100;
    let past = base.hook == Hook::Egress || (base.hook == Hook::Postrouting && base.priority >= NAT_SRC);
    packet.direction == Direction::Forward && past && !base.nat
}

/// A base chain that a packet passes.
struct Stop<'a> {
    table: &'a Table,
    chain: &'a Chain,
    base: &'a Base,
    /// Legacy iptables and nftables both have a chain here, and their order is unknown.
    unordered: bool,
}

/// The base chains that a packet passes at a hook, in order.
fn at<'a>(ruleset: &'a Ruleset, packet: &Packet, hook: Hook) -> Vec<Stop<'a>> {
    let v4 = packet.source.is_ipv4();
    let sees = |table: &&Table| match table.family {
        _ if table.dormant => false,
        Family::Inet | Family::Netdev => true,
        Family::Ip => v4,
        Family::Ip6 => !v4,
    };
    let side = if hook == Hook::Egress { Direction::Out } else { Direction::In };
    let on_device = |base: &Base| match packet.link(side) {
        Some(link) => base.devices.is_empty() || base.devices.contains(&link.name),
        None => true,
    };
    let mut chains: Vec<_> = ruleset
        .tables
        .iter()
        .filter(sees)
        .flat_map(|table| table.chains.iter().map(move |chain| (table, chain)))
        .filter_map(|(table, chain)| Some((table, chain, chain.base.as_ref()?)))
        .filter(|(_, _, base)| base.hook == hook && on_device(base))
        .filter(|(_, _, base)| !base.nat || packet.flow == Flow::New)
        .collect();
    // Of two with the same priority, the kernel evaluates the newer one first.
    chains.reverse();
    chains.sort_by_key(|(_, _, base)| base.priority);
    let unordered = |table: &Table, base: &Base| {
        chains.iter().any(|(other, _, at)| at.priority == base.priority && other.legacy != table.legacy)
    };
    let stop =
        |&(table, chain, base): &(_, _, _)| Stop { table, chain, base, unordered: unordered(table, base) };
    chains.iter().map(stop).collect()
}

/// Whether rules of a table set packet marks.
fn marks(table: &Table) -> bool {
    let rules = table.chains.iter().flat_map(|chain| &chain.rules);
    rules.flat_map(|rule| &rule.exprs).any(|expr| matches!(expr, Expr::SetMark { .. }))
}

/// The end of the path through a base chain.
struct End<'a> {
    kind: Kind<'a>,
    location: Location<'a>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind<'a> {
    Accept,
    Drop,
    Reject(&'a str),
    /// The destination changes.
    Redirect(&'a str),
    /// Unknown; what it depends on.
    Other(String),
}

impl<'a> End<'a> {
    fn outcome(self, maybe_dropped_earlier: bool) -> Outcome<'a> {
        match self.kind {
            Kind::Accept => Outcome::Passes,
            Kind::Drop => Outcome::Blocked { location: self.location, rejected: None, maybe_dropped_earlier },
            Kind::Reject(with) => {
                Outcome::Blocked { location: self.location, rejected: Some(with), maybe_dropped_earlier }
            }
            Kind::Redirect(how) => Outcome::Redirected { location: self.location, how },
            Kind::Other(on) => Outcome::Undetermined { location: self.location, depends_on: on },
        }
    }
}

/// The path through one base chain.
struct Walk<'a, 'j, 'p> {
    packet_state: &'j mut PacketState<'p>,
    table: &'a Table,
    path: Vec<&'a str>,
    /// Possible earlier ends, and what each depends on.
    may: Vec<(End<'a>, String)>,
    left: &'j mut usize,
}

impl<'a> Walk<'a, '_, '_> {
    fn base(&mut self, chain: &'a Chain, base: &'a Base) -> End<'a> {
        self.chain(chain, true, 0).unwrap_or_else(|| {
            let kind = if base.drops { Kind::Drop } else { Kind::Accept };
            End { kind, location: self.location(chain, None) }
        })
    }

    fn location(&self, chain: &'a Chain, rule: Option<(usize, &'a Rule)>) -> Location<'a> {
        Location { table: self.table, chain, rule, path: self.path.clone() }
    }

    /// Evaluates a chain that the packet reaches, certainly if `sure`. Returns the certain end in it; none if the packet
    /// returns from it.
    fn chain(&mut self, chain: &'a Chain, sure: bool, depth: usize) -> Option<End<'a>> {
        // What it depends on whether the packet has left this chain already.
        let mut gone: Option<String> = None;
        if !self.path.contains(&chain.name.as_str()) {
            self.path.push(&chain.name);
        }
        for (number, rule) in (1..).zip(&chain.rules) {
            *self.left = self.left.saturating_sub(1);
            if depth > JUMP_LIMIT || *self.left == 0 {
                let kind = Kind::Other("rules beyond the evaluation limit".to_owned());
                return Some(End { kind, location: self.location(chain, Some((number, rule))) });
            }
            // A packet that an earlier rule may have accepted may not reach this rule.
            let passed = self.may.iter().any(|(end, _)| !matches!(end.kind, Kind::Drop | Kind::Reject(_)));
            let step = self.packet_state.ask(self.table, rule, sure && gone.is_none() && !passed);
            for act in step.acts {
                let here = sure && gone.is_none() && step.doubt.is_none();
                let end = match self.act(act, here, depth) {
                    Out::Next => continue,
                    Out::Leaves => None,
                    Out::Ends(kind) => {
                        Some(End { kind, location: self.location(chain, Some((number, rule))) })
                    }
                    Out::EndsAt(end) => Some(*end),
                };
                match (&step.doubt, &gone, end) {
                    (None, None, end) => return end,
                    (None, Some(on), end) => {
                        let on = on.clone();
                        self.may.extend(end.map(|end| (end, on)));
                        return None;
                    }
                    (Some(on), _, Some(end)) => self.may.push((end, on.clone())),
                    (Some(on), _, None) => drop(gone.get_or_insert_with(|| on.clone())),
                }
            }
        }
        None
    }

    fn act(&mut self, act: Act<'a>, here: bool, depth: usize) -> Out<'a> {
        let (name, goes) = match act {
            Act::Verdict(Verdict::Continue) => return Out::Next,
            Act::Verdict(Verdict::Return) => return Out::Leaves,
            Act::Verdict(Verdict::Accept) => return Out::Ends(Kind::Accept),
            Act::Verdict(Verdict::Drop) => return Out::Ends(Kind::Drop),
            Act::Reject(with) => return Out::Ends(Kind::Reject(with)),
            Act::Verdict(Verdict::Queue) => {
                return Out::Ends(Kind::Other("a userspace program (NFQUEUE)".to_owned()));
            }
            Act::Redirect(name @ ("dnat" | "redirect" | "netmap")) => {
                return Out::Ends(Kind::Redirect(name));
            }
            // A proxy may still deliver it.
            Act::Redirect(name) => {
                return Out::Ends(Kind::Other(format!("`{name}`, which redirects it")));
            }
            Act::Unknown(name) => return Out::Ends(Kind::Other(format!("`{name}`"))),
            Act::Verdict(Verdict::Jump(name)) => (name, false),
            Act::Verdict(Verdict::Goto(name)) => (name, true),
        };
        let Some(target) = self.table.chains.iter().find(|chain| chain.name == *name) else {
            return Out::Ends(Kind::Other(format!("the chain {name}, which is missing")));
        };
        match self.chain(target, here, depth + 1) {
            Some(end) => Out::EndsAt(Box::new(end)),
            None if goes => Out::Leaves,
            None => Out::Next,
        }
    }
}

/// The effect of one action.
enum Out<'a> {
    /// The next rule.
    Next,
    /// The packet leaves the chain.
    Leaves,
    /// The path ends at the rule.
    Ends(Kind<'a>),
    /// The path ends in a chain that it jumps to.
    EndsAt(Box<End<'a>>),
}
