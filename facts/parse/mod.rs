//! From artifacts to facts. Nothing here fails: what cannot be read becomes a gap.

mod certificate;
mod containers;
mod daemon_json;
mod engine;
mod engine_log;
mod hosts;
mod networks;
mod peers;
mod resolv_conf;
mod services;
mod stack;
mod swarm;
mod tasks;
mod token;

pub mod log;

use crate::bundle::{ArtifactStatus, Bundle, Entry};
use crate::{Fact, Gap, Host, Need, Seen, Snapshot, Source, Why};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use certificate::of_der as certificate_of_der;
pub use certificate::of_pem as certificate_of_pem;
pub use peers::{peers, peers_of};
pub use stack::{compose, redact as redact_compose};
pub use token::token;

/// Reads a bundle.
pub fn snapshot(bundle: &Bundle) -> Snapshot {
    let host = Host {
        name: bundle.manifest.host.clone(),
        taken: bundle.manifest.taken,
        os: json(bundle, Need::OsRelease, "host/os-release.json"),
        ping: json(bundle, Need::Ping, "engine/ping.json"),
        info: json(bundle, Need::Info, "engine/info.json").map(engine::info),
        version: json(bundle, Need::Version, "engine/version.json").map(engine::version),
        daemon_json: daemon_json::daemon_json(bundle),
        engine: json(bundle, Need::EngineProcess, "host/engine-process.json"),
        swarm_state: optional_json(bundle, Need::SwarmState, "files/docker-state.json")
            .map(|state| state.map(swarm::swarm_state)),
        remembered_managers: optional_json(bundle, Need::SwarmState, "files/state.json")
            .map(|managers| managers.map(engine::remote_managers).unwrap_or_default()),
        raft_log: optional_json(bundle, Need::SwarmState, "host/raft-log.json"),
        certificate: certificate::certificate(bundle, "files/swarm-node.crt"),
        root_certificate: certificate::certificate(bundle, "files/swarm-root-ca.crt"),
        hosts_file: text(bundle, Need::Hosts, "files/hosts").map(|text| hosts::hosts_file(&text)),
        resolv_conf: text(bundle, Need::ResolvConf, "files/resolv.conf")
            .map(|text| resolv_conf::resolv_conf(&text)),
        interfaces: json(bundle, Need::Interfaces, "host/interfaces.json"),
        routes: json(bundle, Need::Routes, "host/routes.json"),
        listeners: json(bundle, Need::Sockets, "host/listeners.json"),
        manager_connections: json(bundle, Need::Sockets, "host/manager-connections.json"),
        firewall: json(bundle, Need::Firewall, "host/firewall.json"),
        sysctls: json(bundle, Need::Sysctls, "host/sysctls.json"),
        kernel_stats: json(bundle, Need::Sysctls, "host/kernel-stats.json"),
        sandboxes: json(bundle, Need::Sysctls, "host/sandboxes.json"),
        modules: json(bundle, Need::Modules, "host/modules.json"),
        clock: json(bundle, Need::Clock, "host/clock.json"),
        disk: json(bundle, Need::Disk, "host/disk.json"),
        other_disks: json(bundle, Need::Disk, "host/disks.json"),
        memory: json(bundle, Need::Memory, "host/memory.json"),
        log: engine_log::engine_log(bundle),
        probes: json(bundle, Need::Probes, "probes.json"),
        neighbours: json(bundle, Need::Neighbours, "host/neighbours.json"),
        networks: networks::networks(bundle),
        containers: containers::containers(bundle),
        join: json(bundle, Need::Join, "join.json"),
        apps: json(bundle, Need::Apps, "apps.json"),
        overlays: json(bundle, Need::Overlays, "overlays.json"),
        engine_namespaces: json(bundle, Need::Overlays, "host/engine-namespaces.json"),
        gossip_capture: json(bundle, Need::GossipCapture, "gossip-capture.json"),
        clocks: json(bundle, Need::Clocks, "clocks.json"),
    };
    Snapshot {
        taken: bundle.manifest.taken,
        cluster: json(bundle, Need::Swarm, "engine/swarm.json").map(swarm::cluster),
        nodes: json(bundle, Need::Nodes, "engine/nodes.json").map(swarm::nodes),
        services: json(bundle, Need::Services, "engine/services.json").map(services::services),
        tasks: json(bundle, Need::Tasks, "engine/tasks.json").map(tasks::tasks),
        stack: stack::stack(bundle),
        hosts: vec![host],
    }
}

/// The content of one artifact: `None` where the thing is known not to exist.
fn content<'a>(bundle: &'a Bundle, need: Need, artifact: &str) -> Fact<Option<&'a [u8]>> {
    let entry = bundle.entries(need).find(|entry| entry.artifact == artifact);
    // A kind that was missed as a whole has one entry under a name of its own.
    let whole = || bundle.entries(need).find(|entry| matches!(entry.status, ArtifactStatus::Failed { .. }));
    match entry.or_else(whole) {
        Some(entry) => look(bundle, entry),
        None => {
            let source = Source { need, artifact: artifact.into(), origin: need.name().into() };
            Fact::Unseen(Gap { source, why: Why::NotAsked { reason: "not in the bundle".into() } })
        }
    }
}

fn look<'a>(bundle: &'a Bundle, entry: &Entry) -> Fact<Option<&'a [u8]>> {
    let source = source(entry);
    match &entry.status {
        ArtifactStatus::Collected => match bundle.artifacts.get(&entry.artifact) {
            Some(content) => Fact::Seen(Seen { value: Some(content.as_slice()), source }),
            None => {
                let what = "the manifest lists it and the bundle lacks it".into();
                Fact::Unseen(Gap { source, why: Why::Malformed { line: 0, what } })
            }
        },
        ArtifactStatus::Absent => Fact::Seen(Seen { value: None, source }),
        ArtifactStatus::Failed { why } => Fact::Unseen(Gap { source, why: why.clone() }),
    }
}

fn source(entry: &Entry) -> Source {
    Source { need: entry.need, artifact: entry.artifact.clone(), origin: entry.origin.clone() }
}

/// An artifact as text; an absent one is empty, as the programs that read such files take it.
fn text(bundle: &Bundle, need: Need, artifact: &str) -> Fact<String> {
    content(bundle, need, artifact)
        .map(|bytes| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default())
}

/// An artifact that is JSON and has to be there.
fn json<T: DeserializeOwned>(bundle: &Bundle, need: Need, artifact: &str) -> Fact<T> {
    match optional_json(bundle, need, artifact) {
        Fact::Seen(Seen { value: Some(value), source }) => Fact::Seen(Seen { value, source }),
        Fact::Seen(Seen { value: None, source }) => {
            let what = format!("{} is not there", source.origin);
            Fact::Unseen(Gap { source, why: Why::Unreachable { what } })
        }
        Fact::Unseen(gap) => Fact::Unseen(gap),
    }
}

/// An artifact that is JSON, and may be known not to exist.
fn optional_json<T: DeserializeOwned>(bundle: &Bundle, need: Need, artifact: &str) -> Fact<Option<T>> {
    match content(bundle, need, artifact) {
        Fact::Seen(Seen { value: None, source }) => Fact::Seen(Seen { value: None, source }),
        Fact::Seen(Seen { value: Some(bytes), source }) => match serde_json::from_slice(bytes) {
            Ok(value) => Fact::Seen(Seen { value: Some(value), source }),
            Err(error) => {
                let line = u32::try_from(error.line()).unwrap_or(0);
                Fact::Unseen(Gap { source, why: Why::Malformed { line, what: error.to_string() } })
            }
        },
        Fact::Unseen(gap) => Fact::Unseen(gap),
    }
}

/// Go leaves out what is empty or writes `null` for it; both mean the empty value.
fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
