//! Whether another manager has a newer raft log, as far as it can be seen from here.

use super::{items, swarm_state};
use crate::examine::members;
use crate::fix::FixContext;
use crate::fix::error::{FixError, Result};
use facts::log::Log;
use facts::swarm::{Certificate, RaftLog};
use facts::{Fact, Host};
use serde_json::Value;

/// What is known about the raft logs of all managers, in a sentence.
///
/// # Errors
/// Where another manager's log is newer, or the log here cannot be read.
pub(super) async fn ensure_newest(info: &Value, context: &FixContext<'_>) -> Result<String> {
    let (state, id) = (swarm_state(info), info["Swarm"]["NodeID"].as_str().unwrap_or_default());
    let own = context.system.raft_log(&state)?;
    let own = own.ok_or_else(|| FixError::Refused(format!("there is no raft log in {}", state.display())))?;
    let ensure_older = |which: &str, theirs: RaftLog| {
        if theirs > own {
            return Err(FixError::Refused(format!(
                "{which} has a newer raft log: it ends with {theirs}, the one here with {own}; re-create the cluster there"
            )));
        }
        Ok(())
    };
    let pem = context.system.read(&state.join("certificates/swarm-node.crt"))?.unwrap_or_default();
    let swarm = facts::parse::certificate_of_pem(&pem)
        .map_err(|why| FixError::Refused(format!("the certificate of this node cannot be read: {why}")))?
        .organisation;
    let mut seen = vec![id.to_owned()];
    for member in members(&context.compare).map_err(|error| FixError::Refused(error.to_string()))? {
        for host in &member.snapshot.hosts {
            let (certificate, theirs) = of_bundle(host, &swarm)?;
            ensure_older(&format!("the manager {}", host.name), theirs)?;
            seen.push(certificate.common_name.clone());
        }
    }
    if let Some(log) = context.system.engine_log().await {
        for theirs in vote_requests(&log, id) {
            ensure_older("a manager that asked this one for its vote", theirs)?;
        }
    }
    let unseen: Vec<&str> = items(&info["Swarm"]["RemoteManagers"])
        .filter(|manager| !seen.iter().any(|id| manager["NodeID"] == id.as_str()))
        .filter_map(|manager| manager["Addr"].as_str())
        .collect();
    let hidden = if unseen.is_empty() {
        String::new()
    } else {
        format!(
            " The raft log of the manager at {} cannot be seen from here: if its disk is available, pass its bundle with \
             --compare.",
            unseen.join(" and at ")
        )
    };
    Ok(format!("The raft log here ends with {own}.{hidden}"))
}

/// What a bundle shows of another manager of this swarm.
fn of_bundle<'a>(host: &'a Host, swarm: &str) -> Result<(&'a Certificate, RaftLog)> {
    let name = &host.name;
    let certificate = match &host.certificate {
        Fact::Seen(seen) => seen.value.as_ref().filter(|certificate| certificate.organisation == swarm),
        Fact::Unseen(_) => None,
    };
    let refused = |why: String| FixError::Refused(why);
    let certificate =
        certificate.ok_or_else(|| refused(format!("the bundle of {name} belongs to another swarm")))?;
    match host.raft_log.get() {
        Ok(log) => match log.value {
            Some(end) => Ok((certificate, end)),
            None => Err(refused(format!("the bundle of {name} has no raft log: it is not a manager"))),
        },
        Err(gap) => Err(refused(format!("the bundle of {name} does not show its raft log: {}", gap.why))),
    }
}

/// The ends of the raft logs of candidates, as this manager logged them.
fn vote_requests(log: &Log, id: &str) -> Vec<RaftLog> {
    let own = log.lines.iter().filter(|line| {
        let has = |name: &str, value: &str| line.fields.get(name).is_some_and(|field| field == value);
        has("module", "raft") && has("node.id", id)
    });
    own.filter_map(|line| vote_request(&line.message)).collect()
}

/// `1a [logterm: 2, index: 41, vote: 0] rejected MsgVote from 2b [logterm: 3, index: 57] at term 4` (etcd `raft/raft.go`).
fn vote_request(message: &str) -> Option<RaftLog> {
    let (_, answer) = message.split_once("] ")?;
    if !["cast ", "rejected ", "ignored "].iter().any(|word| answer.starts_with(word)) {
        return None;
    }
    let (_, log) = answer.split_once("[logterm: ")?;
    let (term, log) = log.split_once(", index: ")?;
    let (index, _) = log.split_once(']')?;
    Some(RaftLog { term: term.parse().ok()?, index: index.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::vote_request;
    use facts::swarm::RaftLog;

    #[test]
    fn only_the_log_of_another_candidate_counts() {
        let line =
            "1a [logterm: 2, index: 41, vote: 0] rejected MsgVote from 2b [logterm: 3, index: 57] at term 4";
        assert_eq!(vote_request(line), Some(RaftLog { term: 3, index: 57 }));
        assert_eq!(vote_request("1a [logterm: 2, index: 41] sent MsgVote request to 2b at term 4"), None);
        assert_eq!(vote_request("1a became follower at term 2"), None);
    }
}
