//! Knocks at the addresses of a service, from inside one of its tasks.

use super::{Duration, Instant};
use crate::collect::probe::tcp;
use facts::container::{Connect, Netns};
use facts::host::Protocol;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// How long an answer may take. Where the virtual address is slow, the tasks behind it are, and then nothing is
/// said of it.
const PATIENCE: Duration = Duration::from_millis(300);
/// How many ports are tried.
const PORTS: usize = 3;
/// How many addresses of tasks are tried on each.
const TASKS: usize = 8;
/// How often each virtual address is tried on each port: it leads to one task after the other.
const TURNS: usize = 3;

/// Where to knock: at the service's virtual addresses and at its tasks, on the ports this task listens on itself.
pub(super) fn doors(seen: &Netns, service: &str) -> Vec<SocketAddr> {
    let virtual_addresses = seen.virtual_addresses_of(service, service);
    if service.is_empty() || virtual_addresses.is_empty() {
        return Vec::new();
    }
    let open = seen.listeners.iter().filter(|l| l.protocol == Protocol::Tcp && !l.addr.is_loopback());
    let ports: BTreeSet<u16> = open.map(|listener| listener.port).collect();
    let tasks = seen.addresses_of(&format!("tasks.{service}"));
    let often = virtual_addresses.iter().flat_map(|addr| [addr; TURNS]);
    let addrs: Vec<&IpAddr> = often.chain(tasks.iter().take(TASKS)).collect();
    let door = |port: u16| addrs.iter().map(move |addr| SocketAddr::new(**addr, port));
    ports.into_iter().take(PORTS).flat_map(door).collect()
}

/// Knocks at all of them at once, from the namespace that this thread is in. The programs behind do not notice.
pub(super) fn knock(doors: Vec<SocketAddr>) -> io::Result<Vec<Connect>> {
    if doors.is_empty() {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let one = async |door: SocketAddr| {
        let began = Instant::now();
        let outcome = tcp::connect(door, PATIENCE).await;
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Connect { addr: door.ip(), port: door.port(), outcome, took_us }
    };
    Ok(runtime.block_on(join_all(doors.into_iter().map(one))))
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

    fn seen(web: &[&str], tasks: &[&str]) -> Netns {
        Netns {
            answers: vec![answer("web", web), answer("tasks.web", tasks)],
            listeners: vec![listener("::", 8080), listener("127.0.0.11", 40000), listener("0.0.0.0", 8080)],
            ..Netns::default()
        }
    }

    #[test]
    fn the_virtual_address_is_tried_in_turns_and_each_task_once() {
        let doors = |seen| doors(&seen, "web").iter().map(ToString::to_string).collect::<Vec<_>>();
        // The name has the tasks' addresses as well where the hostname is the service's name.
        let mixed = doors(seen(&["10.0.1.2", "10.0.1.3"], &["10.0.1.3"]));
        assert_eq!(mixed, ["10.0.1.2:8080", "10.0.1.2:8080", "10.0.1.2:8080", "10.0.1.3:8080"]);
        let dnsrr = doors(seen(&["10.0.1.3", "10.0.1.4"], &["10.0.1.3", "10.0.1.4"]));
        assert!(dnsrr.is_empty(), "{dnsrr:?}");
    }
}
