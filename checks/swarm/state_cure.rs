//! What to do about a damaged file of the engine's state.

use super::damage::File;
use crate::{Remedy, Risk, Step, shell_quote};
use facts::{Fact, Host, Source};

/// The remedy for a file that cannot be used.
pub(super) fn remedy(host: &Host, file: File) -> Remedy {
    match file {
        File::Managers => name_managers(host),
        file if file.is_rebuilt() => rebuild(host, file),
        File::DockerState => write_state(host),
        _ => rejoin(host, was_manager(host) && file != File::OtherAuthority),
    }
}

/// The engine makes the file anew.
fn rebuild(host: &Host, file: File) -> Remedy {
    let path = format!("{}/{}", root(host), file.path());
    let (text, impact) = match file {
        File::Tasks => ("the managers tell the node its tasks again", "the tasks of this node start again"),
        File::Networks => (
            "the engine makes docker0 and docker_gwbridge anew, and the swarm its own networks; networks that were made here by \
             hand, with the driver bridge for one, have to be made again",
            "the tasks of this node start again, and local networks are lost",
        ),
        _ => (
            "the engine finds the local volumes again by their directories; options that they were made with are lost",
            "the tasks of this node start again",
        ),
    };
    Remedy {
        title: "Move the file aside, and let the engine make it anew".into(),
        risk: Risk::Disruptive,
        impact: impact.into(),
        steps: vec![
            Step::Manual {
                node: host.name.clone(),
                text: "see first that the disk under it is sound and has room".into(),
                commands: vec![
                    format!("df -h {}", shell_quote(&root(host))),
                    "dmesg | grep -i 'I/O error'".into(),
                ],
            },
            Step::Manual {
                node: host.name.clone(),
                text: text.into(),
                commands: vec![
                    "systemctl stop docker docker.socket".into(),
                    format!("mv {} {}", shell_quote(&path), shell_quote(&format!("{path}.broken"))),
                    "systemctl start docker".into(),
                ],
            },
        ],
    }
}

/// The file holds nothing but a list of managers, which any of them can write.
fn name_managers(host: &Host) -> Remedy {
    let path = shell_quote(&format!("{}/{}", root(host), File::Managers.path()));
    Remedy {
        title: "Tell the node its managers again".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of this node start again".into(),
        steps: vec![
            Step::Manual {
                node: "a manager".into(),
                text: "print the line that the file has to hold".into(),
                commands: vec![
                    r#"docker node inspect self --format '[{"node_id":"{{.ID}}","addr":"{{.ManagerStatus.Addr}}"}]'"#
                        .into(),
                ],
            },
            Step::Manual {
                node: host.name.clone(),
                text: "put that line in its place".into(),
                commands: vec![
                    "systemctl stop docker docker.socket".into(),
                    format!("cp -a {path} {path}.broken"),
                    format!("echo 'LINE' > {path}"),
                    "systemctl start docker".into(),
                ],
            },
        ],
    }
}

/// A member has to remember its own address; without the rest it takes what is usual.
fn write_state(host: &Host) -> Remedy {
    let path = shell_quote(&format!("{}/{}", root(host), File::DockerState.path()));
    let line = r#"{"LocalAddr":"ADDRESS","ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"ADDRESS:2377"}"#;
    Remedy {
        title: "Write the file anew".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of this node start again".into(),
        steps: vec![Step::Manual {
            node: host.name.clone(),
            text: "keep what is there, and give the engine the address of this machine at which the other nodes reach it, in \
                   the place of ADDRESS; add DataPathAddr or DataPathPort if the swarm was made with them"
                .into(),
            commands: vec![
                "systemctl stop docker docker.socket".into(),
                format!("cp -a {0} {0}.broken", shell_quote(&format!("{}/swarm", root(host)))),
                format!("echo '{line}' > {path}"),
                "systemctl start docker".into(),
            ],
        }],
    }
}

/// The node leaves its old identity behind.
fn rejoin(host: &Host, manager: bool) -> Remedy {
    let node = || host.name.clone();
    let swarm = shell_quote(&format!("{}/swarm", root(host)));
    let role = if manager { "manager" } else { "worker" };
    let mut steps = Vec::new();
    if manager {
        steps.push(Step::Manual {
            node: node(),
            text: "where it was the only manager, or too few are left without it, put the backup of the directory in \
                   its place with the engine stopped, begin a cluster of one with what the backup knows, and leave the \
                   rest undone"
                .into(),
            commands: vec!["systemctl start docker".into(), "docker swarm init --force-new-cluster".into()],
        });
        steps.push(Step::DemoteManager { node: "another manager".into(), name: node(), id: None });
    }
    steps.extend([
        Step::Manual {
            node: node(),
            text: format!(
                "see that the disk is sound and has room, keep what is there, and join with the command that a manager \
                 prints for `docker swarm join-token {role}`"
            ),
            commands: vec![
                format!("df -h {}", shell_quote(&root(host))),
                "systemctl stop docker docker.socket".into(),
                format!("mv {swarm} {swarm}.broken"),
                "systemctl start docker".into(),
                "docker swarm join --token TOKEN MANAGER:2377".into(),
            ],
        },
        Step::Manual {
            node: "a manager".into(),
            text: "remove the old entry of this node by its id".into(),
            commands: vec![
                format!("docker node ls --filter name={}", shell_quote(node().as_str())),
                "docker node rm OLD-ID".into(),
            ],
        },
    ]);
    let title = if manager {
        "Join again as a manager among others, or restore the backup"
    } else {
        "Join the swarm anew"
    };
    Remedy {
        title: title.into(),
        risk: if manager { Risk::Destructive } else { Risk::Disruptive },
        impact: "the tasks of this node stop until it has joined".into(),
        steps,
    }
}

/// Whether it was a manager, as far as anything that is left tells.
fn was_manager(host: &Host) -> bool {
    let told = host
        .info
        .get()
        .is_ok_and(|info| info.swarm.error.contains("raft") || info.swarm.error.contains("WAL"));
    host.certified_manager().unwrap_or(false) || told
}

/// The data root, by where the state was looked for.
pub(super) fn root(host: &Host) -> String {
    let source = |fact: &Fact<_>| -> Source {
        match fact {
            Fact::Seen(seen) => seen.source.clone(),
            Fact::Unseen(gap) => gap.source.clone(),
        }
    };
    let origin = source(&host.swarm_state).origin;
    origin.strip_suffix("/swarm/docker-state.json").unwrap_or("/var/lib/docker").to_owned()
}
