//! The programs we know: how they are recognised, where they are told their addresses, and what follows.

use super::settings::{Said, Settings};
use super::{kin, nifi};

/// A program that forms clusters of its own.
#[derive(Debug)]
pub struct Program {
    /// What it is called here, such as `nifi`.
    pub name: &'static str,
    /// What it is called in a sentence.
    pub title: &'static str,
    /// Names of its images, without registry, owner and tag.
    pub images: &'static [&'static str],
    /// Variables that only a server of it is given.
    pub marks: &'static [&'static str],
    /// Where its configuration lies; a mount or an argument that ends in the same name leads to it as well.
    pub files: &'static [&'static str],
    /// The settings that bear on addresses; one that ends in `*` stands for all that begin so.
    pub keys: &'static [&'static str],
    /// What follows from its settings.
    pub read: fn(&Settings, Version) -> Config,
}

/// The program's version, as far as the image's tag tells it.
pub type Version = Option<(u32, u32)>;

/// What a program makes of its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// It was told to be one of several.
    pub clustered: bool,
    /// Where it listens and what it tells others of it.
    pub endpoints: Vec<Endpoint>,
    /// What tells it from the others of its cluster.
    pub identity: Option<Said>,
    /// The hosts by which it finds its cluster; two that share one are of the same cluster.
    pub peers: Vec<String>,
    /// Its web server speaks TLS.
    pub tls: bool,
    /// Settings whose value cannot be meant.
    pub malformed: Vec<Malformed>,
}

/// A setting whose value cannot be meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Malformed {
    /// It.
    pub said: Said,
    /// What comes of it.
    pub why: String,
    /// What was meant, where that can be told.
    pub meant: Option<String>,
    /// What to do about it.
    pub advice: String,
}

/// One thing that listens, and the address that others are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// What it is, such as `web server`.
    pub what: String,
    /// Where it is told to listen; `None` where that is not by an address.
    pub bind: Option<Claim>,
    /// What it is told to tell others.
    pub advertise: Option<Claim>,
    /// Its port.
    pub port: Option<u16>,
}

/// A host that a setting names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The host; blank means every interface.
    pub host: String,
    /// The setting that says so.
    pub said: Said,
}

impl Claim {
    /// A setting that is a host.
    pub fn of(said: &Said) -> Self {
        Self { host: said.value.clone(), said: said.clone() }
    }

    /// A setting that is, or begins with, another host than its whole value.
    pub fn host(host: &str, said: &Said) -> Self {
        Self { host: host.to_owned(), said: said.clone() }
    }
}

/// All of them.
pub static PROGRAMS: &[Program] = &[
    nifi::NIFI,
    kin::ZOOKEEPER,
    kin::KAFKA,
    kin::ELASTICSEARCH,
    kin::OPENSEARCH,
    kin::RABBITMQ,
    kin::CONSUL,
    kin::HAZELCAST,
    kin::ETCD,
    kin::CASSANDRA,
    kin::REDIS,
    kin::MONGODB,
    kin::GALERA,
];

impl Program {
    /// The program of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROGRAMS.iter().find(|program| program.name == name)
    }

    /// The program that an image, an environment and mounts betray.
    pub fn recognised<'a>(
        image: &str,
        env: impl Iterator<Item = &'a str> + Clone,
        targets: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<&'static Self> {
        let image = image_name(image);
        PROGRAMS.iter().find(|it| it.images.contains(&image)).or_else(|| {
            PROGRAMS.iter().find(|it| {
                env.clone().any(|name| it.marks.contains(&name))
                    || targets.clone().any(|target| it.files.contains(&target))
            })
        })
    }

    /// Whether a setting of this name bears on addresses.
    pub fn wants(&self, name: &str) -> bool {
        let is = |key: &&str| match key.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *key,
        };
        self.keys.iter().any(is)
    }

    /// The names that its files go by.
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
