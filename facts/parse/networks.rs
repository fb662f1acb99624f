//! `GET /networks`, and the verbose inspection of some of them.

use super::or_default;
use crate::bundle::Bundle;
use crate::network::{EndpointRecord, MeshPort, Network, Peer};
use crate::{Fact, Need, NetworkId};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    id: NetworkId,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    driver: String,
    #[serde(default, deserialize_with = "or_default")]
    scope: String,
    #[serde(default, deserialize_with = "or_default")]
    ingress: bool,
    #[serde(default, deserialize_with = "or_default")]
    options: BTreeMap<String, String>,
    #[serde(rename = "IPAM", default, deserialize_with = "or_default")]
    ipam: Ipam,
    #[serde(default, deserialize_with = "or_default")]
    config_from: ConfigFrom,
    #[serde(default, deserialize_with = "or_default")]
    created: String,
    #[serde(default)]
    peers: Option<Vec<PeerAnswer>>,
    #[serde(default, deserialize_with = "or_default")]
    containers: BTreeMap<String, EndpointAnswer>,
    #[serde(default, deserialize_with = "or_default")]
    services: BTreeMap<String, ServiceAnswer>,
}

#[derive(Deserialize)]
struct ServiceAnswer {
    /// Each as `Target: 80, Publish: 8080`.
    #[serde(rename = "Ports", default, deserialize_with = "or_default")]
    ports: Vec<String>,
    #[serde(rename = "Tasks", default, deserialize_with = "or_default")]
    tasks: Vec<TaskAnswer>,
}

#[derive(Deserialize)]
struct TaskAnswer {
    #[serde(rename = "Name", default, deserialize_with = "or_default")]
    name: String,
    #[serde(rename = "EndpointIP", default, deserialize_with = "or_default")]
    addr: String,
    #[serde(rename = "Info", default, deserialize_with = "or_default")]
    info: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Ipam {
    #[serde(rename = "Config", default, deserialize_with = "or_default")]
    config: Vec<IpamConfig>,
}

#[derive(Deserialize)]
struct IpamConfig {
    #[serde(rename = "Subnet", default, deserialize_with = "or_default")]
    subnet: String,
    #[serde(rename = "IPRange", default, deserialize_with = "or_default")]
    ip_range: String,
}

#[derive(Default, Deserialize)]
struct ConfigFrom {
    #[serde(rename = "Network", default, deserialize_with = "or_default")]
    network: String,
}

#[derive(Deserialize)]
struct PeerAnswer {
    #[serde(rename = "Name", default, deserialize_with = "or_default")]
    name: String,
    #[serde(rename = "IP", default, deserialize_with = "or_default")]
    ip: String,
}

#[derive(Deserialize)]
struct EndpointAnswer {
    #[serde(rename = "Name", default, deserialize_with = "or_default")]
    name: String,
}

pub(super) fn networks(bundle: &Bundle) -> Fact<Vec<Network>> {
    super::json(bundle, Need::Networks, "engine/networks.json").map(|answers: Vec<Answer>| {
        let mut networks: Vec<_> =
            answers.into_iter().map(|answer| network(inspected(bundle, answer))).collect();
        networks.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        networks
    })
}

/// The inspection of a network in place of its list entry, which lacks peers and services.
fn inspected(bundle: &Bundle, listed: Answer) -> Answer {
    let path = format!("engine/networks/{}.json", listed.id);
    match bundle.artifacts.get(&path).and_then(|bytes| serde_json::from_slice(bytes).ok()) {
        // Only an inspection has peers, and null there means that there are none.
        Some(Answer { peers: None, driver, .. }) if driver == "overlay" => {
            Answer { peers: Some(Vec::new()), ..listed }
        }
        Some(inspected) => inspected,
        None => Answer { peers: None, ..listed },
    }
}

fn network(answer: Answer) -> Network {
    let mut endpoints: Vec<_> = answer
        .containers
        .into_iter()
        .map(|(key, e)| match e.name.as_str() {
            "" => key,
            _ => e.name,
        })
        .collect();
    endpoints.sort();
    let peer = |p: PeerAnswer| Some(Peer { addr: p.ip.parse().ok()?, name: p.name });
    let peers = answer.peers.map(|peers| {
        let mut peers: Vec<_> = peers.into_iter().filter_map(peer).collect();
        peers.sort_by_key(|peer| peer.addr);
        peers
    });
    // The default name is made of the id (libnetwork `drivers/bridge/bridge.go`).
    let configured =
        || answer.options.get("com.docker.network.bridge.name").filter(|name| !name.is_empty()).cloned();
    let default_name = || format!("br-{}", answer.id.as_str().chars().take(12).collect::<String>());
    let bridge = (answer.driver == "bridge").then(|| configured().unwrap_or_else(default_name));
    let overlay_peers = peers.is_some() && answer.driver == "overlay";
    let records = overlay_peers.then(|| endpoint_records(&answer.services));
    Network {
        id: answer.id,
        name: answer.name,
        driver: answer.driver,
        scope: answer.scope,
        ingress: answer.ingress,
        encrypted: encrypted(&answer.options),
        bridge,
        created: answer.created.parse().ok(),
        ip_ranges: answer.ipam.config.iter().map(|c| c.ip_range.clone()).filter(|s| !s.is_empty()).collect(),
        config_from: Some(answer.config_from.network).filter(|name| !name.is_empty()),
        vnis: answer
            .options
            .get("com.docker.network.driver.overlay.vxlanid_list")
            .iter()
            .flat_map(|list| list.split(','))
            .filter_map(|vni| vni.trim().parse().ok())
            .collect(),
        subnets: answer.ipam.config.into_iter().map(|c| c.subnet).filter(|s| !s.is_empty()).collect(),
        peers,
        records,
        endpoints,
        ports: answer.services.iter().flat_map(|(name, service)| mesh_ports(name, &service.ports)).collect(),
    }
}

fn endpoint_records(services: &BTreeMap<String, ServiceAnswer>) -> Vec<EndpointRecord> {
    let record = |service: &str, task: &TaskAnswer| {
        Some(EndpointRecord {
            service: service.to_owned(),
            name: task.name.clone(),
            addr: task.addr.parse().ok()?,
            host: task.info.get("Host IP").and_then(|addr| addr.parse().ok()),
        })
    };
    let of_service = |(service, answer): (&String, &ServiceAnswer)| {
        answer.tasks.iter().filter_map(|task| record(service, task)).collect::<Vec<_>>()
    };
    let mut records: Vec<_> = services.iter().flat_map(of_service).collect();
    records.sort();
    records
}

fn mesh_ports(service: &str, ports: &[String]) -> Vec<MeshPort> {
    let port = |text: &String| {
        let (target, published) = text.strip_prefix("Target: ")?.split_once(", Publish: ")?;
        let (target, published) = (target.parse().ok()?, published.parse().ok()?);
        Some(MeshPort { service: service.to_owned(), published, target })
    };
    let mut ports: Vec<_> = ports.iter().filter_map(port).collect();
    ports.sort();
    ports
}

/// For the overlay driver the option without a value means yes.
fn encrypted(options: &BTreeMap<String, String>) -> bool {
    options
        .get("encrypted")
        .is_some_and(|value| !matches!(value.as_str(), "false" | "False" | "FALSE" | "f" | "F" | "0"))
}
