//! What to do about an engine that gave up, by what it said last.

use regex::Regex;
use std::sync::LazyLock;

/// What stands in the engine's way, and how it is taken out of it.
pub(super) struct Cure {
    pub(super) text: &'static str,
    pub(super) commands: Vec<String>,
}

/// One thing that an engine ends of: parts of what it says, any of which will do.
struct Kind {
    says: &'static [&'static str],
    text: &'static str,
    /// `PATH` stands for the first path that the engine names, `FOLDER` for where that is.
    commands: &'static [&'static str],
}

/// The more telling ones come first, since reasons stand within reasons.
const KINDS: &[Kind] = &[
    Kind {
        says: &["no space left on device"],
        text: "the file system to which it writes is full: make room there",
        commands: &["df -h FOLDER", "df -i FOLDER"],
    },
    Kind {
        says: &["docker.pid: process with PID", "pid file found", "delete /var/run/docker.pid"],
        text: "its pid file names a process that runs: where that is no dockerd, the file is left over from before, so \
               remove it",
        commands: &["ps -fp $(cat /var/run/docker.pid)", "rm /var/run/docker.pid"],
    },
    Kind {
        says: &["sock: is a directory", "docker.sock: directory not empty"],
        text: "a directory stands where its socket is to be, mostly made by a container that mounted the socket while \
               the engine was down: remove it",
        commands: &["ls -ld PATH", "rmdir PATH"],
    },
    Kind {
        says: &["Error loading key file"],
        text: "the file with its old signing key is damaged: move it aside, and the engine makes a new one; neither the \
               swarm nor images need it",
        commands: &["mv PATH PATH.damaged"],
    },
    Kind {
        says: &["ptables not found", "\"iptables\": executable file not found"],
        text: "the program iptables is not in its PATH: install it",
        commands: &["command -v iptables", "apt-get install iptables", "dnf install iptables-nft"],
    },
    Kind {
        says: &["initialize iptables table", "do you need to insmod", "iptables failed"],
        text: "iptables cannot set the engine's rules here: see whether it works at all, whether the kernel has its \
               tables, and whether its other backend does better",
        commands: &[
            "iptables -t nat -S",
            "modprobe -a ip_tables iptable_nat nf_tables",
            "update-alternatives --config iptables",
        ],
    },
    Kind {
        says: &["volume store metadata database: timeout", "local-kv.db: timeout", "datastore: timeout"],
        text: "another engine holds the files of its data root: two run on one directory",
        commands: &["ps -C dockerd -o pid,args"],
    },
    Kind {
        says: &[
            "failed to dial",
            "waiting for containerd",
            "containerd\": executable file not found",
            "error while dialing: dial unix",
        ],
        text: "the containerd that it needs does not answer: start that first",
        commands: &["systemctl status containerd", "systemctl restart containerd"],
    },
    Kind {
        says: &["driver not supported", "prior storage driver", "graphdriver"],
        text: "its storage driver does not work here, or is not the one that its data root was made with",
        commands: &[
            "grep -n storage-driver /etc/docker/daemon.json",
            "ls /var/lib/docker",
            "grep -w overlay /proc/filesystems",
        ],
    },
    Kind {
        says: &["no sockets found via socket activation"],
        text: "it waits for a socket from systemd (`-H fd://`), and was started without: start it through its unit, or \
               give it unix:///var/run/docker.sock",
        commands: &["systemctl start docker.socket docker.service"],
    },
    Kind {
        says: &["cannot assign requested address"],
        text: "it is told to listen at an address that this machine has not got",
        commands: &["ip -brief address", "grep -n hosts /etc/docker/daemon.json", "systemctl cat docker"],
    },
    Kind {
        says: &["address already in use"],
        text: "something else listens where it is told to listen",
        commands: &["ss -xltnp | grep -E 'docker|2375|2376'"],
    },
    Kind {
        says: &["non-overlapping IPv4 address pool", "all predefined address pools"],
        text: "every address pool that it knows overlaps with a route of this machine, a VPN's mostly: give it one that \
               does not",
        commands: &["ip route", "grep -n -A3 -E 'default-address-pools|bip' /etc/docker/daemon.json"],
    },
    Kind {
        says: &["X509 key pair", "could not read CA certificate", "certificate file"],
        text: "a file of its TLS certificates is missing or damaged",
        commands: &["ls -l PATH", "grep -n tls /etc/docker/daemon.json"],
    },
    Kind {
        says: &["too many open files"],
        text: "it may not open as many files as it needs: raise the limit of its unit",
        commands: &[
            "systemctl show docker --property LimitNOFILE",
            "systemctl edit docker  # [Service] LimitNOFILE=infinity",
        ],
    },
    Kind {
        says: &["cgroup isn't mounted", "cgroup mountpoint"],
        text: "the control groups that it needs are not mounted",
        commands: &["mount | grep cgroup"],
    },
    Kind {
        says: &["root privileges"],
        text: "it was started by a user who is not root",
        commands: &["systemctl start docker"],
    },
];

/// What to do about these last words, where they are known.
pub(super) fn cure(words: &str) -> Option<Cure> {
    static PATH: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"/[\w./-]*\w").ok());
    let kind = KINDS.iter().find(|kind| kind.says.iter().any(|part| words.contains(part)))?;
    let path = PATH.as_ref().and_then(|pattern| pattern.find(words)).map_or("PATH", |found| found.as_str());
    let folder =
        path.rsplit_once('/').map_or(path, |(folder, _)| if folder.is_empty() { "/" } else { folder });
    let commands =
        kind.commands.iter().map(|it| it.replace("PATH", path).replace("FOLDER", folder)).collect();
    Some(Cure { text: kind.text, commands })
}

#[cfg(test)]
mod tests {
    use super::cure;

    #[test]
    fn knows_what_stands_in_the_way() {
        let commands = |words| cure(words).map(|cure| cure.commands.join("; ")).unwrap_or_default();
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
        assert!(cure("failed to start daemon: something new").is_none());
    }
}
