//! All nodes with Swarm's own scheduler: one short-lived service whose task runs once on each node. The bundles come back in the log of
//! its tasks, which Swarm carries over 2377/tcp, so that 7946 and 4789 need not work.

use super::label::{Labels, OWNER, RUN, UNTIL, filter, is_stale, owner, second_after, with_label};
use super::lines;
use super::plan::Target;
use super::progress::Stage;
use super::relay::TASK;
use crate::bundle;
use crate::collect::{Engine, Options, demultiplexed};
use crate::error::{ExpectedError, notice};
use facts::bundle::Bundle;
use facts::swarm::{Node, NodeState};
use facts::{NodeId, Why};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::sleep;

/// Timeout of one request to the manager.
const REQUEST: Duration = Duration::from_secs(10);
/// How long the list of tasks counts as new.
const FRESH: Duration = Duration::from_millis(150);
/// How often a log is read again that is not whole yet.
const ATTEMPTS: u32 = 5;
/// How much longer than a node may take, what was created is left alone by other runs.
const SPARE: Duration = Duration::from_secs(30);
/// Where the engine of each node listens.
const SOCKET: &str = "/var/run/docker.sock";

/// The service that examines the nodes. It is removed when this is dropped.
pub(super) struct Service {
    engine: Engine,
    options: Options,
    id: String,
    timeout: Duration,
    /// Why no task starts on some nodes.
    refused: BTreeMap<NodeId, Why>,
    tasks: Mutex<Option<(Instant, Vec<Task>)>>,
}

/// What the service is to run, and where.
pub(super) struct Job<'a> {
    pub(super) image: &'a str,
    pub(super) timeout: Duration,
    /// The arguments of collecting.
    pub(super) arguments: &'a [String],
    /// The node list.
    pub(super) nodes: &'a [Node],
    /// The nodes on which it runs.
    pub(super) targets: &'a [Target],
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Task {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "NodeID", default)]
    node_id: String,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Status {
    state: String,
    err: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(rename = "ID")]
    id: String,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    #[serde(default)]
    labels: Option<Labels>,
}

impl Service {
    /// Creates the service, after it removed those that killed runs left.
    pub(super) async fn create(options: &Options, job: &Job<'_>) -> Result<Self, ExpectedError> {
        let failed =
            |why: Why| ExpectedError::usage(format!("cannot create the service for --via swarm: {why}"));
        let engine = Engine::connect(options).await.map_err(failed)?;
        sweep(&engine).await.map_err(failed)?;
        let run = run_id();
        notice(&format!(
            "creating the service swarm-doctor-{run} (mode global, image {}, with the engine's socket) for {}; it is removed \
             at the end",
            job.image,
            match job.targets.len() {
                1 => "1 node".to_owned(),
                number => format!("{number} nodes"),
            }
        ));
        let body = spec(&run, job);
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "ID")]
            id: String,
        }
        let created = engine.change_for(Method::POST, "/services/create", &body, REQUEST).await;
        let Created { id } = created.map_err(failed)?;
        let refused = job.nodes.iter().filter_map(|node| Some((node.id.clone(), refusal(node)?))).collect();
        let options = options.clone();
        Ok(Self { engine, options, id, timeout: job.timeout, refused, tasks: Mutex::default() })
    }

    /// The bundle that the task on a node sends.
    pub(super) async fn bundle(&self, target: &Target, stage: &Stage) -> Result<Bundle, Why> {
        let Some(node) = &target.id else {
            return Err(Why::Undecidable { what: "its node id is not known".into() });
        };
        if let Some(why) = self.refused.get(node) {
            return Err(why.clone());
        }
        stage.set("waiting for its task");
        let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let late = |_| Err(Why::TimedOut { after_ms });
        tokio::time::timeout(self.timeout, self.wait(node, stage)).await.unwrap_or_else(late)
    }

    async fn wait(&self, node: &NodeId, stage: &Stage) -> Result<Bundle, Why> {
        let task = loop {
            match self.task(node).await {
                Some(task) if has_ended(&task.status.state) => break task,
                Some(task) if task.status.state == "running" => stage.set("collecting"),
                _ => {}
            }
            sleep(FRESH).await;
        };
        stage.set("reading its log");
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let path = format!("/tasks/{}/logs?stdout=1&stderr=1", task.id);
            let log = self.engine.change(Method::GET, &path, &Value::Null, REQUEST).await;
            let log = log.map(|log| demultiplexed(&log));
            match log.as_deref().map(lines::read) {
                Ok(Ok(packed)) => {
                    let read = bundle::read_from(packed.as_slice());
                    let damaged =
                        |what| Why::Malformed { line: 0, what: format!("the bundle is damaged: {what}") };
                    return read.map_err(damaged);
                }
                Ok(Err(what)) => {
                    let message = log.ok().and_then(|log| lines::last_message(&log).map(str::to_owned));
                    last = Some(ended(&task.status, message.as_deref(), &what));
                }
                Err(why) => last = Some(why.clone()),
            }
            // A task that failed sends no more.
            if task.status.state != "complete" {
                break;
            }
            sleep(FRESH * (attempt + 1)).await;
        }
        Err(last.unwrap_or(Why::Undecidable { what: "its log was not read".into() }))
    }

    /// The task on a node, by a list that is not older than a moment.
    async fn task(&self, node: &NodeId) -> Option<Task> {
        let mut tasks = self.tasks.lock().await;
        if tasks.as_ref().is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            let path = format!("/tasks?filters={}", filter("service", &self.id));
            let listed = self.engine.change_for(Method::GET, &path, &Value::Null, REQUEST).await;
            // A manager that does not answer now may answer before the deadline.
            *tasks = Some((Instant::now(), listed.unwrap_or_default()));
        }
        let (_, tasks) = tasks.as_ref()?;
        let on_node = tasks.iter().filter(|task| task.node_id == node.as_str());
        on_node.max_by_key(|task| has_ended(&task.status.state)).cloned()
    }
}

impl Drop for Service {
    /// Also where the run was interrupted: then nothing polls its futures any more, so a thread makes the request.
    fn drop(&mut self) {
        let (options, path) = (self.options.clone(), format!("/services/{}", self.id));
        let remove = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let remove = async {
                let engine = Engine::connect(&options).await?;
                engine.change(Method::DELETE, &path, &Value::Null, REQUEST).await.map(drop)
            };
            runtime.map_err(|error| Why::Undecidable { what: error.to_string() })?.block_on(remove)
        };
        let removed: Result<(), Why> = match thread::spawn(remove).join() {
            Ok(removed) => removed,
            Err(_) => Err(Why::Undecidable { what: "the thread panicked".into() }),
        };
        if let Err(why) = removed {
            notice(&format!("the service {} could not be removed: {why}; the next run removes it", self.id));
        }
    }
}

/// Removes the services of runs that are over.
async fn sweep(engine: &Engine) -> Result<(), Why> {
    let path = format!("/services?filters={}", with_label());
    let listed: Vec<Listed> = engine.change_for(Method::GET, &path, &Value::Null, REQUEST).await?;
    for service in listed.iter().filter(|service| service.spec.labels.as_ref().is_some_and(is_stale)) {
        notice(&format!("removing the service {} that a killed run left", service.id));
        let path = format!("/services/{}", service.id);
        engine.change(Method::DELETE, &path, &Value::Null, REQUEST).await?;
    }
    Ok(())
}

/// The service as Swarm is asked for it.
fn spec(run: &str, job: &Job<'_>) -> Value {
    let until = second_after(job.timeout.saturating_add(SPARE));
    let wanted = |node: &&Node| !job.targets.iter().any(|target| target.id.as_ref() == Some(&node.id));
    let constraints: Vec<String> =
        job.nodes.iter().filter(wanted).map(|node| format!("node.id!={}", node.id.as_str())).collect();
    let timeout = format!("{}ms", job.timeout.as_millis());
    let mut words = vec!["relay", "--run", run, "--until"].into_iter().map(str::to_owned).collect::<Vec<_>>();
    words.extend([until.to_string(), "--node-timeout".to_owned(), timeout, "--".to_owned()]);
    words.extend(job.arguments.iter().cloned());
    json!({
        "Name": format!("swarm-doctor-{run}"),
        "Labels": { RUN: run, UNTIL: until.to_string(), OWNER: owner() },
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": job.image,
                "Args": words,
                "User": "0",
                // With the network of the host its hostname is not its own.
                "Env": [format!("{TASK}={{{{.Task.ID}}}}")],
                "Mounts": [{ "Type": "bind", "Source": SOCKET, "Target": SOCKET }],
            },
            "Networks": [{ "Target": "host" }],
            "LogDriver": { "Name": "json-file" },
            "RestartPolicy": { "Condition": "none" },
            "Placement": { "Constraints": constraints },
        },
        // Not a global job: engine 20.10 keeps its tasks and containers when the service is removed.
        "Mode": { "Global": {} },
    })
}

/// Why Swarm starts no task on a node.
fn refusal(node: &Node) -> Option<Why> {
    if node.state != NodeState::Ready {
        let what = format!("the managers list the node as {}", node.state.as_str());
        return Some(Why::Unreachable { what });
    }
    (node.availability != "active").then(|| Why::Undecidable {
        what: format!(
            "availability {}: Swarm starts no task there; --via ssh examines it",
            node.availability
        ),
    })
}

/// Why a task that has ended sent no bundle.
fn ended(status: &Status, message: Option<&str>, lines: &str) -> Why {
    let Status { state, err } = status;
    let what = match (state.as_str(), err.as_str(), message) {
        ("complete", _, _) => {
            return Why::Malformed { line: 0, what: format!("the bundle is damaged: {lines}") };
        }
        (_, err, Some(message)) => format!("its task is {state}: {err}: {message}"),
        (_, err, None) => format!("its task is {state}: {err}"),
    };
    Why::Undecidable { what }
}

fn has_ended(state: &str) -> bool {
    matches!(state, "complete" | "shutdown" | "failed" | "rejected" | "remove" | "orphaned")
}

/// An id that no other run has.
fn run_id() -> String {
    let digest = crate::sha256::of(format!("{} {:?}", owner(), std::time::SystemTime::now()));
    digest.chars().take(12).collect()
}
