//! Commands on facts: matrix, collect, diff.

use super::{interruptible, print};
use crate::cli::{Collect, Diff, Layout, Matrix};
use crate::error::ExpectedError;
use crate::examine::{self, Asked};
use crate::exit::ExitCode;
use crate::policy::Policy;
use crate::report::{self, Progress, Terminal};
use crate::{bundle, diff as difference};

pub(super) fn matrix(matrix: &Matrix) -> Result<ExitCode, ExpectedError> {
    let output = &matrix.output;
    interruptible(async {
        let progress = Progress::start(output.format == Layout::Table, "testing the paths to other nodes");
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
    interruptible(async {
        let progress = Progress::start(true, "collecting");
        let collected = examine::collect(&collect.source, &Policy::default(), Asked::default()).await;
        drop(progress);
        let mut collected = collected?;
        if let Some(lines) = collect.log_lines {
            bundle::shorten_logs(&mut collected, lines);
        }
        bundle::fit(&mut collected);
        if collect.anonymize {
            collected = bundle::Pseudonyms::of(&collected).bundle(collected);
        }
        bundle::write(&collected, &collect.file)?;
        Ok(ExitCode::Healthy)
    })
}

pub(super) fn diff(diff: &Diff) -> Result<ExitCode, ExpectedError> {
    let difference = difference::of_files(&diff.before, &diff.after)?;
    print(|out| match diff.output.format {
        Layout::Json => report::difference_json(&difference, out),
        Layout::Table => report::difference(&difference, Terminal::stdout(diff.output.color), out),
    })
}
