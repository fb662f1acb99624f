//! Where a join token and a manager's address come from.

use crate::{Remedy, Risk, Step, Target};

/// Names a manager in place of a host that is none.
pub(crate) fn name_a_manager() -> Remedy {
    Remedy {
        title: "Join through a manager of the swarm".into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: vec![Step::Manual {
            node: Target::Described("a node of the swarm"),
            text:
                "list the managers: on a manager from the node list, on a worker from the addresses it knows"
                    .into(),
            commands: vec![
                "docker node ls --filter role=manager".into(),
                "docker info --format '{{json .Swarm.RemoteManagers}}'".into(),
            ],
        }],
    }
}

/// Prints a token on a manager.
pub(crate) fn print_token() -> Remedy {
    Remedy {
        title: "Print the join token on a manager".into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps: vec![Step::Manual {
            node: Target::Described("a manager of the swarm"),
            text: "print the token for the role that this host gets, and copy the whole line".into(),
            commands: ["worker", "manager"].map(|role| format!("docker swarm join-token -q {role}")).into(),
        }],
    }
}
