//! The bodies of the commands: what is between the command line and the exit code.

mod bundles;
mod complete;
mod info;
mod log_line;
mod output;
mod report;
mod rules;
mod version;

use crate::cli::{Command, Document};
use crate::error::ExpectedError;
use crate::exit::ExitCode;
use crate::fleet;
use crate::report::{MATRIX_SCHEMA, SCHEMA};
use crate::rules::facts_schema;
use std::io::{self, Write};
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
pub(crate) use version::build_identity;

/// Runs a command and returns its exit code. `began` is when the process started.
pub fn execute(command: Command, began: Instant) -> Result<ExitCode, ExpectedError> {
    match command {
        Command::Run(chosen) => report::run(&chosen.run, &chosen.checks, began),
        Command::Fix(fix) => report::fix(fix, began),
        Command::Undo { receipt, source, receipts, confirmation } => {
            report::undo(receipt.as_deref(), &source, &receipts, &confirmation)
        }
        Command::History(receipts) => report::history(&receipts),
        Command::Preflight(preflight) => report::preflight(&preflight, began),
        Command::Demo(output) => report::demo(&output, began),
        Command::Merge(merge) => report::merge(&merge, began),
        Command::Serve(serve) => report::serve(&serve),
        Command::Matrix(matrix) => bundles::matrix(&matrix),
        Command::Collect(collect) => bundles::collect(&collect),
        Command::Diff(diff) => bundles::diff(&diff),
        Command::List { verbose, json, rules: folders } => info::list(verbose, json, &folders.rules),
        Command::Explain { check: Some(check), log: None, rules: folders } => {
            info::explain(&check, &folders.rules)
        }
        Command::Explain { log, .. } => info::explain_log(&log.unwrap_or_default()),
        Command::Rules(command) => rules::execute(&command),
        Command::Init { file, force } => info::init(&file, force),
        Command::Schema { of } => {
            let schema = match of {
                Document::Report => SCHEMA.to_owned(),
                Document::Matrix => MATRIX_SCHEMA.to_owned(),
                Document::Facts => facts_schema(),
            };
            print(|out| out.write_all(schema.as_bytes()))
        }
        Command::Completions { shell } => complete::script(shell),
        Command::Man { of } => info::man(of.as_deref()),
        Command::Version => version::version(),
        Command::Relay(relay) => to_the_end(fleet::relay(&relay)),
        Command::CollectHost(collect) => {
            fleet::enter_host()?;
            interruptible(fleet::collect_as_lines(&collect))
        }
    }
}

/// Waits for the end of some work, or for the user to interrupt it. One thread is enough: the time goes into waiting.
fn interruptible(
    work: impl Future<Output = Result<ExitCode, ExpectedError>>,
) -> Result<ExitCode, ExpectedError> {
    to_the_end(async {
        let failed = |error| ExpectedError::usage(format!("cannot handle signals: {error}"));
        let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
        // Where the work is dropped, it removes what it has created.
        tokio::select! {
            biased;
            outcome = work => outcome,
            Some(()) = interrupted.recv() => Ok(ExitCode::Interrupted),
            Some(()) = terminated.recv() => Ok(ExitCode::Terminated),
        }
    })
}

/// Waits for the end of some work that handles signals itself.
fn to_the_end(
    work: impl Future<Output = Result<ExitCode, ExpectedError>>,
) -> Result<ExitCode, ExpectedError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ExpectedError::usage(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(work);
    // A read that hangs in a dead file system must not keep the process alive.
    runtime.shutdown_background();
    outcome
}

/// Writes to standard output. A reader that closes it early, such as `head`, is not an error.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<ExitCode, ExpectedError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(ExpectedError::usage(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(ExitCode::Healthy),
    }
}
