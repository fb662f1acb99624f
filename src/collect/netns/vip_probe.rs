//! TCP probes of the VIP and the tasks of a service, from inside one of its tasks.

use super::{Duration, Instant};
use crate::collect::probe::tcp;
use facts::container::{Connect, Netns};
use facts::host::Protocol;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Timeout of one connection.
const TIMEOUT: Duration = Duration::from_millis(300);
/// The maximum number of ports.
const MAX_PORTS: usize = 3;
/// The maximum number of task addresses for each port.
const MAX_TASKS: usize = 8;
/// Connections to each VIP and port. IPVS sends each one to another task.
const VIP_ATTEMPTS: usize = 3;

/// What to connect to: the VIPs and the tasks of the service, on the ports on which this task listens.
pub(super) fn targets(netns: &Netns, service: &str) -> Vec<SocketAddr> {
    let vips = netns.vips_of(service, service);
    if service.is_empty() || vips.is_empty() {
        return Vec::new();
    }
    let listening = netns.listeners.iter().filter(|l| l.protocol == Protocol::Tcp && !l.addr.is_loopback());
    let ports: BTreeSet<u16> = listening.map(|listener| listener.port).collect();
    let tasks = netns.addresses_of(&format!("tasks.{service}"));
    let repeated = vips.iter().flat_map(|addr| [addr; VIP_ATTEMPTS]);
    let addrs: Vec<&IpAddr> = repeated.chain(tasks.iter().take(MAX_TASKS)).collect();
    let target = |port: u16| addrs.iter().map(move |addr| SocketAddr::new(**addr, port));
    ports.into_iter().take(MAX_PORTS).flat_map(target).collect()
}

/// Connects to all targets at once, from the namespace of this thread. Each connection is reset before the program
/// accepts it.
pub(super) fn connect_all(targets: Vec<SocketAddr>) -> io::Result<Vec<Connect>> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let one = async |target: SocketAddr| {
        let began = Instant::now();
        let outcome = tcp::connect(target, TIMEOUT).await;
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Connect { addr: target.ip(), port: target.port(), outcome, took_us }
    };
    Ok(runtime.block_on(join_all(targets.into_iter().map(one))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::container::Answer;
    use facts::host::{Listener, Owner};

    fn answer(name: &str, addrs: &[&str]) -> Answer {
        let addrs = addrs.iter().map(|addr| addr.parse().unwrap()).collect();
        Answer { name: name.into(), result: Ok(addrs), took_us: 0 }
    }

    fn listener(addr: &str, port: u16) -> Listener {
        Listener { protocol: Protocol::Tcp, addr: addr.parse().unwrap(), port, owner: Owner::Unknown }
    }

    fn netns(web: &[&str], tasks: &[&str]) -> Netns {
        Netns {
            answers: vec![answer("web", web), answer("tasks.web", tasks)],
            listeners: vec![listener("::", 8080), listener("127.0.0.11", 40000), listener("0.0.0.0", 8080)],
            ..Netns::default()
        }
    }

    #[test]
    fn each_vip_is_tried_several_times_and_each_task_once() {
        let targets = |netns| targets(&netns, "web").iter().map(ToString::to_string).collect::<Vec<_>>();
        // The name has task addresses as well if the hostname is the service name.
        let mixed = targets(netns(&["10.0.1.2", "10.0.1.3"], &["10.0.1.3"]));
        assert_eq!(mixed, ["10.0.1.2:8080", "10.0.1.2:8080", "10.0.1.2:8080", "10.0.1.3:8080"]);
        let dnsrr = targets(netns(&["10.0.1.3", "10.0.1.4"], &["10.0.1.3", "10.0.1.4"]));
        assert!(dnsrr.is_empty(), "{dnsrr:?}");
    }
}
