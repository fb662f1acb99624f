//! The dockerd of a node: start, stop, SIGKILL, SIGSTOP and SIGCONT.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::node::Node;
use crate::time_limit::seconds;

/// The init script of dockerd, because nodes have no systemd; fixes find it as on any host.
const SERVICE: &str = "/etc/init.d/docker";

impl Node {
    /// Starts `dockerd` with these flags and waits until its API answers. A stale pid file is removed first.
    pub fn start_engine(&self, flags: &[&str]) -> Result<()> {
        ensure!(self.engine_pid().is_none(), "{}: its engine runs already", self.name());
        let step = || format!("{}: failed to start its engine", self.name());
        self.expect(&[&[SERVICE, "start"], flags].concat()).with_context(step)?;
        let deadline = Instant::now() + seconds(60);
        while !self.engine_answers() {
            // In this order: in the other one, an engine that starts in between would seem to have exited.
            if self.pid_file().is_some() && self.engine_pid().is_none() {
                // The last lines may not be in the log yet.
                sleep(Duration::from_millis(300));
                bail!("{}: its engine ended at once:\n{}", self.name(), self.log_tail());
            }
            ensure!(
                Instant::now() < deadline,
                "{}: its API does not answer:\n{}",
                self.name(),
                self.log_tail()
            );
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Sends SIGTERM, as `systemctl stop docker` does, and waits for the exit.
    pub fn stop_engine(&self) -> Result<()> {
        self.signal_engine("TERM")?;
        self.wait_for_engine_to_end()
    }

    /// Sends SIGKILL to dockerd only. Containers, socket and pid file remain, as after a crash.
    pub fn kill_engine(&self) -> Result<()> {
        self.signal_engine("KILL")?;
        self.wait_for_engine_to_end()
    }

    /// Sends SIGSTOP: the ports stay open, and the API does not answer.
    pub fn freeze_engine(&self) -> Result<()> {
        self.signal_engine("STOP")?;
        let pid = self.engine_pid().with_context(|| format!("{}: its engine does not run", self.name()))?;
        let state = || self.peek(&format!("proc/{pid}/status"));
        let deadline = Instant::now() + Duration::from_secs(10);
        // On a busy host, a thread may answer before the signal has stopped all threads.
        while !state().is_some_and(|status| status.contains("\nState:\tT")) {
            ensure!(Instant::now() < deadline, "{}: its engine does not stop", self.name());
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Sends SIGCONT.
    pub fn thaw_engine(&self) -> Result<()> {
        self.signal_engine("CONT")
    }

    /// The pid of `dockerd` in the pid namespace of the node; `None` if it does not run.
    #[must_use]
    pub fn engine_pid(&self) -> Option<u32> {
        let pid = self.pid_file()?;
        let status = self.peek(&format!("proc/{pid}/status"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let dockerd = matches!(field("Name:"), Some("dockerd" | "sh"));
        let running = !field("State:").is_some_and(|state| state.starts_with(['Z', 'X']));
        (dockerd && running).then_some(pid)
    }

    /// Whether the engine's API answers a ping within two seconds.
    #[must_use]
    pub fn engine_answers(&self) -> bool {
        let Some(pid1) = self.pid1() else { return false };
        let Ok(mut socket) = UnixStream::connect(format!("/proc/{pid1}/root/run/docker.sock")) else {
            return false;
        };
        let mut answer = [0; 12];
        let asked = socket
            .set_read_timeout(Some(seconds(2)))
            .and_then(|()| {
                socket.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
            })
            .and_then(|()| socket.read_exact(&mut answer));
        asked.is_ok() && &answer == b"HTTP/1.1 200"
    }

    fn signal_engine(&self, signal: &str) -> Result<()> {
        let pid = self.engine_pid().with_context(|| format!("{}: its engine does not run", self.name()))?;
        self.shell(r#"kill -"$1" "$2""#, &[signal, &pid.to_string()]).map(drop)
    }

    fn wait_for_engine_to_end(&self) -> Result<()> {
        let deadline = Instant::now() + seconds(90);
        while self.engine_pid().is_some() {
            ensure!(
                Instant::now() < deadline,
                "{}: its engine does not end:\n{}",
                self.name(),
                self.log_tail()
            );
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The pid in a separate file of the lab; tests may change docker.pid.
    fn pid_file(&self) -> Option<u32> {
        self.peek("run/lab/dockerd.pid")?.trim().parse().ok()
    }

    /// Reads a file of the node from the host; the path must not contain symbolic links.
    fn peek(&self, path: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/root/{path}", self.pid1()?)).ok()
    }
}
