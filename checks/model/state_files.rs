//! Which file of the engine's state an error is about.

use facts::join_progress::since_start;
use facts::log::{Level, Line, Log, Program};
use facts::{Fact, Gap, Host, Why};

/// A state file, or a group of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateFile {
    /// The node's certificate or its key.
    Certificate,
    /// The root CA certificate.
    Root,
    /// The certificates are intact and have another root CA than the managers.
    OtherRootCa,
    /// The raft log and snapshots.
    Raft,
    /// How the node joined, and its addresses.
    DockerState,
    /// The managers that the node knows.
    Managers,
    /// The tasks of this node.
    Tasks,
    /// The local networks of the engine.
    Networks,
    /// The local volumes of the engine.
    Volumes,
}

impl StateFile {
    /// Its path relative to the data root.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Certificate => "swarm/certificates/swarm-node.crt or .key",
            Self::Root | Self::OtherRootCa => "swarm/certificates/swarm-root-ca.crt",
            Self::Raft => "swarm/raft",
            Self::DockerState => "swarm/docker-state.json",
            Self::Managers => "swarm/state.json",
            Self::Tasks => "swarm/worker/tasks.db",
            Self::Networks => "network/files/local-kv.db",
            Self::Volumes => "volumes/metadata.db",
        }
    }

    /// Whether the engine re-creates it when it is missing.
    pub(crate) fn is_rebuilt(self) -> bool {
        matches!(self, Self::Tasks | Self::Networks | Self::Volumes)
    }
}

/// The errors of bbolt about a file that is not a valid database.
const INVALID_DATABASE: &[&str] =
    &["invalid database", "version mismatch", "checksum error", "file size too small"];

/// The file that made the swarm component exit, by its error, with the problem as a clause.
pub(crate) fn damaged_file(error: &str, host: &Host) -> Result<Option<(StateFile, String)>, Gap> {
    let contains = |words: &[&str]| words.iter().any(|part| error.contains(part));
    let innermost = error.rsplit(": ").next().unwrap_or(error);
    let damaged = |file: StateFile| Ok(Some((file, format!("{} is damaged: {innermost}", file.path()))));
    if contains(&["error while loading TLS certificate", "unable to read TLS key headers"]) {
        // An expired certificate gives the same error; certificate-expired reports it.
        return if contains(&["not valid after", "not valid before"]) {
            Ok(None)
        } else {
            damaged(StateFile::Certificate)
        };
    }
    if contains(&["invalid root certificates"]) {
        return damaged(StateFile::Root);
    }
    if contains(&["no decryption key for record", "failed to decrypt WAL", "failed to decrypt snapshot"]) {
        let why = format!(
            "{} cannot be decrypted with the key in swarm-node.key: {innermost}",
            StateFile::Raft.path()
        );
        return Ok(Some((StateFile::Raft, why)));
    }
    if contains(&["WAL", "wal: ", "walpb: ", "snap: ", "failed to read snapshot", "failed to load WAL"]) {
        return damaged(StateFile::Raft);
    }
    if INVALID_DATABASE.contains(&error) {
        return damaged(StateFile::Tasks);
    }
    if !contains(&["can't initialize raft node"]) || !contains(&["signed by unknown authority"]) {
        return Ok(None);
    }
    // On a first join the error means the wrong manager, and no file is lost.
    if host.swarm_state.get()?.value.as_ref().is_none_or(|state| state.join_in_progress) {
        return Ok(None);
    }
    let why = "the node certificates have another root CA than the managers that the node knows: an engine that \
               finds its certificate or key missing creates a new root CA";
    Ok(Some((StateFile::OtherRootCa, why.to_owned())))
}

/// The last error about a state file of an engine that does not start.
pub(crate) fn start_error<'a>(log: &'a Log, host: &Host) -> Option<(StateFile, &'a Line)> {
    let by_engine = |line: &&Line| line.program == Program::Engine;
    since_start(log).iter().rev().filter(by_engine).find_map(|line| {
        let message = line.message.to_ascii_lowercase();
        let contains = |words: &[&str]| words.iter().any(|part| message.contains(part));
        let file = if contains(&["cluster component: "])
            && contains(&["json", "invalid character", "cannot unmarshal", "could not parse listen address"])
        {
            // The error does not name which of the two files it read.
            if malformed(&host.remembered_managers) { StateFile::Managers } else { StateFile::DockerState }
        } else if contains(INVALID_DATABASE) && contains(&["network controller"]) {
            StateFile::Networks
        } else if contains(INVALID_DATABASE) && contains(&["volume store"]) {
            StateFile::Volumes
        } else {
            return None;
        };
        Some((file, line))
    })
}

fn malformed<T>(fact: &Fact<T>) -> bool {
    fact.get().is_err_and(|gap| matches!(gap.why, Why::Malformed { .. }))
}

/// The file that crashed the engine, by the packages in the first stack trace.
pub(crate) fn crash(log: &Log) -> Option<(StateFile, &Line)> {
    let life = since_start(log);
    let is_crash =
        |line: &Line| line.message.starts_with("panic: ") || line.message.starts_with("fatal error: ");
    let at = life.iter().rposition(is_crash)?;
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
        StateFile::Raft
    } else if !through("bbolt.") && !through("boltdb") {
        return None;
    } else if through("libnetwork") {
        StateFile::Networks
    } else if through("swarmkit") {
        StateFile::Tasks
    } else if through("volume/") {
        StateFile::Volumes
    } else {
        return None;
    };
    // A panic raised through the logger has its message in the line before.
    let before = at.checked_sub(1).and_then(|at| life.get(at)).filter(|line| line.level == Level::Panic);
    Some((file, before.unwrap_or(first)))
}
