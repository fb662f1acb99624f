//! `GET /services`.

use super::or_default;
use crate::host::Protocol;
use crate::service::{
    Mount, Placement, Platform, PublishedPort, Resources, Service, UpdateConfig, UpdateStatus,
};
use crate::{NetworkId, ServiceId};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
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
    #[serde(default)]
    update_status: Option<Update>,
    #[serde(default, deserialize_with = "or_default")]
    updated_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    #[serde(default, deserialize_with = "or_default")]
    state: String,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    #[serde(default, deserialize_with = "or_default")]
    started_at: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    task_template: Value,
    #[serde(default, deserialize_with = "or_default")]
    update_config: UpdateConfigSpec,
    #[serde(default, deserialize_with = "or_default")]
    mode: Mode,
    #[serde(default, deserialize_with = "or_default")]
    endpoint_spec: EndpointSpec,
    #[serde(default, deserialize_with = "or_default")]
    networks: Vec<Attachment>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateConfigSpec {
    #[serde(default, deserialize_with = "or_default")]
    parallelism: u64,
    #[serde(default, deserialize_with = "or_default")]
    delay: i64,
    #[serde(default, deserialize_with = "or_default")]
    order: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskTemplate {
    #[serde(default, deserialize_with = "or_default")]
    container_spec: ContainerSpec,
    #[serde(default, deserialize_with = "or_default")]
    networks: Vec<Attachment>,
    #[serde(default, deserialize_with = "or_default")]
    placement: PlacementSpec,
    #[serde(default, deserialize_with = "or_default")]
    resources: Needed,
    #[serde(default, deserialize_with = "or_default")]
    restart_policy: RestartPolicy,
    #[serde(default)]
    log_driver: Option<Driver>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PlacementSpec {
    #[serde(default, deserialize_with = "or_default")]
    constraints: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    max_replicas: u64,
    #[serde(default, deserialize_with = "or_default")]
    platforms: Vec<PlatformSpec>,
}

#[derive(Default, Deserialize)]
pub(super) struct PlatformSpec {
    #[serde(rename = "OS", default, deserialize_with = "or_default")]
    os: String,
    #[serde(rename = "Architecture", default, deserialize_with = "or_default")]
    architecture: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Needed {
    #[serde(default, deserialize_with = "or_default")]
    limits: Amount,
    #[serde(default, deserialize_with = "or_default")]
    reservations: Amount,
}

impl From<PlatformSpec> for Platform {
    fn from(spec: PlatformSpec) -> Self {
        Self { os: spec.os, architecture: spec.architecture }
    }
}

#[derive(Default, Deserialize)]
pub(super) struct Amount {
    #[serde(rename = "NanoCPUs", default, deserialize_with = "or_default")]
    nano_cpus: i64,
    #[serde(rename = "MemoryBytes", default, deserialize_with = "or_default")]
    memory_bytes: i64,
    #[serde(rename = "GenericResources", default, deserialize_with = "or_default")]
    generic: Vec<Generic>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Generic {
    #[serde(default)]
    discrete_resource_spec: Option<Discrete>,
    #[serde(default)]
    named_resource_spec: Option<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Discrete {
    #[serde(default, deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    value: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    #[serde(default, deserialize_with = "or_default")]
    kind: String,
}

impl Amount {
    /// The generic resources by kind; a named resource counts one.
    pub(super) fn kinds(&self) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for generic in &self.generic {
            let discrete = generic.discrete_resource_spec.as_ref().map(|it| (&it.kind, it.value));
            let named = generic.named_resource_spec.as_ref().map(|it| (&it.kind, 1));
            for (kind, count) in discrete.into_iter().chain(named) {
                let sum: &mut u64 = kinds.entry(kind.clone()).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        kinds
    }
}

impl From<Amount> for Resources {
    fn from(amount: Amount) -> Self {
        Self { nano_cpus: amount.nano_cpus, memory_bytes: amount.memory_bytes }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RestartPolicy {
    #[serde(default, deserialize_with = "or_default")]
    condition: String,
    #[serde(default)]
    delay: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerSpec {
    #[serde(default, deserialize_with = "or_default")]
    image: String,
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    command: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    args: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    env: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    mounts: Vec<MountSpec>,
    #[serde(default, deserialize_with = "or_default")]
    hosts: Vec<String>,
    #[serde(default)]
    stop_grace_period: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    sysctls: BTreeMap<String, String>,
    #[serde(rename = "CapabilityAdd", default, deserialize_with = "or_default")]
    capabilities: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    healthcheck: HealthCheck,
}

#[derive(Default, Deserialize)]
struct HealthCheck {
    #[serde(rename = "Test", default, deserialize_with = "or_default")]
    test: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MountSpec {
    #[serde(rename = "Type", default, deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    source: String,
    #[serde(default, deserialize_with = "or_default")]
    target: String,
    #[serde(default, deserialize_with = "or_default")]
    volume_options: VolumeOptions,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeOptions {
    #[serde(default, deserialize_with = "or_default")]
    driver_config: Driver,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Driver {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    options: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Attachment {
    #[serde(rename = "Target", default, deserialize_with = "or_default")]
    target: String,
    #[serde(rename = "Aliases", default, deserialize_with = "or_default")]
    aliases: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mode {
    #[serde(default)]
    replicated: Option<Replicated>,
    #[serde(default)]
    replicated_job: Option<Job>,
    #[serde(default)]
    global_job: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Job {
    #[serde(default)]
    total_completions: Option<u64>,
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
    let digest = digest(&spec.task_template);
    let template: TaskTemplate = serde_json::from_value(spec.task_template).unwrap_or_default();
    let container = template.container_spec;
    let attachments: Vec<_> = template.networks.into_iter().chain(spec.networks).collect();
    let virtual_ips = answer.endpoint.virtual_ips.into_iter();
    let replicated = spec.mode.replicated.map(|replicated| replicated.replicas.unwrap_or(1));
    let completions = || spec.mode.replicated_job.as_ref().map(|job| job.total_completions.unwrap_or(1));
    Service {
        id: answer.id,
        name: spec.name,
        image: container.image,
        replicas: replicated.or_else(completions),
        hostname: container.hostname.filter(|h| !h.is_empty()),
        dnsrr: spec.endpoint_spec.mode == "dnsrr",
        vips: virtual_ips.filter_map(|v| Some((v.network, bare(&v.addr)?))).collect(),
        networks: attachments.iter().map(|a| a.target.clone()).collect(),
        network_aliases: attachments
            .into_iter()
            .flat_map(|a| a.aliases.into_iter().map(move |alias| (a.target.clone(), alias)))
            .collect(),
        ports: answer.endpoint.ports.into_iter().map(port).collect(),
        labels: spec.labels,
        job: spec.mode.replicated_job.is_some() || spec.mode.global_job.is_some(),
        command: container.command,
        args: container.args,
        health_test: container.healthcheck.test,
        env: container.env.iter().map(|variable| named(variable)).collect(),
        mounts: container.mounts.into_iter().map(mount).collect(),
        placement: placement(template.placement),
        log_driver: template.log_driver.map(|driver| driver.name).filter(|name| !name.is_empty()),
        sysctls: container.sysctls,
        capabilities: container.capabilities,
        hosts: container.hosts,
        restart_delay: template.restart_policy.delay.map(seconds),
        reserved_kinds: template.resources.reservations.kinds(),
        reserved: template.resources.reservations.into(),
        limits: template.resources.limits.into(),
        restart: template.restart_policy.condition,
        update: answer.update_status.map(|update| UpdateStatus {
            state: update.state,
            message: update.message,
            started: stamp(&update.started_at),
        }),
        update_config: UpdateConfig {
            parallelism: spec.update_config.parallelism,
            delay: seconds(spec.update_config.delay),
            start_first: spec.update_config.order == "start-first",
        },
        template: digest,
        stop_grace: container.stop_grace_period.map(seconds),
        updated: stamp(&answer.updated_at),
    }
}

/// Whole seconds of a duration in nanoseconds.
fn seconds(nanoseconds: i64) -> u64 {
    u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0)
}

/// A digest of a task template; `None` where there is none.
pub(super) fn digest(template: &Value) -> Option<u64> {
    let entries = template.as_object().filter(|entries| !entries.is_empty())?;
    let mut hasher = DefaultHasher::new();
    // The engine names the runtime in services alone.
    for (key, value) in entries.iter().filter(|(key, _)| *key != "Runtime") {
        key.hash(&mut hasher);
        value.to_string().hash(&mut hasher);
    }
    Some(hasher.finish())
}

fn port(port: Port) -> PublishedPort {
    PublishedPort {
        protocol: match port.protocol.as_str() {
            "tcp" | "" => Some(Protocol::Tcp),
            "udp" => Some(Protocol::Udp),
            _ => None,
        },
        published: port.published_port,
        target: port.target_port,
        ingress: port.publish_mode != "host",
    }
}

fn mount(mount: MountSpec) -> Mount {
    let driver = mount.volume_options.driver_config;
    Mount {
        kind: mount.kind,
        source: mount.source,
        target: mount.target,
        driver: driver.name,
        options: driver.options,
    }
}

fn placement(spec: PlacementSpec) -> Placement {
    Placement {
        constraints: spec.constraints,
        max_replicas: spec.max_replicas,
        platforms: spec.platforms.into_iter().map(Platform::from).collect(),
    }
}

/// `NAME=value`; a variable without a value is empty.
fn named(variable: &str) -> (String, String) {
    let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
    (name.to_owned(), value.to_owned())
}

/// A time; Go writes the year 1 for "not set".
pub(super) fn stamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|at: &Timestamp| at.as_second() > 0)
}

/// The address of an address with a prefix length.
pub(super) fn bare(cidr: &str) -> Option<IpAddr> {
    cidr.split('/').next()?.parse().ok()
}
