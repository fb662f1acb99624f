//! Known regressions of engines and kernels: one row each, with the versions that have it, the condition under which it has
//! an effect, the effect, and the version that fixes it.

use crate::model::engine_version::EngineVersion;

/// The versions that have a regression.
#[derive(Clone, Copy, Debug)]
pub(super) enum Affected {
    /// Engines: each range with its first affected and its first fixed version.
    Engine(&'static [(EngineVersion, EngineVersion)]),
    /// Kernels: the parts that a release has to contain, all of one row: `5.4.0-` with the numbers 105 to 110.
    Kernel(&'static [KernelRange]),
}

/// A range of kernel releases: `5.4.0-` is followed by a number within the range, and then by the suffix.
#[derive(Clone, Copy, Debug)]
pub(super) struct KernelRange {
    pub(super) prefix: &'static str,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) suffix: &'static str,
}

impl KernelRange {
    /// Whether a release, such as `5.4.0-1073-azure`, is in the range.
    pub(super) fn contains(self, release: &str) -> bool {
        let Some(rest) = release.strip_prefix(self.prefix) else { return false };
        let end = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
        let (number, rest) = rest.split_at(end);
        number.parse().is_ok_and(|number: u32| (self.first..=self.last).contains(&number))
            && rest.starts_with(self.suffix)
    }
}

/// The condition under which a regression has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// On every node.
    Always,
    /// The swarm has more than one node.
    SeveralNodes,
    /// A service publishes a port through the routing mesh.
    PublishedPort,
    /// An overlay network is encrypted.
    EncryptedOverlay,
    /// An overlay network is encrypted, and nodes run different engine versions.
    EncryptedOverlayOfMixedVersions,
    /// The data path port is not 4789, and an overlay network is encrypted.
    EncryptedOverlayOnCustomPort,
    /// Two overlay networks have the same subnet.
    EqualSubnets,
    /// Two services have the same network alias.
    SharedAlias,
    /// A service starts an image from a registry.
    RegistryImage,
    /// A proxy is set and its exceptions do not contain the managers.
    ProxyForManagers,
    /// Only with the panic of this package.
    Panic(&'static str),
}

/// A regression.
#[derive(Debug)]
pub(super) struct Regression {
    pub(super) affected: Affected,
    pub(super) condition: Condition,
    /// The effect, as a statement.
    pub(super) effect: &'static str,
    /// The first version without it.
    pub(super) fixed_in: &'static str,
    /// The checks that find the effect.
    pub(super) seen_by: &'static [&'static str],
    /// The report of it.
    pub(super) source: &'static str,
}

const fn v(major: u16, minor: u16, patch: u16) -> EngineVersion {
    EngineVersion(major, minor, patch)
}

use Affected::{Engine, Kernel};
use Condition as When;

#[rustfmt::skip]
pub(super) const REGRESSIONS: &[Regression] = &[
    Regression {
        affected: Engine(&[(v(29, 8, 0), v(29, 8, 1))]),
        condition: When::PublishedPort,
        effect: "a service cannot reach a published port at the address of the node that it runs on",
        fixed_in: "a release after 29.8.0",
        seen_by: &["network/vip-unreachable"],
        source: "https://github.com/moby/moby/issues/53713",
    },
    Regression {
        affected: Engine(&[(v(29, 0, 0), v(29, 8, 0))]),
        condition: When::SeveralNodes,
        effect: "after a node was unreachable for a few seconds, names of services with tasks on it stay NXDOMAIN",
        fixed_in: "a release after 29.7.2",
        seen_by: &["dns/server-unreachable", "network/gossip-port-blocked", "dns/stale-record", "dns/records-missing"],
        source: "https://github.com/moby/moby/issues/53141",
    },
    Regression {
        affected: Engine(&[(v(29, 6, 0), v(29, 7, 0))]),
        condition: When::RegistryImage,
        effect: "a task fails when the registry answers 401, although the node has the image",
        fixed_in: "29.7.0",
        seen_by: &["service/image-unavailable", "service/task-rejected"],
        source: "https://github.com/moby/moby/commit/898a7d799e",
    },
    Regression {
        affected: Engine(&[(v(23, 0, 0), v(29, 5, 0))]),
        condition: When::SharedAlias,
        effect: "removing one service removes the DNS record of an alias that another service has too",
        fixed_in: "29.5.0",
        seen_by: &["dns/name-shared"],
        source: "https://github.com/moby/moby/commit/1143f413f6",
    },
    Regression {
        affected: Engine(&[(v(29, 0, 0), v(29, 2, 0)), (v(25, 0, 13), v(25, 0, 15))]),
        condition: When::PublishedPort,
        effect: "connections through the routing mesh are cut as soon as a task stops, without its grace period",
        fixed_in: "29.2.0 or 25.0.15",
        seen_by: &[],
        source: "https://github.com/moby/moby/commit/9ec65542a0",
    },
    Regression {
        affected: Engine(&[(v(29, 0, 0), v(29, 2, 1)), (v(25, 0, 13), v(25, 0, 15))]),
        condition: When::EncryptedOverlayOfMixedVersions,
        effect: "encrypted overlay networks do not connect nodes of this version with nodes of other versions (SPI mismatch)",
        fixed_in: "29.2.1 or 25.0.15",
        seen_by: &["network/esp-blocked", "network/vxlan-blocked"],
        source: "https://github.com/moby/moby/issues/51798",
    },
    Regression {
        affected: Engine(&[(v(29, 1, 0), v(29, 1, 1))]),
        condition: When::SeveralNodes,
        effect: "the embedded DNS server answers SERVFAIL in containers",
        fixed_in: "29.1.1",
        seen_by: &["dns/embedded-resolver-unreachable", "dns/server-unreachable"],
        source: "https://github.com/moby/moby/issues/51614",
    },
    Regression {
        affected: Engine(&[(v(28, 2, 0), v(28, 3, 0)), (v(25, 0, 11), v(25, 0, 12))]),
        condition: When::SeveralNodes,
        effect: "names of services and tasks on other nodes resolve only now and then, and overlay peers are dropped",
        fixed_in: "28.3.0 or 25.0.12",
        seen_by: &["dns/server-unreachable", "network/fdb-stale", "network/vxlan-blocked", "network/vip-unreachable"],
        source: "https://github.com/moby/moby/issues/50129",
    },
    Regression {
        affected: Engine(&[(v(28, 0, 0), v(28, 0, 1))]),
        condition: When::PublishedPort,
        effect: "a DROP rule for docker_gwbridge precedes DOCKER-INGRESS, so published ports are not reachable from outside",
        fixed_in: "28.0.1",
        seen_by: &["host/forward-drop", "host/docker-chains-missing"],
        source: "https://github.com/moby/moby/issues/49536",
    },
    Regression {
        affected: Engine(&[(v(27, 0, 0), v(27, 0, 3))]),
        condition: When::EqualSubnets,
        effect: "two overlay networks get the same subnet",
        fixed_in: "27.0.3",
        seen_by: &["network/subnet-overlap", "network/subnet-missing"],
        source: "https://github.com/moby/moby/issues/48069",
    },
    Regression {
        affected: Engine(&[(v(25, 0, 0), v(25, 0, 4))]),
        condition: When::SeveralNodes,
        effect: "the engine rejects existing swarm networks because of new validation rules",
        fixed_in: "25.0.4",
        seen_by: &["service/task-rejected", "network/ingress-missing"],
        source: "https://github.com/moby/moby/commit/571af915d5",
    },
    Regression {
        affected: Engine(&[(v(24, 0, 0), v(24, 0, 1))]),
        condition: When::Always,
        effect: "the embedded DNS server answers SERVFAIL instead of NXDOMAIN, and programs with musl (Alpine) give up",
        fixed_in: "24.0.1",
        seen_by: &["dns/embedded-resolver-unreachable"],
        source: "https://github.com/moby/moby/issues/45553",
    },
    Regression {
        affected: Engine(&[(v(24, 0, 0), v(24, 0, 3)), (v(17, 3, 0), v(23, 0, 7))]),
        condition: When::EncryptedOverlayOnCustomPort,
        effect: "encryption of overlay networks works on the data path port 4789 only",
        fixed_in: "24.0.3 or 23.0.7",
        seen_by: &["network/esp-blocked"],
        source: "https://github.com/moby/moby/commit/9a692a3802",
    },
    Regression {
        affected: Engine(&[(v(23, 0, 0), v(23, 0, 3)), (v(1, 12, 0), v(20, 10, 24))]),
        condition: When::EncryptedOverlay,
        effect: "traffic of encrypted overlay networks may be sent unencrypted",
        fixed_in: "23.0.3 or 20.10.24",
        seen_by: &[],
        source: "https://github.com/moby/moby/security/advisories/GHSA-33pg-m6jh-5237",
    },
    Regression {
        affected: Engine(&[(v(17, 7, 0), v(18, 9, 2))]),
        condition: When::ProxyForManagers,
        effect: "the connections between managers go through the HTTP proxy of dockerd",
        fixed_in: "18.09.2",
        seen_by: &["swarm/join-failed", "swarm/manager-unreachable", "swarm/session-failed"],
        source: "https://github.com/moby/swarmkit/pull/2802",
    },
    Regression {
        affected: Kernel(&[
            KernelRange { prefix: "5.4.0-", first: 1073, last: 1076, suffix: "-azure" },
            KernelRange { prefix: "5.4.0-", first: 105, last: 109, suffix: "-generic" },
            KernelRange { prefix: "5.10.", first: 103, last: 107, suffix: "" },
            KernelRange { prefix: "5.10.0-", first: 12, last: 13, suffix: "-amd64" },
        ]),
        condition: When::EncryptedOverlay,
        effect: "the kernel drops the traffic of encrypted overlay networks between nodes (ESP in transport mode)",
        fixed_in: "Linux 5.10.108, or the next kernel of the distribution",
        seen_by: &["network/esp-blocked", "network/vxlan-blocked"],
        source: "https://github.com/moby/moby/issues/43443",
    },
    Regression {
        affected: Engine(&[(v(1, 12, 0), v(20, 10, 0))]),
        condition: When::Panic("swarmkit/manager/allocator"),
        effect: "a manager crashes in the network allocator when a node has an attachment without a network",
        fixed_in: "20.10.0",
        seen_by: &["engine/unreachable"],
        source: "https://github.com/moby/swarmkit/pull/2819",
    },
    Regression {
        affected: Engine(&[(v(1, 12, 0), v(29, 7, 0))]),
        condition: When::Panic("libnetwork"),
        effect: "dockerd crashes when it removes a published port whose bind had failed",
        fixed_in: "29.7.0",
        seen_by: &["engine/unreachable"],
        source: "https://github.com/moby/moby/commit/a0559c361e",
    },
];

impl Affected {
    /// Whether an engine of this version has it.
    pub(super) fn has_engine(self, version: EngineVersion) -> bool {
        matches!(self, Self::Engine(ranges) if ranges.iter().any(|(first, fixed)| (*first..*fixed).contains(&version)))
    }

    /// Whether a kernel of this release has it.
    pub(super) fn has_kernel(self, release: &str) -> bool {
        matches!(self, Self::Kernel(ranges) if ranges.iter().any(|range| range.contains(release)))
    }
}

/// The regression that explains a panic in a package; without a version, any that is known.
pub(super) fn fixed_panic(package: &str, version: Option<&EngineVersion>) -> Option<&'static Regression> {
    REGRESSIONS.iter().find(|row| {
        let in_package = matches!(row.condition, Condition::Panic(part) if package.contains(part));
        in_package && version.is_none_or(|version| row.affected.has_engine(*version))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_orders_versions() {
        let of = |text: &str| EngineVersion::parse(text).unwrap();
        assert_eq!(of("20.10.24+dfsg1"), EngineVersion(20, 10, 24));
        assert_eq!(of("17.03.2-ce"), EngineVersion(17, 3, 2));
        assert_eq!(
            (of("19.03.15").to_string(), of("29.2.1").to_string()),
            ("19.03.15".into(), "29.2.1".into())
        );
        assert!(of("18.09.1") < of("18.09.2") && of("28.5.2") < of("29.0.0"));
        assert_eq!((EngineVersion::parse("dev"), EngineVersion::parse("")), (None, None));
    }

    #[test]
    fn every_row_has_valid_ranges_and_a_source() {
        for row in REGRESSIONS {
            assert!(row.source.starts_with("https://github.com/moby/"), "{}", row.source);
            assert!(!row.effect.ends_with('.') && !row.fixed_in.is_empty());
            match row.affected {
                Affected::Engine(ranges) => {
                    assert!(ranges.iter().all(|(first, fixed)| first < fixed), "{}", row.effect);
                }
                Affected::Kernel(ranges) => assert!(ranges.iter().all(|range| range.first <= range.last)),
            }
        }
    }

    #[test]
    fn rows_hold_for_their_versions_and_not_for_the_fixed_ones() {
        let rows = |version: &str, words: &str| {
            let version = EngineVersion::parse(version).unwrap();
            REGRESSIONS.iter().any(|row| row.effect.contains(words) && row.affected.has_engine(version))
        };
        for (words, has, fixed) in [
            ("published port at the address", "29.8.0", "29.8.1"),
            ("NXDOMAIN", "29.6.2", "29.8.0"),
            ("401", "29.6.1", "29.7.0"),
            ("alias", "28.5.2", "29.5.0"),
            ("grace period", "25.0.14", "29.2.0"),
            ("SPI", "29.2.0", "29.2.1"),
            ("SERVFAIL", "29.1.0", "29.1.1"),
            ("now and then", "28.2.2", "28.3.0"),
            ("docker_gwbridge", "28.0.0", "28.0.1"),
            ("same subnet", "27.0.2", "27.0.3"),
            ("validation", "25.0.3", "25.0.4"),
            ("musl", "24.0.0", "24.0.1"),
            ("4789 only", "24.0.2", "24.0.3"),
            ("unencrypted", "20.10.23", "20.10.24"),
            ("HTTP proxy", "18.09.1", "18.09.2"),
            ("allocator", "19.03.15", "20.10.0"),
            ("bind had failed", "28.5.2", "29.7.0"),
        ] {
            assert!(rows(has, words) && !rows(fixed, words), "{words}");
        }
        let kernel = |release: &str| REGRESSIONS.iter().any(|row| row.affected.has_kernel(release));
        assert!(kernel("5.4.0-1073-azure") && kernel("5.4.0-105-generic") && kernel("5.10.103-1-amd64"));
        assert!(!kernel("5.4.0-1072-azure") && !kernel("5.4.0-113-generic") && !kernel("6.1.0-18-amd64"));
    }
}
