//! What runs on each node for `--via swarm`. The task of the service sees a container; it lets its engine start a second
//! container of the same image in the host's namespaces, which collects, and passes its lines on. A service cannot ask for
//! the host's pid namespace itself (moby#24862).

use super::label::{Labels, RUN, UNTIL, filter, is_stale, with_label};
use super::lines;
use crate::cli::{Collect, Relay};
use crate::collect::{Engine, demultiplexed};
use crate::error::ExpectedError;
use crate::examine::{Asked, collect, options};
use crate::exit::ExitCode;
use crate::policy::Policy;
use facts::Why;
use hyper::Method;
use nix::sched::{CloneFlags, setns};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Write as _};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What the second container may do: enter the namespaces of the host, read what root reads there, and probe.
const CAPABILITIES: [&str; 7] =
    ["SYS_ADMIN", "SYS_PTRACE", "SYS_CHROOT", "NET_ADMIN", "NET_RAW", "DAC_READ_SEARCH", "SYSLOG"];
/// The variable with the id of the task.
pub(super) const TASK: &str = "SWARM_DOCTOR_TASK";
/// Timeout of one request to the engine.
const REQUEST: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    /// The image by its id, which needs no registry.
    #[serde(rename = "ImageID", default)]
    image_id: String,
    #[serde(default)]
    labels: Labels,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Waited {
    status_code: i64,
}

/// Runs the second container and passes its lines on; the exit code is its own.
pub async fn relay(relay: &Relay) -> Result<ExitCode, ExpectedError> {
    let failed = |why: Why| ExpectedError::usage(format!("the engine of this node: {why}"));
    let mut ended = signal(SignalKind::terminate())
        .map_err(|error| ExpectedError::usage(format!("cannot handle SIGTERM: {error}")))?;
    let options = options(&relay.collect()?.source, Asked::default())?;
    let engine = Engine::connect(&options).await.map_err(failed)?;
    sweep(&engine).await;
    let container = Container::create(&engine, relay).await.map_err(failed)?;
    let passed = tokio::select! {
        passed = container.pass_on(relay.node_timeout) => passed.map_err(failed),
        // The service was removed.
        _ = ended.recv() => Ok(ExitCode::Terminated),
    };
    // Where this fails, the next run removes it.
    drop(container.remove().await);
    passed
}

/// Removes what earlier runs left on this node. Its failure is no reason not to examine the node.
async fn sweep(engine: &Engine) {
    let path = format!("/containers/json?all=1&filters={}", with_label());
    let listed = engine.change_for(Method::GET, &path, &Value::Null, REQUEST).await;
    let listed: Vec<Listed> = listed.unwrap_or_default();
    for container in listed.iter().filter(|container| is_stale(&container.labels)) {
        let path = format!("/containers/{}?force=1&v=1", container.id);
        drop(engine.change(Method::DELETE, &path, &Value::Null, REQUEST).await);
    }
}

/// The container in the namespaces of the host.
struct Container<'a> {
    engine: &'a Engine,
    id: String,
}

impl<'a> Container<'a> {
    async fn create(engine: &'a Engine, relay: &Relay) -> Result<Self, Why> {
        let task = std::env::var(TASK).unwrap_or_default();
        let own = filter("label", &format!("com.docker.swarm.task.id%3D{task}"));
        let path = format!("/containers/json?all=1&filters={own}");
        let own: Vec<Listed> = engine.change_for(Method::GET, &path, &Value::Null, REQUEST).await?;
        let [own] = own.as_slice() else {
            return Err(Why::Undecidable { what: format!("it lists no container of task {task:?}") });
        };
        let program = std::env::current_exe().unwrap_or_else(|_| "/swarm-doctor".into());
        let words: Vec<String> =
            std::iter::once("collect-host".to_owned()).chain(relay.words.iter().cloned()).collect();
        let body = json!({
            "Image": own.image_id,
            "Entrypoint": [program],
            "Cmd": words,
            "User": "0",
            "Labels": { RUN: relay.run, UNTIL: relay.until.to_string() },
            "HostConfig": {
                "PidMode": "host",
                "NetworkMode": "host",
                "UsernsMode": "host",
                "CapDrop": ["ALL"],
                "CapAdd": CAPABILITIES,
                "SecurityOpt": ["apparmor=unconfined", "seccomp=unconfined"],
                "LogConfig": { "Type": "json-file" },
                "ReadonlyRootfs": true,
            },
        });
        let path = format!("/containers/create?name=swarm-doctor-{}", relay.run);
        let created: Created = engine.change_for(Method::POST, &path, &body, REQUEST).await?;
        let container = Self { engine, id: created.id };
        let started = container.ask(Method::POST, "/start", REQUEST).await;
        if let Err(why) = started {
            drop(container.remove().await);
            return Err(why);
        }
        Ok(container)
    }

    async fn pass_on(&self, limit: Duration) -> Result<ExitCode, Why> {
        let waited: Waited =
            self.engine.change_for(Method::POST, &self.path("/wait"), &Value::Null, limit).await?;
        let log = self.ask(Method::GET, "/logs?stdout=1&stderr=1", REQUEST).await?;
        let mut out = io::stdout().lock();
        // A reader that has gone needs no lines.
        drop(out.write_all(demultiplexed(&log).as_bytes()).and_then(|()| out.flush()));
        Ok(if waited.status_code == 0 { ExitCode::Healthy } else { ExitCode::Usage })
    }

    async fn remove(&self) -> Result<Vec<u8>, Why> {
        self.ask(Method::DELETE, "?force=1&v=1", REQUEST).await
    }

    async fn ask(&self, method: Method, path: &str, limit: Duration) -> Result<Vec<u8>, Why> {
        self.engine.change(method, &self.path(path), &Value::Null, limit).await
    }

    fn path(&self, rest: &str) -> String {
        format!("/containers/{}{rest}", self.id)
    }
}

/// Enters the namespaces of the host's first process. Only a process with one thread can.
pub fn enter_host() -> Result<(), ExpectedError> {
    let kinds = [
        ("net", CloneFlags::CLONE_NEWNET),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("ipc", CloneFlags::CLONE_NEWIPC),
        // The last one: after it /proc is another one.
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    for (name, kind) in kinds {
        let path = format!("/proc/1/ns/{name}");
        let failed =
            |error: &dyn std::fmt::Display| ExpectedError::usage(format!("cannot enter {path}: {error}"));
        let namespace = File::open(&path).map_err(|error| failed(&error))?;
        setns(namespace, kind).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Collects and writes the bundle as lines.
pub async fn collect_as_lines(request: &Collect) -> Result<ExitCode, ExpectedError> {
    let asked = Asked { matrix: request.clocks, ..Asked::default() };
    let mut bundle = collect(&request.source, &Policy::default(), asked).await?;
    if let Some(lines) = request.log_lines {
        crate::bundle::shorten_logs(&mut bundle, lines);
    }
    crate::bundle::fit(&mut bundle);
    let mut packed = Vec::new();
    let failed = |error: io::Error| ExpectedError::usage(format!("cannot write the bundle: {error}"));
    crate::bundle::write_to(&bundle, &mut packed).map_err(failed)?;
    lines::write(&packed, &mut io::stdout().lock()).map_err(failed)?;
    Ok(ExitCode::Healthy)
}
