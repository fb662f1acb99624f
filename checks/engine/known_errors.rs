//! Error lines of dockerd that need no separate finding: those of healthy engines, and those that another check
//! judges.

/// What is known about an error line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Healthy engines write it while services, tasks and networks change.
    Routine,
    /// This check reads it: where the check is silent, the line has no consequence any more.
    JudgedBy(&'static str),
    /// Written a few times, it has no consequence; repeated over a minute, it has.
    RoutineUnlessRepeated,
}

use Known::{JudgedBy, Routine, RoutineUnlessRepeated};

/// Parts of the message or of its `error` field, all of which have to occur.
#[rustfmt::skip]
const KNOWN: &[(&[&str], Known)] = &[
    // Kernels without a sysctl, containers without write access to sysfs: the engine goes on without them.
    (&["error reading the kernel parameter"], Routine),
    (&["error setting the kernel parameter"], Routine),
    (&["enabling default vlan on bridge"], Routine),
    (&["set bridge default vlan failed"], Routine),
    (&["reexec to set bridge default vlan failed"], Routine),
    (&["AppArmor enabled on system but the docker-default profile could not be loaded"], Routine),
    // Races of removal: the endpoint, network or rule is gone already.
    (&["Inconsistent driver and libnetwork state for endpoint"], Routine),
    (&["Error on iptables delete"], Routine),
    (&["Failed to delete interface"], Routine),
    (&["failed removing service binding"], Routine),
    (&["failed removing container name resolution"], Routine),
    (&["failed disabling service binding"], Routine),
    (&["Failed to delete real server"], Routine),
    (&["Failed to delete service for vip"], Routine),
    (&["Failed to set LB weight of real server"], Routine),
    (&["Failed to delete firewall mark rule"], Routine),
    (&["Failed to delete ingress"], Routine),
    (&["remove failed", "has active endpoints"], RoutineUnlessRepeated),
    (&["remove failed", "not found"], Routine),
    (&["remove task failed"], RoutineUnlessRepeated),
    (&["failed to deactivate service binding for container"], Routine),
    (&["No endpoints in sandbox while trying to remove endpoint"], Routine),
    (&["Failed leaving network", "from the agent cluster"], Routine),
    (&["Could not delete endpoint state for endpoint"], RoutineUnlessRepeated),
    (&["remove failed", "unknown network"], Routine),
    (&["fatal task error", "unknown network"], Routine),
    (&["fatal task error", "No such container"], Routine),
    (&["Failed to allocate network resources for node", "could not find network allocator state"], Routine),
    (&["Failed to find network", "on node"], Routine),
    (&["error deallocating attachment for network"], Routine),
    (&["error reallocating node", "cannot be found"], Routine),
    (&["Failed add IP alias"], Routine),
    (&["set up rule failed", " -D "], Routine),
    (&["failed to remove node", "dispatcher is stopped"], Routine),
    (&["failed deregistering node after heartbeat expiration", "could not find node"], Routine),
    (&["Failed allocation for service", "could not find local network state"], Routine),
    (&["Unexpected update table event"], Routine),
    (&["Failed to get service ", "could not find service"], Routine),
    (&["task allocation failure: ", "has pending allocations"], RoutineUnlessRepeated),
    (&["could not find an available IP"], JudgedBy("network/addresses-exhausted")),
    (&["unexpected HTTP error handling", "<nil>"], Routine),
    // A request that was refused: its client has the reason.
    (&["Error initializing swarm: "], Routine),
    (&["Error joining swarm: "], Routine),
    (&["Error inspecting swarm: "], Routine),
    (&["Error configuring swarm: "], Routine),
    (&["Error unlocking swarm: "], Routine),
    (&["Error retrieving swarm unlock key: "], Routine),
    (&["Error getting services: "], Routine),
    (&["Error creating service "], Routine),
    (&["Error updating service "], Routine),
    (&["Error removing service "], Routine),
    (&["Error getting nodes: "], Routine),
    (&["Error updating node "], Routine),
    (&["Error removing node "], Routine),
    (&["Error getting tasks: "], Routine),
    // A client asked for an object that does not exist.
    (&["Error getting ", "not found"], Routine),
    // The subnet of a network that is being removed is given to a new one.
    (&["Pool overlaps with other one"], RoutineUnlessRepeated),
    // The cluster object exists already whenever a manager starts again.
    (&["error creating cluster object", "name conflicts with an existing object"], Routine),
    // The end of a session, of a stream or of a process.
    (&["context canceled"], Routine),
    (&["agent: exiting"], Routine),
    (&["agent: closing session failed"], Routine),
    (&["logs call failed"], Routine),
    (&["stream copy error"], Routine),
    (&["copy stream failed"], Routine),
    (&["attach: std"], Routine),
    (&["Error streaming logs"], Routine),
    (&["error streaming logs"], Routine),
    (&["Error running exec"], Routine),
    (&["Error setting up exec command"], Routine),
    (&["cleanup", "failed to delete container from containerd: no such container"], Routine),
    (&["failed to cleanup exec"], Routine),
    (&["Error sending stop"], Routine),
    (&["Container failed to exit within"], Routine),
    (&["Container", "failed to exit within"], Routine),
    (&["Error waiting for container"], Routine),
    (&["failed to shut down cluster node"], Routine),
    (&["Force shutdown"], Routine),
    (&["shutting down container"], Routine),
    (&["Handler for "], Routine),
    (&["Not continuing with push after error"], Routine),
    (&["Not continuing with pull after error"], Routine),
    (&["Attempting next endpoint for pull after error"], Routine),
    (&["Health check for container"], Routine),
    (&["health check", "failed"], Routine),
    (&["node: ", " is unknown to memberlist"], Routine),
    (&["[resolver] error writing resolver resp"], Routine),
    (&["fatal task error", "task: non-zero exit"], RoutineUnlessRepeated),
    (&["fatal task error", "unhealthy container"], JudgedBy("service/crash-loop")),
    // A raft member without its peers logs these while an election runs.
    (&["failed to update raft address"], RoutineUnlessRepeated),
    (&["error while becoming leader"], RoutineUnlessRepeated),
    (&["Failed to join network", "into agent cluster"], RoutineUnlessRepeated),
    // Judged elsewhere.
    (&["pulling image failed"], JudgedBy("service/image-unavailable")),
    (&["No such image"], JudgedBy("service/image-unavailable")),
    (&["agent: session failed"], JudgedBy("swarm/session-failed")),
    (&["session message handler failed"], JudgedBy("swarm/join-stalled")),
    (&["node configure failed"], JudgedBy("network/ingress-missing")),
    (&["Failed creating ingress network"], JudgedBy("network/ingress-missing")),
    (&["Failed getting ingress network"], JudgedBy("network/ingress-missing")),
    (&["ingress sandbox"], JudgedBy("network/ingress-missing")),
    (&["rror in agentInit"], JudgedBy("network/port-taken")),
    (&["cluster exited with error"], JudgedBy("swarm/join-failed")),
    (&["failed to retrieve remote root CA certificate"], JudgedBy("swarm/join-failed")),
    (&["failed to request and save new certificate"], JudgedBy("swarm/join-failed")),
    (&["failed to sign CSR"], JudgedBy("swarm/external-ca-failing")),
    (&["[resolver] failed to query external DNS server"], JudgedBy("dns/upstream-unreachable")),
    (&["It is possible that ipvs is not enabled in your kernel"], JudgedBy("host/ipvs-missing")),
    (&["swarm component could not be started"], JudgedBy("swarm/state-damaged")),
    (&["Error in joining gossip cluster"], JudgedBy("network/gossip-join-failed")),
    (&["Failed to join memberlist"], JudgedBy("network/gossip-join-failed")),
    (&["failed to send node join on retry"], JudgedBy("network/gossip-join-failed")),
    (&["memberlist: "], JudgedBy("network/gossip-port-blocked")),
    (&["Bulk sync to node"], JudgedBy("network/gossip-port-blocked")),
    (&["periodic bulk sync failure"], JudgedBy("network/gossip-port-blocked")),
    (&["Failed to send gossip to"], JudgedBy("network/gossip-port-blocked")),
    (&["Error in responding to bulk sync"], JudgedBy("network/gossip-port-blocked")),
    (&["Error bulk syncing while joining network"], JudgedBy("network/gossip-port-blocked")),
    (&["Failed to log msg "], JudgedBy("service/log-driver-failing")),
    (&["Error writing log message"], JudgedBy("service/log-driver-failing")),
    (&["heartbeat to manager"], JudgedBy("swarm/session-failed")),
    (&["Could not get ipvs family information"], JudgedBy("host/ipvs-missing")),
    (&["ipvs handle"], JudgedBy("host/ipvs-missing")),
    (&["/proc/sys/net/ipv4/vs/"], JudgedBy("host/ipvs-missing")),
    (&["Failed Adding "], JudgedBy("network/esp-blocked")),
    (&["too many open files"], JudgedBy("engine/file-limit-reached")),
    (&["containerd.sock"], JudgedBy("engine/containerd-unresponsive")),
    (&["no space left on device"], JudgedBy("host/disk-full")),
    (&["failed to renew the certificate"], JudgedBy("swarm/certificate-overdue")),
    (&["sending message to an unrecognized member ID"], Routine),
    (&["could not resolve address"], JudgedBy("swarm/manager-unreachable")),
    (&["Could not parse VIP address"], Routine),
];

/// Parts of lines of level warning that report a failure, not a fallback.
const FAILURES: &[&str] = &["failed to create proxy for port", "no buffer space available"];

/// Whether a warning reports a failure.
pub(super) fn is_failure(message: &str, error: &str) -> bool {
    FAILURES.iter().any(|part| message.contains(part) || error.contains(part))
}

/// What is known about an error line with this message and `error` field.
pub(super) fn known(message: &str, error: &str) -> Option<Known> {
    let holds = |part: &&str| message.contains(*part) || error.contains(*part);
    KNOWN.iter().find(|(parts, _)| parts.iter().all(holds)).map(|(_, known)| *known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_that_judge_lines_exist() {
        let ids: Vec<&str> = crate::built_in().map(|check| check.meta.id.as_ref()).collect();
        for (parts, known) in KNOWN {
            if let JudgedBy(check) = known {
                assert!(ids.contains(check), "{parts:?} is judged by {check}, which does not exist");
            }
        }
    }

    #[test]
    fn failures_that_no_check_reads_are_not_known() {
        for (message, error) in [
            ("fatal task error", "network q2vdtc7m0q9yx3rkbs2h6nn1f exists"),
            ("Unable to find load balancing endpoint for network q2vdtc7m0q9yx3rkbs2h6nn1f", ""),
            ("failed to create proxy for port 8080: listen tcp :8080: bind: address already in use", ""),
            ("Peer add operation failed", "could not add neighbor entry: no buffer space available"),
            ("set up rule failed, [-t mangle -A PREROUTING -p tcp --dport 8080 -j MARK --set-mark 258]", ""),
        ] {
            assert_eq!(known(message, error), None, "{message}");
        }
    }
}
