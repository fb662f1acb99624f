//! The errors with which a join ends, and their meaning.

use regex::Regex;
use std::sync::LazyLock;

/// Why a join failed.
pub(crate) struct JoinFailure {
    /// What happened, as a clause.
    pub(crate) story: String,
    /// Whether the error has only one meaning.
    pub(crate) certain: bool,
    /// What to do about it.
    pub(crate) remedy: &'static str,
    /// Whether that is done on the manager, and not on this host.
    pub(crate) on_manager: bool,
    pub(crate) commands: &'static [&'static str],
    /// The manager's address, where the error names it.
    pub(crate) addr: Option<String>,
}

/// A kind of failure, recognised by a part of the error.
struct Kind {
    contains: &'static [&'static str],
    story: &'static str,
    certain: bool,
    remedy: &'static str,
    on_manager: bool,
    commands: &'static [&'static str],
}

const TOKENS: &[&str] = &["docker swarm join-token worker", "docker swarm join-token manager"];
const PORT: &[&str] = &["ss -ltn sport = :2377", "firewall-cmd --add-port=2377/tcp", "ufw allow 2377/tcp"];

/// Ordered from specific to general, since errors contain other errors.
const KINDS: &[Kind] = &[
    Kind {
        contains: &["dial udp: lookup ", "dial tcp: lookup "],
        story: "the hostname of the manager cannot be resolved: the name is wrong, or the DNS server does not answer",
        certain: true,
        remedy: "give the manager's IP address, or fix the DNS configuration",
        on_manager: false,
        commands: &["cat /etc/resolv.conf", "getent hosts MANAGER"],
    },
    Kind {
        contains: &["valid join token is necessary"],
        story: "the manager rejects the token: its secret belongs to another swarm, or the token was rotated",
        certain: true,
        remedy: "print the current token, and copy the whole command",
        on_manager: true,
        commands: TOKENS,
    },
    Kind {
        contains: &["does not match fingerprint"],
        story: "the token belongs to another swarm or is older than the root CA: the CA fingerprint differs",
        certain: true,
        remedy: "print the token of the swarm to join",
        on_manager: true,
        commands: TOKENS,
    },
    Kind {
        contains: &["invalid join token"],
        story: "the token is malformed: it is incomplete, or it is something else",
        certain: true,
        remedy: "print the token, and copy the whole line",
        on_manager: true,
        commands: TOKENS,
    },
    Kind {
        contains: &["missing selected ALPN property"],
        story: "this engine requires TLS ALPN, and the manager, whose certificate was renewed while it ran, selects none",
        certain: true,
        remedy: "restart dockerd on that manager, or join through another manager",
        on_manager: true,
        commands: &["systemctl restart docker"],
    },
    Kind {
        contains: &["first record does not look like a TLS handshake"],
        story: "the port is not a manager port: it does not use TLS; the gossip port 7946 does not either",
        certain: true,
        remedy: "find the port of the managers; the default is 2377",
        on_manager: true,
        commands: &["docker info --format '{{json .Swarm.RemoteManagers}}'"],
    },
    Kind {
        contains: &["wanted to match swarm-manager", "is valid for swarm-worker", "not part of OUs"],
        story: "the host that answers is not a manager: its TLS certificate is not a manager certificate",
        certain: true,
        remedy: "give the address of a manager, and bypass any proxy",
        on_manager: false,
        commands: &["env | grep -i proxy", "systemctl show docker --property Environment"],
    },
    Kind {
        contains: &["certificate has expired or is not yet valid", "not valid before", "not valid after"],
        story: "the swarm's certificates are not valid by the clock of this host",
        certain: false,
        remedy: "compare the clocks of both hosts, and set the wrong one",
        on_manager: false,
        commands: &["date --utc", "timedatectl set-ntp true"],
    },
    Kind {
        contains: &["prospective new cluster member"],
        story: "the leader cannot reach 2377/tcp of this host at its advertised address",
        certain: true,
        remedy: "open 2377/tcp here, and advertise an address that the managers can reach",
        on_manager: false,
        commands: PORT,
    },
    Kind {
        contains: &["can't initialize raft node"],
        story: "the leader did not add this host to raft in time; the usual reason is that it cannot reach 2377/tcp here",
        certain: false,
        remedy: "open 2377/tcp here, and advertise an address that the managers can reach",
        on_manager: false,
        commands: PORT,
    },
    Kind {
        contains: &["does not have a leader", "no elected cluster leader"],
        story: "the swarm has no leader and accepts no new node",
        certain: true,
        remedy: "restore its managers first",
        on_manager: true,
        commands: &["sudo swarm-doctor run"],
    },
    Kind {
        contains: &["cluster requires FIPS"],
        story: "the swarm accepts only engines in FIPS mode, and this engine is not in FIPS mode",
        certain: true,
        remedy: "install an engine in FIPS mode",
        on_manager: false,
        commands: &[],
    },
    Kind {
        contains: &["connection refused"],
        story: "the connection was refused: the host is a worker, dockerd is not running there, or a firewall rejects it",
        certain: true,
        remedy: "check that the host is a manager, that dockerd runs, and that its firewall allows the port",
        on_manager: true,
        commands: &["docker info --format '{{.Swarm.ControlAvailable}}'", "systemctl status docker"],
    },
    Kind {
        contains: &["no route to host", "network is unreachable"],
        story: "there is no route to the host: it is down, the address is wrong, or a firewall rejects it",
        certain: true,
        remedy: "check the route",
        on_manager: false,
        commands: &["ip route", "ip neigh"],
    },
    Kind {
        contains: &["no such host", "server misbehaving", "name resolution"],
        story: "the hostname of the manager cannot be resolved",
        certain: true,
        remedy: "give the manager's IP address, or fix the DNS configuration",
        on_manager: false,
        commands: &["cat /etc/resolv.conf"],
    },
    Kind {
        contains: &[
            "DeadlineExceeded",
            "deadline exceeded",
            "i/o timeout",
            "Timeout was reached before node joined",
        ],
        story: "no answer within the timeout: 2377/tcp is dropped on the path, or the host is down",
        certain: false,
        remedy: "check that the host and its dockerd run, and open 2377/tcp",
        on_manager: true,
        commands: PORT,
    },
];

/// What an error means; `None` where it does not come from a join or is not known.
pub(crate) fn join_failure(reason: &str) -> Option<JoinFailure> {
    // An error about a raft log on disk begins like one about joining raft.
    if reason.contains("WAL") {
        return None;
    }
    static ADDR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"dial tcp (\S+:\d+): ").ok());
    let kind = KINDS.iter().find(|kind| kind.contains.iter().any(|words| reason.contains(words)))?;
    let addr = ADDR.as_ref().and_then(|pattern| pattern.captures(reason)).map(|found| found[1].to_owned());
    let Kind { story, certain, remedy, on_manager, commands, .. } = *kind;
    // The leader dials back to the joining host: that address is this host's own.
    let (story, addr) = match addr {
        Some(own) if reason.contains("using its advertised address") => (format!("{story}, {own}"), None),
        Some(addr) if reason.contains("connection refused") && !addr.ends_with(":2377") => {
            let story = format!("{story}; the default manager port is 2377");
            (story, Some(addr))
        }
        addr => (story.to_owned(), addr),
    };
    Some(JoinFailure { story, certain, remedy, on_manager, commands, addr })
}
