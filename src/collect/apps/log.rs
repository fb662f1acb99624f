//! The lines of a container's log: those about addresses and limits, and the last ones.

use super::inspected::Inspected;
use crate::collect::Session;

/// How many of the last lines are read.
const TAIL: u32 = 300;
/// How many of the last lines of an exited container are kept.
const LAST: u32 = 5;
/// How many of the lines about addresses and limits are kept.
const MOST: usize = 40;
/// The longest line that is kept, in characters.
const MOST_CHARS: usize = 400;

/// What lines about addresses and limits contain.
const SIGNS: &[&str] = &[
    "Cannot assign requested address",
    "cannot assign requested address",
    "Failed to bind to",
    "BindException",
    "Unresolved address",
    "<unresolved>",
    "UnresolvedAddressException",
    "UnknownHostException",
    "Exception while listening",
    "at election address /0.0.0.0",
    "nonroutable meta-address",
    "Advertise address cannot be",
    "Multiple private IPv4 addresses found",
    "this Node Identifier conflicts with",
    "No matching network interface found",
    "This node is not requested endpoint",
    "-- Node disconnected from cluster",
    "no Cluster Coordinator",
    "vm.max_map_count",
];

/// The lines about addresses and limits, the oldest first; none where the log cannot be read back.
pub(super) async fn lines(session: &Session, inspected: &Inspected) -> Vec<String> {
    let text = text(session, inspected, TAIL).await;
    let matters = |line: &&str| SIGNS.iter().any(|sign| line.contains(sign));
    let mut lines: Vec<String> = text.lines().filter(matters).map(shortened).collect();
    lines.drain(..lines.len().saturating_sub(MOST));
    lines
}

/// The last lines, the oldest first; none where the log cannot be read back.
pub(super) async fn last(session: &Session, inspected: &Inspected) -> Vec<String> {
    let text = text(session, inspected, LAST).await;
    text.lines().filter(|line| !line.trim().is_empty()).map(shortened).collect()
}

async fn text(session: &Session, inspected: &Inspected, tail: u32) -> String {
    // A request to a driver that cannot read would leave an error in the engine's log.
    if !inspected.has_log() {
        return String::new();
    }
    let Ok(engine) = session.engine().await else { return String::new() };
    let Ok(log) = engine.logs(inspected.id.as_str(), tail).await else { return String::new() };
    match inspected.has_terminal() {
        true => String::from_utf8_lossy(&log).into_owned(),
        false => demultiplexed(&log),
    }
}

fn shortened(line: &str) -> String {
    line.trim().chars().take(MOST_CHARS).collect()
}

/// The text of frames, each of which has its stream and its length in eight bytes before it.
pub(crate) fn demultiplexed(mut log: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some((head, rest)) = log.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (piece, rest) = rest.split_at(length.min(rest.len()));
        text.extend_from_slice(piece);
        log = rest;
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::demultiplexed;

    #[test]
    fn frames_become_text_even_where_the_last_is_cut_short() {
        let log = b"\x01\0\0\0\0\0\0\x02a\n\x02\0\0\0\0\0\0\x03b\n\n\x01\0\0\0\0\0\0\xffend";
        assert_eq!(demultiplexed(log), "a\nb\n\nend");
        assert_eq!(demultiplexed(b"\x01\0\0"), "");
    }
}
