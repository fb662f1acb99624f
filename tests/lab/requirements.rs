//! The requirements of a lab on its host.

use std::env;
use std::process::Command;

use rustix::process::geteuid;

use crate::program::run;

/// The Debian packages that a lab needs on its host.
pub const APT_PACKAGES: [&str; 16] = [
    "docker.io",
    "iptables",
    "iproute2",
    "nftables",
    "firewalld",
    "dbus",
    "ufw",
    "tini",
    "rsyslog",
    "bsdutils",
    "util-linux",
    "mount",
    "hostname",
    "coreutils",
    "openssl",
    "strace",
];

const PROGRAMS: [&str; 20] = [
    "dockerd",
    "docker",
    "containerd",
    "runc",
    "iptables",
    "ip",
    "nft",
    "firewalld",
    "dbus-daemon",
    "ufw",
    "tini",
    "rsyslogd",
    "logger",
    "unshare",
    "nsenter",
    "setsid",
    "pivot_root",
    "mount",
    "hostname",
    "openssl",
];

/// Operations that a kernel or a surrounding container may refuse; each is tried in new namespaces.
const ABILITIES: [(&str, &str); 5] = [
    ("namespaces", "true"),
    ("mounts", "mount -t tmpfs tmpfs /mnt && mount -t sysfs sysfs /mnt"),
    (
        "overlay mounts",
        "mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir a b c d && \
         mount -t overlay -o lowerdir=a,upperdir=b,workdir=c overlay d",
    ),
    (
        "a bridge with veth pairs",
        "ip link add br0 type bridge && ip link add veth0 type veth peer name veth1 && \
         ip link set veth0 master br0",
    ),
    ("VXLAN", "ip link add vxlan0 type vxlan id 1 dstport 4789"),
];

/// The missing requirements of a lab on this host; empty if a lab can run.
#[must_use]
pub fn missing() -> Vec<String> {
    if !geteuid().is_root() {
        return vec!["not root".to_owned()];
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = |name: &str| env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let absent = PROGRAMS.iter().filter(|name| !installed(name));
    let mut reasons: Vec<String> = absent.map(|name| format!("no {name}")).collect();
    if reasons.is_empty() {
        let spaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "sh", "-euc"];
        for (what, script) in ABILITIES {
            if let Err(error) = run(Command::new("unshare").args(spaces).arg(script)) {
                reasons.push(format!("no {what}: {error:#}"));
            }
        }
    }
    reasons
}
