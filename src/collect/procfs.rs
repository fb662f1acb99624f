//! Kernel settings and memory, from `/proc`.

use super::namespaces::Scope;
use super::{Artifact, Place, Session, why};
use facts::host::{Memory, Sysctls};
use facts::{Need, Why};
use std::fs;
use std::io::ErrorKind;

/// The kernel settings that a swarm depends on.
const SYSCTLS: [&str; 24] = [
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "kernel.pid_max",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-iptables",
    "net.core.somaxconn",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv4.neigh.default.gc_thresh1",
    "net.ipv4.neigh.default.gc_thresh2",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.vs.conn_reuse_mode",
    "net.ipv4.vs.conntrack",
    "net.ipv4.vs.expire_nodest_conn",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
    "vm.max_map_count",
];

pub(super) async fn sysctls(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Sysctls, "host/sysctls.json", "/proc/sys");
    session.of_this_machine(place, settings).await
}

/// The forwarding and reverse path settings of each interface, except veth interfaces. A name with a dot has no unambiguous
/// sysctl name.
fn interface_settings() -> impl Iterator<Item = (String, String)> {
    let devices = fs::read_dir("/proc/sys/net/ipv4/conf").into_iter().flatten().flatten();
    let settings = devices.filter_map(move |device| {
        let name = device.file_name().into_string().ok()?;
        let named = !name.starts_with("veth") && !name.contains('.');
        let settings = ["forwarding", "rp_filter"].into_iter().filter_map(|setting| {
            let value = fs::read_to_string(device.path().join(setting)).ok()?;
            Some((format!("net.ipv4.conf.{name}.{setting}"), value.trim_end().to_owned()))
        });
        named.then(|| settings.collect::<Vec<_>>())
    });
    settings.flatten()
}

/// The settings that exist; a setting of a missing kernel module has no file.
fn settings() -> Result<Sysctls, Why> {
    let mut sysctls = Sysctls::default();
    for key in SYSCTLS {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        match fs::read_to_string(&path) {
            Ok(value) => drop(sysctls.0.insert(key.to_owned(), value.trim_end().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(why(&error, &format!("read {path}"))),
        }
    }
    sysctls.0.extend(interface_settings());
    if sysctls.0.is_empty() {
        return Err(Why::Unreachable { what: "/proc/sys is empty".into() });
    }
    Ok(sysctls)
}

pub(super) async fn memory(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Memory, "host/memory.json", "/proc/meminfo");
    session
        .read_in(Scope::Kernel, place, || {
            let text =
                fs::read_to_string("/proc/meminfo").map_err(|error| why(&error, "read /proc/meminfo"))?;
            meminfo(&text)
        })
        .await
}

fn meminfo(text: &str) -> Result<Memory, Why> {
    let bytes = |key: &str| -> Result<u64, Why> {
        let number =
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')?.strip_suffix(" kB"));
        let kilobytes: Option<u64> = number.and_then(|number| number.trim().parse().ok());
        kilobytes
            .map(|number| number * 1024)
            .ok_or_else(|| Why::Malformed { line: 0, what: format!("no {key}") })
    };
    Ok(Memory { total_bytes: bytes("MemTotal")?, available_bytes: bytes("MemAvailable")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_as_the_kernel_has_them() {
        let sysctls = settings().unwrap();
        let forward = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
        assert_eq!(sysctls.value("net.ipv4.ip_forward"), Some(forward.trim()));
        assert_eq!(
            sysctls.value("vm.max_map_count").is_some(),
            fs::exists("/proc/sys/vm/max_map_count").unwrap()
        );
        assert!(sysctls.0.values().all(|value| !value.ends_with('\n')));
    }

    #[test]
    fn the_names_are_in_order_and_each_once() {
        assert!(SYSCTLS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        let text = "MemTotal:       16384 kB\nMemFree:            1 kB\nMemAvailable:    8192 kB\n";
        assert_eq!(meminfo(text), Ok(Memory { total_bytes: 16_777_216, available_bytes: 8_388_608 }));
        assert!(meminfo("MemTotal: 1 kB\n").is_err());
        assert!(meminfo(&fs::read_to_string("/proc/meminfo").unwrap()).unwrap().total_bytes > 0);
    }
}
