use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::swarm::LocalState;
use std::collections::BTreeMap;

check! {
    /// The ephemeral port range of the host was extended into the ports that swarm publishes.
    ///
    /// ## Why it matters
    /// The kernel takes a port from `net.ipv4.ip_local_port_range` for each outgoing connection. Swarm assigns published ports without
    /// a number from 30000 to 32767. The default range starts at 32768. When it starts lower, an outgoing connection can hold a
    /// published port, and publishing fails with "address already in use" from time to time.
    ///
    /// ## How to fix it
    /// Start the range at 32768 again, or add the ports to `net.ipv4.ip_local_reserved_ports`.
    ///
    /// ## When it is wrong
    /// On a host with few outgoing connections a conflict is unlikely. Without a published port in the range nothing is reported.
    ///
    /// Source: swarmkit `manager/allocator/cnmallocator/portallocator.go`; moby#24927.
    "host/port-range-overlap": Warning, "the ephemeral port range overlaps with published ports";
    healthy "the ephemeral port range does not overlap with published ports";
    needs Sysctls, Networks, Info;
    for each Host: run
}

const KEY: &str = "net.ipv4.ip_local_port_range";
const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";
/// The start of the default range.
const DEFAULT_START: u16 = 32768;

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let range = sysctls.value(KEY).and_then(|value| {
        let mut ends = value.split_whitespace().map(str::parse::<u16>);
        Some((ends.next()?.ok()?, ends.next()?.ok()?))
    });
    let Some((start, end)) = range.filter(|(start, _)| *start < DEFAULT_START) else { return Ok(()) };
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    let networks = host.networks.get()?;
    let reserved = sysctls.value(RESERVED).unwrap_or_default();
    let mut ports: BTreeMap<u16, &str> = BTreeMap::new();
    for port in networks.iter().filter(|network| network.ingress).flat_map(|network| &network.ports) {
        // From the default start on, a port is exposed to the range of every host.
        if (start..=end.min(DEFAULT_START - 1)).contains(&port.published)
            && !is_reserved(reserved, port.published)
        {
            ports.insert(port.published, &port.service);
        }
    }
    if ports.is_empty() {
        return Ok(());
    }
    let listed: Vec<_> = ports.iter().map(|(port, service)| format!("{port} of {service}")).collect();
    let listed = listed.join(", ");
    let summary = format!(
        "{KEY} of {} is {start} to {end} and contains published port {listed}: an outgoing connection can hold the port",
        host.name
    );
    let numbers: Vec<_> = ports.keys().map(u16::to_string).collect();
    let all =
        if reserved.is_empty() { numbers.join(",") } else { format!("{reserved},{}", numbers.join(",")) };
    out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(sysctls, format!("{KEY} = {start} {end}")),
    )
    .with(Evidence::value(networks, format!("published: {listed}")))
    .severity(Severity::Warning)
    .remedy(Remedy {
        title: format!("Reserve the published ports on {}", host.name).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: vec![Step::SetSysctl { node: host.name.clone().into(), key: RESERVED.into(), to: all }],
    });
    Ok(())
}

/// Whether a port is in a list such as `8080,30000-30010`.
fn is_reserved(list: &str, port: u16) -> bool {
    list.split(',').any(|part| match part.trim().split_once('-') {
        Some((from, to)) => match (from.parse::<u16>(), to.parse::<u16>()) {
            (Ok(from), Ok(to)) => (from..=to).contains(&port),
            _ => false,
        },
        None => part.trim().parse() == Ok(port),
    })
}

#[cfg(test)]
mod tests {
    use super::is_reserved;

    #[test]
    fn a_reserved_port_is_in_a_list_of_ports_and_ranges() {
        assert!(is_reserved("8080,30000-30010", 30005) && is_reserved("8080", 8080));
        assert!(!is_reserved("8080,30000-30010", 30011) && !is_reserved("", 1) && !is_reserved("x-y,z", 1));
    }
}
