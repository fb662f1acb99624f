//! Keeping a bundle within what a reader takes.

use super::{MOST_OF_ARTIFACT, MOST_OF_MACHINE};
use facts::bundle::{ArtifactStatus, Bundle};
use facts::{Need, Why};

/// Drops artifacts over the size limits and records it in the manifest: first each artifact over its own limit, then, if the
/// total is too large, the largest ones, logs first.
pub fn fit(bundle: &mut Bundle) {
    fit_into(bundle, MOST_OF_ARTIFACT, MOST_OF_MACHINE);
}

/// Keeps only the last `lines` lines of each log.
pub fn shorten_logs(bundle: &mut Bundle, lines: usize) {
    let logs: Vec<String> = bundle.entries(Need::EngineLog).map(|entry| entry.artifact.clone()).collect();
    for log in logs {
        let Some(content) = bundle.artifacts.get_mut(&log) else { continue };
        let mut ends =
            content.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let unended = usize::from(content.last().is_some_and(|byte| *byte != b'\n'));
        // The end of the line before the first that stays.
        let start = ends.nth(lines.saturating_sub(unended));
        match start {
            _ if lines == 0 => content.clear(),
            Some(start) => drop(content.drain(..start)),
            None => {}
        }
    }
}

pub(super) fn fit_into(bundle: &mut Bundle, most_of_one: u64, most: u64) {
    let size = |content: &Vec<u8>| content.len() as u64;
    let large: Vec<String> = bundle
        .artifacts
        .iter()
        .filter(|(_, content)| size(content) > most_of_one)
        .map(|(name, _)| name.clone())
        .collect();
    for name in large {
        leave_out(bundle, &name, most_of_one);
    }
    while bundle.artifacts.values().map(size).sum::<u64>() > most {
        let is_log = |name: &str| bundle.entries(Need::EngineLog).any(|entry| entry.artifact == name);
        let largest = bundle.artifacts.iter().max_by_key(|(name, content)| (is_log(name), content.len()));
        let Some(name) = largest.map(|(name, _)| name.clone()) else { return };
        leave_out(bundle, &name, most);
    }
}

fn leave_out(bundle: &mut Bundle, name: &str, most: u64) {
    let Some(content) = bundle.artifacts.remove(name) else { return };
    let what = format!("its {} bytes were left out: the bundle takes {} MiB", content.len(), most >> 20);
    for entry in bundle.manifest.entries.iter_mut().filter(|entry| entry.artifact == name) {
        entry.status = ArtifactStatus::Failed { why: Why::Undecidable { what: what.clone() } };
    }
}
