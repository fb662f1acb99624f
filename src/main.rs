//! Parse arguments, run, turn the outcome into an exit code.

use checks::BuiltIn;
use clap::Parser;
use std::io::{self, Write};
use std::process;
use std::time::Instant;
use swarm_doctor::cli::{
    Cli, Collect, Command, Document, Format, Matrix, Output, Preflight, Receipts, Run, Source, When,
};
use swarm_doctor::error::ExpectedError;
use swarm_doctor::examine::Asked;
use swarm_doctor::exit::ExitCode;
use swarm_doctor::fix::{self, Level};
use swarm_doctor::judge::Diagnosis;
use swarm_doctor::report::{self, Format as _, Json, Progress, Table, Terminal, Voice};
use swarm_doctor::{bundle, demo, examine, preflight};

fn main() -> process::ExitCode {
    let began = Instant::now();
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Run(cli.run));
    let outcome = match command {
        Command::Run(run) if run.fix.is_some() || run.fixing.dry_run || run.fixing.emit_script.is_some() => {
            interruptible(fix_and_report(&run, run.fix.flatten(), None, began))
        }
        Command::Run(run) => interruptible(examine_and_report(&run, began)),
        Command::Fix(fix) => match check_of(&fix.check) {
            Ok(check) => {
                let run = Run::from(fix);
                interruptible(fix_and_report(&run, run.fix.flatten(), Some(&check.meta.id), began))
            }
            Err(error) => Err(error),
        },
        Command::Undo { receipt, source, receipts } => interruptible(undo(&receipt, &source, &receipts)),
        Command::History(receipts) => history(&receipts),
        Command::Preflight(preflight) => interruptible(preflight_and_report(&preflight, began)),
        Command::Matrix(matrix) => interruptible(show_matrix(&matrix)),
        Command::Collect(collect) => interruptible(collect_into_file(&collect)),
        Command::Demo(output) => {
            demo::bundle().and_then(|bundle| show(&examine::diagnose(&bundle), &output, began))
        }
        Command::List { json } => list(json),
        Command::Explain { check } => explain(&check),
        Command::Schema { of } => {
            let schema = match of {
                Document::Report => report::SCHEMA,
                Document::Matrix => report::MATRIX_SCHEMA,
            };
            print(|out| out.write_all(schema.as_bytes())).map(|()| ExitCode::Healthy)
        }
    };
    let code = outcome.unwrap_or_else(|error| {
        // Nothing is left to tell it to when standard error is gone, too.
        drop(writeln!(io::stderr(), "swarm-doctor: {error}"));
        error.exit()
    });
    process::ExitCode::from(code.number())
}

/// Runs to the end, or until the user interrupts. One thread is enough: the time goes into waiting.
fn interruptible(
    work: impl Future<Output = Result<ExitCode, ExpectedError>>,
) -> Result<ExitCode, ExpectedError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ExpectedError::usage(format!("failed to start: {error}")))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            Ok(()) = tokio::signal::ctrl_c() => Ok(ExitCode::Interrupted),
        }
    });
    // A read that hangs in a dead file system must not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn examine_and_report(run: &Run, began: Instant) -> Result<ExitCode, ExpectedError> {
    let progress = Progress::start(run.output.format == Format::Table, "examining the swarm");
    let examined = examine::examine(run, Asked::default()).await;
    drop(progress);
    show(&examined?.1, &run.output, began)
}

async fn fix_and_report(
    run: &Run,
    level: Option<Level>,
    only: Option<&str>,
    began: Instant,
) -> Result<ExitCode, ExpectedError> {
    let diagnosis = fix::fix(run, &run.fixing, level, only, &voice(run)).await?;
    if run.fixing.dry_run && run.output.format == Format::Table {
        // The plan was the report.
        return Ok(ExitCode::of(&diagnosis, run.output.fail_on, run.output.allow_unknown));
    }
    show(&diagnosis, &run.output, began)
}

async fn undo(receipt: &str, source: &Source, receipts: &Receipts) -> Result<ExitCode, ExpectedError> {
    let voice = Voice::new(Terminal::stdout(When::Auto), false);
    let undone = fix::undo(receipt, source, receipts, &voice).await?;
    Ok(if undone { ExitCode::Healthy } else { ExitCode::Errors })
}

fn history(receipts: &Receipts) -> Result<ExitCode, ExpectedError> {
    Voice::new(Terminal::stdout(When::Auto), false).lines(&fix::history(receipts)?);
    Ok(ExitCode::Healthy)
}

fn voice(run: &Run) -> Voice {
    Voice::new(Terminal::stdout(run.output.color), run.output.format == Format::Json)
}

async fn preflight_and_report(preflight: &Preflight, began: Instant) -> Result<ExitCode, ExpectedError> {
    let output = &preflight.run.output;
    let progress = Progress::start(output.format == Format::Table, "examining what is to be done");
    let diagnosis = preflight::preflight(preflight).await;
    drop(progress);
    show(&diagnosis?, output, began)
}

async fn collect_into_file(collect: &Collect) -> Result<ExitCode, ExpectedError> {
    let progress = Progress::start(true, "collecting");
    let collected = examine::collect(&collect.source, Asked::default()).await;
    drop(progress);
    bundle::write(&collected?, &collect.file)?;
    Ok(ExitCode::Healthy)
}

async fn show_matrix(matrix: &Matrix) -> Result<ExitCode, ExpectedError> {
    let progress = Progress::start(matrix.format == Format::Table, "trying each path and listening");
    let paths = examine::matrix(matrix).await;
    drop(progress);
    let paths = paths?;
    print(|out| match matrix.format {
        Format::Json => report::matrix_json(&paths, out),
        Format::Table => report::matrix(&paths, Terminal::stdout(matrix.color), out),
    })?;
    Ok(ExitCode::of_paths(&paths))
}

fn show(diagnosis: &Diagnosis, output: &Output, began: Instant) -> Result<ExitCode, ExpectedError> {
    print(|out| match output.format {
        Format::Json => Json.render(diagnosis, out),
        Format::Table => {
            let terminal = Terminal::stdout(output.color);
            let elapsed_ms = u64::try_from(began.elapsed().as_millis()).ok();
            Table {
                verbose: output.verbose,
                width: terminal.width,
                color: terminal.color,
                ascii: terminal.ascii,
                elapsed_ms,
            }
            .render(diagnosis, out)
        }
    })?;
    Ok(ExitCode::of(diagnosis, output.fail_on, output.allow_unknown))
}

fn list(json: bool) -> Result<ExitCode, ExpectedError> {
    let terminal = Terminal::stdout(When::Auto);
    print(|out| report::list(&mut checks::built_in(), json, terminal.width, out))?;
    Ok(ExitCode::Healthy)
}

/// The check of this id.
fn check_of(id: &str) -> Result<&'static BuiltIn, ExpectedError> {
    checks::built_in().find(|check| check.meta.id == id).ok_or_else(|| {
        let near = report::nearest(id, checks::built_in().map(|check| check.meta.id.as_ref()));
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        ExpectedError::usage(format!("there is no check {id:?}{hint}"))
    })
}

fn explain(id: &str) -> Result<ExitCode, ExpectedError> {
    let check = check_of(id)?;
    let terminal = Terminal::stdout(When::Auto);
    print(|out| report::explain(check, terminal.width, terminal.color, out))?;
    Ok(ExitCode::Healthy)
}

/// Writes to standard output; a reader that has read enough, such as `head`, is no error.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), ExpectedError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(ExpectedError::usage(format!("failed to write the report: {error}")))
        }
        _ => Ok(()),
    }
}
