//! What is answered to whom.

use super::cache::Cache;
use crate::judge::Diagnosis;
use crate::report::{Format, Html, Json, Prometheus};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::future::Future;

const PATHS: &str = "/healthz      whether this server lives
/metrics      for Prometheus
/report       as HTML or JSON, by the Accept header
/report.html
/report.json
";

/// From where it may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// From this machine, by a name that cannot be another's: a page of another site could make its own name
    /// lead here, and have a browser read the report for it.
    Here,
    /// From wherever it is reached.
    Anywhere,
}

/// A representation.
#[derive(Clone, Copy)]
enum Shape {
    Html,
    Json,
    Metrics,
}

/// Answers one request.
pub(super) async fn answer<B, L, F>(
    request: &Request<B>,
    access: Access,
    cache: &Cache<L>,
) -> Response<Full<Bytes>>
where
    L: Fn() -> F,
    F: Future<Output = Result<Diagnosis, String>>,
{
    if access == Access::Here && !is_here(request.headers()) {
        let text = "this server listens on this machine alone; ask for localhost or its address\n";
        return said(StatusCode::MISDIRECTED_REQUEST, text);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = said(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let shape = match request.uri().path() {
        "/" => return said(StatusCode::OK, PATHS),
        "/healthz" => return said(StatusCode::OK, "ok\n"),
        "/metrics" => Shape::Metrics,
        "/report.html" => Shape::Html,
        "/report.json" => Shape::Json,
        "/report" => match preferred(request.headers()) {
            Some(shape) => shape,
            None => return said(StatusCode::NOT_ACCEPTABLE, "there is text/html and application/json\n"),
        },
        _ => return said(StatusCode::NOT_FOUND, &format!("there is no such page; there are\n{PATHS}")),
    };
    match cache.diagnosis().await {
        Ok(diagnosis) => shown(&diagnosis, shape),
        Err(why) => said(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
    }
}

fn shown(diagnosis: &Diagnosis, shape: Shape) -> Response<Full<Bytes>> {
    let (format, kind): (&dyn Format, _) = match shape {
        Shape::Html => (&Html, "text/html; charset=utf-8"),
        Shape::Json => (&Json, "application/json"),
        Shape::Metrics => (&Prometheus, "text/plain; version=0.0.4; charset=utf-8"),
    };
    let mut body = Vec::new();
    match format.render(diagnosis, &mut body) {
        Ok(()) => response(StatusCode::OK, kind, body),
        Err(error) => {
            said(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to write the report: {error}\n"))
        }
    }
}

fn said(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text.as_bytes().to_vec())
}

fn response(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether it was asked for by an address or by the one name that is every machine's own.
fn is_here(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

/// HTML where it is liked better, as browsers do, and else JSON, unless neither is wanted.
fn preferred(headers: &HeaderMap) -> Option<Shape> {
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if accept.is_empty() {
        return Some(Shape::Json);
    }
    let accept = accept.join(",");
    let (html, json) = (liking(&accept, "text", "html"), liking(&accept, "application", "json"));
    if html > json { Some(Shape::Html) } else { (json > 0.0).then_some(Shape::Json) }
}

/// How much a type is liked, from 0 to 1: what is said of it, else of its kind, else of all.
fn liking(accept: &str, kind: &str, of: &str) -> f32 {
    let mut best = (0, 0.0);
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let (wanted_kind, wanted) = parts.next().and_then(|name| name.split_once('/')).unwrap_or_default();
        let exact = |wanted: &str, name: &str| wanted.eq_ignore_ascii_case(name);
        let how_exact = match (exact(wanted_kind, kind), exact(wanted, of), wanted_kind, wanted) {
            (true, true, ..) => 3,
            (true, false, _, "*") => 2,
            (_, _, "*", "*") => 1,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
        if how_exact > best.0 {
            best = (how_exact, quality.unwrap_or(0.0));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(accept: &'static str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        match preferred(&headers) {
            Some(Shape::Html) => "html",
            Some(Shape::Json) => "json",
            _ => "none",
        }
    }

    #[test]
    fn browsers_get_html_and_programs_json() {
        assert_eq!(shape("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), "html");
        assert_eq!(shape("*/*"), "json");
        assert_eq!(shape("application/json"), "json");
        assert_eq!(shape("application/json;q=0.5, text/html;q=0.9"), "html");
        assert_eq!(shape("text/*"), "html");
        assert_eq!(shape("image/png"), "none");
        assert_eq!(shape("text/html;q=0"), "none");
        assert_eq!(shape("nonsense;;,q=,"), "none");
    }

    #[test]
    fn a_foreign_name_does_not_lead_here() {
        let here = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            is_here(&headers)
        };
        for host in ["localhost", "localhost:9787", "127.0.0.1:9787", "[::1]:9787", "[::1]"] {
            assert!(here(host), "{host}");
        }
        for host in ["evil.example.com", "evil.example.com:9787", "localhost.evil.example.com", ""] {
            assert!(!here(host), "{host}");
        }
    }
}
