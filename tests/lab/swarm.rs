//! Creating a swarm of the nodes of a lab.

use anyhow::{Context, Result};

use crate::builder::each;
use crate::lab::Lab;
use crate::node::{Node, Role};
use crate::time_limit::seconds;

/// Initialises the swarm on the first node, joins the others, and waits until all know each other by gossip.
pub(crate) fn form(lab: &Lab) -> Result<()> {
    let members: usize = lab.nodes().iter().filter(|node| node.role() != Role::None).count();
    let (first, others) = lab.nodes()[..members].split_first().context("a swarm needs a node")?;
    let managers = others.iter().filter(|node| node.role() == Role::Manager).count();
    let (managers, workers) = others.split_at(managers);
    logged(first, first.docker(&["swarm", "init", "--advertise-addr", first.address()]))?;
    // Managers join one by one: each changes the quorum.
    let token = first.docker(&["swarm", "join-token", "--quiet", "manager"])?;
    for manager in managers {
        join(manager, &token, first)?;
    }
    let token = first.docker(&["swarm", "join-token", "--quiet", "worker"])?;
    each(workers, |worker| join(worker, &token, first))?;
    settle(lab, &lab.nodes()[..members])
}

fn join(node: &Node, token: &str, via: &Node) -> Result<()> {
    let to = format!("{}:2377", via.address());
    logged(node, node.docker(&["swarm", "join", "--token", token, "--advertise-addr", node.address(), &to]))
}

fn logged(node: &Node, done: Result<String>) -> Result<()> {
    done.map(drop)
        .with_context(|| format!("{}: failed to enter the swarm:\n{}", node.name(), node.log_tail()))
}

/// Waits for gossip as well, because `docker node ls` shows Ready before it: the ingress network on each node lists the peers
/// that the node knows.
fn settle(lab: &Lab, members: &[Node]) -> Result<()> {
    let limit = seconds(60 + 2 * members.len() as u64);
    let first = &members[0];
    let all_ready = || {
        let states = first.docker(&["node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}"])?;
        let good = |state: &&str| state.starts_with("Ready") && !state.ends_with("Unreachable");
        Ok(states.lines().filter(good).count() == members.len())
    };
    let tail = |node: &Node| format!("{} says:\n{}", node.name(), node.log_tail());
    lab.wait("swarm with all nodes Ready", limit, all_ready).with_context(|| tail(first))?;
    for node in members {
        let heard_of_all = || {
            let peers = node.docker(&["network", "inspect", "ingress", "--format", "{{len .Peers}}"])?;
            Ok(peers == members.len().to_string())
        };
        lab.wait("full gossip", limit, heard_of_all).with_context(|| tail(node))?;
    }
    Ok(())
}
