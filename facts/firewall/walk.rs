//! A packet's way through the chains.

use super::header::{Flow, Packet, Way};
use super::rule::{Act, Journey};
use super::{Base, Chain, Expr, Family, Hook, Rule, Ruleset, Table, Verdict};

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It gets through.
    Passes,
    /// It is dropped, or rejected where `rejected` says with what.
    Ends {
        /// What ends it.
        place: Place<'a>,
        /// What its sender is told.
        rejected: Option<&'a str>,
        /// Something before this place, of which less is known, may have ended it already.
        perhaps_before: bool,
    },
    /// It depends on something that this doctor cannot know.
    Open {
        /// Where.
        place: Place<'a>,
        /// On what.
        on: String,
    },
    /// A rule gives it another destination, which nothing of the swarm waits at.
    Redirected {
        /// Which.
        place: Place<'a>,
        /// How, such as `redirect`.
        how: &'a str,
    },
}

/// Where it is decided on a packet: a rule, or the policy of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a Table,
    /// The chain that the rule is in.
    pub chain: &'a Chain,
    /// The rule, and its number in the chain from 1; none for the policy.
    pub rule: Option<(usize, &'a Rule)>,
    /// The chains the packet went through in this table, in order.
    pub path: Vec<&'a str>,
}

/// How many rules are looked at for one packet, however chains jump.
const MOST_RULES: usize = 200_000;
/// The kernel takes no deeper jumps.
const DEEPEST: usize = 16;

/// What becomes of a packet on its whole way between the wire and a program.
pub fn fate<'a>(ruleset: &'a Ruleset, packet: &Packet) -> Fate<'a> {
    let mut journey = Journey::new(packet, &ruleset.ipsets);
    for before in packet.before() {
        let mut past = Journey::new(&before, &ruleset.ipsets);
        go(ruleset, &mut past);
        journey.goes_on_from(&past);
    }
    go(ruleset, &mut journey)
}

fn go<'a>(ruleset: &'a Ruleset, journey: &mut Journey<'_>) -> Fate<'a> {
    let packet = journey.packet;
    let mut open = None;
    let mut left = MOST_RULES;
    for hook in hooks(packet) {
        for Stop { table, chain, base, unordered } in at(ruleset, packet, *hook) {
            journey.comes_to(base);
            if unordered && ruleset.tables.iter().any(marks) {
                journey.may_be_marked();
            }
            let mut walk =
                Walk { journey: &mut *journey, table, path: Vec::new(), may: Vec::new(), left: &mut left };
            if readdressed(packet, base) && (base.drops || !chain.rules.is_empty()) {
                let (place, on) = (walk.place(chain, None), "the address that it bears by then".to_owned());
                open.get_or_insert(Fate::Open { place, on });
                continue;
            }
            let end = walk.base(chain, base);
            let may = std::mem::take(&mut walk.may);
            let ends = |end: &End<'_>| matches!(end.kind, Kind::Drop | Kind::Reject(_));
            if ends(&end) && may.iter().all(|(other, _)| ends(other)) {
                let before = open.is_some() || unordered || !may.is_empty();
                return end.fate(before);
            }
            // What surely passes leaves nothing open, whichever rule lets it.
            let passes = |end: &End<'_>| end.kind == Kind::Accept;
            if passes(&end) && may.iter().all(|(other, _)| passes(other)) {
                continue;
            }
            open = open.or_else(|| {
                let odd = may.into_iter().find(|(other, _)| other.kind != end.kind || !passes(other));
                Some(match odd {
                    Some((odd, on)) => Fate::Open { place: odd.place, on },
                    None => end.fate(false),
                })
            });
        }
    }
    open.unwrap_or(Fate::Passes)
}

fn hooks(packet: &Packet) -> &'static [Hook] {
    match (packet.way, packet.flow) {
        (Way::In, _) => &[Hook::Ingress, Hook::Prerouting, Hook::Input],
        (Way::Out, _) => &[Hook::Output, Hook::Postrouting, Hook::Egress],
        // Either may bear another address before it is routed.
        (Way::Through, flow) if flow == Flow::Answer || packet.redirected => {
            &[Hook::Forward, Hook::Postrouting, Hook::Egress]
        }
        (Way::Through, _) => {
            &[Hook::Ingress, Hook::Prerouting, Hook::Forward, Hook::Postrouting, Hook::Egress]
        }
    }
}

/// Whether what is forwarded may bear another address where this chain sees it: it is past the place where rules give it
/// one (`NF_IP_PRI_NAT_SRC`).
fn readdressed(packet: &Packet, base: &Base) -> bool {
    const NAT_SRC: i32 = 100;
    let past = base.hook == Hook::Egress || (base.hook == Hook::Postrouting && base.priority >= NAT_SRC);
    packet.way == Way::Through && past && !base.nat
}

/// A base chain on a packet's way.
struct Stop<'a> {
    table: &'a Table,
    chain: &'a Chain,
    base: &'a Base,
    /// The older iptables and nftables both have a chain at this place, and nothing tells which is first.
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
    let side = if hook == Hook::Egress { Way::Out } else { Way::In };
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
    // Of two at one place, the kernel asks the one first that was made last.
    chains.reverse();
    chains.sort_by_key(|(_, _, base)| base.priority);
    let unordered = |table: &Table, base: &Base| {
        chains.iter().any(|(other, _, at)| at.priority == base.priority && other.legacy != table.legacy)
    };
    let stop =
        |&(table, chain, base): &(_, _, _)| Stop { table, chain, base, unordered: unordered(table, base) };
    chains.iter().map(stop).collect()
}

/// Whether a table's rules mark packets.
fn marks(table: &Table) -> bool {
    let rules = table.chains.iter().flat_map(|chain| &chain.rules);
    rules.flat_map(|rule| &rule.exprs).any(|expr| matches!(expr, Expr::SetMark { .. }))
}

/// How the way through a base chain ends.
struct End<'a> {
    kind: Kind<'a>,
    place: Place<'a>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind<'a> {
    Accept,
    Drop,
    Reject(&'a str),
    /// It goes on to another destination.
    Redirect(&'a str),
    /// Nobody knows.
    Other(String),
}

impl<'a> End<'a> {
    fn fate(self, perhaps_before: bool) -> Fate<'a> {
        match self.kind {
            Kind::Accept => Fate::Passes,
            Kind::Drop => Fate::Ends { place: self.place, rejected: None, perhaps_before },
            Kind::Reject(with) => Fate::Ends { place: self.place, rejected: Some(with), perhaps_before },
            Kind::Redirect(how) => Fate::Redirected { place: self.place, how },
            Kind::Other(on) => Fate::Open { place: self.place, on },
        }
    }
}

/// The way through one base chain.
struct Walk<'a, 'j, 'p> {
    journey: &'j mut Journey<'p>,
    table: &'a Table,
    path: Vec<&'a str>,
    /// How it may end before its surest end, and on what that depends.
    may: Vec<(End<'a>, String)>,
    left: &'j mut usize,
}

impl<'a> Walk<'a, '_, '_> {
    fn base(&mut self, chain: &'a Chain, base: &'a Base) -> End<'a> {
        self.chain(chain, true, 0).unwrap_or_else(|| {
            let kind = if base.drops { Kind::Drop } else { Kind::Accept };
            End { kind, place: self.place(chain, None) }
        })
    }

    fn place(&self, chain: &'a Chain, rule: Option<(usize, &'a Rule)>) -> Place<'a> {
        Place { table: self.table, chain, rule, path: self.path.clone() }
    }

    /// Goes through a chain that the packet got to, `sure` or perhaps: how it then surely ends there, or none where it
    /// comes out again.
    fn chain(&mut self, chain: &'a Chain, sure: bool, depth: usize) -> Option<End<'a>> {
        // On what it depends that the packet has not left this chain yet.
        let mut gone: Option<String> = None;
        if !self.path.contains(&chain.name.as_str()) {
            self.path.push(&chain.name);
        }
        for (number, rule) in (1..).zip(&chain.rules) {
            *self.left = self.left.saturating_sub(1);
            if depth > DEEPEST || *self.left == 0 {
                let kind = Kind::Other("more rules than are gone through".to_owned());
                return Some(End { kind, place: self.place(chain, Some((number, rule))) });
            }
            // One that a rule before may have let through has perhaps not come here.
            let passed = self.may.iter().any(|(end, _)| !matches!(end.kind, Kind::Drop | Kind::Reject(_)));
            let step = self.journey.ask(self.table, rule, sure && gone.is_none() && !passed);
            for act in step.acts {
                let here = sure && gone.is_none() && step.doubt.is_none();
                let end = match self.act(act, here, depth) {
                    Out::Next => continue,
                    Out::Leaves => None,
                    Out::Ends(kind) => Some(End { kind, place: self.place(chain, Some((number, rule))) }),
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
                return Out::Ends(Kind::Other("a program that is asked".to_owned()));
            }
            Act::Redirect(name @ ("dnat" | "redirect" | "netmap")) => {
                return Out::Ends(Kind::Redirect(name));
            }
            // A proxy may well pass it on to where it was meant for.
            Act::Redirect(name) => {
                return Out::Ends(Kind::Other(format!("`{name}`, which sends it elsewhere")));
            }
            Act::Unknown(name) => return Out::Ends(Kind::Other(format!("`{name}`"))),
            Act::Verdict(Verdict::Jump(name)) => (name, false),
            Act::Verdict(Verdict::Goto(name)) => (name, true),
        };
        let Some(target) = self.table.chains.iter().find(|chain| chain.name == *name) else {
            return Out::Ends(Kind::Other(format!("the chain {name}, which could not be read")));
        };
        match self.chain(target, here, depth + 1) {
            Some(end) => Out::EndsAt(Box::new(end)),
            None if goes => Out::Leaves,
            None => Out::Next,
        }
    }
}

/// What comes of one act.
enum Out<'a> {
    /// The next rule.
    Next,
    /// The packet leaves the chain.
    Leaves,
    /// It ends at the rule.
    Ends(Kind<'a>),
    /// It ends in a chain further down.
    EndsAt(Box<End<'a>>),
}
