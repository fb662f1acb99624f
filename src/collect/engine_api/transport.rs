//! One request to the engine and its complete answer, over a unix socket, TCP or TLS.

use crate::collect::endpoint::{Address, Endpoint, Tcp, Tls};
use crate::collect::tls::Unverified;
use crate::collect::{apart, why};
use bollard::BollardRequest;
use bytes::Bytes;
use facts::Why;
use http_body_util::{BodyExt, Limited};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Pause before another attempt to connect to a socket whose accept queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);

/// Connections to one engine. Each request opens a separate connection, so that none waits for another.
pub(super) struct Transport {
    endpoint: Endpoint,
    tls: Option<TlsConnector>,
}

/// An HTTP answer of the engine.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The request, such as `GET /info`.
    pub(super) asked: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body of a 2xx answer.
    ///
    /// # Errors
    /// The engine's error message for any other status.
    pub(super) fn good(self) -> Result<Bytes, Why> {
        #[derive(Deserialize)]
        struct Message {
            message: String,
        }
        if self.status.is_success() {
            return Ok(self.body);
        }
        let what = match serde_json::from_slice(&self.body) {
            Ok(Message { message }) => message,
            // A proxy answered, for example with an HTML page; its first 500 characters are enough.
            Err(_) => String::from_utf8_lossy(&self.body).trim().chars().take(500).collect(),
        };
        let what = match what.as_str() {
            "" => self.status.canonical_reason().unwrap_or("no reason is given").to_owned(),
            _ => what,
        };
        Err(match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Why::Denied { what: format!("{}: {what}", self.asked) }
            }
            status => Why::Refused { status: status.as_u16(), what },
        })
    }

    /// A non-empty header in ASCII.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().filter(|value| !value.is_empty()).map(str::to_owned)
    }
}

impl Transport {
    /// Reads certificates and key for TLS. Does not connect.
    pub(super) async fn to(endpoint: Endpoint) -> Result<Self, Why> {
        let tls = match &endpoint.address {
            Address::Tcp(Tcp { tls: Some(tls), .. }) => {
                let tls = tls.clone();
                Some(TlsConnector::from(Arc::new(apart(move || configuration(&tls)).await?)))
            }
            Address::Tcp(_) | Address::Unix(_) => None,
        };
        Ok(Self { endpoint, tls })
    }

    /// Sends a request with `prefix` before its path, and reads an answer of at most `most` bytes.
    pub(super) async fn send(
        &self,
        request: BollardRequest,
        prefix: &str,
        most: usize,
    ) -> Result<Answer, Why> {
        match &self.endpoint.address {
            Address::Unix(path) => {
                let stream = unix(path).await.map_err(|error| self.unconnected(&error))?;
                self.exchange(stream, request, prefix, most).await
            }
            Address::Tcp(tcp) => {
                let stream = TcpStream::connect((tcp.host.as_str(), tcp.port)).await;
                let stream = stream.map_err(|error| self.unconnected(&error))?;
                let prefix = format!("{}{prefix}", tcp.base);
                let Some(tls) = &self.tls else { return self.exchange(stream, request, &prefix, most).await };
                let name = ServerName::try_from(tcp.host.clone());
                let name = name.map_err(|error| self.unconnected(&io::Error::other(error)))?;
                let stream = tls.connect(name, stream).await.map_err(|error| self.unconnected(&error))?;
                self.exchange(stream, request, &prefix, most).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        mut request: BollardRequest,
        prefix: &str,
        most: usize,
    ) -> Result<Answer, Why> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let asked = format!("{} {path}", request.method());
        let host = match &self.endpoint.address {
            Address::Tcp(tcp) => HeaderValue::try_from(tcp.authority()).ok(),
            Address::Unix(_) => None,
        };
        request.headers_mut().insert(HOST, host.unwrap_or(HeaderValue::from_static("docker")));
        *request.uri_mut() = format!("{prefix}{path}").parse().map_err(|error| malformed(&asked, &error))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| unanswered(&asked, &error))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|error| unanswered(&asked, &error))?;
            read_answer(&asked, answer, most).await
        };
        let mut answer = pin!(answer);
        // hyper needs the connection polled; it may end before the answer has been read completely.
        tokio::select! {
            answer = &mut answer => answer,
            _ = connection => answer.await,
        }
    }

    fn unconnected(&self, error: &io::Error) -> Why {
        let doing = format!("connect {}", self.endpoint);
        match error.raw_os_error() {
            // The system's message without the error number that std appends.
            Some(code) if error.kind() != io::ErrorKind::PermissionDenied => {
                Why::Unreachable { what: format!("{doing}: {}", nix::Error::from_raw(code).desc()) }
            }
            _ => why(error, &doing),
        }
    }
}

/// Connects to a socket. A full accept queue returns EAGAIN at once, so this retries until the caller's deadline: an engine
/// that accepts no connection hangs.
async fn unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(QUEUE_PAUSE).await,
            connected => return connected,
        }
    }
}

async fn read_answer(asked: &str, answer: Response<Incoming>, most: usize) -> Result<Answer, Why> {
    let (parts, body) = answer.into_parts();
    let body = match Limited::new(body, most).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let what = format!("{asked}: the answer is longer than {most} bytes");
            return Err(Why::Malformed { line: 0, what });
        }
        Err(error) => {
            return Err(Why::Unreachable { what: format!("{asked}: the answer broke off: {error}") });
        }
    };
    Ok(Answer { asked: asked.to_owned(), status: parts.status, headers: parts.headers, body })
}

fn unanswered(asked: &str, error: &hyper::Error) -> Why {
    if error.is_parse() {
        return malformed(asked, error);
    }
    // hyper wraps the cause in the stage that failed; the innermost error is the cause.
    let mut what: &dyn Error = error;
    while let Some(inner) = what.source() {
        what = inner;
    }
    Why::Unreachable { what: format!("{asked}: {what}") }
}

fn malformed(asked: &str, error: &dyn std::fmt::Display) -> Why {
    Why::Malformed { line: 0, what: format!("{asked}: {error}") }
}

fn configuration(tls: &Tls) -> Result<ClientConfig, Why> {
    let provider = Arc::new(ring::default_provider());
    let wrong = |error: rustls::Error| Why::Unreachable { what: format!("set up TLS: {error}") };
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(wrong)?;
    let builder = match tls.unverified {
        true => builder.dangerous().with_custom_certificate_verifier(Unverified::with(provider)),
        false => builder.with_root_certificates(roots(tls.authority.as_deref())?),
    };
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificates, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unread(key, error))?;
            builder.with_client_auth_cert(chain(certificates)?, key).map_err(wrong)
        }
    }
}

fn roots(authority: Option<&Path>) -> Result<RootCertStore, Why> {
    let mut roots = RootCertStore::empty();
    let certificates = match authority {
        Some(path) => chain(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(certificates);
    match roots.is_empty() {
        true => {
            let file = authority.map_or_else(|| PathBuf::from("the system's store"), Path::to_owned);
            Err(Why::Unreachable { what: format!("set up TLS: no authority in {}", file.display()) })
        }
        false => Ok(roots),
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Why> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| unread(path, error))
}

fn unread(path: &Path, error: pem::Error) -> Why {
    let doing = format!("read {}", path.display());
    match error {
        pem::Error::Io(error) => why(&error, &doing),
        error => Why::Malformed { line: 0, what: format!("{doing}: {error}") },
    }
}
