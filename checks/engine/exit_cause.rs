//! Why dockerd exits at startup: one row per cause, found by its last log lines.

use facts::engine::EngineService;
use regex::Regex;
use std::sync::LazyLock;

/// A known reason for which dockerd exits at startup.
pub(super) struct ExitCause {
    /// Parts of the last log lines; any one of them is enough.
    patterns: &'static [&'static str],
    /// The state that keeps dockerd from running, as it follows "dockerd is not running: ".
    pub(super) state: &'static str,
    /// The imperative title of the remedy.
    pub(super) title: &'static str,
    /// What to do before the engine is started.
    pub(super) text: &'static str,
    /// Commands with placeholders: `PATH` is the first path in the log lines, `FOLDER` its directory, `NAME` the first
    /// name in single quotes, `UNIT` the systemd unit of the engine, `CONFIG` its daemon.json.
    commands: &'static [&'static str],
}

/// More specific causes come first, because error messages contain those of the layers below.
const CAUSES: &[ExitCause] = &[
    ExitCause {
        patterns: &["no space left on device"],
        state: "its file system is full",
        title: "Free disk space and start the engine",
        text: "free space or inodes on the file system of FOLDER",
        commands: &["df -h FOLDER", "df -i FOLDER"],
    },
    ExitCause {
        patterns: &["read-only file system"],
        state: "its file system is mounted read-only",
        title: "Remount the file system read-write and start the engine",
        text: "find out in the kernel log why FOLDER is read-only, repair the file system, and remount it",
        commands: &["findmnt -T FOLDER", "dmesg | grep -iE 'I/O error|remount'"],
    },
    ExitCause {
        patterns: &["ZONE_CONFLICT"],
        state: "firewalld already has the interface NAME in another zone",
        title: "Remove NAME from its firewalld zone and start the engine",
        text: "dockerd puts its bridges into the firewalld zone \"docker\"; remove NAME from the zone that the first \
               command prints (ZONE)",
        commands: &[
            "firewall-cmd --get-zone-of-interface=NAME",
            "firewall-cmd --permanent --zone=ZONE --remove-interface=NAME",
            "firewall-cmd --reload",
        ],
    },
    ExitCause {
        patterns: &["addrtype revision", "addrtype: unsupported", "Couldn't load match `addrtype'"],
        state: "the kernel has no iptables match addrtype (module xt_addrtype)",
        title: "Install the kernel module xt_addrtype and start the engine",
        text: "load xt_addrtype; distributions ship it in the extra modules of the running kernel, and a kernel that was \
               updated needs a reboot first",
        commands: &[
            "modprobe xt_addrtype",
            "dnf install kernel-modules-extra-$(uname -r)",
            "apt-get install linux-modules-extra-$(uname -r)",
            "echo xt_addrtype > /etc/modules-load.d/xt_addrtype.conf",
        ],
    },
    ExitCause {
        patterns: &["Failed to initialize nft", "Could not fetch rule set generation id"],
        state: "iptables uses nf_tables, which the running kernel does not provide",
        title: "Switch iptables to the backend of the kernel and start the engine",
        text: "load nf_tables, or select iptables-legacy where the kernel has only the legacy tables",
        commands: &[
            "iptables --version",
            "modprobe nf_tables",
            "update-alternatives --set iptables /usr/sbin/iptables-legacy",
        ],
    },
    ExitCause {
        patterns: &[
            "do you need to insmod",
            "Module ip_tables not found",
            "Module iptable_nat not found",
            "initialize iptables table",
        ],
        state: "iptables uses the legacy tables, which the running kernel does not provide",
        title: "Load the iptables modules or switch to nf_tables, and start the engine",
        text: "load the modules of the legacy tables; select iptables-nft where the kernel has only nf_tables; reboot \
               where the running kernel was replaced by an update",
        commands: &[
            "modprobe -a ip_tables iptable_nat iptable_filter",
            "ls -d /lib/modules/$(uname -r)",
            "update-alternatives --set iptables /usr/sbin/iptables-nft",
        ],
    },
    ExitCause {
        patterns: &["ptables not found", "\"iptables\": executable file not found"],
        state: "the program iptables is not installed or not in its PATH",
        title: "Install iptables and start the engine",
        text: "install iptables",
        commands: &["command -v iptables", "apt-get install iptables", "dnf install iptables-nft"],
    },
    ExitCause {
        patterns: &["IPv4 forwarding is disabled: check your host's firewalling"],
        state: "net.ipv4.ip_forward is 0, and with the nftables backend dockerd does not turn it on",
        title: "Turn on IPv4 forwarding and start the engine",
        text: "set net.ipv4.ip_forward to 1 permanently",
        commands: &[
            "sysctl -w net.ipv4.ip_forward=1",
            "echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/90-swarm.conf",
        ],
    },
    ExitCause {
        patterns: &["iptables failed", "programming NAT chain", "program NAT chain"],
        state: "iptables rejects the rules of the engine",
        title: "Make iptables work and start the engine",
        text: "run the command that failed by hand; it prints which table, chain or match is missing",
        commands: &[
            "iptables -t nat -S",
            "iptables --version",
            "lsmod | grep -E 'ip_tables|nf_tables|addrtype'",
        ],
    },
    ExitCause {
        patterns: &[
            "docker.pid: process with PID",
            "process with PID",
            "pid file found",
            "delete /var/run/docker.pid",
        ],
        state: "its pid file names a running process",
        title: "Remove the stale pid file and start the engine",
        text: "check which process has this pid: if it is a dockerd, the engine runs already; if not, remove the file",
        commands: &["ps -fp $(cat /var/run/docker.pid)", "rm /var/run/docker.pid"],
    },
    ExitCause {
        patterns: &["sock: is a directory", "docker.sock: directory not empty"],
        state: "a directory exists at the path of its socket",
        title: "Remove the directory at the socket's path and start the engine",
        text: "a container that bind-mounted the socket while the engine was down created it; remove it",
        commands: &["ls -ld PATH", "rmdir PATH"],
    },
    ExitCause {
        patterns: &["Error loading key file"],
        state: "its trust key file is damaged",
        title: "Move the damaged key file away and start the engine",
        text: "move the file; the engine creates a new one, and neither the swarm nor images need the old one",
        commands: &["mv PATH PATH.damaged"],
    },
    ExitCause {
        patterns: &["incompatible with swarm mode"],
        state: "an option of the engine is incompatible with swarm mode",
        title: "Remove the option that excludes swarm mode and start the engine",
        text: "remove the option that the log line names from daemon.json or from the flags of the unit",
        commands: &["grep -nE 'live-restore|firewall-backend' CONFIG", "systemctl cat UNIT"],
    },
    ExitCause {
        patterns: &["specified both as a flag and in the configuration file"],
        state: "an option is set both in daemon.json and as a flag of its unit",
        title: "Set the option in one place only and start the engine",
        text: "remove the option from daemon.json, or override ExecStart in a drop-in without the flag; `hosts` in the \
               file needs an ExecStart without -H",
        commands: &[
            "systemctl cat UNIT",
            "systemctl edit UNIT  # [Service] / ExecStart= / ExecStart=/usr/bin/dockerd --containerd=/run/containerd/containerd.sock",
            "systemctl daemon-reload",
        ],
    },
    ExitCause {
        patterns: &["unknown flag: --", "unknown shorthand flag: "],
        state: "its unit passes a flag that this version does not have",
        title: "Remove the unknown flag from the unit and start the engine",
        text: "a drop-in or an older unit file passes the flag; remove it, or set the option in daemon.json instead",
        commands: &["systemctl cat UNIT", "systemctl edit --full UNIT", "systemctl daemon-reload"],
    },
    ExitCause {
        patterns: &[
            "volume store metadata database: timeout",
            "metadata.db): timeout",
            "local-kv.db: timeout",
            "datastore: timeout",
        ],
        state: "another dockerd holds the files of its data root",
        title: "Stop the second dockerd and start the engine",
        text: "two engines must not share a data root: stop the other one (a snap beside a package, or one started by \
               hand)",
        commands: &["ps -C dockerd -o pid,args", "snap list docker"],
    },
    ExitCause {
        patterns: &["containerd\": executable file not found", "containerd: executable file not found"],
        state: "the program containerd is not installed or not in its PATH",
        title: "Install containerd and start the engine",
        text: "install containerd",
        commands: &["command -v containerd", "apt-get install containerd.io"],
    },
    ExitCause {
        patterns: &["containerd-snapshotter is explicitly enabled, but is not compatible with userns"],
        state: "the containerd image store and userns-remap are both on, and exclude each other",
        title: "Turn off userns-remap or the containerd image store, and start the engine",
        text: "remove \"userns-remap\", or set \"features\": {\"containerd-snapshotter\": false}, in daemon.json",
        commands: &["grep -nE 'userns-remap|containerd-snapshotter' CONFIG"],
    },
    ExitCause {
        patterns: &[
            "containerd snapshotter is enabled but containerd is not configured",
            "snapshotter selection failed",
            "failed to get containerd plugins",
        ],
        state: "the containerd image store is on, and its containerd cannot serve it",
        title: "Repair containerd's snapshotter and start the engine",
        text: "the containerd of the engine must have the snapshotter that \"storage-driver\" names (overlayfs by default) \
               enabled",
        commands: &[
            "ctr plugins ls | grep snapshotter",
            "grep -n storage-driver CONFIG",
            "grep -n disabled_plugins /etc/containerd/config.toml",
        ],
    },
    ExitCause {
        patterns: &["failed to dial", "waiting for containerd", "error while dialing: dial unix"],
        state: "its containerd does not answer",
        title: "Start containerd and the engine",
        text: "start containerd first",
        commands: &["systemctl status containerd", "systemctl restart containerd"],
    },
    ExitCause {
        patterns: &["formatted without d_type support"],
        state: "the file system of its data root has no d_type support",
        title: "Move the data root to a file system with d_type and start the engine",
        text: "format the file system again with ftype=1, or set \"data-root\" in daemon.json to another one",
        commands: &["xfs_info /var/lib/docker | grep ftype", "grep -n data-root CONFIG"],
    },
    ExitCause {
        patterns: &[
            "driver not supported",
            "prior storage driver",
            "graphdriver",
            "contains several valid graphdrivers",
        ],
        state: "its storage driver is unknown, not supported here, or not the one of its data root",
        title: "Set a supported storage driver and start the engine",
        text: "remove \"storage-driver\" from daemon.json and from the flags, or set the one whose directory the data root \
               has; engines from 24 on know no aufs and no legacy overlay, and from 25 on no devicemapper",
        commands: &[
            "grep -n storage-driver CONFIG",
            "ls /var/lib/docker",
            "grep -w overlay /proc/filesystems",
        ],
    },
    ExitCause {
        patterns: &["unrecognized snapshot version"],
        state: "its swarm state was written by a newer engine",
        title: "Upgrade the engine to the version that wrote the swarm state",
        text: "install the engine version that ran here before; an older one cannot read its raft snapshot",
        commands: &["dockerd --version", "apt-cache madison docker-ce"],
    },
    ExitCause {
        patterns: &["no sockets found via socket activation"],
        state: "it was started with -H fd:// and without a socket from systemd",
        title: "Start the engine through its systemd unit",
        text: "unmask and start docker.socket, or replace -H fd:// by -H unix:///var/run/docker.sock",
        commands: &["systemctl unmask docker.socket", "systemctl start docker.socket UNIT"],
    },
    ExitCause {
        patterns: &["cannot assign requested address"],
        state: "an address in its hosts option is not an address of this host",
        title: "Correct the listen address and start the engine",
        text: "set an address that this host has, in \"hosts\" of daemon.json or in the -H flags of the unit",
        commands: &["ip -brief address", "grep -n hosts CONFIG", "systemctl cat UNIT"],
    },
    ExitCause {
        patterns: &["address already in use"],
        state: "another process listens on the address of its hosts option",
        title: "Free the listen address and start the engine",
        text: "stop the other process, or change the address in \"hosts\" of daemon.json or in the -H flags",
        commands: &["ss -xltnp | grep -E 'docker|2375|2376'"],
    },
    ExitCause {
        patterns: &["non-overlapping IPv4 address pool", "all predefined address pools"],
        state: "every default address pool overlaps with a route of this host",
        title: "Configure an address pool without overlap and start the engine",
        text: "set \"default-address-pools\" or \"bip\" in daemon.json to a subnet that no route has; VPNs often add a route \
               for all of 172.16.0.0/12 or 192.168.0.0/16",
        commands: &["ip route", "grep -n -A3 -E 'default-address-pools|bip' CONFIG"],
    },
    ExitCause {
        patterns: &[
            "X509 key pair",
            "could not read CA certificate",
            "certificate file",
            "failed to append certificates",
        ],
        state: "a file of its TLS configuration is missing or invalid",
        title: "Restore the TLS files and start the engine",
        text: "restore the CA, certificate and key that daemon.json or the flags name; the key must belong to the \
               certificate and have no passphrase",
        commands: &["ls -l PATH", "grep -n tls CONFIG", "openssl x509 -noout -subject -dates -in PATH"],
    },
    ExitCause {
        patterns: &["too many open files"],
        state: "its open-file limit is too low",
        title: "Raise LimitNOFILE of the unit and start the engine",
        text: "raise the open-file limit of the unit",
        commands: &[
            "systemctl show UNIT --property LimitNOFILE",
            "systemctl edit UNIT  # [Service] LimitNOFILE=1048576",
        ],
    },
    ExitCause {
        patterns: &["cgroup isn't mounted", "cgroup mountpoint"],
        state: "the cgroup file system is not mounted",
        title: "Mount the cgroup file system and start the engine",
        text: "mount the cgroup hierarchy; systemd does it at boot",
        commands: &["mount | grep cgroup"],
    },
    ExitCause {
        patterns: &["root privileges"],
        state: "it was started by a user who is not root",
        title: "Start the engine as root",
        text: "start it through its service",
        commands: &[],
    },
];

impl ExitCause {
    /// The text with the names from the log lines.
    pub(super) fn fill(&self, text: &str, messages: &str, service: &EngineService, config: &str) -> String {
        static PATH: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"/[\w./-]*\w").ok());
        static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"'([\w.-]+)'").ok());
        let path =
            PATH.as_ref().and_then(|pattern| pattern.find(messages)).map_or("PATH", |found| found.as_str());
        let folder =
            path.rsplit_once('/').map_or(path, |(folder, _)| if folder.is_empty() { "/" } else { folder });
        let name = NAME.as_ref().and_then(|pattern| pattern.captures(messages));
        let name = name.and_then(|found| found.get(1)).map_or("NAME", |found| found.as_str());
        let unit = if service.name.is_empty() { "docker" } else { &service.name };
        text.replace("PATH.", &format!("{path}."))
            .replace(" PATH", &format!(" {path}"))
            .replace("FOLDER", folder)
            .replace("NAME", name)
            .replace("UNIT", unit)
            .replace("CONFIG", config)
    }

    /// The commands with the names from the log lines.
    pub(super) fn commands(&self, messages: &str, service: &EngineService, config: &str) -> Vec<String> {
        self.commands.iter().map(|command| self.fill(command, messages, service, config)).collect()
    }
}

/// The cause that these log lines name, if it is known.
pub(super) fn exit_cause(messages: &str) -> Option<&'static ExitCause> {
    CAUSES.iter().find(|cause| cause.patterns.iter().any(|part| messages.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_found_by_each_of_its_patterns() {
        for (at, cause) in CAUSES.iter().enumerate() {
            for pattern in cause.patterns {
                let first =
                    CAUSES.iter().position(|other| other.patterns.iter().any(|part| pattern.contains(part)));
                assert_eq!(first, Some(at), "{pattern:?} is hidden by an earlier row");
            }
            assert!(cause.title.starts_with(char::is_uppercase), "{}", cause.title);
            assert!(
                cause.state.starts_with(char::is_lowercase) || cause.state.starts_with("I"),
                "{}",
                cause.state
            );
        }
    }

    #[test]
    fn the_engines_own_messages_lead_to_their_cause() {
        let of = |messages: &str| exit_cause(messages).map(|cause| cause.title);
        let title = |messages: &str, words: &str| {
            assert!(
                of(messages).is_some_and(|title| title.contains(words)),
                "{messages}: {:?}",
                of(messages)
            );
        };
        title(
            "failed to start daemon: Error initializing network controller: Error creating default \"bridge\" network: \
               Failed to program NAT chain: ZONE_CONFLICT: 'docker0' already bound to a zone",
            "firewalld zone",
        );
        title(
            "failed to start daemon: Error initializing network controller: error obtaining controller instance: failed \
               to register \"bridge\" driver: unable to add jump rule to chain: iptables failed: iptables --wait -t nat -A \
               PREROUTING -m addrtype --dst-type LOCAL -j DOCKER: Warning: Extension addrtype revision 0 not supported, \
               missing kernel module?",
            "xt_addrtype",
        );
        title(
            "failed to create NAT chain DOCKER: iptables failed: iptables -t nat -N DOCKER: iptables: Failed to \
               initialize nft: Protocol not supported",
            "backend",
        );
        title(
            "failed to create NAT chain DOCKER: iptables failed: iptables -t nat -N DOCKER: iptables v1.8.7 (legacy): \
               can't initialize iptables table `nat': Table does not exist (do you need to insmod?)",
            "nf_tables",
        );
        title("failed to start daemon: process with PID 812 is still running", "pid file");
        title(
            "failed to start containerd: exec: \"containerd\": executable file not found in $PATH",
            "Install containerd",
        );
        title("failed to start containerd: timeout waiting for containerd to start", "Start containerd");
        title(
            "failed to load listeners: listen tcp 0.0.0.0:2375: bind: address already in use",
            "Free the listen address",
        );
        title(
            "failed to load listeners: Could not load X509 key pair (cert: \"/etc/docker/cert.pem\", key: \
               \"/etc/docker/key.pem\"): open /etc/docker/cert.pem: no such file or directory",
            "TLS files",
        );
        title(
            "failed to start daemon: error initializing graphdriver: driver not supported: nosuch",
            "storage driver",
        );
        title("unknown flag: --graph", "unknown flag");
        title("Error starting cluster component: unrecognized snapshot version 3", "wrote the swarm state");
        title(
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives are \
               specified both as a flag and in the configuration file: hosts: (from flag: [fd://], from file: \
               [tcp://0.0.0.0:2376])",
            "one place only",
        );
        title(
            "failed to start daemon: Error initializing network controller: error creating default \"bridge\" network: \
               IPv4 forwarding is disabled: check your host's firewalling and set sysctl net.ipv4.ip_forward=1",
            "forwarding",
        );
        assert!(exit_cause("failed to start daemon: something new").is_none());
    }

    #[test]
    fn commands_contain_the_names_of_the_message() {
        let service = EngineService::default();
        let commands = |messages: &str| {
            let cause = exit_cause(messages).unwrap();
            cause.commands(messages, &service, "/etc/docker/daemon.json").join("; ")
        };
        let socket =
            "failed to load listeners: can't create unix socket /var/run/docker.sock: is a directory";
        assert!(commands(socket).ends_with("rmdir /var/run/docker.sock"));
        let pid = "failed to start daemon: pid file found, ensure docker is not running or delete /var/run/docker.pid";
        assert!(commands(pid).ends_with("rm /var/run/docker.pid"));
        let key = "failed to start daemon: Error loading key file /etc/docker/key.json: unable to decode private key JWK";
        assert_eq!(commands(key), "mv /etc/docker/key.json /etc/docker/key.json.damaged");
        let full = "failed to start daemon, ensure docker is not running or delete /var/run/docker.pid: write \
                    /var/run/docker.pid: no space left on device";
        assert!(commands(full).starts_with("df -h /var/run; "));
        let zone = "Failed to program NAT chain: ZONE_CONFLICT: 'docker_gwbridge' already bound to a zone";
        assert!(commands(zone).contains("--remove-interface=docker_gwbridge"));
    }
}
