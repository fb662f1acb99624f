//! The first request of a join: a TLS handshake without a client certificate, then `GetRootCACertificate`.
//!
//! Every joining node sends it before its token (swarmkit `ca/certificates.go`, `GetRemoteCA`). A manager answers without
//! authentication and logs nothing.

use crate::collect::tls::accepting;
use bytes::Bytes;
use facts::join::{Greeting, RootCa, TlsAnswer};
use facts::parse::{certificate_of_der, certificate_of_pem};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2;
use hyper::{Request, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

/// The gRPC method; it needs neither token nor client certificate.
const CALL: &str = "docker.swarmkit.v1.CA/GetRootCACertificate";
/// An empty gRPC message: not compressed, 0 bytes long.
const EMPTY: &[u8] = &[0, 0, 0, 0, 0];
/// Maximum size of the answer in bytes. A certificate takes less than 1 KiB; a CA rotation returns several.
const MAX_SIZE: usize = 1 << 16;

/// Performs the handshake and requests the root CA, each within `deadline`.
pub(crate) async fn greet(addr: SocketAddr, deadline: Duration) -> Greeting {
    let no_tls = |what: String| Greeting::NoTls { what };
    let timed_out = || format!("no answer within {} ms", deadline.as_millis());
    let stream = match timeout(deadline, handshake(addr)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(what)) => return no_tls(what),
        Err(_) => return no_tls(timed_out()),
    };
    let (_, session) = stream.get_ref();
    let protocol = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let server = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = server.and_then(|der| certificate_of_der(der).ok());
    let root_ca = match timeout(deadline, root_ca(stream, addr)).await {
        Ok(Ok(root_ca)) => root_ca,
        Ok(Err(what)) => RootCa::Unavailable { what },
        Err(_) => RootCa::Unavailable { what: timed_out() },
    };
    Greeting::Tls(Box::new(TlsAnswer { protocol, certificate, root_ca }))
}

async fn handshake(addr: SocketAddr) -> Result<TlsStream<TcpStream>, String> {
    let mut config = accepting().map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(addr).await.map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(ServerName::from(addr.ip()), stream).await.map_err(|error| innermost(&error))
}

async fn root_ca(stream: TlsStream<TcpStream>, addr: SocketAddr) -> Result<RootCa, String> {
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| innermost(&error))?;
    let request = Request::post(format!("https://{addr}/{CALL}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Full::new(Bytes::from_static(EMPTY)))
        .map_err(|error| error.to_string())?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(|error| innermost(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_SIZE).collect().await.map_err(|error| innermost(error.as_ref()))?;
        // A gRPC answer without a message (trailers-only) has its trailers in the headers.
        let trailers = body.trailers().cloned().unwrap_or_default();
        let trailer = |name| trailers.get(name).or_else(|| head.headers.get(name))?.to_str().ok();
        match (trailer("grpc-status"), pem(&body.to_bytes())) {
            (Some("0"), Some(pem)) => Ok(returned(&pem)),
            (Some("0"), None) => Err("an answer without a certificate".to_owned()),
            (Some(status), _) => Err(format!(
                "gRPC status {status}: {}",
                trailer("grpc-message").unwrap_or("no reason is given")
            )),
            (None, _) => Err(format!("HTTP status {}, and no gRPC", head.status.as_u16())),
        }
    };
    let driven = tokio::spawn(connection);
    let answer = exchange.await;
    // The sender is dropped, so hyper closes the connection in order (GOAWAY).
    let _ = driven.await;
    answer
}

fn returned(pem: &[u8]) -> RootCa {
    let digest = Sha256::digest(pem).iter().fold(String::new(), |mut hex, byte| {
        // Writing into a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    RootCa::Returned { certificate: certificate_of_pem(pem).ok(), digest }
}

/// Field 1 of the protobuf message: after the gRPC header of five bytes, its tag and its length.
fn pem(body: &[u8]) -> Option<Vec<u8>> {
    let [0, _, _, _, _, 0x0a, message @ ..] = body else { return None };
    let mut length = 0_usize;
    for (at, byte) in message.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return message.get(at + 1..)?.get(..length).map(<[u8]>::to_vec);
        }
    }
    None
}

/// The innermost error: hyper and rustls wrap the cause in the stage that failed.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut what = error;
    while let Some(inner) = what.source() {
        what = inner;
    }
    what.to_string()
}

#[cfg(test)]
mod tests {
    use super::pem;

    #[test]
    fn the_certificate_is_field_one_of_the_message() {
        let mut body = vec![0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01];
        body.extend([b'x'; 200]);
        assert_eq!(pem(&body), Some(vec![b'x'; 200]));
        assert_eq!(pem(&body[..100]), None, "cut off");
        assert_eq!(pem(&[]), None);
        assert_eq!(pem(&[0, 0, 0, 0, 0]), None);
        assert_eq!(pem(&[0, 0, 0, 0, 5, 0x0a, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
