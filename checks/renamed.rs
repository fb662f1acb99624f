//! Check ids that were renamed before 0.1.0. Configuration, flags and baselines that name an old id keep working.

/// Old id, new id.
pub const RENAMED: &[(&str, &str)] = &[
    ("dns/networks-apart", "dns/no-common-network"),
    ("dns/resolver-silent", "dns/embedded-resolver-unreachable"),
    ("dns/server-silent", "dns/server-unreachable"),
    ("engine/containerd-silent", "engine/containerd-unresponsive"),
    ("engine/files-exhausted", "engine/file-limit-reached"),
    ("engine/unsupported-platform", "host/unsupported-environment"),
    ("host/clock-unsynced", "host/clock-not-synchronised"),
    ("join/authority-untold", "join/root-ca-unavailable"),
    ("join/clock-apart", "join/clock-skew"),
    ("join/protocol-unnamed", "join/not-a-swarm-manager-port"),
    ("network/address-taken", "network/duplicate-ip"),
    ("network/hardware-address-shared", "network/duplicate-mac"),
    ("network/neighbour-pinned", "network/permanent-neighbour-entry"),
    ("network/vip-silent", "network/vip-unreachable"),
    ("service/nobody-listens", "service/target-port-closed"),
    ("service/replicas-short", "service/replicas-missing"),
    ("swarm/identity-shared", "swarm/duplicate-node-identity"),
    ("swarm/listens-elsewhere", "swarm/listen-addr-mismatch"),
    ("swarm/locked", "swarm/autolock-locked"),
    ("swarm/manager-left-over", "swarm/stale-manager-entry"),
];

/// The present id of a check that was renamed.
pub fn renamed(id: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == id).map(|(_, new)| *new)
}

#[cfg(test)]
mod tests {
    use super::RENAMED;

    #[test]
    fn every_new_id_exists_and_no_old_one_does() {
        let exists = |id: &str| crate::built_in().any(|check| check.meta.id == id);
        for (old, new) in RENAMED {
            assert!(!exists(old), "{old} is still a check");
            assert!(exists(new), "{new} is no check");
        }
    }
}
