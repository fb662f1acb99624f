//! Containers as the engine inspects them: those that run a known program, and those that exited.

use crate::collect::Session;
use bollard::Docker;
use bollard::query_parameters::ListContainersOptionsBuilder;
use facts::app::{App, Exited, LABEL, Program, Settings};
use facts::{ContainerId, Need, Timestamp, Why};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long ago a container may have exited to show its service as it is now: a task is restarted within seconds, and
/// what exited before that may have been another version.
const RECENT_SECONDS: i64 = 60;
/// How long ago a container may have exited to be of interest at all.
const EXITED_SECONDS: i64 = 300;
/// The most exited containers that are inspected.
const MOST_ENDED: usize = 16;

/// A container as the engine inspects it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    pub(super) id: ContainerId,
    #[serde(default)]
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    state: State,
    config: Config,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    mounts: Option<Vec<Mount>>,
    #[serde(default)]
    network_settings: NetworkSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    running: bool,
    exit_code: i64,
    finished_at: String,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    hostname: String,
    image: String,
    tty: bool,
    env: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    log_config: LogConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LogConfig {
    r#type: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    #[serde(default)]
    destination: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
    networks: Option<BTreeMap<String, EndpointSettings>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Binding {
    #[serde(rename = "HostPort")]
    port: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EndpointSettings {
    #[serde(rename = "Aliases")]
    aliases: Option<Vec<String>>,
}

/// The containers that run a known program, and the last exited one of services without.
pub(super) async fn inspected(
    session: &Session,
    named: &BTreeMap<String, String>,
    exited: Vec<Inspected>,
) -> Result<Vec<(&'static Program, Inspected)>, Why> {
    let mut found = Vec::new();
    let bundle = session.partial(&[Need::Containers]).await;
    if let Some(facts::bundle::ArtifactStatus::Failed { why }) = bundle
        .entries(Need::Containers)
        .find(|it| it.artifact == "engine/containers.json" || it.artifact.starts_with("unseen"))
        .map(|it| &it.status)
    {
        return Err(why.clone());
    }
    for (name, content) in &bundle.artifacts {
        if name.starts_with("engine/containers/") {
            found.extend(serde_json::from_slice::<Inspected>(content));
        }
    }
    found.extend(exited.into_iter().filter(|it| it.failed_lately(session.taken)));
    let of = |inspected: Inspected| Some((inspected.program(named)?, inspected));
    let mut known: Vec<_> = found.into_iter().filter_map(of).collect();
    known.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    Ok(known)
}

/// The last exited container of each service, where that was within the last minutes.
pub(super) async fn exited(session: &Session) -> Result<Vec<Inspected>, Why> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        id: String,
        #[serde(default)]
        created: i64,
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }
    let filters =
        HashMap::from([("label", vec!["com.docker.swarm.task.id"]), ("status", vec!["exited", "dead"])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let engine = session.engine().await?;
    let body = engine.json(async |docker: Docker| docker.list_containers(Some(options)).await).await?;
    let mut listed: Vec<Listed> = serde_json::from_slice(&body)
        .map_err(|error| Why::Malformed { line: 0, what: format!("GET /containers/json: {error}") })?;
    listed.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    let mut services = BTreeSet::new();
    listed.retain(|it| services.insert(it.labels.get("com.docker.swarm.service.id").cloned()));
    let mut ended = Vec::new();
    for Listed { id, .. } in listed.into_iter().take(MOST_ENDED) {
        let body = engine.json(async |docker: Docker| docker.inspect_container(&id, None).await).await;
        // A container that was removed meanwhile is left out.
        let inspected = body.ok().and_then(|body| serde_json::from_slice::<Inspected>(&body).ok());
        ended.extend(
            inspected.filter(|it| it.seconds_since_exit(session.taken).is_some_and(|it| it < EXITED_SECONDS)),
        );
    }
    Ok(ended)
}

impl Inspected {
    fn seconds_since_exit(&self, taken: Timestamp) -> Option<i64> {
        let finished: Timestamp = self.state.finished_at.parse().ok()?;
        Some(taken.as_second() - finished.as_second())
    }

    /// Whether it failed just before.
    fn failed_lately(&self, taken: Timestamp) -> bool {
        self.state.exit_code != 0 && self.seconds_since_exit(taken).is_some_and(|it| it < RECENT_SECONDS)
    }

    /// What is kept of it as an exited container.
    pub(super) fn exited(&self, lines: Vec<String>) -> Exited {
        Exited {
            name: self.name.trim_start_matches('/').to_owned(),
            task: self.label("com.docker.swarm.task.id").into(),
            service: self.label("com.docker.swarm.service.id").into(),
            exit_code: self.state.exit_code,
            oom_killed: self.state.oom_killed,
            lines,
        }
    }

    fn label(&self, name: &str) -> &str {
        self.config
            .labels
            .as_ref()
            .and_then(|labels| labels.get(name))
            .map(String::as_str)
            .unwrap_or_default()
    }

    fn env(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.config.env.iter().flatten().map(|variable| variable.split_once('=').unwrap_or((variable, "")))
    }

    /// The program it runs: as the user or a label names it, or as its image shows.
    fn program(&self, named: &BTreeMap<String, String>) -> Option<&'static Program> {
        let named = named.get(self.label("com.docker.swarm.service.name")).map(String::as_str);
        let named = named.or(Some(self.label(LABEL)).filter(|label| !label.is_empty()));
        if let Some(name) = named {
            return Program::named(name);
        }
        let targets = self.mounts.iter().flatten().map(|mount| mount.destination.as_str());
        Program::recognised(&self.config.image, self.env().map(|(name, _)| name), targets)
    }

    /// The possible paths of the program's configuration.
    pub(super) fn paths(&self, program: &Program) -> Vec<String> {
        let targets = self.mounts.iter().flatten().map(|mount| mount.destination.as_str());
        let args = self.args.iter().flatten().map(String::as_str);
        let is_of = |path: &&str| {
            path.starts_with('/') && program.file_names().any(|name| path.rsplit('/').next() == Some(name))
        };
        let home = self
            .env()
            .find(|(name, _)| *name == "NIFI_HOME")
            .map(|(_, home)| format!("{home}/conf/nifi.properties"));
        // What a server is given to read may be called anything.
        let ends = [".properties", ".conf", ".cfg", ".cnf", ".yml", ".yaml", ".json"];
        let is_settings = |arg: &&str| arg.starts_with('/') && ends.iter().any(|end| arg.ends_with(end));
        let given = args.clone().filter(is_settings).map(str::to_owned).collect::<Vec<_>>();
        let mut paths: Vec<String> = targets.chain(args).filter(is_of).map(str::to_owned).collect();
        paths.extend(given);
        paths.extend(home.filter(|_| program.name == "nifi"));
        paths.extend(program.files.iter().map(|path| (*path).to_owned()));
        let mut seen = BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        paths
    }

    /// Whether the engine can read its log back.
    pub(super) fn has_log(&self) -> bool {
        matches!(self.host_config.log_config.r#type.as_str(), "json-file" | "local" | "journald")
    }

    /// Whether its log is one stream, without signature_vars between the pieces.
    pub(super) fn has_terminal(&self) -> bool {
        self.config.tty
    }

    /// What is kept of it.
    pub(super) fn app(&self, program: &Program) -> App {
        let networks = || self.network_settings.networks.iter().flatten().map(|(_, settings)| settings);
        let args: Vec<String> =
            std::iter::once(&self.path).chain(self.args.iter().flatten()).cloned().collect();
        App {
            container: self.id.clone(),
            name: self.name.trim_start_matches('/').to_owned(),
            task: self.label("com.docker.swarm.task.id").into(),
            service: self.label("com.docker.swarm.service.id").into(),
            service_name: self.label("com.docker.swarm.service.name").to_owned(),
            program: program.name.to_owned(),
            image: self.config.image.clone(),
            hostname: self.config.hostname.clone(),
            running: self.state.running,
            exit_code: self.state.exit_code,
            published: self
                .network_settings
                .ports
                .iter()
                .flatten()
                .flat_map(|(_, bindings)| bindings.iter().flatten())
                .filter_map(|binding| binding.port.parse().ok())
                .collect(),
            aliases: networks().flat_map(|it| it.aliases.iter().flatten()).cloned().collect(),
            settings: Settings::from_env_and_args(self.env(), &args, &|name| program.wants(name)),
            ..App::default()
        }
    }
}
