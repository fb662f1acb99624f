//! Starting process 1 of new namespaces, and programs inside existing ones.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::Process;

/// Starts `/bin/sh -c script` as the first process of new namespaces and waits until it prints `ready`.
///
/// The script must begin with `read -r registered || exit 1`: it waits until `register` has written the pid to disk. If this
/// process is killed before that, the script reads end of file and exits, so every remaining process is in the registry.
pub(crate) fn start(
    unshare: &[&str],
    script: &str,
    args: &[&str],
    log: &Path,
    register: impl FnOnce(Process) -> Result<()>,
) -> Result<Process> {
    // The inner shell is started in the background because `unshare --pid` leaves its own process outside and
    // makes its first child process 1; `$!` is then that child's pid as seen from here.
    let spawn = r#"exec 3<&0; sh -c "$0" sh "$@" <&3 3<&- & echo $!"#;
    let mut child = Command::new("setsid")
        .arg("unshare")
        .args(unshare)
        .args(["sh", "-c", spawn, script])
        .args(args)
        .env_clear()
        .envs(ENVIRONMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(log).with_context(|| format!("failed to create {}", log.display()))?)
        .spawn()
        .context("failed to start unshare")?;
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("the pipes of unshare are missing")
    };
    let mut said = BufReader::new(from).lines();
    let mut next = || said.next().and_then(Result::ok).unwrap_or_default();
    let booted = next().parse().ok().and_then(Process::with_pid).map(|process| {
        register(process)?;
        to.write_all(b"registered\n").context("failed to go on")?;
        Ok::<_, anyhow::Error>((process, next() == "ready"))
    });
    child.wait().context("failed to wait for unshare")?;
    match booted.transpose()? {
        Some((process, true)) => Ok(process),
        _ => bail!("{}", std::fs::read_to_string(log).unwrap_or_default().trim()),
    }
}

/// The environment of every program in the lab.
pub(crate) const ENVIRONMENT: [(&str, &str); 3] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
];

/// `nsenter` into the namespaces of `process` that `options` select; the caller adds the program and its arguments.
pub(crate) fn enter(process: Process, options: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--target={}", process.pid)).args(options);
    command.env_clear().envs(ENVIRONMENT);
    command
}
