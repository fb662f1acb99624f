//! API requests that the engine refused, as its log records them.

use facts::log::{Line, Log, Program};
use facts::{Seen, Timestamp};

/// A request that the engine refused.
pub(crate) struct RefusedRequest<'a> {
    /// The log line.
    pub(crate) line: &'a Line,
    /// When it was refused.
    pub(crate) at: Timestamp,
    /// The request without the API version, such as `POST /swarm/join`.
    pub(crate) request: String,
    /// Why it was refused, in the engine's words.
    pub(crate) reason: &'a str,
}

/// The refused requests, oldest first. Engines log only answers of status 500 and above.
///
/// Engines up to 20.10 write `Handler for POST /v1.41/swarm/join returned error: <reason>`; later ones write the reason
/// to a field.
pub(crate) fn refused_requests(log: &Seen<Log>) -> impl DoubleEndedIterator<Item = RefusedRequest<'_>> {
    log.lines.iter().filter(|line| line.program == Program::Engine).filter_map(|line| {
        let (request, rest) = line.message.strip_prefix("Handler for ")?.split_once(" returned error")?;
        let inline = rest.strip_prefix(": ").filter(|reason| !reason.is_empty());
        let field = || line.fields.get("error").or_else(|| line.fields.get("error-response"));
        let reason = inline.or_else(|| field().map(String::as_str))?;
        Some(RefusedRequest { line, at: line.at?, request: without_version(request), reason })
    })
}

fn without_version(request: &str) -> String {
    let Some((method, path)) = request.split_once(' ') else { return request.to_owned() };
    let rest = path.strip_prefix("/v").and_then(|path| path.split_once('/'));
    match rest {
        Some((version, rest)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{method} /{rest}")
        }
        _ => request.to_owned(),
    }
}

/// Whether `at` is at most so many minutes before `now`.
pub(crate) fn within_minutes(at: Timestamp, now: Timestamp, minutes: i64) -> bool {
    now.duration_since(at).as_secs() <= minutes * 60
}
