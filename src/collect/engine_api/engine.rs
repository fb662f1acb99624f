//! An engine that answers, and requests to it.

use super::transport::{Answer, Transport};
use crate::collect::{Options, millis};
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, LogsOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use facts::Why;
use futures_util::StreamExt;
use hyper::Method;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::future::Future;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Timeout of the first request on a host with free CPU time.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// Maximum factor by which CPU load extends the timeout: a working engine needed 2 s on a loaded host, and reporting it as
/// hung would hide the real problem.
const MAX_LOAD_FACTOR: f64 = 3.0;
/// Maximum size of an answer in bytes. A task takes 1 to 2 KiB, so tens of thousands fit.
const MAX_ANSWER: usize = 64 << 20;
/// Maximum size of a file read from a container, in bytes.
const MAX_FILE: usize = 1 << 20;
/// Size of a tar archive without its file, in bytes: headers, long names and the zeros at the end.
const ARCHIVE_FRAME: usize = 64 << 10;

/// A version of the API, such as 1.41.
type ApiVersion = (usize, usize);

/// An engine that answered.
///
/// bollard builds the requests. Its models are not used, because they drop unknown fields and reject values of newer
/// engines: each answer is captured in the transport.
pub(crate) struct Engine {
    transport: Arc<Transport>,
    deadline: Duration,
    version: Option<ApiVersion>,
    ping: Answer,
}

impl Engine {
    /// Pings the engine and negotiates the API version as the docker CLI does: the newest that both sides support. Any
    /// answer to the ping, also an error, counts as a running engine.
    pub(crate) async fn connect(options: &Options) -> Result<Self, Why> {
        let deadline = options.request_deadline.min(CONNECT_DEADLINE.mul_f64(load_factor()));
        let transport = Arc::new(within(deadline, Transport::to(options.endpoint.clone())).await?);
        let ping = ask(&transport, None, deadline, MAX_ANSWER, async |docker| docker.ping().await).await?;
        let newest = match ping.header("Api-Version") {
            Some(version) => Some(version),
            None => version_of_old_engine(&transport, deadline).await,
        };
        let ours = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
        // Without a version in the path, an engine uses its own.
        let version = newest.as_deref().and_then(api_version).map(|theirs| theirs.min(ours));
        Ok(Self { transport, deadline: options.request_deadline, version, ping })
    }

    /// The answer to the ping.
    pub(super) fn ping(&self) -> Result<Answer, Why> {
        self.ping.clone().good()?;
        Ok(self.ping.clone())
    }

    /// Whether the negotiated API version is at least this one.
    pub(super) fn supports(&self, version: ApiVersion) -> bool {
        self.version.is_some_and(|spoken| spoken >= version)
    }

    /// The JSON answer to one call of bollard, unchanged.
    pub(in crate::collect) async fn json<T>(
        &self,
        call: impl AsyncFnOnce(Docker) -> T,
    ) -> Result<Vec<u8>, Why> {
        let body = self.ask(MAX_ANSWER, call).await?.good()?;
        match serde_json::from_slice::<IgnoredAny>(&body) {
            Ok(_) => Ok(body.to_vec()),
            Err(error) => {
                let line = u32::try_from(error.line()).unwrap_or(0);
                Err(Why::Malformed { line, what: error.to_string() })
            }
        }
    }

    /// The content of a file in a container.
    pub(in crate::collect) async fn archive(&self, container: &str, path: &str) -> Result<Vec<u8>, Why> {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let call = async |docker: Docker| {
            let mut pieces = Box::pin(docker.download_from_container(container, Some(options)));
            pieces.next().await
        };
        let archive = self.ask(MAX_FILE + ARCHIVE_FRAME, call).await?.good()?;
        only_file(&archive).map_err(|what| Why::Malformed { line: 0, what: format!("{path}: {what}") })
    }

    /// The last lines of a container's stdout and stderr, in the engine's stream format.
    pub(in crate::collect) async fn logs(&self, container: &str, lines: u32) -> Result<Vec<u8>, Why> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let call = async |docker: Docker| {
            let mut pieces = Box::pin(docker.logs(container, Some(options)));
            pieces.next().await
        };
        Ok(self.ask(MAX_FILE, call).await?.good()?.to_vec())
    }

    /// A request that changes state. Only fixes and `--via swarm` send these.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &str,
        body: &serde_json::Value,
        deadline: Duration,
    ) -> Result<Vec<u8>, Why> {
        let prefix = self.version.map(|(major, minor)| format!("/v{major}.{minor}")).unwrap_or_default();
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", "application/json")
            .body(bollard::body_full(text.into()))
            .map_err(|error| Why::Malformed { line: 0, what: format!("{path}: {error}") })?;
        let answer = within(deadline, self.transport.send(request, &prefix, MAX_ANSWER)).await?;
        Ok(answer.good()?.to_vec())
    }

    /// The same with an answer in JSON.
    pub(crate) async fn change_for<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &serde_json::Value,
        deadline: Duration,
    ) -> Result<T, Why> {
        let answer = self.change(method, path, body, deadline).await?;
        serde_json::from_slice(&answer).map_err(|error| Why::Malformed { line: 0, what: error.to_string() })
    }

    async fn ask<T>(&self, most: usize, call: impl AsyncFnOnce(Docker) -> T) -> Result<Answer, Why> {
        ask(&self.transport, self.version, self.deadline, most, call).await
    }
}

/// Runnable tasks per CPU, from the load average of the last minute; at least 1.
fn load_factor() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load: Option<f64> = load.and_then(|load| load.split_whitespace().next()?.parse().ok());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    load.map_or(1.0, |load| load / processors as f64).clamp(1.0, MAX_LOAD_FACTOR)
}

async fn version_of_old_engine(transport: &Arc<Transport>, deadline: Duration) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Version {
        api_version: String,
    }
    let answer =
        ask(transport, None, deadline, MAX_ANSWER, async |docker| docker.version().await).await.ok()?;
    serde_json::from_slice(&answer.good().ok()?).ok().map(|Version { api_version }| api_version)
}

/// Runs one call of bollard and captures the answer in the transport.
async fn ask<T>(
    transport: &Arc<Transport>,
    version: Option<ApiVersion>,
    deadline: Duration,
    most: usize,
    call: impl AsyncFnOnce(Docker) -> T,
) -> Result<Answer, Why> {
    let captured: Arc<OnceLock<Result<Answer, Why>>> = Arc::default();
    let (transport, capture) = (transport.clone(), captured.clone());
    let send = move |request: BollardRequest| {
        let (transport, capture) = (transport.clone(), capture.clone());
        async move {
            // bollard does not add the version to the path.
            let prefix = version.map(|(major, minor)| format!("/v{major}.{minor}")).unwrap_or_default();
            let answer = transport.send(request, &prefix, most).await;
            capture.get_or_init(|| answer);
            // An error keeps bollard from parsing an answer that is not used.
            Err(std::io::Error::other("the answer was captured").into())
        }
    };
    let unmade = |error: &dyn std::fmt::Display| Why::Unreachable { what: error.to_string() };
    // `within` enforces the deadline; bollard's own timeout, in seconds, must be longer.
    let timeout = deadline.as_secs().saturating_add(2);
    let docker =
        Docker::connect_with_custom_transport(send, Some("http://docker"), timeout, API_DEFAULT_VERSION)
            .map_err(|error| unmade(&error))?;
    within(deadline, async { Ok(call(docker).await) }).await?;
    captured.get().cloned().unwrap_or_else(|| Err(unmade(&"no request was made")))
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T, Why>>) -> Result<T, Why> {
    let timed_out = |_| Err(Why::TimedOut { after_ms: millis(deadline) });
    tokio::time::timeout(deadline, work).await.unwrap_or_else(timed_out)
}

fn api_version(text: &str) -> Option<ApiVersion> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The content of the only file in a tar archive.
fn only_file(archive: &[u8]) -> Result<Vec<u8>, String> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().map_err(|error| error.to_string())?;
    let mut file = entries.next().ok_or("the archive is empty")?.map_err(|error| error.to_string())?;
    if !file.header().entry_type().is_file() {
        return Err("it is not a regular file".into());
    }
    let mut content = Vec::new();
    file.by_ref().take(MAX_FILE as u64 + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    match content.len() > MAX_FILE {
        true => Err("it is larger than 1 MiB".into()),
        false => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(size: usize, kind: tar::EntryType) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut header, "hosts", vec![b'a'; size].as_slice()).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn unpacks_one_file() {
        assert_eq!(only_file(&archive(5, tar::EntryType::Regular)), Ok(b"aaaaa".to_vec()));
        assert_eq!(only_file(&archive(0, tar::EntryType::Directory)), Err("it is not a regular file".into()));
        let large = archive(MAX_FILE + 1, tar::EntryType::Regular);
        assert_eq!(only_file(&large), Err("it is larger than 1 MiB".into()));
        assert!(only_file(&[7; 512]).is_err());
    }

    #[test]
    fn reads_versions() {
        assert_eq!(api_version("1.41"), Some((1, 41)));
        assert_eq!(api_version("1"), None);
        assert!(api_version("1.9") < api_version("1.41"));
    }
}
