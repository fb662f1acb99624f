//! An engine that answered, and how it is asked.

use super::transport::{Answer, Transport};
use crate::collect::{Options, millis};
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, LogsOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use facts::Why;
use futures_util::StreamExt;
use hyper::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::future::Future;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The most an engine may take to answer at all, on a machine that has the time.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// How much longer it may take on a machine that is short of CPU: a sound one was seen to need two seconds there, and
/// to call it hung would hide what is wrong.
const MOST_PATIENCE: f64 = 3.0;
/// The longest answer that is taken. A task is 1 to 2 KiB, so that tens of thousands of them fit.
const MOST: usize = 64 << 20;
/// The largest file that is taken out of a container.
const MOST_OF_FILE: usize = 1 << 20;
/// What an archive adds to its one file: headers, long names and the zeros at its end.
const ARCHIVE_FRAME: usize = 64 << 10;

/// A version of the API, such as 1.41.
type ApiVersion = (usize, usize);

/// An engine that answered.
///
/// bollard makes the requests, and its models are not used: they lose what they do not know, and refuse
/// values of a newer engine. Each answer is taken where it arrives, in the transport that bollard is given.
pub(crate) struct Engine {
    transport: Arc<Transport>,
    deadline: Duration,
    version: Option<ApiVersion>,
    ping: Answer,
}

impl Engine {
    /// Pings the engine, and settles the version of the API as the docker command does: the newest that
    /// both sides speak. Any other answer than a ping's shows too that somebody is there.
    pub(crate) async fn connect(options: &Options) -> Result<Self, Why> {
        let deadline = options.request_deadline.min(CONNECT_DEADLINE.mul_f64(patience()));
        let transport = Arc::new(within(deadline, Transport::to(options.endpoint.clone())).await?);
        let ping = ask(&transport, None, deadline, MOST, async |docker| docker.ping().await).await?;
        let newest = match ping.header("Api-Version") {
            Some(version) => Some(version),
            None => version_of_old_engine(&transport, deadline).await,
        };
        let ours = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
        // Without a version in the path an engine answers in its own.
        let version = newest.as_deref().and_then(api_version).map(|theirs| theirs.min(ours));
        Ok(Self { transport, deadline: options.request_deadline, version, ping })
    }

    /// The answer to the ping.
    pub(super) fn ping(&self) -> Result<Answer, Why> {
        self.ping.clone().good()?;
        Ok(self.ping.clone())
    }

    /// Whether this version of the API is spoken here.
    pub(super) fn speaks(&self, version: ApiVersion) -> bool {
        self.version.is_some_and(|spoken| spoken >= version)
    }

    /// The answer to one call of bollard, where it is JSON, as the engine sent it.
    pub(in crate::collect) async fn json<T>(
        &self,
        call: impl AsyncFnOnce(Docker) -> T,
    ) -> Result<Vec<u8>, Why> {
        let body = self.ask(MOST, call).await?.good()?;
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
        let archive = self.ask(MOST_OF_FILE + ARCHIVE_FRAME, call).await?.good()?;
        only_file(&archive).map_err(|what| Why::Malformed { line: 0, what: format!("{path}: {what}") })
    }

    /// The last lines that a container wrote, of both its streams, as the engine sends them.
    pub(in crate::collect) async fn logs(&self, container: &str, lines: u32) -> Result<Vec<u8>, Why> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let call = async |docker: Docker| {
            let mut pieces = Box::pin(docker.logs(container, Some(options)));
            pieces.next().await
        };
        Ok(self.ask(MOST_OF_FILE, call).await?.good()?.to_vec())
    }

    /// Asks for something to be changed; the answer, where it was. Only a fix does.
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
        let answer = within(deadline, self.transport.send(request, &prefix, MOST)).await?;
        Ok(answer.good()?.to_vec())
    }

    async fn ask<T>(&self, most: usize, call: impl AsyncFnOnce(Docker) -> T) -> Result<Answer, Why> {
        ask(&self.transport, self.version, self.deadline, most, call).await
    }
}

/// How many wait for each processor, by the load of the last minute.
fn patience() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load: Option<f64> = load.and_then(|load| load.split_whitespace().next()?.parse().ok());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    load.map_or(1.0, |load| load / processors as f64).clamp(1.0, MOST_PATIENCE)
}

async fn version_of_old_engine(transport: &Arc<Transport>, deadline: Duration) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Version {
        api_version: String,
    }
    let answer = ask(transport, None, deadline, MOST, async |docker| docker.version().await).await.ok()?;
    serde_json::from_slice(&answer.good().ok()?).ok().map(|Version { api_version }| api_version)
}

/// Lets bollard make one request, and keeps the answer for ourselves.
async fn ask<T>(
    transport: &Arc<Transport>,
    version: Option<ApiVersion>,
    deadline: Duration,
    most: usize,
    call: impl AsyncFnOnce(Docker) -> T,
) -> Result<Answer, Why> {
    let tape: Arc<OnceLock<Result<Answer, Why>>> = Arc::default();
    let (transport, kept) = (transport.clone(), tape.clone());
    let send = move |request: BollardRequest| {
        let (transport, kept) = (transport.clone(), kept.clone());
        async move {
            // bollard leaves the version out of the path.
            let prefix = version.map(|(major, minor)| format!("/v{major}.{minor}")).unwrap_or_default();
            let answer = transport.send(request, &prefix, most).await;
            kept.get_or_init(|| answer);
            // To hand it on as well would have bollard decode an answer that is not used.
            Err(std::io::Error::other("the answer is on the tape").into())
        }
    };
    let unmade = |error: &dyn std::fmt::Display| Why::Unreachable { what: error.to_string() };
    // The deadline is kept here; bollard's own, in seconds, must not come before it.
    let patience = deadline.as_secs().saturating_add(2);
    let docker =
        Docker::connect_with_custom_transport(send, Some("http://docker"), patience, API_DEFAULT_VERSION)
            .map_err(|error| unmade(&error))?;
    within(deadline, async { Ok(call(docker).await) }).await?;
    tape.get().cloned().unwrap_or_else(|| Err(unmade(&"no request was made")))
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T, Why>>) -> Result<T, Why> {
    let late = |_| Err(Why::TimedOut { after_ms: millis(deadline) });
    tokio::time::timeout(deadline, work).await.unwrap_or_else(late)
}

fn api_version(text: &str) -> Option<ApiVersion> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The content of the one file in an archive.
fn only_file(archive: &[u8]) -> Result<Vec<u8>, String> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().map_err(|error| error.to_string())?;
    let mut file = entries.next().ok_or("the archive is empty")?.map_err(|error| error.to_string())?;
    if !file.header().entry_type().is_file() {
        return Err("it is not a regular file".into());
    }
    let mut content = Vec::new();
    file.by_ref()
        .take(MOST_OF_FILE as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| error.to_string())?;
    match content.len() > MOST_OF_FILE {
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
        let large = archive(MOST_OF_FILE + 1, tar::EntryType::Regular);
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
