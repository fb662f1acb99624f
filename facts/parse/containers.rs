//! The containers that run tasks here, and what was seen inside them.

use super::or_default;
use crate::bundle::Bundle;
use crate::container::{Attachment, Container};
use crate::{ContainerId, Fact, Need, NetworkId};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: ContainerId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    created: String,
    #[serde(default, deserialize_with = "or_default")]
    state: State,
    #[serde(default, deserialize_with = "or_default")]
    config: Config,
    #[serde(default, deserialize_with = "or_default")]
    network_settings: NetworkSettings,
    #[serde(default, deserialize_with = "or_default")]
    host_config: HostConfig,
}

#[derive(Default, Deserialize)]
struct HostConfig {
    #[serde(rename = "Dns", default, deserialize_with = "or_default")]
    dns: Vec<String>,
}

#[derive(Default, Deserialize)]
struct State {
    #[serde(rename = "Pid", default, deserialize_with = "or_default")]
    pid: u32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default, deserialize_with = "or_default")]
    hostname: String,
    #[serde(default, deserialize_with = "or_default")]
    image: String,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct NetworkSettings {
    #[serde(rename = "Networks", default, deserialize_with = "or_default")]
    networks: BTreeMap<String, EndpointSettings>,
}

#[derive(Deserialize)]
struct EndpointSettings {
    #[serde(rename = "NetworkID", default, deserialize_with = "or_default")]
    network: NetworkId,
    #[serde(rename = "IPAddress", default, deserialize_with = "or_default")]
    addr: String,
    #[serde(rename = "Aliases", default, deserialize_with = "or_default")]
    aliases: Vec<String>,
}

/// The containers of the list that could be inspected. One that could not be has ended since it was listed.
pub(super) fn containers(bundle: &Bundle) -> Fact<Vec<Container>> {
    super::json(bundle, Need::Containers, "engine/containers.json").map(|listed: Vec<Listed>| {
        let mut containers: Vec<_> = listed.into_iter().filter_map(|l| container(bundle, l.id)).collect();
        containers.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        containers
    })
}

fn container(bundle: &Bundle, id: ContainerId) -> Option<Container> {
    let path = format!("engine/containers/{id}.json");
    let seen: Inspected = serde_json::from_slice(bundle.artifacts.get(&path)?).ok()?;
    let label = |name: &str| seen.config.labels.get(name).cloned().unwrap_or_default();
    let short: String = id.as_str().chars().take(12).collect();
    let inside = |file: &str| format!("tasks/{short}/{file}");
    let attachment = |(name, settings): (&String, &EndpointSettings)| Attachment {
        network: settings.network.clone(),
        name: name.clone(),
        addr: settings.addr.parse().ok(),
        aliases: settings.aliases.clone(),
    };
    Some(Container {
        name: seen.name.trim_start_matches('/').to_owned(),
        task: label("com.docker.swarm.task.id").as_str().into(),
        service: label("com.docker.swarm.service.id").as_str().into(),
        service_name: label("com.docker.swarm.service.name"),
        image: seen.config.image.clone(),
        hostname: seen.config.hostname.clone(),
        pid: seen.state.pid,
        created: seen.created.parse().ok(),
        attachments: seen.network_settings.networks.iter().map(attachment).collect(),
        dns: seen.host_config.dns.iter().filter_map(|server| server.parse().ok()).collect(),
        netns: super::json(bundle, Need::TaskNetns, &inside("netns.json")),
        hosts: super::text(bundle, Need::TaskNetns, &inside("hosts")).map(|t| super::hosts::hosts_file(&t)),
        resolv_conf: super::text(bundle, Need::TaskNetns, &inside("resolv.conf"))
            .map(|t| super::resolv_conf::resolv_conf(&t)),
        id,
    })
}
