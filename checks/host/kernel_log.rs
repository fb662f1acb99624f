//! Recent lines of the kernel and the engine.

use crate::View;
use facts::log::{Line, Log, Program};

/// The lines of the kernel in the last minutes, the newest first.
pub(super) fn recent_kernel<'a>(
    log: &'a Log,
    view: &View<'_>,
    minutes: i64,
) -> impl Iterator<Item = &'a Line> {
    let now = view.snapshot.taken;
    let is_recent = move |line: &&Line| {
        line.program == Program::Kernel
            && line.at.is_some_and(|at| now.duration_since(at).as_mins() < minutes)
    };
    log.lines.iter().rev().filter(is_recent)
}

/// Whether a line or its error field contains a text.
pub(super) fn contains(line: &Line, text: &str) -> bool {
    line.message.contains(text) || line.fields.get("error").is_some_and(|error| error.contains(text))
}
