//! Options of daemon.json that differ between nodes which are judged together.

use facts::Host;
use serde_json::Value;
use std::collections::BTreeMap;

/// Options by whose difference a service behaves differently from node to node.
const OPTIONS: &[&str] = &[
    "bip",
    "default-address-pools",
    "default-cgroupns-mode",
    "default-runtime",
    "default-ulimits",
    "dns",
    "dns-opts",
    "dns-search",
    "exec-opts",
    "features",
    "firewall-backend",
    "http-proxy",
    "https-proxy",
    "icc",
    "init",
    "insecure-registries",
    "ip-forward",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "log-driver",
    "log-opts",
    "min-api-version",
    "mtu",
    "network-control-plane-mtu",
    "no-new-privileges",
    "no-proxy",
    "proxies",
    "registry-mirrors",
    "runtimes",
    "selinux-enabled",
    "storage-driver",
    "swarm-raft-election-tick",
    "swarm-raft-heartbeat-tick",
    "userland-proxy",
    "userns-remap",
];

/// A note about the options that differ, if any do. A file that is missing sets no option; one that could not be read or
/// parsed does not count.
pub(super) fn note<'a>(hosts: impl Iterator<Item = &'a Host>) -> Option<String> {
    let configs: Vec<(&str, serde_json::Map<String, Value>)> = hosts
        .filter_map(|host| {
            let file = host.daemon_json.get().ok()?;
            let config = match &file.value {
                Some(file) => file.parsed.clone().ok()?,
                None => serde_json::Map::new(),
            };
            Some((host.name.as_str(), config))
        })
        .collect();
    let mut differences = Vec::new();
    for option in OPTIONS {
        let mut nodes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, config) in &configs {
            let value = config.get(*option).map_or_else(|| "not set".to_owned(), Value::to_string);
            nodes.entry(value).or_default().push(name);
        }
        if nodes.len() > 1 {
            let values = nodes.iter().map(|(value, nodes)| format!("{value} on {}", nodes.join(", ")));
            differences.push(format!("{option} is {}", values.collect::<Vec<_>>().join(" and ")));
        }
    }
    (!differences.is_empty())
        .then(|| format!("daemon.json differs between the nodes: {}", differences.join("; ")))
}
