//! The known programs: how they are recognised, where their addresses are configured, and what follows.

use super::settings::{Setting, Settings};
use super::{nifi, programs};

/// A program that forms clusters of its own.
#[derive(Debug)]
pub struct Program {
    /// Its identifier, such as `nifi`.
    pub name: &'static str,
    /// Its name in a sentence.
    pub title: &'static str,
    /// Names of its images, without registry, owner and tag.
    pub images: &'static [&'static str],
    /// Variables that only its servers have.
    pub signature_vars: &'static [&'static str],
    /// Its configuration files; a mount or an argument that ends in the same name leads to one as well.
    pub files: &'static [&'static str],
    /// The settings about addresses; one that ends in `*` stands for all with that prefix.
    pub keys: &'static [&'static str],
    /// What follows from its settings.
    pub read: fn(&Settings, Version) -> Config,
}

/// The program's version, as far as the image's tag names it.
pub type Version = Option<(u32, u32)>;

/// What follows from the settings of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Whether it is configured to be a member of a cluster.
    pub clustered: bool,
    /// Where it listens and what it advertises.
    pub endpoints: Vec<Endpoint>,
    /// What must be unique in its cluster.
    pub identity: Option<Setting>,
    /// The hosts with which it finds its cluster; two members that share one are of the same cluster.
    pub peers: Vec<String>,
    /// Whether its web server speaks TLS.
    pub tls: bool,
    /// Settings with an invalid value.
    pub malformed: Vec<Malformed>,
    /// What only works in some networks.
    pub requirements: Vec<Requirement>,
    /// Whether it is a Redis Sentinel, which tells clients the addresses that replicas report.
    pub is_sentinel: bool,
}

/// What the settings of a program require of the network in which it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// It advertises an address that it picks from its interfaces, so peers must reach each of them.
    OneNetwork {
        /// The setting.
        setting: Setting,
        /// How it picks.
        how: &'static str,
        /// What to configure instead.
        fix: &'static str,
        /// Whether it picks the address of the ingress network whenever it has one.
        certain: bool,
    },
    /// Peers take its address from its connection to this host, so the host must not be a VIP.
    DirectConnection {
        /// The setting.
        setting: Setting,
        /// The host.
        host: String,
        /// What to configure instead.
        fix: &'static str,
    },
    /// Its hostname must be a fully qualified domain name.
    FullHostname {
        /// The setting.
        setting: Setting,
    },
}

/// A setting with an invalid value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Malformed {
    /// The setting.
    pub setting: Setting,
    /// The effect.
    pub why: String,
    /// The intended value, where it can be derived.
    pub meant: Option<String>,
    /// What to do.
    pub advice: String,
}

/// Something that listens, and the address that it advertises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its purpose, such as `web server`.
    pub what: String,
    /// Where it is configured to listen; `None` where no address is configured.
    pub bind: Option<HostSetting>,
    /// What it is configured to advertise.
    pub advertise: Option<HostSetting>,
    /// Its port.
    pub port: Option<u16>,
}

/// A setting that names a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSetting {
    /// The host; blank means every interface.
    pub host: String,
    /// The setting.
    pub setting: Setting,
}

impl HostSetting {
    /// A setting whose value is a host.
    pub fn of(setting: &Setting) -> Self {
        Self { host: setting.value.clone(), setting: setting.clone() }
    }

    /// A setting whose value contains a host.
    pub fn host(host: &str, setting: &Setting) -> Self {
        Self { host: host.to_owned(), setting: setting.clone() }
    }
}

/// All known programs.
pub static PROGRAMS: &[Program] = &[
    nifi::NIFI,
    programs::ZOOKEEPER,
    programs::KAFKA,
    programs::ELASTICSEARCH,
    programs::OPENSEARCH,
    programs::RABBITMQ,
    programs::CONSUL,
    programs::HAZELCAST,
    programs::ETCD,
    programs::CASSANDRA,
    programs::REDIS,
    programs::MONGODB,
    programs::GALERA,
];

impl Program {
    /// The program of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROGRAMS.iter().find(|program| program.name == name)
    }

    /// The program that an image, an environment and mounts belong to.
    pub fn recognised<'a>(
        image: &str,
        env: impl Iterator<Item = &'a str> + Clone,
        targets: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<&'static Self> {
        let image = image_name(image);
        PROGRAMS.iter().find(|it| it.images.contains(&image)).or_else(|| {
            PROGRAMS.iter().find(|it| {
                env.clone().any(|name| it.signature_vars.contains(&name))
                    || targets.clone().any(|target| it.files.contains(&target))
            })
        })
    }

    /// Whether a setting of this name is about addresses.
    pub fn wants(&self, name: &str) -> bool {
        let is = |key: &&str| match key.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *key,
        };
        self.keys.iter().any(is)
    }

    /// The names of its files.
    pub fn file_names(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().filter_map(|path| path.rsplit('/').next())
    }
}

/// The last part of an image's name, without its tag.
fn image_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// The version in an image's tag.
pub fn version(image: &str) -> Version {
    let image = image.split('@').next().unwrap_or_default();
    let tag = image.rsplit('/').next()?.split_once(':')?.1;
    let mut numbers = tag.trim_start_matches('v').split(['.', '-', '_']).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

/// The host of `host:port`, `[v6]:port` or a bare host.
pub(super) fn host_of(text: &str) -> &str {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match text.matches(':').count() {
        1 => text.split(':').next().unwrap_or_default(),
        _ => text,
    }
}

/// The port of `host:port`.
pub(super) fn port_of(text: &str) -> Option<u16> {
    text.trim().rsplit_once(':')?.1.trim_end_matches('/').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(image: &str) -> Option<&'static str> {
        Program::recognised(image, [].into_iter(), [].into_iter()).map(|program| program.name)
    }

    #[test]
    fn an_image_is_known_by_its_own_name_only() {
        assert_eq!(program("apache/nifi:1.28.1"), Some("nifi"));
        assert_eq!(program("registry.example.com:5000/team/nifi@sha256:00"), Some("nifi"));
        assert_eq!(program("confluentinc/cp-zookeeper"), Some("zookeeper"));
        for other in
            ["apache/nifi-registry:1", "zookeeper/exporter", "kafka-ui:1", "nifi.example.com/web:1", ""]
        {
            assert_eq!(program(other), None, "{other}");
        }
    }

    #[test]
    fn reads_versions_and_hosts() {
        assert_eq!(version("apache/nifi:1.28.1"), Some((1, 28)));
        assert_eq!(version("r:5000/nifi"), None);
        assert_eq!(version("nifi:2.0.0-M1@sha256:0"), Some((2, 0)));
        assert_eq!(version("nifi:latest"), None);
        assert_eq!(host_of("[::1]:9092"), "::1");
        assert_eq!(host_of("::1"), "::1");
        assert_eq!(host_of("a:1"), "a");
        assert_eq!(port_of("a:1"), Some(1));
    }
}
