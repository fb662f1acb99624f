//! What the engine refused to somebody who asked it through its API, as its log has it.

use facts::log::{Line, Log, Program};
use facts::{Seen, Timestamp};

/// A request that the engine refused.
pub(super) struct Refusal<'a> {
    /// The line that says so.
    pub(super) line: &'a Line,
    /// When it was.
    pub(super) at: Timestamp,
    /// The request without the version, such as `POST /swarm/join`.
    pub(super) request: String,
    /// Why it was refused.
    pub(super) reason: &'a str,
}

/// The refusals, in the order in which they happened.
///
/// Engines up to 20.10 write `Handler for POST /v1.41/swarm/join returned error: <reason>`, later ones put the
/// reason into a field.
pub(super) fn refusals(log: &Seen<Log>) -> impl DoubleEndedIterator<Item = Refusal<'_>> {
    log.lines.iter().filter(|line| line.program == Program::Engine).filter_map(|line| {
        let (request, rest) = line.message.strip_prefix("Handler for ")?.split_once(" returned error")?;
        let told = rest.strip_prefix(": ").filter(|reason| !reason.is_empty());
        let reason = told.or_else(|| line.fields.get("error").map(String::as_str))?;
        Some(Refusal { line, at: line.at?, request: unversioned(request), reason })
    })
}

fn unversioned(request: &str) -> String {
    let Some((method, path)) = request.split_once(' ') else { return request.to_owned() };
    let rest = path.strip_prefix("/v").and_then(|path| path.split_once('/'));
    match rest {
        Some((version, rest)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{method} /{rest}")
        }
        _ => request.to_owned(),
    }
}

/// Whether a thing was said no longer ago than so many minutes.
pub(super) fn within(at: Timestamp, now: Timestamp, minutes: i64) -> bool {
    now.duration_since(at).as_secs() <= minutes * 60
}
