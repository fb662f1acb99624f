//! The progress of each node on standard error, where that is a terminal.

use crate::report::Printable;
use facts::NodeName;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// How many nodes have a line at the same time.
const LINES: usize = 12;
/// How often the lines are drawn.
const BEAT: Duration = Duration::from_millis(250);

/// The lines of all nodes.
pub(super) struct Progress {
    lines: MultiProgress,
    all: ProgressBar,
}

/// The line of one node.
pub(super) struct Stage(ProgressBar);

impl Progress {
    /// Starts; hidden unless wanted and standard error is a terminal.
    pub(super) fn start(wanted: bool) -> Self {
        // Its target for standard error hides itself where that is no terminal.
        let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let lines = MultiProgress::with_draw_target(target);
        let all = lines.add(ProgressBar::new(0));
        all.set_style(style("{pos} of {len} nodes examined ({elapsed})"));
        all.enable_steady_tick(BEAT);
        Self { lines, all }
    }

    /// More nodes were found.
    pub(super) fn expect(&self, nodes: usize) {
        self.all.inc_length(nodes as u64);
    }

    /// The line of a node that is examined now.
    pub(super) fn node(&self, name: &NodeName, running: usize) -> Stage {
        let line = ProgressBar::new_spinner();
        let line =
            if running < LINES { self.lines.insert_before(&self.all, line) } else { ProgressBar::hidden() };
        line.set_style(style("  {prefix}: {msg} ({elapsed})"));
        line.set_prefix(Printable::line(name.as_str()).to_string());
        Stage(line)
    }

    /// A node was examined, or could not be.
    pub(super) fn done(&self) {
        self.all.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.all.finish_and_clear();
    }
}

impl Stage {
    /// What is done now.
    pub(super) fn set(&self, text: &'static str) {
        self.0.set_message(text);
        self.0.tick();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
