//! One node over ssh. The system's ssh program connects, so that its configuration, agent, jump hosts and known hosts
//! apply. No shell runs on this side; on the other side the script is fixed and its arguments are quoted.

use super::plan::{Target, is_host};
use super::progress::Stage;
use crate::bundle;
use crate::cli::SshArguments;
use crate::error::ExpectedError;
use crate::report::Printable;
use facts::Why;
use facts::bundle::Bundle;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};
use std::io::{self, Read as _};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::OnceCell;

/// What runs on the other side.
const SCRIPT: &str = include_str!("remote.sh");
/// The lines of the script that carry the exchange.
const READY: &[u8] = b"swarm-doctor: ready\n";
const SEND: &[u8] = b"swarm-doctor: send\n";
/// Exit codes of the script.
const OTHER_PROCESSOR: i32 = 73;
const NO_ROOM: i32 = 74;
const ARRIVED_DAMAGED: i32 = 75;
/// The exit code of ssh where it did not connect.
const NOT_CONNECTED: i32 = 255;
/// The most that a login shell may print before the exchange begins, in bytes.
const MOST_OF_GREETING: u64 = 64 << 10;
/// The most that a node may send: more than the largest bundle that is read has when packed.
const MOST_OF_BUNDLE: u64 = 128 << 20;
/// How much of the error output is read, in bytes. The rest is discarded.
const MOST_OF_ERRORS: usize = 8 << 10;
/// How long the error output is read after the end of ssh; a master connection that it started may hold it open.
const DRAIN: Duration = Duration::from_millis(200);
/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// The program that is sent.
const PROGRAM: &str = "/proc/self/exe";

/// How nodes are examined over ssh.
pub(super) struct Ssh {
    template: SshArguments,
    /// Timeout per node.
    timeout: Duration,
    /// Leave the program on the nodes.
    keep: bool,
    /// The arguments of collecting.
    arguments: Vec<String>,
    /// The digest of this program, computed where a node needs the program.
    digest: OnceCell<String>,
    size: u64,
}

impl Ssh {
    pub(super) fn new(
        template: SshArguments,
        timeout: Duration,
        keep: bool,
        arguments: Vec<String>,
    ) -> Result<Self, ExpectedError> {
        let failed = |error| ExpectedError::usage(format!("cannot read {PROGRAM}: {error}"));
        let size = std::fs::metadata(PROGRAM).map_err(failed)?.len();
        Ok(Self { template, timeout, keep, arguments, digest: OnceCell::new(), size })
    }

    /// The command as a person would type it to reach a node.
    pub(super) fn shown(&self, target: &Target) -> String {
        let words = self.words(target).unwrap_or_default();
        shlex::try_join(["ssh"].into_iter().chain(words.iter().map(String::as_str))).unwrap_or_default()
    }

    /// The bundle that a node collects.
    pub(super) async fn bundle(&self, target: &Target, stage: &Stage) -> Result<Bundle, Why> {
        let exchange = self.exchange(target, stage);
        // Dropping the exchange kills ssh.
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(bundle) => bundle,
            Err(_) => {
                let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
                Err(Why::TimedOut { after_ms })
            }
        }
    }

    async fn exchange(&self, target: &Target, stage: &Stage) -> Result<Bundle, Why> {
        stage.set("connecting");
        let mut running = Running::start(&self.argv(target)?)?;
        let Some((stdin, stdout, stderr)) = running.pipes() else {
            return Err(Why::Undecidable { what: "ssh was started without pipes".into() });
        };
        let mut stdin = Some(stdin);
        let mut stdout = BufReader::new(stdout);
        let work = async {
            let answer = greeting(&mut stdout).await;
            match answer {
                Some(Answer::Send) => {
                    stage.set("copying swarm-doctor");
                    let digest = self.digest.get_or_try_init(digest).await.map_err(|error| local(&error))?;
                    // Where the other side ended early, its exit code tells why.
                    if let Some(mut stdin) = stdin.take() {
                        let _ = send(&mut stdin, digest).await;
                    }
                }
                Some(Answer::Ready) | None => drop(stdin.take()),
            }
            if answer.is_some() {
                stage.set("collecting");
            }
            let mut packed = Vec::new();
            let read = (&mut stdout).take(MOST_OF_BUNDLE + 1).read_to_end(&mut packed).await;
            read.map_err(|error| local(&error))?;
            let status = running.wait().await.map_err(|error| local(&error))?;
            Ok((answer.is_some(), packed, status))
        };
        let (ended, errors) = alongside(work, errors(stderr)).await;
        let (answered, packed, status) = ended?;
        if packed.len() as u64 > MOST_OF_BUNDLE {
            let what = format!("the bundle has more than {} MiB", MOST_OF_BUNDLE >> 20);
            return Err(Why::Malformed { line: 0, what });
        }
        if !status.success() {
            return Err(self.failed(answered, status, &errors));
        }
        let read = bundle::read_from(packed.as_slice());
        read.map_err(|what| Why::Malformed { line: 0, what: format!("the bundle is damaged: {what}") })
    }

    /// Why there is no bundle, by the exit code.
    fn failed(&self, answered: bool, status: ExitStatus, errors: &str) -> Why {
        let last = errors.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let last = Printable::line(last).to_string();
        let undecided = |what: String| Why::Undecidable { what };
        match status.code() {
            None => undecided(format!("ssh ended: {status}")),
            Some(NOT_CONNECTED) if !answered => Why::Unreachable { what: last },
            Some(OTHER_PROCESSOR) if !answered => undecided(format!(
                "its processor is {last}, and this program is for {}; install swarm-doctor {} there",
                std::env::consts::ARCH,
                env!("CARGO_PKG_VERSION")
            )),
            Some(NO_ROOM) => undecided(format!(
                "no directory there has {} MiB of room and allows programs",
                (self.size >> 20) + 1
            )),
            Some(ARRIVED_DAMAGED) => undecided("the copy of swarm-doctor arrived damaged".into()),
            Some(code) if answered => undecided(format!("swarm-doctor ended there with code {code}: {last}")),
            Some(code) => undecided(format!("the login shell ended with code {code}: {last}")),
        }
    }

    /// The arguments of ssh for a node; the last one is the destination.
    fn words(&self, target: &Target) -> Option<Vec<String>> {
        // Names come from the swarm, and ssh must not take one for an option.
        let (name, addr) = (target.name.as_str(), target.addr.as_str());
        let fill = |word: &String| {
            let uses = |placeholder: &str, value: &str| !word.contains(placeholder) || is_host(value);
            let allowed = uses("{name}", name) && uses("{addr}", addr);
            allowed.then(|| word.replace("{name}", name).replace("{addr}", addr))
        };
        self.template.0.iter().map(fill).collect()
    }

    fn argv(&self, target: &Target) -> Result<Vec<String>, Why> {
        let unusable = || Why::Undecidable { what: format!("{:?} is not a host", target.addr) };
        let mut words = self.words(target).ok_or_else(unusable)?;
        let destination = words.pop().ok_or_else(unusable)?;
        let connect = CONNECT.min(self.timeout).as_secs().max(1);
        let options = [
            "BatchMode=yes".to_owned(),
            format!("ConnectTimeout={connect}"),
            // Without swarm-doctor ssh ends itself once the other side is silent.
            "ServerAliveInterval=5".to_owned(),
            "ServerAliveCountMax=3".to_owned(),
            "ClearAllForwardings=yes".to_owned(),
            "ForwardAgent=no".to_owned(),
            "LogLevel=ERROR".to_owned(),
        ];
        let mut argv = vec!["-T".to_owned(), "-x".to_owned()];
        argv.extend(options.into_iter().flat_map(|option| ["-o".to_owned(), option]));
        argv.extend(words);
        argv.extend(["--".to_owned(), destination, self.remote()?]);
        Ok(argv)
    }

    /// The one argument that the login shell on the other side gets.
    fn remote(&self) -> Result<String, Why> {
        let size = self.size.to_string();
        let machine = std::env::consts::ARCH;
        let keep = if self.keep { "keep" } else { "remove" };
        let version = crate::commands::build_identity();
        let fixed = ["exec", "sh", "-c", SCRIPT, "swarm-doctor", &version, machine, &size, keep, "collect"];
        let words = fixed.into_iter().chain(self.arguments.iter().map(String::as_str));
        shlex::try_join(words).map_err(|error| Why::Undecidable { what: error.to_string() })
    }
}

/// What the other side asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ready,
    Send,
}

/// Reads until the exchange begins; `None` where it does not.
async fn greeting(out: &mut BufReader<ChildStdout>) -> Option<Answer> {
    let mut out = out.take(MOST_OF_GREETING);
    let mut line = Vec::new();
    loop {
        line.clear();
        match out.read_until(b'\n', &mut line).await {
            Ok(1..) if line == READY => return Some(Answer::Ready),
            Ok(1..) if line == SEND => return Some(Answer::Send),
            // A login shell may print something of its own.
            Ok(1..) => {}
            Ok(0) | Err(_) => return None,
        }
    }
}

/// The digest of this program.
async fn digest() -> io::Result<String> {
    let read = || {
        let (mut file, mut digest) = (std::fs::File::open(PROGRAM)?, Sha256::new());
        let mut piece = vec![0; 1 << 20];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                length => digest.update(piece.get(..length).unwrap_or_default()),
            }
        }
        Ok(crate::sha256::hex(&digest.finalize()))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

/// Sends the digest and the program.
async fn send(stdin: &mut (impl tokio::io::AsyncWrite + Unpin), digest: &str) -> io::Result<()> {
    stdin.write_all(format!("{digest}\n").as_bytes()).await?;
    let mut file = BufReader::with_capacity(1 << 20, tokio::fs::File::open(PROGRAM).await?);
    tokio::io::copy_buf(&mut file, stdin).await?;
    stdin.shutdown().await
}

/// The error output, from which only the beginning is used.
async fn errors(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        let room = MOST_OF_ERRORS.saturating_sub(text.len()).min(length);
        text.extend_from_slice(piece.get(..room).unwrap_or_default());
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs both; once the work is done, the other one has a short time to end.
async fn alongside<T>(work: impl Future<Output = T>, errors: impl Future<Output = String>) -> (T, String) {
    let (mut work, mut errors) = (std::pin::pin!(work), std::pin::pin!(errors));
    tokio::select! {
        done = &mut work => (done, tokio::time::timeout(DRAIN, errors).await.unwrap_or_default()),
        text = &mut errors => (work.await, text),
    }
}

fn local(error: &io::Error) -> Why {
    Why::Undecidable { what: format!("the exchange with ssh failed: {error}") }
}

/// ssh in a process group of its own, with the jump hosts that it starts. The group is killed when this is dropped.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn start(argv: &[String]) -> Result<Self, Why> {
        #[expect(clippy::disallowed_methods, reason = "--all-nodes names ssh as the way to the other nodes")]
        let mut command = Command::new("ssh");
        command.args(argv).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn();
        let child = child.map_err(|error| Why::Unreachable { what: format!("cannot start ssh: {error}") })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { child, group })
    }

    fn pipes(&mut self) -> Option<(tokio::process::ChildStdin, ChildStdout, tokio::process::ChildStderr)> {
        Some((self.child.stdin.take()?, self.child.stdout.take()?, self.child.stderr.take()?))
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A group whose leader was waited for may have been given out again.
        if let Some(group) = self.group.filter(|_| self.child.id().is_some()) {
            // One that has ended is no error.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
