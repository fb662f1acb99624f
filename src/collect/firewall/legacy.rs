//! Reads the tables of legacy iptables, which the kernel returns as a whole.
//!
//! Layouts: `struct ipt_entry` and `struct ip6t_entry` of the kernel's `ip_tables.h` and `ip6_tables.h`.

use super::attributes::{ip, text};
use super::xt;
use facts::firewall::{Base, Chain, Expr, Family, Hook, Net, Rule, Table, Verdict, Xt};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::{fs, io};

/// `IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO`, `..._GET_ENTRIES`.
const GET_INFO: libc::c_int = 64;
const GET_ENTRIES: libc::c_int = 65;
/// The length of the table name at the start of an answer.
const NAME: usize = 32;
/// The offset of the entries, behind the name and the size.
const ENTRIES: usize = 40;
/// The maximum size of a table.
const LARGEST: usize = 1 << 26;

/// The layout for IPv4 or IPv6, which differ in the header of an entry.
struct Version {
    family: Family,
    domain: Domain,
    level: libc::c_int,
    names: &'static str,
    /// The length of the part with addresses and interfaces.
    head: usize,
    /// The offset of the matches, behind counters that are aligned to eight bytes.
    matches: usize,
    /// The length of an address.
    addr: usize,
}

const VERSIONS: [Version; 2] = [
    Version {
        family: Family::Ip,
        domain: Domain::IPV4,
        level: libc::IPPROTO_IP,
        names: "/proc/thread-self/net/ip_tables_names",
        head: 84,
        matches: 112,
        addr: 4,
    },
    Version {
        family: Family::Ip6,
        domain: Domain::IPV6,
        level: libc::IPPROTO_IPV6,
        names: "/proc/thread-self/net/ip6_tables_names",
        head: 136,
        matches: 168,
        addr: 16,
    },
];

/// The tables in use. Without tables the kernel has no such files, or empty ones, and is not queried, because a query
/// creates a table.
pub(super) fn tables() -> io::Result<Vec<Table>> {
    let mut tables = Vec::new();
    for version in &VERSIONS {
        let names = match fs::read_to_string(version.names) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            names => names?,
        };
        let mut names: Vec<_> = names.lines().collect();
        names.sort_unstable();
        for name in names {
            tables.push(table(version, name)?);
        }
    }
    Ok(tables)
}

fn table(version: &Version, name: &str) -> io::Result<Table> {
    let (level, domain) = (version.level, version.domain);
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    let mut info = vec![0; 84];
    info[..name.len().min(NAME - 1)].copy_from_slice(&name.as_bytes()[..name.len().min(NAME - 1)]);
    let mut entries = info[..NAME].to_vec();
    get(&socket, level, GET_INFO, &mut info)?;
    let number = |at: usize| u32_at(&info, at).ok_or_else(malformed);
    let size = number(80)? as usize;
    if size > LARGEST {
        return Err(malformed());
    }
    entries.extend(number(80)?.to_ne_bytes());
    entries.resize(ENTRIES + size, 0);
    get(&socket, level, GET_ENTRIES, &mut entries)?;
    let hooks = number(32)?;
    let starts = (0..5).filter(|hook| hooks & (1 << hook) != 0);
    let starts =
        starts.map(|hook| Ok((number(36 + 4 * hook)? as usize, hook))).collect::<io::Result<Vec<_>>>()?;
    let chains =
        Reading { version, name, entries: &entries[ENTRIES..], starts }.chains().ok_or_else(malformed)?;
    let name = name.to_owned();
    Ok(Table { family: version.family, name, legacy: true, dormant: false, chains, sets: Vec::new() })
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a table of iptables that does not hold together")
}

/// Reads a table; the answer overwrites the request.
#[expect(unsafe_code, reason = "no crate asks for options of this shape")]
fn get(socket: &Socket, level: libc::c_int, option: libc::c_int, buffer: &mut [u8]) -> io::Result<()> {
    let mut length = libc::socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most `length` bytes to the buffer, which has as many and lives through the call.
    match unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, buffer.as_mut_ptr().cast(), &raw mut length)
    } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

/// One table's entries.
struct Reading<'a> {
    version: &'a Version,
    name: &'a str,
    entries: &'a [u8],
    /// The offsets of the base chains, by hook number.
    starts: Vec<(usize, usize)>,
}

/// An entry: its offset, its matches, and its target with data.
struct Entry<'a> {
    at: usize,
    asked: Vec<Expr>,
    target: String,
    info: &'a [u8],
    goes: bool,
}

impl Reading<'_> {
    fn chains(&self) -> Option<Vec<Chain>> {
        let mut entries = Vec::new();
        let mut at = 0;
        while at < self.entries.len() {
            let (entry, length) = self.entry(at)?;
            at += length;
            entries.push(entry);
        }
        // A user-defined chain starts with an entry that has its name, and the last such entry ends the table.
        let mut names: BTreeMap<usize, String> =
            self.starts.iter().map(|(at, hook)| (*at, hook_of(*hook).1.to_owned())).collect();
        for pair in entries.windows(2) {
            if let [head, first] = pair
                && head.target == "ERROR"
            {
                names.insert(first.at, text(head.info));
            }
        }
        let mut chains: Vec<Chain> = Vec::new();
        for entry in &entries {
            if let Some(name) = names.get(&entry.at) {
                let hook = self.starts.iter().find(|(at, _)| *at == entry.at).map(|(_, hook)| *hook);
                chains.push(Chain {
                    name: name.clone(),
                    base: hook.map(|hook| self.base(hook)),
                    rules: Vec::new(),
                });
            }
            if entry.target == "ERROR" {
                continue;
            }
            chains.last_mut()?.rules.push(self.rule(entry, &names)?);
        }
        // Each chain ends with an implicit rule: the policy, or a return.
        for chain in &mut chains {
            let last = chain.rules.pop()?;
            if let Some(base) = &mut chain.base {
                base.drops = last.exprs.last() == Some(&Expr::Verdict { verdict: Verdict::Drop });
            }
        }
        Some(chains)
    }

    fn base(&self, hook: usize) -> Base {
        let nat = self.name == "nat";
        let priority = match (self.name, hook) {
            ("raw", _) => -300,
            ("mangle", _) => -150,
            ("security", _) => 50,
            ("nat", 0 | 3) => -100,
            ("nat", _) => 100,
            _ => 0,
        };
        Base { hook: hook_of(hook).0, priority, nat, drops: false, devices: Vec::new() }
    }

    fn entry(&self, at: usize) -> Option<(Entry<'_>, usize)> {
        let head = self.version.head;
        let (addr, names) = (self.version.addr, 4 * self.version.addr);
        let whole = self.entries.get(at..)?;
        let (target, length) = (u16_at(whole, head + 4)?, u16_at(whole, head + 6)?);
        let whole = whole.get(..length).filter(|_| length > head)?;
        let v6 = addr == 16;
        let net = |from: usize, mask: usize| {
            Some(Net { addr: ip(whole.get(from..from + addr)?)?, mask: ip(whole.get(mask..mask + addr)?)? })
        };
        let interface = |at: usize| xt::interface(&whole[at..at + 16], &whole[at + 32..at + 48]);
        let protocol = *whole.get(names + 64)?;
        let flags = *whole.get(if v6 { names + 67 } else { names + 66 })?;
        let negated = *whole.get(if v6 { names + 68 } else { names + 67 })?;
        let mut asked = Vec::new();
        let mut ask =
            |question: Xt, bit: u8| asked.push(Expr::Match { ask: question, negated: negated & bit != 0 });
        for (net, bit) in [(net(0, 2 * addr)?, 0x08), (net(addr, 3 * addr)?, 0x10)] {
            let all = net.mask.is_unspecified() && negated & bit == 0;
            match bit {
                _ if all => {}
                0x08 => ask(Xt::Source(net), bit),
                _ => ask(Xt::Destination(net), bit),
            }
        }
        if let Some(name) = interface(names) {
            ask(Xt::InInterface(name), 0x01);
        }
        if let Some(name) = interface(names + 16) {
            ask(Xt::OutInterface(name), 0x02);
        }
        if protocol != 0 {
            ask(Xt::Protocol(protocol), 0x40);
        }
        if !v6 && flags & 1 != 0 {
            ask(Xt::Fragment, 0x20);
        }
        let mut at_match = self.version.matches;
        while at_match < target {
            let size = u16_at(whole, at_match)?;
            let one = whole.get(at_match..at_match + size).filter(|_| size >= NAME)?;
            asked.extend(xt::matched(&text(&one[2..31]), one[31].into(), &one[NAME..], v6));
            at_match += size;
        }
        let size = u16_at(whole, target)?;
        let target = whole.get(target..target + size).filter(|_| size >= NAME)?;
        let goes = flags & if v6 { 4 } else { 2 } != 0;
        Some((Entry { at, asked, target: text(&target[2..31]), info: &target[NAME..], goes }, length))
    }

    fn rule(&self, entry: &Entry<'_>, names: &BTreeMap<usize, String>) -> Option<Rule> {
        let mut exprs = entry.asked.clone();
        if !entry.target.is_empty() {
            exprs.extend(xt::target(&entry.target, entry.info, self.version.addr == 16));
            return Some(Rule { exprs, ..Rule::default() });
        }
        // A negative number is a verdict; any other is the offset to jump to, which may be the next rule.
        let verdict = match u32_at(entry.info, 0)?.cast_signed() {
            -1 => Verdict::Drop,
            -2 => Verdict::Accept,
            -4 => Verdict::Queue,
            -5 => Verdict::Return,
            to => match names.get(&usize::try_from(to).ok()?) {
                Some(name) if entry.goes => Verdict::Goto(name.clone()),
                Some(name) => Verdict::Jump(name.clone()),
                None => Verdict::Continue,
            },
        };
        exprs.push(Expr::Verdict { verdict });
        Some(Rule { exprs, ..Rule::default() })
    }
}

fn hook_of(number: usize) -> (Hook, &'static str) {
    match number {
        0 => (Hook::Prerouting, "PREROUTING"),
        1 => (Hook::Input, "INPUT"),
        2 => (Hook::Forward, "FORWARD"),
        3 => (Hook::Output, "OUTPUT"),
        _ => (Hook::Postrouting, "POSTROUTING"),
    }
}
