//! Programs inside a node.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group};

use crate::namespaces;
use crate::process::{Process, exits_within};
use crate::time_limit::seconds;

/// A program to run in all namespaces of a node. By default it runs as root with a clean environment.
#[derive(Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Exec {
    node: String,
    pid1: Process,
    words: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Vec<u8>,
    timeout: Duration,
    user: Option<(u32, u32)>,
}

/// Exit status and output of a program.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output; invalid UTF-8 is replaced.
    pub stdout: String,
    /// Standard error; invalid UTF-8 is replaced.
    pub stderr: String,
}

impl Exec {
    pub(crate) fn new(node: &str, pid1: Process, words: &[&str]) -> Self {
        Self {
            node: node.to_owned(),
            pid1,
            words: words.iter().map(|&word| word.to_owned()).collect(),
            environment: Vec::new(),
            stdin: Vec::new(),
            timeout: seconds(120),
            user: None,
        }
    }

    /// Standard input; empty by default.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Time limit, after which the process group is killed; two minutes by default.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Run as this user and group, without supplementary groups and capabilities.
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Converts it to a command of the standard library. Time limit and standard input are not applied.
    pub fn into_std(self) -> Command {
        self.command()
    }

    /// Runs it and waits. A timeout is an error; a non-zero exit code is not.
    pub fn run(self) -> Result<Output> {
        let (status, stdout, stderr) = self.run_bytes()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Output { status, stdout: text(stdout), stderr: text(stderr) })
    }

    /// Uses memory files instead of pipes: a daemon that the program starts could keep a pipe open.
    pub(crate) fn run_bytes(self) -> Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
        let what = || format!("{}: failed to run `{}`", self.node, self.words.join(" "));
        let (mut stdin, mut stdout, mut stderr) = (memory_file()?, memory_file()?, memory_file()?);
        stdin.write_all(&self.stdin).with_context(what)?;
        stdin.rewind().with_context(what)?;
        let mut command = self.command();
        command.stdin(stdin).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).process_group(0);
        let mut child = command.spawn().with_context(what)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).with_context(what)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).with_context(what)?;
        let in_time = exits_within(&pidfd, self.timeout)?;
        if !in_time {
            kill_process_group(pid, Signal::KILL).with_context(what)?;
        }
        let status = child.wait().with_context(what)?;
        // The killed nsenter was the parent and no longer waits for its children.
        while !in_time && test_kill_process_group(pid).is_ok() {
            sleep(Duration::from_millis(5));
        }
        let (stdout, stderr) = (content(&mut stdout)?, content(&mut stderr)?);
        if !in_time {
            let said = [stdout, stderr].concat();
            bail!("{}: no end after {:?}: {}", what(), self.timeout, String::from_utf8_lossy(&said).trim());
        }
        Ok((status, stdout, stderr))
    }

    fn command(&self) -> Command {
        let mut command =
            namespaces::enter(self.pid1, &["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]);
        if let Some((uid, gid)) = self.user {
            command.args([format!("--setuid={uid}"), format!("--setgid={gid}")]);
        }
        command.arg("--").args(&self.words);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Output {
    /// Whether the exit code is zero.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.success()
    }
}

fn memory_file() -> Result<File> {
    Ok(memfd_create("exec", MemfdFlags::CLOEXEC).context("failed to create a file in memory")?.into())
}

fn content(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).context("failed to read a program's output")?;
    Ok(bytes)
}
