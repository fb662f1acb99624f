//! The log of the engine: the files that syslog writes, and the journal where these hold no line of the engine.

mod below;
mod files;
mod tail;

use super::{Artifact, Place, Session, apart};
use below::Root;
use facts::bundle::Look;
use facts::{Need, Timestamp, Why};
use jiff::SignedDuration;
use std::time::Instant;

/// Which lines are wanted, and what it takes to tell the time of one.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Older lines are left out.
    since: Timestamp,
    /// The clock of the logs, for stamps without a zone.
    offset_seconds: i32,
    /// No further file is begun after this.
    until: Instant,
}

/// The lines that bear on the engine, from wherever the machine keeps them.
pub(super) async fn engine_log(session: &Session) -> Vec<Artifact> {
    let place = whole();
    if let Some(why) = session.remote() {
        return vec![place.missed(why)];
    }
    let since = SignedDuration::try_from(session.options.since).unwrap_or(SignedDuration::MAX);
    let span = Span {
        since: session.taken.saturating_sub(since).unwrap_or(Timestamp::MIN),
        offset_seconds: jiff::tz::TimeZone::system().to_offset(session.taken).seconds(),
        // Whoever reaches the deadline of the whole loses even what was read.
        until: Instant::now() + session.options.deadline / 2,
    };
    let root = Root(session.options.root.clone());
    match apart(move || Ok(look(&root, &span))).await {
        Ok(artifacts) => artifacts,
        Err(why) => vec![place.missed(why)],
    }
}

/// The place of the log as a whole, for what is wrong with all of it.
fn whole() -> Place {
    Place::new(Need::EngineLog, "unseen/log", "the log of the engine")
}

fn look(root: &Root, span: &Span) -> Vec<Artifact> {
    let mut artifacts = files::logs(root, span);
    let kept = |artifact: &Artifact| artifact.entry.look == Look::Kept;
    if !artifacts.iter().any(kept) {
        // Who reads the facts takes the first of the gaps for the reason.
        artifacts.sort_by_key(|artifact| match &artifact.entry.look {
            Look::Missed { why: Why::Denied { .. } } => 0,
            Look::Missed { why } if why.leaves_open() => 1,
            _ => 2,
        });
        let open = artifacts.first().is_some_and(|artifact| match &artifact.entry.look {
            Look::Missed { why } => why.leaves_open(),
            _ => false,
        });
        if !open {
            let what = format!("no log of the engine is there: looked for {}", files::NAMES);
            artifacts.insert(0, whole().missed(Why::Unreachable { what }));
        }
    }
    artifacts
}
