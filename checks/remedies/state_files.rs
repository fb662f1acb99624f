//! What to do about a damaged file of the engine's state.

use super::rejoin::{demote, join_command, join_target, remove_old_entry};
use crate::model::state_files::StateFile;
use crate::{Remedy, Risk, Step, Target, View, shell_quote};
use facts::{Fact, Host, Source};

/// The remedy for a file that cannot be used.
pub(crate) fn replace_state_file(host: &Host, file: StateFile, view: &View<'_>) -> Remedy {
    match file {
        StateFile::Managers => write_managers(host, view),
        file if file.is_rebuilt() => rebuild(host, file),
        StateFile::DockerState => write_docker_state(host),
        _ => rejoin(host, was_manager(host) && file != StateFile::OtherRootCa, view),
    }
}

fn tasks_restart(host: &Host) -> String {
    format!("All tasks on {} restart.", host.name)
}

/// The engine re-creates the file.
fn rebuild(host: &Host, file: StateFile) -> Remedy {
    let path = format!("{}/{}", root(host), file.path());
    let restart = tasks_restart(host);
    let (text, impact) = match file {
        StateFile::Tasks => ("the managers send the node its tasks again", restart),
        StateFile::Networks => (
            "the engine re-creates docker0 and docker_gwbridge, and the swarm its own networks; local networks that were \
             created by hand have to be created again",
            format!("{restart} Local networks are lost."),
        ),
        _ => (
            "the engine finds the local volumes by their directories; their driver options are lost",
            restart,
        ),
    };
    Remedy {
        title: format!("Move {} aside and let dockerd re-create it", file.path()).into(),
        risk: Risk::Disruptive,
        impact: impact.into(),
        steps: vec![
            Step::Manual {
                node: host.name.clone().into(),
                text: "check the disk for free space and I/O errors first".into(),
                commands: vec![
                    format!("df -h {}", shell_quote(&root(host))),
                    "dmesg | grep -i 'I/O error'".into(),
                ],
            },
            Step::Manual {
                node: host.name.clone().into(),
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

/// The file holds only a list of managers, and any manager can print it.
fn write_managers(host: &Host, view: &View<'_>) -> Remedy {
    let path = shell_quote(&format!("{}/{}", root(host), StateFile::Managers.path()));
    Remedy {
        title: format!("Write the managers to {}", StateFile::Managers.path()).into(),
        risk: Risk::Disruptive,
        impact: tasks_restart(host).into(),
        steps: vec![
            Step::Manual {
                node: view.manager().map_or(Target::AnyManager, Target::Node),
                text: "print the content of the file".into(),
                commands: vec![
                    r#"docker node inspect self --format '[{"node_id":"{{.ID}}","addr":"{{.ManagerStatus.Addr}}"}]'"#
                        .into(),
                ],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "replace LINE with what that command printed".into(),
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

/// A member needs its own address in the file; the other keys have defaults.
fn write_docker_state(host: &Host) -> Remedy {
    let path = shell_quote(&format!("{}/{}", root(host), StateFile::DockerState.path()));
    let line = r#"{"LocalAddr":"ADDRESS","ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"ADDRESS:2377"}"#;
    Remedy {
        title: format!("Write {} again", StateFile::DockerState.path()).into(),
        risk: Risk::Disruptive,
        impact: tasks_restart(host).into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "back up the directory; replace ADDRESS with the address of this host that the other nodes reach; add \
                   DataPathAddr or DataPathPort if the swarm was created with them"
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

/// The node gives up its identity and joins with a new one.
fn rejoin(host: &Host, manager: bool, view: &View<'_>) -> Remedy {
    let node = || host.name.clone();
    let swarm = shell_quote(&format!("{}/swarm", root(host)));
    let role = if manager { "manager" } else { "worker" };
    let mut steps = Vec::new();
    if manager {
        steps.push(Step::Manual {
            node: node().into(),
            text: "only manager, or no quorum without it: stop dockerd, restore the directory from a backup, and force a \
                   new cluster from it; the other steps do not apply then"
                .into(),
            commands: vec!["systemctl start docker".into(), "docker swarm init --force-new-cluster".into()],
        });
        steps.push(demote(&host.name, view));
    }
    steps.extend([
        Step::Manual {
            node: node().into(),
            text: format!(
                "check the disk, back up the directory, and join with the token that `docker swarm join-token -q {role}` \
                 prints on a manager"
            ),
            commands: vec![
                format!("df -h {}", shell_quote(&root(host))),
                "systemctl stop docker docker.socket".into(),
                format!("mv {swarm} {swarm}.broken"),
                "systemctl start docker".into(),
                join_command(None, join_target(&host.name, view)),
            ],
        },
        remove_old_entry(&host.name, view),
    ]);
    let title = if manager {
        format!("Rejoin {} as a manager, or restore its backup", host.name)
    } else {
        format!("Rejoin {} to the swarm", host.name)
    };
    Remedy {
        title: title.into(),
        risk: if manager { Risk::Destructive } else { Risk::Disruptive },
        impact: format!("The tasks of {} stop until it has rejoined.", host.name).into(),
        steps,
    }
}

/// Whether the node was a manager, by its certificate or by the error.
fn was_manager(host: &Host) -> bool {
    let by_error = host
        .info
        .get()
        .is_ok_and(|info| info.swarm.error.contains("raft") || info.swarm.error.contains("WAL"));
    host.certified_manager().unwrap_or(false) || by_error
}

/// The data root, from the path of the state file.
pub(crate) fn root(host: &Host) -> String {
    let source = |fact: &Fact<_>| -> Source {
        match fact {
            Fact::Seen(seen) => seen.source.clone(),
            Fact::Unseen(gap) => gap.source.clone(),
        }
    };
    let origin = source(&host.swarm_state).origin;
    origin.strip_suffix("/swarm/docker-state.json").unwrap_or("/var/lib/docker").to_owned()
}
