//! The reasons with which a join ends, in words.

use regex::Regex;
use std::sync::LazyLock;

/// Why a join failed.
pub(super) struct Failure {
    /// What happened, after "failed:".
    pub(super) story: String,
    /// Whether the reason allows no other reading.
    pub(super) sure: bool,
    /// What to do about it.
    pub(super) cure: &'static str,
    /// Where: on the manager, or on this machine.
    pub(super) there: bool,
    /// The commands for it.
    pub(super) commands: &'static [&'static str],
    /// The manager, where the reason names it.
    pub(super) addr: Option<String>,
}

/// A kind of failure: a part of the reason, what it means, whether it is certain, and what to do where.
struct Kind {
    says: &'static [&'static str],
    story: &'static str,
    sure: bool,
    cure: &'static str,
    there: bool,
    commands: &'static [&'static str],
}

const TOKENS: &[&str] = &["docker swarm join-token worker", "docker swarm join-token manager"];
const PORT: &[&str] = &["ss -ltn sport = :2377", "firewall-cmd --add-port=2377/tcp", "ufw allow 2377/tcp"];

/// In the order in which they are looked for: the more telling ones first, since reasons stand within reasons.
const KINDS: &[Kind] = &[
    Kind {
        says: &["dial udp: lookup ", "dial tcp: lookup "],
        story: "the name of the manager has no address: the resolver does not know it, or does not answer",
        sure: true,
        cure: "name the manager by its address, or mend the resolver",
        there: false,
        commands: &["cat /etc/resolv.conf", "getent hosts MANAGER"],
    },
    Kind {
        says: &["valid join token is necessary"],
        story: "the manager does not take the token: its secret is not that of the swarm, or was rotated since",
        sure: true,
        cure: "print the token that holds now, and copy the whole command",
        there: true,
        commands: TOKENS,
    },
    Kind {
        says: &["does not match fingerprint"],
        story: "the token is for another swarm, or older than the swarm's authority: the fingerprint of its CA differs",
        sure: true,
        cure: "print the token of that very swarm",
        there: true,
        commands: TOKENS,
    },
    Kind {
        says: &["invalid join token"],
        story: "what was given for a token is none: it was not copied whole, or it is something else",
        sure: true,
        cure: "print the token, and copy the whole line",
        there: true,
        commands: TOKENS,
    },
    Kind {
        says: &["missing selected ALPN property"],
        story: "this engine insists on a protocol in TLS (ALPN), and the manager, whose certificate was renewed while \
                it ran, agrees on none",
        sure: true,
        cure: "restart the engine of that manager, or join through another one",
        there: true,
        commands: &["systemctl restart docker"],
    },
    Kind {
        says: &["first record does not look like a TLS handshake"],
        story: "no manager listens on that port: it speaks no TLS, as 7946, the port of gossip, does not",
        sure: true,
        cure: "see on which port the managers listen; it is 2377 unless another was chosen",
        there: true,
        commands: &["docker info --format '{{json .Swarm.RemoteManagers}}'"],
    },
    Kind {
        says: &["wanted to match swarm-manager", "is valid for swarm-worker", "not part of OUs"],
        story: "who answers there is no manager: its certificate is another's",
        sure: true,
        cure: "name a manager, past any proxy",
        there: false,
        commands: &["env | grep -i proxy", "systemctl show docker --property Environment"],
    },
    Kind {
        says: &["certificate has expired or is not yet valid", "not valid before", "not valid after"],
        story: "by this machine's clock the swarm's certificates are not valid",
        sure: false,
        cure: "compare the clocks of both machines, and set the wrong one",
        there: false,
        commands: &["date --utc", "timedatectl set-ntp true"],
    },
    Kind {
        says: &["prospective new cluster member"],
        story: "the leader cannot reach 2377/tcp of this machine at the address that it advertises",
        sure: true,
        cure: "open 2377/tcp here, and advertise an address at which the managers reach this machine",
        there: false,
        commands: PORT,
    },
    Kind {
        says: &["can't initialize raft node"],
        story: "the leader did not take this machine into raft in time: mostly it cannot reach 2377/tcp here",
        sure: false,
        cure: "open 2377/tcp here, and advertise an address at which the managers reach this machine",
        there: false,
        commands: PORT,
    },
    Kind {
        says: &["does not have a leader", "no elected cluster leader"],
        story: "the swarm has no leader, and without one it takes nobody in",
        sure: true,
        cure: "bring its managers back first",
        there: true,
        commands: &["swarm-doctor run"],
    },
    Kind {
        says: &["cluster requires FIPS"],
        story: "the swarm takes only engines in FIPS mode, and this one is not",
        sure: true,
        cure: "install an engine in FIPS mode",
        there: false,
        commands: &[],
    },
    Kind {
        says: &["connection refused"],
        story: "the connection was refused: a worker was named, the manager's engine is dead, or a firewall rejects it",
        sure: true,
        cure: "see whether it is a manager and its engine runs, and what its firewall lets in",
        there: true,
        commands: &["docker info --format '{{.Swarm.ControlAvailable}}'", "systemctl status docker"],
    },
    Kind {
        says: &["no route to host", "network is unreachable"],
        story: "no way leads there: the machine is off, the address is wrong, or a firewall rejects it",
        sure: true,
        cure: "see the way to it",
        there: false,
        commands: &["ip route", "ip neigh"],
    },
    Kind {
        says: &["no such host", "server misbehaving", "name resolution"],
        story: "the name of the manager has no address",
        sure: true,
        cure: "name the manager by its address, or mend the resolver",
        there: false,
        commands: &["cat /etc/resolv.conf"],
    },
    Kind {
        says: &[
            "DeadlineExceeded",
            "deadline exceeded",
            "i/o timeout",
            "Timeout was reached before node joined",
        ],
        story: "no answer came: 2377/tcp is dropped on the way, or the machine is off",
        sure: false,
        cure: "see whether the machine and its engine run, and open 2377/tcp to it",
        there: true,
        commands: PORT,
    },
];

/// What a reason means; none where it is no failure of a join, or nobody knows it.
pub(super) fn failure(reason: &str) -> Option<Failure> {
    // Raft that cannot be read from disk begins with the same words as raft that cannot be joined.
    if reason.contains("WAL") {
        return None;
    }
    static ADDR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"dial tcp (\S+:\d+): ").ok());
    let kind = KINDS.iter().find(|kind| kind.says.iter().any(|words| reason.contains(words)))?;
    let addr = ADDR.as_ref().and_then(|pattern| pattern.captures(reason)).map(|found| found[1].to_owned());
    let Kind { story, sure, cure, there, commands, .. } = *kind;
    // The leader dials back to see whether it can: that address is this machine's.
    let (story, addr) = match addr {
        Some(own) if reason.contains("using its advertised address") => (format!("{story}, {own}"), None),
        Some(addr) if reason.contains("connection refused") && !addr.ends_with(":2377") => {
            let story = format!("{story}; managers listen on 2377 unless they were told otherwise");
            (story, Some(addr))
        }
        addr => (story.to_owned(), addr),
    };
    Some(Failure { story, sure, cure, there, commands, addr })
}
