//! The answers of the server.

use super::cache::Cache;
use crate::judge::Diagnosis;
use crate::report::{Format, Html, Json, Prometheus};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::future::Future;
use std::time::Duration;

const PATHS: &str = "/healthz      ok while this server runs
/metrics      Prometheus metrics
/report       HTML or JSON, by the Accept header
/report.html
/report.json
";

/// Who may request a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Clients on this host that use `localhost` or an address. A page of another site could resolve its own name to this
    /// host and read the report through a browser (DNS rebinding).
    Here,
    /// Every client.
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
        let text = "this server answers on this host only; use localhost or its address\n";
        return said(StatusCode::MISDIRECTED_REQUEST, text);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = said(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are supported\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let shape = match request.uri().path() {
        "/" => {
            if !matches!(preferred(request.headers()), Some(Shape::Html)) {
                return said(StatusCode::OK, PATHS);
            }
            let mut response = said(StatusCode::SEE_OTHER, "see /report\n");
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/report"));
            return response;
        }
        "/healthz" => return said(StatusCode::OK, "ok\n"),
        "/metrics" => Shape::Metrics,
        "/report.html" => Shape::Html,
        "/report.json" => Shape::Json,
        "/report" => match preferred(request.headers()) {
            Some(shape) => shape,
            None => return said(StatusCode::NOT_ACCEPTABLE, "available: text/html, application/json\n"),
        },
        _ => return said(StatusCode::NOT_FOUND, &format!("no such page; available:\n{PATHS}")),
    };
    match cache.diagnosis().await {
        Ok((diagnosis, age)) => {
            let mut response = shown(&diagnosis, shape, age);
            response.headers_mut().insert(header::AGE, HeaderValue::from(age.as_secs()));
            response
        }
        Err(why) => said(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
    }
}

fn shown(diagnosis: &Diagnosis, shape: Shape, age: Duration) -> Response<Full<Bytes>> {
    let html = Html { age: Some(age) };
    let (format, kind): (&dyn Format, _) = match shape {
        Shape::Html => (&html, "text/html; charset=utf-8"),
        Shape::Json => (&Json, "application/json"),
        Shape::Metrics => (&Prometheus, "text/plain; version=0.0.4; charset=utf-8"),
    };
    let mut body = Vec::new();
    match format.render(diagnosis, &mut body) {
        Ok(()) => response(StatusCode::OK, kind, body),
        Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot write the report: {error}\n")),
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

/// Whether the request names this host by an address or by `localhost`.
fn is_here(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

/// HTML where it is preferred, as browsers do, else JSON, unless neither is accepted.
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

/// The quality of a type, from 0 to 1: that of the type, else of its kind, else of all types.
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
