//! One rule, asked about one packet.

use super::bits::{Bits, Truth};
use super::expr::{Expr, Load, Op};
use super::header::{INVALID, Packet, UNTRACKED};
use super::{Base, Bytes, Hook, IpSet, Rule, Table, Verdict, xt};

/// A packet on its way, with what rules have changed of it.
pub(super) struct Journey<'a> {
    pub(super) packet: &'a Packet,
    pub(super) ipsets: &'a [IpSet],
    mark: Bits,
    ct_mark: Bits,
    /// Whether the kernel has looked for its connection yet.
    looked_up: bool,
    /// Whether a rule has kept it from doing so.
    untracked: Truth,
    /// Whether its connection is known: one whose first packets were not tracked is not.
    known: bool,
}

/// What a rule may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act<'a> {
    Verdict(&'a Verdict),
    Reject(&'a str),
    /// The packet goes to another place.
    Redirect(&'a str),
    /// Something that is not known is done with it.
    Unknown(&'a str),
}

/// What comes of a rule: what it may do, and whether it surely does; without that, what leaves it open.
pub(super) struct Step<'a> {
    pub(super) acts: Vec<Act<'a>>,
    pub(super) doubt: Option<String>,
}

const REGISTERS: usize = 80;

impl<'a> Journey<'a> {
    pub(super) fn new(packet: &'a Packet, ipsets: &'a [IpSet]) -> Self {
        Self {
            packet,
            ipsets,
            mark: packet.load(Load::Mark),
            ct_mark: packet.load(Load::CtMark),
            looked_up: false,
            untracked: Truth::No,
            known: true,
        }
    }

    /// What came of an earlier packet of its connection.
    pub(super) fn goes_on_from(&mut self, earlier: &Journey<'_>) {
        self.known &= earlier.untracked == Truth::No;
    }

    /// It comes to a chain.
    pub(super) fn comes_to(&mut self, base: &Base) {
        /// `NF_IP_PRI_CONNTRACK`: from there on its connection is known.
        const CONNTRACK: i32 = -200;
        let early = matches!(base.hook, Hook::Prerouting | Hook::Output) && base.priority <= CONNTRACK;
        self.looked_up = base.hook != Hook::Ingress && !early;
    }

    /// Rules that have perhaps been asked already may have marked it.
    pub(super) fn may_be_marked(&mut self) {
        self.mark = Bits::unknown(4);
    }

    /// Whether the kernel knows which connection it belongs to.
    pub(super) fn is_tracked(&self) -> bool {
        self.looked_up && self.known && self.untracked == Truth::No
    }

    pub(super) fn load(&self, what: Load) -> Bits {
        match what {
            Load::Mark => self.mark.clone(),
            Load::CtState if self.untracked == Truth::Yes => Bits::known(UNTRACKED.to_le_bytes()),
            Load::CtState if self.untracked == Truth::Open => Bits::unknown(4),
            Load::CtState if !self.looked_up => Bits::known(INVALID.to_le_bytes()),
            Load::CtState | Load::CtStatus | Load::CtDirection | Load::CtMark if !self.is_tracked() => {
                Bits::unknown(4)
            }
            Load::CtMark => self.ct_mark.clone(),
            other => self.packet.load(other),
        }
    }

    /// Asks a rule. What it changes of the packet is only known where it is sure that the packet gets to it.
    pub(super) fn ask<'r>(&mut self, table: &'r Table, rule: &'r Rule, sure: bool) -> Step<'r> {
        let mut registers = Bits::unknown(REGISTERS);
        let mut doubt: Option<String> = None;
        let nothing = || Step { acts: Vec::new(), doubt: None };
        let act = |act: Act<'r>, doubt: Option<String>| Step { acts: vec![act], doubt };
        for expr in &rule.exprs {
            let answer = match expr {
                Expr::Load { what, to } => {
                    put(&mut registers, *to, &self.load(*what));
                    Truth::Yes
                }
                Expr::Constant { to, data } => {
                    put(&mut registers, *to, &Bits::known(data.0.clone()));
                    Truth::Yes
                }
                Expr::Compare { op, reg, data } => compare(&get(&registers, *reg, data.0.len()), *op, data),
                Expr::Range { negated, reg, from, to } => {
                    get(&registers, *reg, from.0.len()).within(&from.0, &to.0).negated(*negated)
                }
                Expr::Bitwise { from, to, mask, xor } => {
                    let value = get(&registers, *from, mask.0.len()).masked(&mask.0, &xor.0);
                    put(&mut registers, *to, &value);
                    Truth::Yes
                }
                Expr::Byteorder { from, to, size, length } => {
                    let value = get(&registers, *from, *length as usize).turned(*size as usize);
                    put(&mut registers, *to, &value);
                    Truth::Yes
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
                        Some(0) if found != Truth::No => {
                            if (found == Truth::Open || candidates.len() > 1) && doubt.is_none() {
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
                    if answer == Truth::Open {
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
                    Truth::Yes
                }
                Expr::SetCtMark => {
                    self.ct_mark = Bits::unknown(4);
                    Truth::Yes
                }
                // A connection that was looked up already stays.
                Expr::Notrack if self.looked_up => Truth::Yes,
                Expr::Notrack => {
                    self.untracked = if sure && doubt.is_none() { Truth::Yes } else { Truth::Open };
                    Truth::Yes
                }
                Expr::Aside { .. } => Truth::Yes,
                Expr::Remember { set } => {
                    doubt.get_or_insert_with(|| format!("whether the set {set} is full"));
                    Truth::Open
                }
                Expr::Unknown { name, to: Some(to) } => {
                    put(&mut registers, *to, &Bits::unknown(16));
                    doubt.get_or_insert_with(|| format!("`{name}`"));
                    Truth::Open
                }
                Expr::Unknown { name, to: None } => {
                    doubt.get_or_insert_with(|| format!("`{name}`"));
                    // Whether it is a question or a deed is not known where it stands last.
                    if std::ptr::eq(expr, rule.exprs.last().unwrap_or(expr)) {
                        return act(Act::Unknown(name), doubt);
                    }
                    Truth::Open
                }
            };
            match answer {
                Truth::Yes => {}
                Truth::No => return nothing(),
                Truth::Open => {
                    doubt.get_or_insert_with(|| {
                        "a value of the packet that differs from packet to packet".to_owned()
                    });
                }
            }
        }
        nothing()
    }
}

fn compare(register: &Bits, op: Op, data: &Bytes) -> Truth {
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

/// Where a register begins. The first four are of 16 bytes and lie over the others, of four.
fn offset(register: u32) -> usize {
    let register = register as usize;
    if register < 8 { register * 16 } else { (register - 4) * 4 }
}

fn get(registers: &Bits, register: u32, length: usize) -> Bits {
    registers.part(offset(register), length)
}

/// A value fills its last four bytes up with zeros.
fn put(registers: &mut Bits, register: u32, value: &Bits) {
    let length = value.length();
    registers.put(offset(register), value);
    registers.put(offset(register) + length, &Bits::known(vec![0; length.next_multiple_of(4) - length]));
}
