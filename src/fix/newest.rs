//! Whether another manager knows more of the swarm than this one, as far as that can be seen from here.

use super::Ground;
use super::swarm::state;
use crate::collect::{Session, raft_log};
use crate::examine::members;
use facts::log::Log;
use facts::swarm::{Certificate, RaftLog};
use facts::{Fact, Host, Need};
use serde_json::Value;
use std::fs;

/// What is known of the logs of all managers, in words; an error where another one's is newer.
pub(super) async fn known(info: &Value, ground: &Ground) -> Result<String, String> {
    let (place, id) = (state(info), info["Swarm"]["NodeID"].as_str().unwrap_or_default());
    let own = raft_log(&place).map_err(|error| format!("failed to read the raft log: {error}"))?;
    let own = own.ok_or_else(|| format!("there is no raft log in {}", place.display()))?;
    let newer = |who: &str, theirs: RaftLog| match theirs > own {
        true => Err(format!(
            "{who} knows more than this one: its raft log ends with {theirs}, and the one here with {own}; found the swarm \
             anew there"
        )),
        false => Ok(()),
    };
    let pem = fs::read(place.join("certificates/swarm-node.crt"));
    let pem = pem.map_err(|error| format!("failed to read the certificate here: {error}"))?;
    let swarm = facts::parse::certificate_of_pem(&pem)?.organisation;
    let mut seen = vec![id.to_owned()];
    for member in members(&ground.compare).map_err(|error| error.to_string())? {
        for host in &member.snapshot.hosts {
            let (certificate, theirs) = of_another(host, &swarm)?;
            newer(&format!("the manager {}", host.name), theirs)?;
            seen.push(certificate.common_name.clone());
        }
    }
    let session = Session::new(ground.options.clone());
    let snapshot = facts::parse::snapshot(&session.partial(&[Need::EngineLog]).await);
    if let Some(log) = snapshot.hosts.first().and_then(|host| host.log.get().ok()) {
        for theirs in asked_for_votes(log, id) {
            newer("a manager that asked this one for its vote", theirs)?;
        }
    }
    let managers = info["Swarm"]["RemoteManagers"].as_array().into_iter().flatten();
    let unseen: Vec<&str> = managers
        .filter(|manager| !seen.iter().any(|id| manager["NodeID"] == id.as_str()))
        .filter_map(|manager| manager["Addr"].as_str())
        .collect();
    let hidden = match unseen.as_slice() {
        [] => String::new(),
        unseen => format!(
            ". How far that of the manager at {} goes cannot be seen from here: --compare with its bundle tells, where its \
             disk is left",
            unseen.join(" and at ")
        ),
    };
    Ok(format!("The raft log here ends with {own}{hidden}."))
}

/// What a bundle tells of another manager of this swarm.
fn of_another<'a>(host: &'a Host, swarm: &str) -> Result<(&'a Certificate, RaftLog), String> {
    let name = &host.name;
    let certificate = match &host.certificate {
        Fact::Seen(seen) => seen.value.as_ref().filter(|certificate| certificate.organisation == swarm),
        Fact::Unseen(_) => None,
    };
    let certificate = certificate.ok_or_else(|| format!("the bundle of {name} is not of this swarm"))?;
    match host.raft_log.get() {
        Ok(log) => match log.value {
            Some(end) => Ok((certificate, end)),
            None => Err(format!("the bundle of {name} is not that of a manager: it has no raft log")),
        },
        Err(gap) => Err(format!("the bundle of {name} does not tell how far its raft log goes: {}", gap.why)),
    }
}

/// How far the logs of those went that wanted to lead, as they told it to this manager.
fn asked_for_votes(log: &Log, id: &str) -> Vec<RaftLog> {
    let own = log.lines.iter().filter(|line| {
        let of = |name: &str, value: &str| line.fields.get(name).is_some_and(|field| field == value);
        of("module", "raft") && of("node.id", id)
    });
    own.filter_map(|line| wanted(&line.message)).collect()
}

/// `1a [logterm: 2, index: 41, vote: 0] rejected MsgVote from 2b [logterm: 3, index: 57] at term 4` (etcd `raft/raft.go`).
fn wanted(message: &str) -> Option<RaftLog> {
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
    use super::wanted;
    use facts::swarm::RaftLog;

    #[test]
    fn only_what_another_one_said_of_its_log_counts() {
        let line =
            "1a [logterm: 2, index: 41, vote: 0] rejected MsgVote from 2b [logterm: 3, index: 57] at term 4";
        assert_eq!(wanted(line), Some(RaftLog { term: 3, index: 57 }));
        assert_eq!(wanted("1a [logterm: 2, index: 41] sent MsgVote request to 2b at term 4"), None);
        assert_eq!(wanted("1a became follower at term 2"), None);
    }
}
