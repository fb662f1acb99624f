//! Settings of the network namespaces that the engine makes for load balancing: `ingress_sbox` and `lb_*`.

use super::{Artifact, Place, Session, apart, files, kernel_stats, why};
use facts::host::{Backend, Sandbox};
use facts::{Need, Why};
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The maximum number of namespaces that are entered.
const LIMIT: usize = 64;

pub(super) async fn sandboxes(session: &Session) -> Vec<Artifact> {
    let exec_root = files::flag(session, &["--exec-root"]).await.unwrap_or_else(|| "/run/docker".into());
    let directory = exec_root.join("netns");
    let origin = format!("settings in the namespaces of {}", directory.display());
    let place = Place::new(Need::Sysctls, "host/sandboxes.json", origin);
    if let Some(why) = session.elsewhere() {
        return vec![place.missed(why)];
    }
    let names = match names(&directory) {
        Ok(names) => names,
        Err(why) => return vec![place.missed(why)],
    };
    let mut sandboxes: Vec<Sandbox> = Vec::new();
    for (name, path) in names {
        // A thread that has entered a namespace stays there, so each has its own.
        match apart(move || read(name, &path)).await {
            Ok(sandbox) => sandboxes.extend(sandbox),
            Err(why) => return vec![place.missed(why)],
        }
    }
    vec![place.kept_as_json(&sandboxes)]
}

/// The namespaces of load balancers, sorted. Without the directory there are none.
fn names(directory: &Path) -> Result<Vec<(String, PathBuf)>, Why> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(why(&error, &format!("read {}", directory.display()))),
    };
    let named =
        entries.flatten().filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    let mut names: Vec<_> =
        named.filter(|(name, _)| name == "ingress_sbox" || name.starts_with("lb_")).collect();
    names.sort();
    names.truncate(LIMIT);
    Ok(names)
}

/// The settings of one namespace; none where it is gone, or is only the file of one that was removed.
fn read(name: String, path: &Path) -> Result<Option<Sandbox>, Why> {
    let Ok(namespace) = File::open(path) else { return Ok(None) };
    match setns(namespace, CloneFlags::CLONE_NEWNET) {
        Ok(()) => {}
        Err(nix::Error::EINVAL) => return Ok(None),
        Err(errno) => {
            return Err(why(&errno.into(), &format!("enter the network namespace {}", path.display())));
        }
    }
    let value = |key: &str| fs::read_to_string(format!("/proc/sys/net/{key}")).ok();
    let number = |key: &str| value(key)?.trim().parse::<u64>().ok();
    let stats = fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack").unwrap_or_default();
    Ok(Some(Sandbox {
        name,
        ip_forward: value("ipv4/ip_forward").map(|value| value.trim() != "0"),
        conn_reuse_mode: number("ipv4/vs/conn_reuse_mode").and_then(|mode| u32::try_from(mode).ok()),
        conntrack_count: number("netfilter/nf_conntrack_count"),
        conntrack: kernel_stats::conntrack(&stats),
        backends: fs::read_to_string("/proc/thread-self/net/ip_vs").ok().map(|table| backends(&table)),
    }))
}

/// The real servers of the virtual servers by firewall mark, which is how the engine balances.
fn backends(table: &str) -> Vec<Backend> {
    let mut mark = None;
    let mut backends = Vec::new();
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["FWM", number, ..] => mark = u32::from_str_radix(number, 16).ok(),
            ["->", server, _, weight, ..] => {
                let addr = server.split_once(':').and_then(|(addr, _)| u32::from_str_radix(addr, 16).ok());
                if let (Some(mark), Some(addr), Ok(weight)) = (mark, addr, weight.parse()) {
                    backends.push(Backend { mark, addr: Ipv4Addr::from(addr).into(), weight });
                }
            }
            _ => mark = None,
        }
    }
    backends.sort();
    backends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_backends_of_firewall_marks() {
        let table = "IP Virtual Server version 1.2.1 (size=4096)\n\
                     Prot LocalAddress:Port Scheduler Flags\n\
                     \u{20} -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
                     FWM  00000100 rr\n\
                     \u{20} -> 0A000106:0000      Masq    1      0          0\n\
                     \u{20} -> 0A000105:0000      Masq    0      2          0\n\
                     TCP  0A000102:0050 rr\n\
                     \u{20} -> 0A000107:0050      Masq    1      0          0\n";
        let backend = |addr: &str, weight| Backend { mark: 256, addr: addr.parse().unwrap(), weight };
        assert_eq!(backends(table), [backend("10.0.1.5", 0), backend("10.0.1.6", 1)]);
        assert!(backends("").is_empty());
    }

    #[test]
    fn only_namespaces_of_load_balancers_are_read() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["lb_b", "lb_a", "ingress_sbox", "1-abc", "default"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let names: Vec<_> = names(directory.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["ingress_sbox", "lb_a", "lb_b"]);
        assert!(super::names(&directory.path().join("none")).unwrap().is_empty());
        // A file that is no namespace is what a removed one leaves.
        let plain = directory.path().join("lb_a");
        assert_eq!(std::thread::spawn(move || read("lb_a".into(), &plain)).join().unwrap(), Ok(None));
    }
}
