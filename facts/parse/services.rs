//! `GET /services` and `GET /tasks`.

use super::or_default;
use crate::host::Protocol;
use crate::service::{PublishedPort, Service, Task};
use crate::{NetworkId, NodeId, ServiceId, TaskId};
use serde::Deserialize;
use std::net::IpAddr;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceAnswer {
    #[serde(rename = "ID")]
    id: ServiceId,
    #[serde(default, deserialize_with = "or_default")]
    spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    endpoint: Endpoint,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    task_template: TaskTemplate,
    #[serde(default, deserialize_with = "or_default")]
    mode: Mode,
    #[serde(default, deserialize_with = "or_default")]
    endpoint_spec: EndpointSpec,
    #[serde(default, deserialize_with = "or_default")]
    networks: Vec<Attachment>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskTemplate {
    #[serde(default, deserialize_with = "or_default")]
    container_spec: ContainerSpec,
    #[serde(default, deserialize_with = "or_default")]
    networks: Vec<Attachment>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerSpec {
    #[serde(default, deserialize_with = "or_default")]
    image: String,
    #[serde(default)]
    hostname: Option<String>,
}

#[derive(Deserialize)]
struct Attachment {
    #[serde(rename = "Aliases", default, deserialize_with = "or_default")]
    aliases: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mode {
    #[serde(default)]
    replicated: Option<Replicated>,
}

#[derive(Deserialize)]
struct Replicated {
    #[serde(rename = "Replicas", default)]
    replicas: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EndpointSpec {
    #[serde(default, deserialize_with = "or_default")]
    mode: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    #[serde(rename = "VirtualIPs", default, deserialize_with = "or_default")]
    virtual_ips: Vec<VirtualIp>,
    #[serde(default, deserialize_with = "or_default")]
    ports: Vec<Port>,
}

#[derive(Deserialize)]
struct VirtualIp {
    #[serde(rename = "NetworkID", default, deserialize_with = "or_default")]
    network: NetworkId,
    #[serde(rename = "Addr", default, deserialize_with = "or_default")]
    addr: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    #[serde(default, deserialize_with = "or_default")]
    protocol: String,
    #[serde(default, deserialize_with = "or_default")]
    published_port: u16,
    #[serde(default, deserialize_with = "or_default")]
    target_port: u16,
    #[serde(default, deserialize_with = "or_default")]
    publish_mode: String,
}

pub(super) fn services(answers: Vec<ServiceAnswer>) -> Vec<Service> {
    let mut services: Vec<_> = answers.into_iter().map(service).collect();
    services.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    services
}

fn service(answer: ServiceAnswer) -> Service {
    let spec = answer.spec;
    let attachments = spec.task_template.networks.into_iter().chain(spec.networks);
    let port = |p: Port| PublishedPort {
        protocol: match p.protocol.as_str() {
            "tcp" | "" => Some(Protocol::Tcp),
            "udp" => Some(Protocol::Udp),
            _ => None,
        },
        published: p.published_port,
        target: p.target_port,
        ingress: p.publish_mode != "host",
    };
    Service {
        id: answer.id,
        name: spec.name,
        image: spec.task_template.container_spec.image,
        replicas: spec.mode.replicated.map(|r| r.replicas.unwrap_or(1)),
        hostname: spec.task_template.container_spec.hostname.filter(|h| !h.is_empty()),
        dnsrr: spec.endpoint_spec.mode == "dnsrr",
        vips: answer
            .endpoint
            .virtual_ips
            .into_iter()
            .filter_map(|v| Some((v.network, bare(&v.addr)?)))
            .collect(),
        aliases: attachments.flat_map(|a| a.aliases).collect(),
        ports: answer.endpoint.ports.into_iter().map(port).collect(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TaskAnswer {
    #[serde(rename = "ID")]
    id: TaskId,
    #[serde(rename = "ServiceID", default, deserialize_with = "or_default")]
    service: ServiceId,
    #[serde(rename = "NodeID", default, deserialize_with = "or_default")]
    node: NodeId,
    #[serde(default, deserialize_with = "or_default")]
    slot: u64,
    #[serde(default, deserialize_with = "or_default")]
    status: TaskStatus,
    #[serde(default, deserialize_with = "or_default")]
    desired_state: String,
    #[serde(default, deserialize_with = "or_default")]
    networks_attachments: Vec<TaskAttachment>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskStatus {
    #[serde(default, deserialize_with = "or_default")]
    state: String,
    #[serde(default, deserialize_with = "or_default")]
    err: String,
}

#[derive(Deserialize)]
struct TaskAttachment {
    #[serde(rename = "Addresses", default, deserialize_with = "or_default")]
    addresses: Vec<String>,
}

pub(super) fn tasks(answers: Vec<TaskAnswer>) -> Vec<Task> {
    let one = |answer: TaskAnswer| {
        let addresses = answer.networks_attachments.iter().flat_map(|a| &a.addresses);
        Task {
            id: answer.id,
            service: answer.service,
            node: Some(answer.node).filter(|node| !node.as_str().is_empty()),
            slot: answer.slot,
            state: answer.status.state,
            desired: answer.desired_state,
            error: answer.status.err,
            addresses: addresses.filter_map(|a| bare(a)).collect(),
        }
    };
    let mut tasks: Vec<_> = answers.into_iter().map(one).collect();
    tasks.sort_by(|a, b| a.id.cmp(&b.id));
    tasks
}

/// The address of an address with a prefix length.
fn bare(cidr: &str) -> Option<IpAddr> {
    cidr.split('/').next()?.parse().ok()
}
