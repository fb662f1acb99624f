//! Listening TCP sockets, bound UDP sockets, and the processes that own them.

use super::{Artifact, Place, Session, netlink, why};
use facts::Need;
use facts::engine::EngineProcess;
use facts::host::{Listener, Owner, Protocol};
use netlink_packet_core::Nla as _;
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{fs, io};

/// The ports of swarm and of remote administration. For their owners all processes are searched, as for those of TCP ports
/// that are open to other hosts: a service may publish one of them.
const PORTS_THAT_MATTER: [u16; 6] = [22, 2375, 2376, 2377, 4789, 7946];
/// The maximum number of open files that the search for owners examines: about 20 ms of work.
const MOST_FILES: usize = 10_000;
/// The states in `/proc/net/{tcp,udp}` of a listening TCP socket and of an unconnected UDP socket.
const LISTENS: u8 = 0x0a;
const NO_PEER: u8 = 0x07;

pub(super) async fn listeners(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Sockets, "host/listeners.json", "netlink: sock_diag, /proc/PID/fd");
    let engine = match session.elsewhere() {
        Some(_) => None,
        None => engine_pid(session.artifacts(Need::EngineProcess).await),
    };
    session.of_this_machine(place, move || owned(engine).map_err(|error| why(&error, "list sockets"))).await
}

fn engine_pid(artifacts: &[Artifact]) -> Option<u32> {
    let seen = artifacts.iter().find_map(|artifact| artifact.content.as_ref())?;
    let engine: EngineProcess = serde_json::from_slice(seen).ok()?;
    Some(engine.process?.pid)
}

/// A listening or bound socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    protocol: Protocol,
    port: u16,
    addr: IpAddr,
    inode: u64,
    /// It has the mark of kernel tunnel sockets.
    tunnel: bool,
}

/// The sockets in the network namespace of this thread, with the owners found in one process.
pub(super) fn listeners_of(pid: u32) -> io::Result<Vec<Listener>> {
    let bound = bound()?;
    let mut search = Search::new(&bound);
    // Sockets of a process whose files cannot be read are listed without an owner.
    drop(search.examine(pid));
    Ok(search.listeners(bound, &BTreeSet::new()))
}

/// The sockets of this host with their owners.
fn owned(engine: Option<u32>) -> io::Result<Vec<Listener>> {
    owners(bound()?, engine)
}

fn owners(bound: Vec<Bound>, engine: Option<u32>) -> io::Result<Vec<Listener>> {
    let open = |socket: &Bound| socket.protocol == Protocol::Tcp && !socket.addr.is_loopback();
    let matter =
        |socket: &&Bound| (PORTS_THAT_MATTER.contains(&socket.port) || open(socket)) && !socket.tunnel;
    let sought: BTreeSet<_> = bound.iter().filter(matter).map(|socket| socket.inode).collect();
    let mut search = Search::new(&bound);
    // The engine owns most relevant sockets, so it is examined first, which often avoids a search in all processes.
    let engine_seen = engine.is_some_and(|pid| search.examine(pid).is_ok());
    let all_seen = search.examine_all(&sought, engine);
    // A socket of no process belongs to the kernel. This needs a search in all processes of the host, which is
    // complete if the engine was found, and a second list, because sockets change.
    let still_there = match engine_seen && all_seen {
        true => self::bound()?.into_iter().map(|socket| socket.inode).collect(),
        false => BTreeSet::new(),
    };
    Ok(search.listeners(bound, &still_there))
}

/// A search for the processes that own sockets.
struct Search {
    sought: BTreeSet<u64>,
    found: BTreeMap<u64, Owner>,
    files: usize,
}

impl Search {
    fn new(bound: &[Bound]) -> Self {
        Self { sought: bound.iter().map(|socket| socket.inode).collect(), found: BTreeMap::new(), files: 0 }
    }

    /// Examines the other processes until every socket has an owner. Returns whether all processes could be read.
    fn examine_all(&mut self, sought: &BTreeSet<u64>, seen: Option<u32>) -> bool {
        let own = fs::read_link("/proc/thread-self/ns/net");
        let (Ok(own), Ok(entries)) = (own, fs::read_dir("/proc")) else { return false };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut all_seen = true;
        for pid in pids.filter(|pid| Some(*pid) != seen) {
            if self.sought.is_disjoint(sought) || self.files > MOST_FILES {
                return false;
            }
            all_seen &= match fs::read_link(format!("/proc/{pid}/ns/net")) {
                // Processes in containers are skipped: their sockets are in other network namespaces.
                Ok(namespace) if namespace != own => true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                _ => self.examine(pid).is_ok(),
            };
        }
        all_seen
    }

    /// Examines the open files of one process. A process that has exited has none.
    fn examine(&mut self, pid: u32) -> io::Result<()> {
        let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries.flatten() {
            self.files += 1;
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let inode = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']'));
            if let Some(inode) = inode.and_then(|inode| inode.parse().ok())
                && self.sought.remove(&inode)
            {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                self.found.insert(inode, Owner::Process { pid, name: name.trim_end().to_owned() });
            }
        }
        Ok(())
    }

    /// The sockets with their owners; those in `kernel` without a process belong to the kernel.
    fn listeners(&self, bound: Vec<Bound>, kernel: &BTreeSet<u64>) -> Vec<Listener> {
        let owner = |socket: &Bound| match self.found.get(&socket.inode) {
            Some(owner) => owner.clone(),
            None if socket.tunnel || kernel.contains(&socket.inode) => Owner::Kernel,
            None => Owner::Unknown,
        };
        let listener = |socket: Bound| {
            let owner = owner(&socket);
            Listener { protocol: socket.protocol, addr: socket.addr, port: socket.port, owner }
        };
        let mut listeners: Vec<_> = bound.into_iter().map(listener).collect();
        // A program may have several sockets on one port.
        listeners.dedup();
        listeners
    }
}

/// The sockets in the network namespace of this thread, sorted.
fn bound() -> io::Result<Vec<Bound>> {
    let mut bound = asked().or_else(|_| read())?;
    bound.retain(|socket| socket.port != 0);
    bound.sort();
    Ok(bound)
}

/// The sockets from sock_diag; the kernel filters them.
fn asked() -> io::Result<Vec<Bound>> {
    let mut bound = Vec::new();
    let tcp = (Protocol::Tcp, libc::IPPROTO_TCP, StateFlags::LISTEN);
    let udp = (Protocol::Udp, libc::IPPROTO_UDP, StateFlags::CLOSE);
    for (protocol, number, states) in [tcp, udp] {
        for (family, socket_id) in [(libc::AF_INET, SocketId::new_v4()), (libc::AF_INET6, SocketId::new_v6())]
        {
            let question = SockDiagMessage::InetRequest(InetRequest {
                family: family as u8,
                protocol: number as u8,
                extensions: ExtensionFlags::empty(),
                states: states.clone(),
                socket_id,
            });
            for message in netlink::dump(NETLINK_SOCK_DIAG, question)? {
                if let SockDiagMessage::InetResponse(socket) = message {
                    let id = &socket.header.socket_id;
                    let addr = id.source_address.to_canonical();
                    let inode = socket.header.inode.into();
                    let tunnel =
                        protocol == Protocol::Udp && addr.is_unspecified() && is_kernel_tunnel(&socket.nlas);
                    bound.push(Bound { protocol, port: id.source_port, addr, inode, tunnel });
                }
            }
        }
    }
    Ok(bound)
}

/// Whether multicast loopback is disabled. The kernel disables it for its UDP tunnel sockets
/// (`setup_udp_tunnel_sock`), and programs rarely do for a wildcard address, so this mostly avoids a search
/// in all processes. Kernels before 5.10 do not report it.
fn is_kernel_tunnel(attributes: &[Nla]) -> bool {
    const INET_DIAG_SOCKOPT: u16 = 22;
    // The fifth bit field of `struct inet_diag_sockopt`.
    const MC_LOOP: u8 = if cfg!(target_endian = "little") { 1 << 4 } else { 1 << 3 };
    let options = attributes.iter().find_map(|attribute| match attribute {
        Nla::Other(other) if other.kind() == INET_DIAG_SOCKOPT => {
            let mut value = vec![0; other.value_len()];
            other.emit_value(&mut value);
            value.first().copied()
        }
        _ => None,
    });
    options.is_some_and(|options| options & MC_LOOP == 0)
}

/// The sockets from `/proc/net`, for a kernel without sock_diag.
fn read() -> io::Result<Vec<Bound>> {
    let mut bound = Vec::new();
    for (protocol, state, files) in
        [(Protocol::Tcp, LISTENS, ["tcp", "tcp6"]), (Protocol::Udp, NO_PEER, ["udp", "udp6"])]
    {
        for file in files {
            // `/proc/net` belongs to the main thread, which does not enter the namespace of this one.
            match fs::read_to_string(format!("/proc/thread-self/net/{file}")) {
                Ok(text) => {
                    bound.extend(text.lines().skip(1).filter_map(|line| listed(line, protocol, state)))
                }
                Err(error) if file.ends_with('6') && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bound)
}

fn listed(line: &str, protocol: Protocol, state: u8) -> Option<Bound> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (addr, port) = fields.get(1)?.split_once(':')?;
    if u8::from_str_radix(fields.get(3)?, 16).ok()? != state {
        return None;
    }
    let addr = match addr.len() {
        // The words are in host byte order.
        8 => IpAddr::from(Ipv4Addr::from(u32::from_str_radix(addr, 16).ok()?.to_ne_bytes())),
        32 => {
            let mut bytes = [0; 16];
            for (index, word) in bytes.chunks_exact_mut(4).enumerate() {
                let digits = addr.get(index * 8..index * 8 + 8)?;
                word.copy_from_slice(&u32::from_str_radix(digits, 16).ok()?.to_ne_bytes());
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Bound {
        protocol,
        port,
        addr: addr.to_canonical(),
        inode: fields.get(9)?.parse().ok()?,
        tunnel: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::probe::in_new_namespace;
    use std::net::{TcpListener, UdpSocket};

    fn own_process() -> Owner {
        let name = fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned();
        Owner::Process { pid: std::process::id(), name }
    }

    #[test]
    fn a_socket_that_we_open_is_listed_as_ours() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::]:0").unwrap();
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect("127.0.0.1:9").unwrap();
        let listeners = listeners_of(std::process::id()).unwrap();
        let ours = |protocol, addr: std::net::SocketAddr| Listener {
            protocol,
            addr: addr.ip(),
            port: addr.port(),
            owner: own_process(),
        };
        assert!(listeners.contains(&ours(Protocol::Tcp, tcp.local_addr().unwrap())), "{listeners:?}");
        assert!(listeners.contains(&ours(Protocol::Udp, udp.local_addr().unwrap())), "{listeners:?}");
        assert!(!listeners.iter().any(|l| l.port == connected.local_addr().unwrap().port()));
        let port = tcp.local_addr().unwrap().port();
        drop(tcp);
        let after = listeners_of(std::process::id()).unwrap();
        assert!(!after.iter().any(|l| l.protocol == Protocol::Tcp && l.port == port), "{after:?}");
    }

    #[test]
    fn a_vxlan_port_belongs_to_the_kernel() {
        let commands = &["ip link add vxlan0 type vxlan id 7 dstport 4789", "ip link set vxlan0 up"];
        let seen = in_new_namespace(commands, || {
            let program = UdpSocket::bind("0.0.0.0:7946").unwrap();
            let unmarked =
                || bound().unwrap().into_iter().map(|socket| Bound { tunnel: false, ..socket }).collect();
            let pid = Some(std::process::id());
            let seen =
                (owned(pid).unwrap(), owners(unmarked(), pid).unwrap(), owners(unmarked(), None).unwrap());
            drop(program);
            seen
        });
        let Some((marked, searched, unseen)) = seen else { return };
        let udp = |port, owner| Listener {
            protocol: Protocol::Udp,
            addr: Ipv4Addr::UNSPECIFIED.into(),
            port,
            owner,
        };
        let [vxlan, program] = [udp(4789, Owner::Kernel), udp(7946, own_process())];
        assert_eq!(marked, [vxlan.clone(), program.clone()]);
        // An older kernel sets no mark, and then all processes are searched, including the engine. This
        // process is skipped unless it is named: its main thread is in another namespace.
        assert_eq!(searched, [vxlan, program]);
        assert_eq!(unseen, [udp(4789, Owner::Unknown), udp(7946, Owner::Unknown)]);
    }

    #[test]
    fn proc_files_match_sock_diag() {
        let sockets = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::]:0").unwrap()];
        let _udp = UdpSocket::bind("[::1]:0").unwrap();
        let ours = |mut bound: Vec<Bound>| {
            let mut search = Search::new(&bound);
            search.examine(std::process::id()).unwrap();
            bound.retain(|socket| search.found.contains_key(&socket.inode));
            bound.sort();
            bound
        };
        // Other tests open and close sockets at the same time.
        let (mut asked, mut read) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            (asked, read) = (ours(super::asked().unwrap()), ours(super::read().unwrap()));
            if asked == read {
                break;
            }
        }
        assert_eq!(asked, read);
        assert!(asked.len() > sockets.len());
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_files_are_read_in_both_families() {
        let four = "  1: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 42 1";
        let six = "  1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 43 2";
        let mapped = "  1: 0000000000000000FFFF00000100007F:0016 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 44 2";
        let socket = |protocol, addr: &str, inode| {
            Some(Bound { protocol, port: 22, addr: addr.parse().unwrap(), inode, tunnel: false })
        };
        assert_eq!(listed(four, Protocol::Tcp, LISTENS), socket(Protocol::Tcp, "127.0.0.1", 42));
        assert_eq!(listed(six, Protocol::Udp, NO_PEER), socket(Protocol::Udp, "::1", 43));
        assert_eq!(listed(mapped, Protocol::Udp, NO_PEER), socket(Protocol::Udp, "127.0.0.1", 44));
        assert_eq!(listed(four, Protocol::Tcp, NO_PEER), None);
        assert_eq!(listed("", Protocol::Tcp, LISTENS), None);
    }
}
