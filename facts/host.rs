//! The machine a node runs on: its interfaces, sockets, kernel and clock.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsRelease {
    /// The hostname.
    pub hostname: String,
    /// `PRETTY_NAME` of os-release, empty where there is none.
    pub pretty_name: String,
    /// `ID` of os-release, such as `debian`.
    pub id: String,
    /// `ID_LIKE` of os-release, in its order.
    pub id_like: Vec<String>,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// Where the process runs in a container of its own: its pid namespace is not the machine's.
    pub in_container: bool,
}

/// A network interface and the addresses it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has a carrier (`IFF_RUNNING`).
    pub running: bool,
    /// The MTU in bytes.
    pub mtu: u32,
    /// The kind of link, such as `veth`, `bridge`, `vxlan`; empty for a plain one.
    pub kind: String,
    /// The link-layer address, empty where there is none.
    pub mac: String,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<Address>,
    /// The driver of its network card, such as `vmxnet3`; empty for a virtual interface and in bundles of older versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// The active offload features that concern checksums and tunnels, by their name in `ethtool -k`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offloads: Vec<String>,
}

impl Interface {
    /// Whether it holds the address.
    pub fn holds(&self, addr: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.addr == addr)
    }
}

/// An address with its prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub addr: IpAddr,
    /// The prefix length in bits.
    pub prefix: u8,
}

impl std::str::FromStr for Address {
    type Err = String;

    /// Reads `192.0.2.0/24`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address with a prefix length");
        let (addr, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let addr: IpAddr = addr.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        (prefix <= most).then_some(Self { addr, prefix }).ok_or_else(wrong)
    }
}

impl Address {
    /// Whether the networks that both name have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other.addr) || other.covers(self.addr)
    }

    /// Whether `addr` lies in the network that this address and its prefix name.
    pub fn covers(&self, addr: IpAddr) -> bool {
        match (self.addr, addr) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.prefix.into())).unwrap_or(0);
                u32::from(own) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.prefix.into())).unwrap_or(0);
                u128::from(own) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }
}

/// Another machine on a network of this one, in the kernel's table of neighbours (`ip neighbour`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub addr: IpAddr,
    /// The interface it is on.
    pub interface: String,
    /// Its link-layer address, empty where the kernel knows none.
    pub mac: String,
    /// What the kernel knows of it.
    pub state: NeighbourState,
}

/// What the kernel knows of another machine on its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourState {
    /// It showed that it is there within the last seconds.
    Reachable,
    /// It was asked for just now, and nobody answered.
    Failed,
    /// Someone wrote its entry by hand (`NUD_PERMANENT`); the kernel never asks.
    Permanent,
    /// It was there some time ago.
    Stale,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The network, `0.0.0.0` or `::` with prefix 0 for a default route.
    pub network: IpAddr,
    /// The prefix length in bits.
    pub prefix: u8,
    /// The next hop, where there is one.
    pub gateway: Option<IpAddr>,
    /// The interface it leaves by.
    pub interface: Option<String>,
    /// The source address the kernel prefers on it.
    pub source: Option<IpAddr>,
    /// What becomes of packets that it is for.
    #[serde(default, skip_serializing_if = "RouteKind::leads")]
    pub kind: RouteKind,
}

/// What a route does with packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// It leads them on.
    #[default]
    Unicast,
    /// It drops them without a word.
    Blackhole,
    /// It says that the host is unreachable.
    Unreachable,
    /// It says that it is forbidden.
    Prohibit,
}

impl RouteKind {
    /// Whether packets get anywhere.
    pub fn leads(&self) -> bool {
        *self == Self::Unicast
    }

    /// The word of `ip route` for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
        }
    }

    /// The errno that a program of the machine itself gets (`fib_props`), where it gets one.
    pub fn errno(self) -> Option<i32> {
        match self {
            Self::Unicast => None,
            Self::Blackhole => Some(crate::link::EINVAL),
            Self::Unreachable => Some(113),
            Self::Prohibit => Some(13),
        }
    }
}

/// The transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// What encrypted overlays travel as; it has no ports.
    Esp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Esp => "esp",
        })
    }
}

/// A socket that takes what comes to a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Its protocol.
    pub protocol: Protocol,
    /// The address it is bound to; unspecified means all.
    pub addr: IpAddr,
    /// The port.
    pub port: u16,
    /// The process that holds it, or why that is not known.
    pub owner: Owner,
}

/// Who holds a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Owner {
    /// A process.
    Process {
        /// Its pid.
        pid: u32,
        /// Its name, as in `/proc/PID/comm`.
        name: String,
    },
    /// The kernel itself: a VXLAN port.
    Kernel,
    /// Not known: no process that we may look into holds it.
    Unknown,
}

/// Kernel settings by their dotted name, such as `net.ipv4.ip_forward`; absent ones are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sysctls(pub BTreeMap<String, String>);

impl Sysctls {
    /// The value of one, without its line end.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// How a kernel module stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModuleState {
    /// Loaded as a module.
    Loaded,
    /// Part of the kernel image.
    BuiltIn,
    /// Not loaded; its file is there, and the kernel or the engine loads it when wanted.
    Loadable,
    /// Neither loaded, built in, nor to be loaded.
    Missing,
    /// Nothing we may read tells.
    Unknown,
}

/// Kernel modules by name, such as `ip_vs`, with what told their state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Modules(pub BTreeMap<String, Module>);

/// One kernel module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// How it stands.
    pub state: ModuleState,
    /// What told us, such as `/proc/config.gz: CONFIG_IP_VS is not set`.
    pub source: String,
}

/// Whether the clock is kept in step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Whether the kernel holds the clock for synchronised (`STA_UNSYNC` of adjtimex(2) is clear).
    pub synchronised: bool,
    /// The kernel's bound on the error, in microseconds; 16 s means that nobody ever set it.
    pub max_error_us: i64,
    /// The time service that runs here, such as `chronyd`.
    pub service: Option<String>,
}

/// Room on a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The directory asked about.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What an unprivileged process may still write, in bytes.
    pub available_bytes: u64,
    /// All inodes; 0 where the file system has no such limit.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// Memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// `MemTotal` in bytes.
    pub total_bytes: u64,
    /// `MemAvailable` in bytes.
    pub available_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_covers_its_network() {
        let covers = |addr: &str, prefix, other: &str| {
            Address { addr: addr.parse().unwrap(), prefix }.covers(other.parse().unwrap())
        };
        assert!(covers("192.0.2.22", 24, "192.0.2.2"));
        assert!(!covers("192.0.2.22", 28, "192.0.2.2"));
        assert!(covers("192.0.2.22", 0, "10.0.0.1"));
        assert!(covers("2001:db8::1", 64, "2001:db8::2"));
        assert!(!covers("2001:db8::1", 128, "2001:db8::2"));
        assert!(!covers("192.0.2.22", 24, "2001:db8::2"));
        let overlap = |one: &str, other: &str| {
            let (one, other): (Address, Address) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(one.overlaps(&other), other.overlaps(&one));
            one.overlaps(&other)
        };
        assert!(overlap("10.0.0.0/24", "10.0.0.0/8") && overlap("10.0.0.7/24", "10.0.0.9/24"));
        assert!(!overlap("10.0.0.0/24", "10.0.1.0/24") && !overlap("10.0.0.0/24", "2001:db8::/64"));
        for wrong in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/24", "2001:db8::/129", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
