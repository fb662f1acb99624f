//! The host of a node: its interfaces, sockets, kernel and clock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Whether the process runs in a container: it is not in the initial pid namespace.
    pub in_container: bool,
    /// The container manager that started the system, such as `lxc`, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Whether the module directory of the running kernel is gone, where that is known: the kernel was updated and the host
    /// not rebooted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_replaced: Option<bool>,
}

/// A network interface with its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// The link kind, such as `veth`, `bridge`, `vxlan`; empty for a physical one.
    pub kind: String,
    /// The MAC address, empty where there is none.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// The driver of its network card, such as `vmxnet3`; empty for a virtual interface and in bundles of older versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// The active offload features that concern checksums and tunnels, by their name in `ethtool -k`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offloads: Vec<String>,
    /// The file by which systemd-networkd manages the interface, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_file: Option<String>,
}

impl Interface {
    /// Whether the interface has the address.
    pub fn holds(&self, addr: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.addr == addr)
    }
}

/// An address with its prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Whether both networks overlap.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other.addr) || other.covers(self.addr)
    }

    /// Whether `addr` is in the network of this address and prefix.
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

/// An entry of the neighbour table (`ip neighbour`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Neighbour {
    /// Its address.
    pub addr: IpAddr,
    /// The interface.
    pub interface: String,
    /// Its MAC address, empty where it is unknown.
    pub mac: String,
    /// The state of the entry.
    pub state: NeighbourState,
}

/// The state of a neighbour entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourState {
    /// Confirmed within the last seconds.
    Reachable,
    /// Resolution failed just now.
    Failed,
    /// A static entry (`NUD_PERMANENT`), which the kernel does not verify.
    Permanent,
    /// Not confirmed recently.
    Stale,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// The network, `0.0.0.0` or `::` with prefix 0 for a default route.
    pub network: IpAddr,
    /// The prefix length in bits.
    pub prefix: u8,
    /// The next hop, if any.
    pub gateway: Option<IpAddr>,
    /// The output interface.
    pub interface: Option<String>,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// The route type.
    #[serde(default, skip_serializing_if = "RouteKind::leads")]
    pub kind: RouteKind,
}

/// The type of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// Forwards packets.
    #[default]
    Unicast,
    /// Drops packets silently.
    Blackhole,
    /// Rejects packets with "host unreachable".
    Unreachable,
    /// Rejects packets with "administratively prohibited".
    Prohibit,
}

impl RouteKind {
    /// Whether packets are forwarded.
    pub fn leads(&self) -> bool {
        *self == Self::Unicast
    }

    /// Its name in `ip route`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
        }
    }

    /// The errno for local programs (`fib_props`), if any.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ESP, the protocol of encrypted overlays; it has no ports.
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

/// A listening or bound socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Its protocol.
    pub protocol: Protocol,
    /// The address that it is bound to; unspecified means all.
    pub addr: IpAddr,
    /// The port.
    pub port: u16,
    /// Its owner.
    pub owner: Owner,
}

/// The owner of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Owner {
    /// A process.
    Process {
        /// Its pid.
        pid: u32,
        /// Its name, as in `/proc/PID/comm`.
        name: String,
    },
    /// The kernel: a VXLAN port.
    Kernel,
    /// Unknown: no readable process owns it.
    Unknown,
}

/// Kernel settings by dotted name, such as `net.ipv4.ip_forward`; missing ones are omitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sysctls(pub BTreeMap<String, String>);

impl Sysctls {
    /// The value of a setting, without the line end.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// The state of a kernel module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModuleState {
    /// Loaded as a module.
    Loaded,
    /// Part of the kernel image.
    BuiltIn,
    /// Not loaded, but installed; the kernel or the engine loads it on demand.
    Loadable,
    /// Neither loaded, nor built in, nor installed.
    Missing,
    /// Unknown.
    Unknown,
}

/// Kernel modules by name, such as `ip_vs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Modules(pub BTreeMap<String, Module>);

/// One kernel module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Module {
    /// Its state.
    pub state: ModuleState,
    /// The evidence, such as `/proc/config.gz: CONFIG_IP_VS is not set`.
    pub source: String,
}

/// The synchronisation state of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clock {
    /// Whether the kernel treats the clock as synchronised (`STA_UNSYNC` of adjtimex(2) is clear).
    pub synchronised: bool,
    /// The maximum error in microseconds; 16 s means that the clock was never synchronised.
    pub max_error_us: i64,
    /// The running time service, such as `chronyd`.
    pub service: Option<String>,
}

/// Free space on a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disk {
    /// The directory.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The space available to unprivileged processes, in bytes.
    pub available_bytes: u64,
    /// The number of inodes; 0 where the file system has no limit.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
    /// The type of the file system, such as `ext4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system: Option<String>,
}

/// Counters of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KernelStats {
    /// The IPv4 neighbour table; none outside the initial network namespace.
    pub neighbours: Option<NeighbourTable>,
    /// Connection tracking of the network namespace.
    pub conntrack: Option<ConntrackStats>,
    /// Packets that the reverse path filter dropped since boot (`TcpExt IPReversePathFilter`).
    pub reverse_path_drops: Option<u64>,
}

/// The IPv4 neighbour table, which all network namespaces share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NeighbourTable {
    /// The number of entries.
    pub entries: u64,
    /// How often an entry was refused since boot.
    pub table_fulls: u64,
}

/// Counters of connection tracking since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConntrackStats {
    /// Entries that could not be inserted.
    pub insert_failed: u64,
    /// Packets that were dropped.
    pub drop: u64,
}

/// A network namespace that the engine makes for load balancing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sandbox {
    /// Its name, such as `ingress_sbox` or `lb_abcdef123`.
    pub name: String,
    /// `net.ipv4.ip_forward`.
    pub ip_forward: Option<bool>,
    /// `net.ipv4.vs.conn_reuse_mode`; none without IPVS.
    pub conn_reuse_mode: Option<u32>,
    /// The entries of its conntrack table.
    pub conntrack_count: Option<u64>,
    /// Its conntrack counters.
    pub conntrack: Option<ConntrackStats>,
    /// The backends in its IPVS table; none without IPVS, and in older bundles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<Vec<Backend>>,
}

/// A real server of IPVS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Backend {
    /// The firewall mark of the virtual server.
    pub mark: u32,
    /// The address.
    pub addr: IpAddr,
    /// The weight; 0 for a backend that gets no new connections.
    pub weight: u32,
}

/// Memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
