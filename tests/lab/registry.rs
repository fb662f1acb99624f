//! Records of all labs on disk, so that a lab can be removed after its owner was killed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::{env, process};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cgroup;
use crate::node::Node;
use crate::process::Process;

/// The record of a lab, without its nodes.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    /// The lab ends with this process; `None` for a lab that is kept.
    pub(crate) owner: Option<Process>,
    pub(crate) switch: Option<Process>,
}

const RECORD: &str = "lab.json";

/// The directory with one directory per lab.
fn base() -> PathBuf {
    env::var_os("SWARM_LAB_DIR").map_or_else(|| "/var/tmp/swarm-lab".into(), PathBuf::from)
}

/// The names of all labs on this host, sorted.
pub fn names() -> Result<Vec<String>> {
    let entries = match fs::read_dir(base()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("failed to list {}", base().display()))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

/// The directory of an existing lab.
pub(crate) fn directory(name: &str) -> Result<PathBuf> {
    let dir = base().join(name);
    ensure!(dir.is_dir(), "there is no lab named {name}");
    Ok(dir)
}

/// Creates the directory of a new lab. The default name is unique, from the pid of this process.
pub(crate) fn claim(name: Option<&str>) -> Result<PathBuf> {
    let _lock = lock()?;
    let free =
        || (0..).map(|count| format!("{}-{count}", process::id())).find(|name| !base().join(name).exists());
    let name = name.map(str::to_owned).or_else(free).context("failed to find a free name")?;
    // The name becomes part of paths and cgroup names.
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    ensure!(!name.is_empty() && name.bytes().all(plain), "a lab's name has only a-z, 0-9 and `-`: {name:?}");
    let dir = base().join(&name);
    match fs::create_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("there is a lab named {name} already")
        }
        made => made.with_context(|| format!("failed to create {}", dir.display()))?,
    }
    write(&dir.join(RECORD), &Record { owner: Process::with_pid(process::id()), switch: None })?;
    Ok(dir)
}

/// Takes down all labs without a running owner; returns their names.
pub fn sweep() -> Result<Vec<String>> {
    let _lock = lock()?;
    let mut swept = Vec::new();
    for name in names()? {
        let dir = base().join(&name);
        let abandoned = match record(&dir) {
            Ok(record) => record.owner.is_some_and(|owner| !owner.running()),
            // A process was killed while it created or removed the lab; both happen under the lock.
            Err(_) => !dir.join(RECORD).exists(),
        };
        if abandoned {
            take_down(&dir)?;
            swept.push(name);
        }
    }
    Ok(swept)
}

/// Takes a lab down; no error if it does not exist any more.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    let _lock = lock()?;
    if dir.exists() { take_down(dir) } else { Ok(()) }
}

/// Kills all processes of a lab and removes its cgroups and files. Mounts and interfaces end with their namespaces, after the
/// last process. Needs the lock, because a sweep must not see a partly removed lab.
fn take_down(dir: &Path) -> Result<()> {
    let step = || format!("failed to take down {}", dir.display());
    let mut processes = Vec::new();
    for node in node_directories(dir)? {
        // A directory without a record is a node whose process was never started.
        processes.extend(Node::record(&node).ok().and_then(|record| record.pid1));
    }
    processes.extend(record(dir).ok().and_then(|record| record.switch));
    let dying = processes.iter().map(Process::kill).collect::<Result<Vec<_>>>().with_context(step)?;
    for dying in dying.into_iter().flatten() {
        dying.wait().with_context(step)?;
    }
    cgroup::remove(dir)?;
    // Remove the record last: as long as it exists, another attempt can finish.
    for entry in fs::read_dir(dir).with_context(step)? {
        let path = entry.with_context(step)?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).with_context(step)?;
        }
    }
    fs::remove_dir_all(dir).with_context(step)
}

/// The directories of the nodes, in order of their numbers.
pub(crate) fn node_directories(dir: &Path) -> Result<Vec<PathBuf>> {
    let nodes = 1..;
    Ok(nodes
        .map(|number: usize| dir.join(format!("node{number}")))
        .take_while(|node| node.is_dir())
        .collect())
}

pub(crate) fn record(dir: &Path) -> Result<Record> {
    read(&dir.join(RECORD))
}

/// Records the process that holds the namespace of the switch.
pub(crate) fn set_switch(dir: &Path, switch: Process) -> Result<()> {
    write(&dir.join(RECORD), &Record { switch: Some(switch), ..record(dir)? })
}

/// Removes the owner, so that the lab stays up.
pub(crate) fn disown(dir: &Path) -> Result<()> {
    write(&dir.join(RECORD), &Record { owner: None, ..record(dir)? })
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("failed to understand {}", path.display()))
}

/// Writes to a temporary file and renames it, so that a reader sees a complete record.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let new = path.with_extension("new");
    let written =
        serde_json::to_vec_pretty(value).map_err(io::Error::from).and_then(|bytes| fs::write(&new, bytes));
    written
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("failed to write {}", path.display()))
}

/// Only one process at a time creates or sweeps labs.
fn lock() -> Result<File> {
    let base = base();
    let open = || {
        fs::create_dir_all(&base)?;
        let file = OpenOptions::new().create(true).append(true).open(base.join("lock"))?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok::<_, io::Error>(file)
    };
    open().with_context(|| format!("failed to lock {}", base.display()))
}
