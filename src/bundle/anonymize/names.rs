//! Names under pseudonyms. They are numbered in the order of the alphabet, so that what is sorted stays so.

use facts::app::PROGRAMS;
use facts::bundle::Bundle;
use facts::{Need, Snapshot};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Common names, and words that the doctor matches: they identify no one, and they must stay where they have their literal
/// meaning.
const COMMON: &[&str] = &[
    "active",
    "addr",
    "address",
    "agent",
    "all",
    "any",
    "apache",
    "app",
    "backend",
    "bool",
    "bridge",
    "busybox",
    "complete",
    "config",
    "container",
    "containerd",
    "daemon",
    "data",
    "debug",
    "default",
    "dev",
    "devel",
    "dns",
    "docker",
    "docker0",
    "docker_gwbridge",
    "dockerd",
    "down",
    "drain",
    "error",
    "etc",
    "eth0",
    "eth1",
    "failed",
    "false",
    "fatal",
    "file",
    "grpc",
    "host",
    "hostname",
    "hosts",
    "http",
    "https",
    "id",
    "image",
    "info",
    "ingress",
    "ip",
    "kernel",
    "label",
    "labels",
    "latest",
    "leader",
    "level",
    "library",
    "linux",
    "lo",
    "local",
    "localhost",
    "log",
    "manager",
    "managers",
    "memory",
    "module",
    "msg",
    "name",
    "network",
    "networks",
    "node",
    "nodes",
    "none",
    "null",
    "opt",
    "overlay",
    "pause",
    "peer",
    "peers",
    "port",
    "proc",
    "process",
    "raft",
    "ready",
    "rejected",
    "remote",
    "replicas",
    "root",
    "run",
    "running",
    "sentinel",
    "server",
    "service",
    "services",
    "session",
    "shutdown",
    "socket",
    "srv",
    "stack",
    "state",
    "swarm",
    "swarmkit",
    "sys",
    "system",
    "task",
    "tasks",
    "tcp",
    "time",
    "tmp",
    "true",
    "type",
    "udp",
    "unknown",
    "usr",
    "value",
    "var",
    "version",
    "volume",
    "vxlan",
    "warn",
    "warning",
    "worker",
    "workers",
];

/// Names and what stands for them.
#[derive(Default)]
pub(super) struct Names {
    nodes: BTreeSet<String>,
    stacks: BTreeSet<String>,
    services: BTreeSet<String>,
    networks: BTreeSet<String>,
    images: BTreeSet<String>,
    domains: BTreeSet<String>,
    others: BTreeSet<String>,
    /// By their first byte, the longest first.
    pseudonyms: BTreeMap<u8, Vec<(String, String)>>,
}

impl Names {
    pub(super) fn learn(&mut self, bundle: &Bundle, snapshot: &Snapshot) {
        self.nodes.insert(bundle.manifest.host.to_string());
        for node in snapshot.nodes.get().iter().flat_map(|nodes| nodes.iter()) {
            self.nodes.insert(node.name.to_string());
        }
        for host in &snapshot.hosts {
            self.nodes.extend(host.os.get().ok().map(|os| os.hostname.clone()));
            self.nodes.extend(host.info.get().ok().map(|info| info.name.clone()));
            for probe in host.probes.get().iter().flat_map(|probes| probes.iter()) {
                self.nodes.extend(probe.peer.name.as_ref().map(ToString::to_string));
            }
            for container in host.containers.get().iter().flat_map(|all| all.iter()) {
                self.service(&container.service_name);
                self.image(&container.image);
                self.networks.extend(container.attachments.iter().map(|it| it.name.clone()));
            }
            for app in host.apps.get().iter().flat_map(|apps| &apps.apps) {
                self.service(&app.service_name);
                self.image(&app.image);
            }
            for overlay in host.overlays.get().iter().flat_map(|all| all.iter()) {
                self.networks.insert(overlay.name.clone());
            }
        }
        for service in snapshot.services.get().iter().flat_map(|services| services.iter()) {
            self.stacks.extend(service.stack().map(ToOwned::to_owned));
            self.service(&service.name);
            self.image(&service.image);
            // An alias may be a template.
            self.others.extend(service.aliases().filter(|alias| !alias.contains('{')).map(ToOwned::to_owned));
        }
        for entry in bundle.entries(Need::ResolvConf).chain(bundle.entries(Need::TaskNetns)) {
            let content = bundle.artifacts.get(&entry.artifact).map(|it| String::from_utf8_lossy(it));
            for line in content.iter().flat_map(|text| text.lines()) {
                let mut words = line.split_whitespace();
                if matches!(words.next(), Some("search" | "domain")) {
                    self.domains.extend(words.map(ToOwned::to_owned));
                }
            }
        }
        for (name, content) in bundle.artifacts.iter().filter(|(name, _)| name.starts_with("engine/")) {
            if let Ok(value) = serde_json::from_slice::<Value>(content) {
                self.json(name, &value);
            }
        }
    }

    /// Names that are in no fact: of all networks, secrets and configs, and of stacks in labels.
    fn json(&mut self, artifact: &str, value: &Value) {
        match value {
            Value::Array(list) => list.iter().for_each(|value| self.json(artifact, value)),
            Value::Object(map) => {
                for (key, value) in map {
                    match (key.as_str(), value.as_str()) {
                        ("com.docker.stack.namespace", Some(name)) => drop(self.stacks.insert(name.into())),
                        ("com.docker.swarm.service.name", Some(name)) => self.service(name),
                        ("SecretName" | "ConfigName", Some(name)) => drop(self.others.insert(name.into())),
                        ("Name", Some(name))
                            if artifact.starts_with("engine/networks") && map.contains_key("IPAM") =>
                        {
                            self.networks.insert(name.into());
                        }
                        _ => self.json(artifact, value),
                    }
                }
            }
            _ => {}
        }
    }

    fn service(&mut self, name: &str) {
        self.services.insert(name.to_owned());
    }

    /// The parts of an image's name: registry, owners, the name itself. A known program is known by its name.
    fn image(&mut self, image: &str) {
        let name = image.split('@').next().unwrap_or_default();
        let name = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name,
            _ => name,
        };
        self.images.extend(name.split('/').filter(|part| !is_public(part)).map(ToOwned::to_owned));
    }

    /// Gives each name its pseudonym.
    pub(super) fn settle(&mut self) {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        // A service is named after its stack, and both after what is left of the name.
        let mut services = std::mem::take(&mut self.services);
        let mut of_stacks = Vec::new();
        for name in self.networks.iter().chain(&services).chain(&self.others) {
            let parts = self
                .stacks
                .iter()
                .filter_map(|stack| Some((stack, name.strip_prefix(stack.as_str())?.strip_prefix('_')?)));
            if let Some((stack, own)) = parts.max_by_key(|(stack, _)| stack.len()) {
                of_stacks.push((name.clone(), stack.clone(), own.to_owned()));
            }
        }
        services.extend(
            of_stacks
                .iter()
                .filter(|(name, ..)| services.contains(name))
                .map(|(_, _, own)| own.clone())
                .collect::<Vec<_>>(),
        );
        self.others.extend(of_stacks.iter().map(|(_, _, own)| own.clone()));
        let kinds = [
            ("node", &self.nodes),
            ("stack", &self.stacks),
            ("service", &services),
            ("network", &self.networks),
            ("domain", &self.domains),
            ("image", &self.images),
            ("name", &self.others),
        ];
        for (kind, names) in kinds {
            let names: Vec<&String> = names.iter().filter(|name| is_identifying(name)).collect();
            let width = names.len().to_string().len();
            for (at, name) in names.into_iter().enumerate() {
                let number = at + 1;
                all.entry(name.clone()).or_insert_with(|| format!("{kind}-{number:0width$}"));
            }
        }
        for (name, stack, own) in of_stacks {
            let of = |part: &String| all.get(part).unwrap_or(part).clone();
            let whole = format!("{}_{}", of(&stack), of(&own));
            all.insert(name, whole);
        }
        self.services = services;
        self.pseudonyms.clear();
        for (name, pseudonym) in all {
            let Some(first) = name.bytes().next() else { continue };
            self.pseudonyms.entry(first).or_default().push((name, pseudonym));
        }
        for names in self.pseudonyms.values_mut() {
            names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        }
    }

    /// A text with pseudonyms in the place of whole names.
    pub(super) fn replaced(&self, text: &str) -> String {
        let bytes = text.as_bytes();
        let mut replaced = String::new();
        let (mut copied, mut at) = (0, 0);
        while at < bytes.len() {
            let begins = at == 0 || !bytes[at - 1].is_ascii_alphanumeric() || escaped(bytes, at);
            let candidates = self.pseudonyms.get(&bytes[at]).filter(|_| begins);
            let found = candidates.and_then(|names| {
                names.iter().find(|(name, _)| {
                    let ends = at + name.len();
                    // Between two dots stands a part of a property's name, such as `nifi.web.http.port`.
                    let inner = at > 0 && bytes[at - 1] == b'.' && bytes.get(ends) == Some(&b'.');
                    bytes[at..].starts_with(name.as_bytes())
                        && !bytes.get(ends).is_some_and(u8::is_ascii_alphanumeric)
                        && !inner
                })
            });
            match found {
                Some((name, pseudonym)) => {
                    replaced.push_str(&text[copied..at]);
                    replaced.push_str(pseudonym);
                    at += name.len();
                    copied = at;
                }
                None => at += 1,
            }
        }
        replaced.push_str(&text[copied..]);
        replaced
    }
}

/// Whether what stands before is the letter of an escaped line end, as in `\nname`.
fn escaped(bytes: &[u8], at: usize) -> bool {
    at > 1 && bytes[at - 2] == b'\\' && matches!(bytes[at - 1], b'n' | b't' | b'r')
}

/// Parts of public images that checks know by name, beside those of [`PROGRAMS`].
const PUBLIC: &[&str] = &[
    "agent",
    "bitnami",
    "bitnamilegacy",
    "redis-sentinel",
    "clickhouse-server",
    "containrrr",
    "couchdb",
    "diun",
    "docker",
    "gitea",
    "gitlab-ce",
    "gitlab-ee",
    "influxdb",
    "library",
    "mariadb-galera",
    "minio",
    "mysql",
    "nats",
    "neo4j",
    "nickfedor",
    "opensearch",
    "portainer",
    "portainer-ce",
    "portainer-ee",
    "postgis",
    "postgres",
    "postgresql",
    "swarmpit",
    "timescaledb",
    "traefik",
    "vault",
    "watchtower",
];

/// Whether this part of an image's name is that of a public program.
fn is_public(part: &str) -> bool {
    PUBLIC.contains(&part)
        || PROGRAMS.iter().any(|program| program.name == part || program.images.contains(&part))
}

/// Whether a name is identifying: not a common word, the name of a known program, a number or a single letter.
fn is_identifying(name: &str) -> bool {
    name.len() > 1
        && !is_public(name)
        && !COMMON.contains(&name)
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::Names;

    fn named(services: &[&str], stacks: &[&str]) -> Names {
        let mut names = Names::default();
        names.nodes.insert("db1.corp.example".into());
        names.nodes.insert("db1".into());
        names.services.extend(services.iter().map(ToString::to_string));
        names.stacks.extend(stacks.iter().map(ToString::to_string));
        names.settle();
        names
    }

    #[test]
    fn whole_names_are_replaced_and_the_longest_first() {
        let names = named(&["web", "web-front"], &[]);
        assert_eq!(
            names.replaced("web web-front webs web.1.abc \"web\" db1.corp.example db1: x\\nweb"),
            "service-1 service-2 webs service-1.1.abc \"service-1\" node-2 node-1: x\\nservice-1"
        );
    }

    #[test]
    fn a_service_keeps_to_its_stack() {
        let names = named(&["shop_web", "shop_db", "other"], &["shop"]);
        let web = names.replaced("shop_web");
        assert_eq!(web, format!("{}_{}", names.replaced("shop"), names.replaced("web")));
        assert_ne!(web, names.replaced("shop_db"));
    }

    #[test]
    fn common_words_stay() {
        let names = named(&["node", "running", "1", "x"], &[]);
        assert_eq!(names.replaced("node running 1 x"), "node running 1 x");
    }

    #[test]
    fn images_go_in_parts() {
        let mut names = Names::default();
        names.image("registry.corp.example:5000/team/nifi:1.28@sha256:00");
        names.image("registry.corp.example:5000/team/front:2");
        names.settle();
        let said = names.replaced("registry.corp.example:5000/team/nifi:1.28");
        assert!(said.ends_with("/nifi:1.28") && !said.contains("corp") && !said.contains("team"), "{said}");
    }
}
