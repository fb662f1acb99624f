//! Which file of the engine's state an error speaks of.

use facts::log::{Level, Line, Log, Program};
use facts::way_in::life;
use facts::{Fact, Gap, Host, Why};

/// A file, or what stands for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    /// The node's certificate or its key.
    Certificate,
    /// The certificate of the swarm's authority.
    Root,
    /// The certificates are whole, and another swarm's than the one that this node was in.
    OtherAuthority,
    /// The log and snapshots of raft.
    Raft,
    /// What the node remembers of its membership.
    DockerState,
    /// The managers that the node remembers.
    Managers,
    /// The tasks of this node.
    Tasks,
    /// The networks of this engine.
    Networks,
    /// The volumes of this engine.
    Volumes,
}

impl File {
    /// Where it is beneath the data root.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Certificate => "swarm/certificates/swarm-node.crt or .key",
            Self::Root | Self::OtherAuthority => "swarm/certificates/swarm-root-ca.crt",
            Self::Raft => "swarm/raft",
            Self::DockerState => "swarm/docker-state.json",
            Self::Managers => "swarm/state.json",
            Self::Tasks => "swarm/worker/tasks.db",
            Self::Networks => "network/files/local-kv.db",
            Self::Volumes => "volumes/metadata.db",
        }
    }

    /// Whether the engine makes it anew when it is not there.
    pub(super) fn is_rebuilt(self) -> bool {
        matches!(self, Self::Tasks | Self::Networks | Self::Volumes)
    }
}

/// What bbolt says of a file that is no database of its own.
const NO_DATABASE: &[&str] =
    &["invalid database", "version mismatch", "checksum error", "file size too small"];

/// What the error with which the swarm component ended says of a file, in words.
pub(super) fn reason(error: &str, host: &Host) -> Result<Option<(File, String)>, Gap> {
    let says = |words: &[&str]| words.iter().any(|part| error.contains(part));
    let innermost = error.rsplit(": ").next().unwrap_or(error);
    let told = |file: File| Ok(Some((file, format!("{} is damaged: {innermost}", file.path()))));
    if says(&["error while loading TLS certificate", "unable to read TLS key headers"]) {
        // An expired certificate is loaded, too; that it is expired is another ailment.
        return if says(&["not valid after", "not valid before"]) {
            Ok(None)
        } else {
            told(File::Certificate)
        };
    }
    if says(&["invalid root certificates"]) {
        return told(File::Root);
    }
    if says(&["no decryption key for record", "failed to decrypt WAL", "failed to decrypt snapshot"]) {
        let why =
            format!("{} cannot be decrypted with the key in swarm-node.key: {innermost}", File::Raft.path());
        return Ok(Some((File::Raft, why)));
    }
    if says(&["WAL", "wal: ", "walpb: ", "snap: ", "failed to read snapshot", "failed to load WAL"]) {
        return told(File::Raft);
    }
    if NO_DATABASE.contains(&error) {
        return told(File::Tasks);
    }
    if !says(&["can't initialize raft node"]) || !says(&["signed by unknown authority"]) {
        return Ok(None);
    }
    // One that was to join for the first time has met a stranger; nothing of its own is lost.
    if host.swarm_state.get()?.value.as_ref().is_none_or(|state| state.join_in_progress) {
        return Ok(None);
    }
    let why = "the certificates here are of another authority than those of the managers that it remembers: an \
               engine that finds certificate or key gone makes an authority of its own";
    Ok(Some((File::OtherAuthority, why.to_owned())))
}

/// What an engine that does not start last said of a file.
pub(super) fn last_words<'a>(log: &'a Log, host: &Host) -> Option<(File, &'a Line)> {
    let said = |line: &&Line| line.program == Program::Engine;
    life(log).iter().rev().filter(said).find_map(|line| {
        let message = line.message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|part| message.contains(part));
        let file = if says(&["cluster component: "])
            && says(&["json", "invalid character", "cannot unmarshal", "could not parse listen address"])
        {
            // It does not say which of the two it read.
            match malformed(&host.remembered_managers) {
                true => File::Managers,
                false => File::DockerState,
            }
        } else if says(NO_DATABASE) && says(&["network controller"]) {
            File::Networks
        } else if says(NO_DATABASE) && says(&["volume store"]) {
            File::Volumes
        } else {
            return None;
        };
        Some((file, line))
    })
}

fn malformed<T>(fact: &Fact<T>) -> bool {
    fact.get().is_err_and(|gap| matches!(gap.why, Why::Malformed { .. }))
}

/// The file over which an engine crashed, by the packages that its first stack goes through.
pub(super) fn crash(log: &Log) -> Option<(File, &Line)> {
    let life = life(log);
    let said = |line: &Line| line.message.starts_with("panic: ") || line.message.starts_with("fatal error: ");
    let at = life.iter().rposition(said)?;
    let (first, rest) = life.get(at..)?.split_first()?;
    let running = |line: &&Line| line.message.starts_with("goroutine ");
    let stack: Vec<&str> = rest
        .iter()
        .skip_while(|line| !running(line))
        .skip(1)
        .take_while(|line| !running(line))
        .map(|line| line.message.as_str())
        .collect();
    let through = |package: &str| stack.iter().any(|frame| frame.contains(package));
    let raft = ["/manager/state/raft.", "/etcd/raft.", "/raft/v3."];
    let file = if raft.iter().any(|package| through(package)) {
        File::Raft
    } else if !through("bbolt.") && !through("boltdb") {
        return None;
    } else if through("libnetwork") {
        File::Networks
    } else if through("swarmkit") {
        File::Tasks
    } else if through("volume/") {
        File::Volumes
    } else {
        return None;
    };
    // One that its own logger ended stands in the line before, in words.
    let before = at.checked_sub(1).and_then(|at| life.get(at)).filter(|line| line.level == Level::Panic);
    Some((file, before.unwrap_or(first)))
}
