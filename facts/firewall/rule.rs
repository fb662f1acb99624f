//! The evaluation of one rule for one packet.

use super::bits::{Bits, Tristate};
use super::expr::{Expr, Load, Op};
use super::header::{INVALID, Packet, UNTRACKED};
use super::{Base, Bytes, Hook, IpSet, Rule, Table, Verdict, xt};

/// A packet, with the properties that rules have changed.
pub(super) struct PacketState<'a> {
    pub(super) packet: &'a Packet,
    pub(super) ipsets: &'a [IpSet],
    mark: Bits,
    ct_mark: Bits,
    /// Whether connection tracking has seen it.
    looked_up: bool,
    /// Whether a rule excluded it from connection tracking.
    untracked: Tristate,
    /// Whether its connection is known: not if its first packets were excluded from tracking.
    known: bool,
}

/// The action of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act<'a> {
    Verdict(&'a Verdict),
    Reject(&'a str),
    /// The destination changes.
    Redirect(&'a str),
    /// An unknown expression.
    Unknown(&'a str),
}

/// The result of a rule: its possible actions, and what they depend on, if they are not certain.
pub(super) struct Step<'a> {
    pub(super) acts: Vec<Act<'a>>,
    pub(super) doubt: Option<String>,
}

const REGISTERS: usize = 80;

impl<'a> PacketState<'a> {
    pub(super) fn new(packet: &'a Packet, ipsets: &'a [IpSet]) -> Self {
        Self {
            packet,
            ipsets,
            mark: packet.load(Load::Mark),
            ct_mark: packet.load(Load::CtMark),
            looked_up: false,
            untracked: Tristate::No,
            known: true,
        }
    }

    /// Takes over the connection state of an earlier packet.
    pub(super) fn continue_from(&mut self, earlier: &PacketState<'_>) {
        self.known &= earlier.untracked == Tristate::No;
    }

    /// Enters a base chain.
    pub(super) fn enter(&mut self, base: &Base) {
        /// `NF_IP_PRI_CONNTRACK`: the priority from which the connection is known.
        const CONNTRACK: i32 = -200;
        let early = matches!(base.hook, Hook::Prerouting | Hook::Output) && base.priority <= CONNTRACK;
        self.looked_up = base.hook != Hook::Ingress && !early;
    }

    /// Its mark becomes unknown, because rules that set marks may have run before.
    pub(super) fn may_be_marked(&mut self) {
        self.mark = Bits::unknown(4);
    }

    /// Whether its connection is known.
    pub(super) fn is_tracked(&self) -> bool {
        self.looked_up && self.known && self.untracked == Tristate::No
    }

    pub(super) fn load(&self, what: Load) -> Bits {
        match what {
            Load::Mark => self.mark.clone(),
            Load::CtState if self.untracked == Tristate::Yes => Bits::known(UNTRACKED.to_le_bytes()),
            Load::CtState if self.untracked == Tristate::Unknown => Bits::unknown(4),
            Load::CtState if !self.looked_up => Bits::known(INVALID.to_le_bytes()),
            Load::CtState | Load::CtStatus | Load::CtDirection | Load::CtMark if !self.is_tracked() => {
                Bits::unknown(4)
            }
            Load::CtMark => self.ct_mark.clone(),
            other => self.packet.load(other),
        }
    }

    /// Evaluates a rule. Changes to the packet are known only if the packet certainly reaches the rule.
    pub(super) fn ask<'r>(&mut self, table: &'r Table, rule: &'r Rule, sure: bool) -> Step<'r> {
        let mut registers = Bits::unknown(REGISTERS);
        let mut doubt: Option<String> = None;
        let nothing = || Step { acts: Vec::new(), doubt: None };
        let act = |act: Act<'r>, doubt: Option<String>| Step { acts: vec![act], doubt };
        for expr in &rule.exprs {
            let answer = match expr {
                Expr::Load { what, to } => {
                    put(&mut registers, *to, &self.load(*what));
                    Tristate::Yes
                }
                Expr::Constant { to, data } => {
                    put(&mut registers, *to, &Bits::known(data.0.clone()));
                    Tristate::Yes
                }
                Expr::Compare { op, reg, data } => compare(&get(&registers, *reg, data.0.len()), *op, data),
                Expr::Range { negated, reg, from, to } => {
                    get(&registers, *reg, from.0.len()).within(&from.0, &to.0).negated(*negated)
                }
                Expr::Bitwise { from, to, mask, xor } => {
                    let value = get(&registers, *from, mask.0.len()).masked(&mask.0, &xor.0);
                    put(&mut registers, *to, &value);
                    Tristate::Yes
                }
                Expr::Byteorder { from, to, size, length } => {
                    let value = get(&registers, *from, *length as usize).turned(*size as usize);
                    put(&mut registers, *to, &value);
                    Tristate::Yes
                }
                Expr::Lookup { set, reg, to, negated } => {
                    let Some(set) = table.sets.iter().find(|known| known.name == *set) else {
                        doubt.get_or_insert_with(|| format!("the set {set}, which could not be read"));
                        continue;
                    };
                    let length =
                        set.elements.iter().find_map(|e| e.key.as_ref()).map_or(0, |key| key.0.len());
                    let (found, candidates) = set.find(&get(&registers, *reg, length));
                    let found = found.negated(*negated);
                    match to {
                        Some(0) if found != Tristate::No => {
                            if (found == Tristate::Unknown || candidates.len() > 1) && doubt.is_none() {
                                doubt = Some(format!("what the map {} holds for the packet", set.name));
                            }
                            let verdicts = candidates.iter().filter_map(|element| element.verdict.as_ref());
                            return Step { acts: verdicts.map(Act::Verdict).collect(), doubt };
                        }
                        Some(to) => {
                            let data = match candidates.as_slice() {
                                [one] => one.data.as_ref().map(|data| Bits::known(data.0.clone())),
                                _ => None,
                            };
                            put(&mut registers, *to, &data.unwrap_or_else(|| Bits::unknown(16)));
                        }
                        None => {}
                    }
                    found
                }
                Expr::Match { ask, negated } => {
                    let answer = xt::ask(ask, self).negated(*negated);
                    if answer == Tristate::Unknown {
                        doubt = doubt.or_else(|| xt::doubt(ask));
                    }
                    answer
                }
                Expr::Verdict { verdict } => return act(Act::Verdict(verdict), doubt),
                Expr::Reject { with } => return act(Act::Reject(with), doubt),
                Expr::Masquerade { .. } => return act(Act::Verdict(&Verdict::Accept), doubt),
                Expr::Redirect { name } => return act(Act::Redirect(name), doubt),
                Expr::SetMark { from } => {
                    let known = from.map(|from| get(&registers, from, 4)).filter(|_| sure && doubt.is_none());
                    self.mark = known.unwrap_or_else(|| Bits::unknown(4));
                    Tristate::Yes
                }
                Expr::SetCtMark => {
                    self.ct_mark = Bits::unknown(4);
                    Tristate::Yes
                }
                // A packet that is already tracked stays tracked.
                Expr::Notrack if self.looked_up => Tristate::Yes,
                Expr::Notrack => {
                    self.untracked = if sure && doubt.is_none() { Tristate::Yes } else { Tristate::Unknown };
                    Tristate::Yes
                }
                Expr::Aside { .. } => Tristate::Yes,
                Expr::Remember { set } => {
                    doubt.get_or_insert_with(|| format!("whether the set {set} is full"));
                    Tristate::Unknown
                }
                Expr::Unknown { name, to: Some(to) } => {
                    put(&mut registers, *to, &Bits::unknown(16));
                    doubt.get_or_insert_with(|| format!("`{name}`"));
                    Tristate::Unknown
                }
                Expr::Unknown { name, to: None } => {
                    doubt.get_or_insert_with(|| format!("`{name}`"));
                    // At the end of a rule it may be a match or an action.
                    if std::ptr::eq(expr, rule.exprs.last().unwrap_or(expr)) {
                        return act(Act::Unknown(name), doubt);
                    }
                    Tristate::Unknown
                }
            };
            match answer {
                Tristate::Yes => {}
                Tristate::No => return nothing(),
                Tristate::Unknown => {
                    doubt.get_or_insert_with(|| "a property that differs between packets".to_owned());
                }
            }
        }
        nothing()
    }
}

fn compare(register: &Bits, op: Op, data: &Bytes) -> Tristate {
    let (zero, most) = (vec![0; data.0.len()], vec![0xff; data.0.len()]);
    match op {
        Op::Eq => register.equals(&data.0),
        Op::Neq => register.equals(&data.0).negated(true),
        Op::Lte => register.within(&zero, &data.0),
        Op::Gt => register.within(&zero, &data.0).negated(true),
        Op::Gte => register.within(&data.0, &most),
        Op::Lt => register.within(&data.0, &most).negated(true),
    }
}

/// The offset of a register. The first four have 16 bytes and overlap with the others, which have four.
fn offset(register: u32) -> usize {
    let register = register as usize;
    if register < 8 { register * 16 } else { (register - 4) * 4 }
}

fn get(registers: &Bits, register: u32, length: usize) -> Bits {
    registers.part(offset(register), length)
}

/// Pads a value with zeros to a multiple of four bytes.
fn put(registers: &mut Bits, register: u32, value: &Bits) {
    let length = value.length();
    registers.put(offset(register), value);
    registers.put(offset(register) + length, &Bits::known(vec![0; length.next_multiple_of(4) - length]));
}
