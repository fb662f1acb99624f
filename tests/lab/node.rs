//! One node: its namespaces, its files, and what runs in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::exec::{Exec, Output};
use crate::namespaces;
use crate::process::Process;
use crate::registry;
use crate::root;
use crate::switch;

/// The initial role of a node in the swarm; a test may have changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A manager.
    Manager,
    /// A worker.
    Worker,
    /// Not a member of a swarm.
    None,
}

/// One host of the lab.
#[derive(Debug)]
pub struct Node {
    pub(crate) dir: PathBuf,
    switch: Process,
    name: String,
    address: String,
    engine: Engine,
    role: Role,
    pid1: Mutex<Option<Process>>,
}

/// The record of a node in the registry.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    number: usize,
    engine: Engine,
    role: Role,
    pub(crate) pid1: Option<Process>,
}

const RECORD: &str = "node.json";

impl Node {
    /// Creates the files of a new node, which is off.
    pub(crate) fn create(
        lab: &Path,
        switch: Process,
        engine: &Engine,
        role: Role,
        number: usize,
        nodes: usize,
    ) -> Result<Self> {
        let name = format!("node{number}");
        let dir = lab.join(&name);
        root::lay_out(&dir, engine, number, nodes)
            .with_context(|| format!("{name}: failed to lay out its files"))?;
        let record = Record { number, engine: engine.clone(), role, pid1: None };
        registry::write(&dir.join(RECORD), &record)?;
        Ok(Self::with_record(dir, switch, record))
    }

    /// A node that another process has created.
    pub(crate) fn open(dir: PathBuf, switch: Process) -> Result<Self> {
        let record = Self::record(&dir)?;
        Ok(Self::with_record(dir, switch, record))
    }

    pub(crate) fn record(dir: &Path) -> Result<Record> {
        registry::read(&dir.join(RECORD))
    }

    fn with_record(dir: PathBuf, switch: Process, record: Record) -> Self {
        Self {
            dir,
            switch,
            name: format!("node{}", record.number),
            address: switch::address(record.number),
            engine: record.engine,
            role: record.role,
            pid1: Mutex::new(record.pid1),
        }
    }

    /// `node1`, `node2`, ...; also its hostname.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of its `eth0`, without the prefix length.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The engine installed on it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The initial role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The host's pid of the first process in its pid namespace; `None` if it is off. `/proc/<pid>/root` is its root directory,
    /// but absolute symbolic links below it resolve on the host.
    #[must_use]
    pub fn pid1(&self) -> Option<u32> {
        self.running().map(|process| process.pid)
    }

    /// Boots the node: namespaces, files, network, `rsyslogd`. Does not start the engine.
    pub fn power_on(&self) -> Result<()> {
        ensure!(self.running().is_none(), "{}: is on already", self.name);
        let dir = self.dir.display().to_string();
        let process = namespaces::start(
            &["--net", "--mount", "--uts", "--ipc", "--pid"],
            include_str!("boot.sh"),
            &[&self.name, self.engine.root(), &dir],
            &self.dir.join("boot.log"),
            |process| self.register(Some(process)),
        )
        .with_context(|| format!("{}: failed to boot", self.name))?;
        switch::plug(self.switch, &self.name, process, &self.address)
            .with_context(|| format!("{}: failed to plug it in", self.name))
    }

    /// Simulates a power failure: kills all processes of the node at once; the files stay.
    pub fn power_off(&self) -> Result<()> {
        let Some(process) = self.running() else { bail!("{}: is off already", self.name) };
        process.end().with_context(|| format!("{}: failed to switch it off", self.name))?;
        switch::unplug(self.switch, &self.name)
            .with_context(|| format!("{}: failed to unplug it", self.name))?;
        self.register(None)
    }

    /// Runs a program in all namespaces of the node, as root, for at most two minutes.
    pub fn exec(&self, words: &[&str]) -> Result<Output> {
        self.command(words)?.run()
    }

    /// A program to run, for which standard input, user, time limit and environment can be set.
    pub fn command(&self, words: &[&str]) -> Result<Exec> {
        let pid1 = self.running().with_context(|| format!("{}: is switched off", self.name))?;
        Ok(Exec::new(&self.name, pid1, words))
    }

    /// Runs a shell script in the node, with arguments `$1`, `$2`, ... It must succeed; returns its output.
    pub fn shell(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let words = [&["sh", "-euc", script, "sh"], arguments].concat();
        self.expect(&words)
    }

    /// Runs the `docker` CLI in the node. It must succeed; returns its output, trimmed.
    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        self.expect(&[&["docker"], arguments].concat())
    }

    pub(crate) fn expect(&self, words: &[&str]) -> Result<String> {
        let output = self.exec(words)?;
        if !output.success() {
            let said = output.stderr.trim();
            bail!("{}: `{}` failed with {}: {said}", self.name, words.join(" "), output.status);
        }
        Ok(output.stdout.trim_end().to_owned())
    }

    /// Copies a program from the host to the node's `/usr/local/bin`, which is on `PATH`.
    pub fn install(&self, program: &Path) -> Result<()> {
        let step = || format!("{}: failed to install {}", self.name, program.display());
        let name = program.file_name().and_then(|name| name.to_str()).with_context(step)?;
        let script = r#"cat > "$1.new" && chmod 755 "$1.new" && mv "$1.new" "$1""#;
        self.feed(script, &format!("/usr/local/bin/{name}"), fs::read(program).with_context(step)?)
            .with_context(step)
    }

    /// Writes a file in the node, and creates its parent directories.
    pub fn write_file(&self, path: &str, contents: impl Into<Vec<u8>>) -> Result<()> {
        self.feed(r#"mkdir -p "$(dirname "$1")" && cat > "$1""#, path, contents.into())
    }

    fn feed(&self, script: &str, path: &str, bytes: Vec<u8>) -> Result<()> {
        let output = self.command(&["sh", "-euc", script, "sh", path])?.stdin(bytes).run()?;
        ensure!(output.success(), "{}: failed to write {path}: {}", self.name, output.stderr.trim());
        Ok(())
    }

    /// Reads a file in the node.
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        let (status, bytes, stderr) = self.command(&["cat", "--", path])?.run_bytes()?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.success(), "{}: failed to read {path}: {}", self.name, said.trim());
        Ok(bytes)
    }

    /// Removes a file or a directory with everything in it; it need not exist.
    pub fn remove_file(&self, path: &str) -> Result<()> {
        self.shell(r#"rm -rf -- "$1""#, &[path]).map(drop)
    }

    /// `/var/log/messages` of the node, also if it is off; empty before the first line.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("root/var/log/messages")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines of the log, for an error message.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    pub(crate) fn running(&self) -> Option<Process> {
        let pid1 = *self.pid1.lock().unwrap_or_else(PoisonError::into_inner);
        pid1.filter(Process::running)
    }

    fn register(&self, pid1: Option<Process>) -> Result<()> {
        let path = self.dir.join(RECORD);
        let mut record: Record = registry::read(&path)?;
        record.pid1 = pid1;
        registry::write(&path, &record)?;
        *self.pid1.lock().unwrap_or_else(PoisonError::into_inner) = pid1;
        Ok(())
    }
}
