//! Two hosts connected by a veth pair: which packets are delivered.

use facts::firewall::{Direction, Flow, Link, Packet};
use facts::host::Protocol;
use nix::sched::{CloneFlags, setns, unshare};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Destination ports.
pub(super) const PORTS: [u16; 4] = [22, 2377, 4789, 7946];
/// The bridge of the host behind `here`.
const BRIDGE: &str = "docker_gwbridge";
/// The address of the host behind `here`.
pub(super) const BEHIND: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);
/// Time limit for the delivery of a packet, also on a busy host.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time limit for packets that are expected to be dropped. A veth pair delivers before the sending call returns.
const GRACE: Duration = Duration::from_millis(4);

type Job = Box<dyn FnOnce() + Send>;

/// A thread in the network namespace of a host.
pub(super) struct Machine {
    tell: Option<mpsc::Sender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Machine {
    /// A new host in a new network namespace.
    pub(super) fn new() -> io::Result<Self> {
        Self::entering(|| unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from))
    }

    /// An existing host, by the pid of a process in it.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let net = File::open(format!("/proc/{pid}/ns/net"))?;
        Self::entering(move || setns(net, CloneFlags::CLONE_NEWNET).map_err(io::Error::from))
    }

    fn entering(enter: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (tell, jobs) = mpsc::channel::<Job>();
        let (born, entered) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let there = enter();
            let stays = there.is_ok();
            drop(born.send(there));
            if stays {
                jobs.into_iter().for_each(|job| job());
            }
        });
        entered.recv().unwrap()?;
        Ok(Self { tell: Some(tell), thread: Some(thread) })
    }

    /// Runs a closure in the namespace and waits for its result.
    pub(super) fn run_in<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (send, received) = mpsc::channel();
        self.tell.as_ref().unwrap().send(Box::new(move || drop(send.send(job())))).unwrap();
        received.recv().unwrap()
    }

    /// Runs a program in the namespace with this input; returns its output, or its error message.
    #[expect(clippy::disallowed_methods, reason = "the packet filter of a test is set by its program")]
    pub(super) fn run(&self, words: &'static [&'static str], input: String) -> Result<String, String> {
        self.run_in(move || {
            let mut child = Command::new(words[0])
                .args(&words[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|error| format!("{}: {error}", words[0]))?;
            // The program may exit before it has read all of its input.
            drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
            let output = child.wait_with_output().unwrap();
            let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
        })
    }

    pub(super) fn sh(&self, script: impl Into<String>) {
        self.run(&["sh", "-eu"], script.into()).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.tell.take());
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

/// One packet to test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) way: Direction,
    pub(super) protocol: Protocol,
    pub(super) peer: IpAddr,
    pub(super) port: u16,
    /// The source port.
    pub(super) from: u16,
    /// Whether the doctor knows the source port.
    pub(super) from_is_known: bool,
    /// A forwarded packet whose destination port is published here.
    pub(super) published: bool,
}

/// The result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Delivered.
    Came,
    /// Rejected: the sender received an error.
    Notified,
    /// Dropped without an error.
    Lost,
}

/// Two hosts. The firewall is on `here`.
pub(super) struct Wire {
    pub(super) here: Machine,
    there: Machine,
    /// A host for which `here` forwards.
    behind: Option<Machine>,
    link: Link,
    /// The interface of `here` to it.
    bridge: Option<Link>,
    own: Vec<IpAddr>,
    peers: Vec<IpAddr>,
    receivers: Vec<Vec<Socket>>,
    /// The next source port; none is used twice, because of connection tracking.
    next: u16,
    /// Results of datagrams so far.
    lost: BTreeSet<u32>,
    sent: u32,
}

impl Wire {
    /// Two new hosts connected by a veth pair.
    pub(super) fn new(own: &[IpAddr], peers: &[IpAddr]) -> io::Result<Self> {
        let (here, there) = (Machine::new()?, Machine::new()?);
        let id = there.run_in(nix::unistd::gettid);
        here.sh("ip link set lo up; ip link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns ".to_owned() + &id.to_string());
        there.sh("ip link set lo up");
        Ok(Self::between(here, there, own, peers))
    }

    /// Two hosts with connected `eth0`. These addresses are added to existing ones.
    pub(super) fn between(here: Machine, there: Machine, own: &[IpAddr], peers: &[IpAddr]) -> Self {
        let mac = |machine: &Machine| machine.run_in(|| mac_address("eth0"));
        let (mac_here, mac_there) = (mac(&here), mac(&there));
        for (machine, has, knows, at) in [(&here, own, peers, &mac_there), (&there, peers, own, &mac_here)] {
            let mut script = "ip link set eth0 up\n".to_owned();
            for addr in has {
                let (length, flags) = if addr.is_ipv4() { (24, "") } else { (64, "nodad") };
                script += &format!("ip addr replace {addr}/{length} dev eth0 {flags}\n");
            }
            // Static neighbour entries, so that ARP does not matter.
            for addr in knows {
                script += &format!("ip neigh replace {addr} lladdr {at} dev eth0 nud permanent\n");
            }
            script += "echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
                       echo 0 >/proc/sys/net/ipv6/icmp/ratelimit
                       echo 1 >/proc/sys/net/ipv4/tcp_synack_retries\n";
            machine.sh(script);
        }
        let index = here.run_in(|| nix::net::if_::if_nametoindex("eth0").unwrap());
        let receivers = [&here, &there].map(|machine| machine.run_in(|| listening(Type::DGRAM))).into();
        let link = Link { name: "eth0".into(), index };
        Self {
            here,
            there,
            behind: None,
            link,
            bridge: None,
            own: own.to_vec(),
            peers: peers.to_vec(),
            receivers,
            next: 32768,
            lost: BTreeSet::new(),
            sent: 0,
        }
    }

    /// Adds a host behind `here`, which forwards for it as for a container and publishes its ports.
    pub(super) fn with_one_behind(mut self) -> io::Result<Self> {
        let behind = Machine::new()?;
        let id = behind.run_in(nix::unistd::gettid);
        self.here.sh(format!(
            "ip link add {BRIDGE} type bridge
             ip link add port0 master {BRIDGE} type veth peer name eth0 netns {id}
             ip link set port0 up; ip link set {BRIDGE} up; ip addr add 172.18.0.1/16 dev {BRIDGE}
             echo 1 >/proc/sys/net/ipv4/ip_forward"
        ));
        behind.sh(format!(
            "ip link set lo up; ip link set eth0 up; ip addr add {BEHIND}/16 dev eth0
             ip route add default via 172.18.0.1
             echo 1 >/proc/sys/net/ipv4/tcp_synack_retries"
        ));
        let index = self.here.run_in(|| nix::net::if_::if_nametoindex(BRIDGE).unwrap());
        self.bridge = Some(Link { name: BRIDGE.into(), index });
        self.receivers.push(behind.run_in(|| listening(Type::DGRAM)));
        self.behind = Some(behind);
        Ok(self)
    }

    /// All packets to test.
    pub(super) fn questions(&mut self) -> Vec<Question> {
        let mut questions = Vec::new();
        let ways: &[_] = match self.behind {
            None => &[(Direction::In, false), (Direction::Out, false)],
            Some(_) => &[(Direction::Forward, false), (Direction::Forward, true)],
        };
        for peer in self.peers.clone() {
            for &(way, published) in ways {
                for protocol in [Protocol::Tcp, Protocol::Udp] {
                    for port in PORTS {
                        let from = self.next;
                        self.next = self.next.checked_add(1).unwrap();
                        let from_is_known = from.is_multiple_of(3);
                        questions.push(Question {
                            way,
                            protocol,
                            peer,
                            port,
                            from,
                            from_is_known,
                            published,
                        });
                    }
                }
            }
        }
        questions
    }

    fn own_towards(&self, peer: IpAddr) -> IpAddr {
        *self.own.iter().find(|addr| addr.is_ipv4() == peer.is_ipv4()).unwrap()
    }

    /// One packet.
    pub(super) fn packet(&self, asked: &Question, flow: Flow) -> Packet {
        if asked.way == Direction::Forward {
            return self.forwarded(asked, flow);
        }
        let own = self.own_towards(asked.peer);
        let way = match (asked.way, flow) {
            (way, Flow::New | Flow::Further) => way,
            (Direction::In, Flow::Answer) => Direction::Out,
            (Direction::Out, Flow::Answer) => Direction::In,
            (Direction::Forward, Flow::Answer) => Direction::Forward,
        };
        let (source, destination) = if way == Direction::In { (asked.peer, own) } else { (own, asked.peer) };
        let caller = asked.from_is_known.then_some(asked.from);
        let (source_port, destination_port) = match flow {
            Flow::New | Flow::Further => (caller, Some(asked.port)),
            Flow::Answer => (Some(asked.port), caller),
        };
        let (protocol, link) = (asked.protocol, Some(self.link.clone()));
        Packet {
            direction: way,
            flow,
            protocol,
            source,
            destination,
            source_port,
            destination_port,
            link,
            onward: None,
            vni: None,
            owner: (way == Direction::Out).then_some(0),
            redirected: false,
        }
    }

    /// The packet after DNAT, as `here` routes it.
    fn forwarded(&self, asked: &Question, flow: Flow) -> Packet {
        let caller = asked.from_is_known.then_some(asked.from);
        let outside = (asked.peer, Some(self.link.clone()));
        let inside = (BEHIND.into(), self.bridge.clone());
        let (calls, called) = if asked.published { (outside, inside) } else { (inside, outside) };
        let ((source, link), (destination, onward), source_port, destination_port) = match flow {
            Flow::New | Flow::Further => (calls, called, caller, Some(asked.port)),
            Flow::Answer => (called, calls, Some(asked.port), caller),
        };
        Packet {
            direction: Direction::Forward,
            flow,
            protocol: asked.protocol,
            source,
            destination,
            source_port,
            destination_port,
            link,
            onward,
            vni: None,
            owner: None,
            redirected: asked.published,
        }
    }

    /// Sends all packets. Waits for those that `comes` expects; the others can arrive in the same time.
    pub(super) fn send(&mut self, questions: &[Question], comes: &[bool]) -> Vec<Seen> {
        let machines = [&self.here, &self.there].into_iter().chain(&self.behind);
        let answering: Vec<_> = machines.map(|machine| machine.run_in(|| listening(Type::STREAM))).collect();
        let first = self.sent;
        self.sent += u32::try_from(questions.len()).unwrap();
        let mut calls: Vec<Call> = Vec::new();
        for (id, asked) in (first..).zip(questions) {
            let mut packet = self.packet(&Question { from_is_known: true, ..*asked }, Flow::New);
            if asked.published {
                packet.destination = self.own_towards(asked.peer);
            }
            let sender = match (asked.way, &self.behind) {
                (Direction::In, _) => &self.there,
                (Direction::Forward, Some(behind)) if !asked.published => behind,
                (Direction::Forward, _) => &self.there,
                (Direction::Out, _) => &self.here,
            };
            calls.push(sender.run_in(move || Call::of(&packet, id)));
        }
        let mut came: BTreeSet<u32> = BTreeSet::new();
        let mut connections: Vec<Socket> = Vec::new();
        let began = Instant::now();
        let mut grace = None;
        loop {
            connections
                .extend(answering.iter().flatten().flat_map(|socket| std::iter::from_fn(|| taken(socket))));
            for ear in self.receivers.iter().flatten().chain(&connections) {
                came.extend(heard(ear));
            }
            calls.iter_mut().for_each(Call::look);
            let missing = (first..).zip(comes).any(|(id, comes)| *comes && !came.contains(&id));
            match grace {
                Some(until) if Instant::now() >= until => break,
                Some(_) => {}
                None if !missing || began.elapsed() > PATIENCE => grace = Some(Instant::now() + GRACE),
                None => {}
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        drop(answering);
        let stray: Vec<_> = came.intersection(&self.lost).collect();
        assert!(stray.is_empty(), "datagrams that were taken for lost came late: {stray:?}");
        let seen = calls.iter().map(|call| match call.notified {
            _ if came.contains(&call.id) => Seen::Came,
            true => Seen::Notified,
            false => Seen::Lost,
        });
        let seen: Vec<_> = seen.collect();
        self.lost.extend((first..).zip(&seen).filter(|(_, seen)| **seen != Seen::Came).map(|(id, _)| id));
        seen
    }
}

/// The MAC address of an interface in the namespace of this thread.
fn mac_address(name: &str) -> String {
    let addrs = nix::ifaddrs::getifaddrs().unwrap();
    let of_it = addrs.filter(|one| one.interface_name == name);
    let bytes = of_it.filter_map(|one| one.address?.as_link_addr()?.addr()).next().unwrap();
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// Listening sockets on every port, for IPv4 and IPv6.
fn listening(kind: Type) -> Vec<Socket> {
    let on = |port: &u16| {
        let socket = Socket::new(Domain::IPV6, kind, None).unwrap();
        socket.set_only_v6(false).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from(([0_u16; 8], *port)).into()).unwrap();
        if kind == Type::STREAM {
            socket.listen(128).unwrap();
        }
        socket.set_nonblocking(true).unwrap();
        socket
    };
    PORTS.iter().map(on).collect()
}

/// An accepted connection.
fn taken(listening: &Socket) -> Option<Socket> {
    let (socket, _) = listening.accept().ok()?;
    socket.set_nonblocking(true).unwrap();
    Some(socket)
}

/// The numbers of received packets.
fn heard(mut socket: &Socket) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut buffer = [0; 4];
    while let Ok(4) = socket.read(&mut buffer) {
        ids.push(u32::from_ne_bytes(buffer));
    }
    ids
}

/// A sent packet.
struct Call {
    socket: Socket,
    protocol: Protocol,
    id: u32,
    sent: bool,
    notified: bool,
}

impl Call {
    fn of(packet: &Packet, id: u32) -> Self {
        let kind = if packet.protocol == Protocol::Tcp { Type::STREAM } else { Type::DGRAM };
        let socket = Socket::new(Domain::for_address(SocketAddr::new(packet.source, 0)), kind, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let at = |addr, port: Option<u16>| SocketAddr::new(addr, port.unwrap()).into();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&at(packet.source, packet.source_port)).unwrap();
        let to = at(packet.destination, packet.destination_port);
        let mut call = Self { socket, protocol: packet.protocol, id, sent: false, notified: false };
        let done = match packet.protocol {
            Protocol::Tcp => {
                // Close with RST, so that no FIN has to be delivered.
                call.socket.set_linger(Some(Duration::ZERO)).unwrap();
                call.socket.connect(&to)
            }
            Protocol::Udp => {
                call.report_icmp_errors(packet.source.is_ipv4());
                call.socket.connect(&to).unwrap();
                call.socket.send(&id.to_ne_bytes()).map(drop)
            }
            Protocol::Esp => panic!("a program does not send ESP"),
        };
        if let Err(error) = done {
            call.record_error(&error);
        }
        call
    }

    /// Reports all ICMP errors to the sender of a datagram, including transient ones (`IP_RECVERR`).
    fn report_icmp_errors(&self, v4: bool) {
        use nix::sys::socket::{setsockopt, sockopt};
        if v4 {
            setsockopt(&self.socket, sockopt::Ipv4RecvErr, &true).unwrap();
        } else {
            setsockopt(&self.socket, sockopt::Ipv6RecvErr, &true).unwrap();
        }
    }

    fn record_error(&mut self, error: &io::Error) {
        match error.raw_os_error() {
            // The send call itself fails if an output or egress chain drops the packet.
            Some(libc::EPERM | libc::ENOBUFS | libc::EINPROGRESS | libc::EAGAIN) => {}
            Some(_) => self.notified = true,
            None => panic!("{error}"),
        }
    }

    /// Checks the progress. On an established connection, sends the packet's number.
    fn look(&mut self) {
        match (self.protocol, self.socket.take_error()) {
            (_, Ok(Some(error)) | Err(error)) => self.record_error(&error),
            (Protocol::Tcp, Ok(None)) if !self.sent && self.socket.peer_addr().is_ok() => {
                self.sent = true;
                if let Err(error) = self.socket.send(&self.id.to_ne_bytes()) {
                    self.record_error(&error);
                }
            }
            _ => {}
        }
    }
}
