//! Commands on facts: matrix, collect, diff.

use super::{interruptible, print};
use crate::cli::{Collect, Diff, Layout, Matrix};
use crate::error::{ExpectedError, notice};
use crate::examine::{self, Asked};
use crate::exit::ExitCode;
use crate::policy::Policy;
use crate::report::{self, Progress, Terminal};
use crate::{bundle, diff as difference, fleet};
use std::io;
use std::path::Path;

pub(super) fn matrix(matrix: &Matrix) -> Result<ExitCode, ExpectedError> {
    let output = &matrix.output;
    interruptible(async {
        // Of several nodes each one has its progress.
        let one = output.format == Layout::Table && !matrix.fleet.all_nodes;
        let progress = Progress::start(one, "testing the paths to other nodes");
        let paths = examine::matrix(matrix).await;
        drop(progress);
        let paths = paths?;
        print(|out| match (paths.as_slice(), output.format) {
            ([one], Layout::Json) => report::matrix_json(one, out),
            ([one], Layout::Table) => report::matrix(one, Terminal::stdout(output.color), out),
            (all, Layout::Json) => report::matrices_json(all, out),
            (all, Layout::Table) => report::matrices(all, Terminal::stdout(output.color), out),
        })?;
        Ok(ExitCode::of_paths(&paths))
    })
}

pub(super) fn collect(collect: &Collect) -> Result<ExitCode, ExpectedError> {
    let asked = Asked { matrix: collect.clocks, ..Asked::default() };
    interruptible(async {
        if collect.fleet.all_nodes {
            return collect_all(collect, asked).await;
        }
        let progress = Progress::start(true, "collecting");
        let collected = examine::collect(&collect.source, &Policy::default(), asked).await;
        drop(progress);
        let mut collected = collected?;
        if let Some(lines) = collect.log_lines {
            bundle::shorten_logs(&mut collected, lines);
        }
        bundle::fit(&mut collected);
        if collect.anonymize {
            collected = bundle::Pseudonyms::of(&collected).bundle(collected);
        }
        if is_stdout(&collect.file) {
            let written = bundle::write_to(&collected, io::stdout().lock());
            written
                .map_err(|error| ExpectedError::usage(format!("cannot write to standard output: {error}")))?;
        } else {
            bundle::write(&collected, &collect.file)?;
        }
        Ok(ExitCode::Healthy)
    })
}

/// Saves the bundles of all nodes as one. A node that is missing makes the exit code unknown.
async fn collect_all(collect: &Collect, asked: Asked) -> Result<ExitCode, ExpectedError> {
    if is_stdout(&collect.file) {
        return Err(ExpectedError::usage("--all-nodes needs a file for the bundles, not standard output"));
    }
    let wanted = fleet::Wanted { save: Some(&collect.file), log_lines: collect.log_lines, progress: true };
    let gathered = fleet::gather(&collect.source, &collect.fleet, asked, wanted).await?;
    gathered.missing.iter().for_each(|missing| notice(&format!("not examined: {missing}")));
    Ok(if gathered.missing.is_empty() { ExitCode::Healthy } else { ExitCode::Unknown })
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

pub(super) fn diff(diff: &Diff) -> Result<ExitCode, ExpectedError> {
    let difference = difference::of_files(&diff.before, &diff.after)?;
    print(|out| match diff.output.format {
        Layout::Json => report::difference_json(&difference, out),
        Layout::Table => report::difference(&difference, Terminal::stdout(diff.output.color), out),
    })
}
