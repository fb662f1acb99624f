//! Parse arguments, run, turn the outcome into an exit code.

use checks::BuiltIn;
use clap::{CommandFactory, Parser};
use std::io::{self, Write};
use std::process;
use std::time::Instant;
use swarm_doctor::cli::{
    Chosen, Cli, Collect, Command, Diff, Document, Format, Layout, Matrix, Merge, Output, Preflight,
    Receipts, Run, Serve, Source, When,
};
use swarm_doctor::error::ExpectedError;
use swarm_doctor::examine::Asked;
use swarm_doctor::exit::ExitCode;
use swarm_doctor::fix::{self, Level};
use swarm_doctor::judge::Diagnosis;
use swarm_doctor::policy::{self, Policy};
use swarm_doctor::report::{self, Console, Progress, Stream, Terminal};
use swarm_doctor::{bundle, check_id, demo, examine, pager, preflight, serve, watch};

fn main() -> process::ExitCode {
    let began = Instant::now();
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Run(Chosen { checks: Vec::new(), run: cli.run }));
    let plugin = command.output().is_some_and(|output| output.format == Format::Nagios);
    let outcome = match command {
        Command::Run(Chosen { checks, run }) => Policy::of(&run.gate, &checks).and_then(|policy| {
            match run.fix.is_some() || run.fixing.dry_run || run.fixing.emit_script.is_some() {
                true => interruptible(fix_and_report(&run, run.fix.flatten(), None, &policy, began)),
                false => interruptible(examine_and_report(&run, &policy, began)),
            }
        }),
        Command::Fix(fix) => check_of(&fix.check).and_then(|check| {
            let run = Run::from(fix);
            let policy = Policy::of(&run.gate, &[])?.for_one();
            interruptible(fix_and_report(&run, run.fix.flatten(), Some(&check.meta.id), &policy, began))
        }),
        Command::Undo { receipt, source, receipts } => interruptible(undo(&receipt, &source, &receipts)),
        Command::History(receipts) => history(&receipts),
        Command::Preflight(preflight) => interruptible(preflight_and_report(&preflight, began)),
        Command::Matrix(matrix) => interruptible(show_matrix(&matrix)),
        Command::Collect(collect) => interruptible(collect_into_file(&collect)),
        Command::Diff(diff) => show_difference(&diff),
        Command::Merge(merge) => merge_bundles(&merge, began),
        Command::Demo(output) => {
            let policy = Policy::default();
            demo::bundle()
                .and_then(|bundle| show(&examine::diagnose(&bundle), &policy, &output, false, began))
        }
        Command::Serve(serve) => interruptible(serve_reports(&serve)),
        Command::Completions { shell } => completions(shell),
        Command::Man { of } => man(of.as_deref()),
        Command::List { json } => list(json),
        Command::Explain { check } => explain(&check),
        Command::Init { file, force } => policy::init(&file, force).map(|()| ExitCode::Healthy),
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
    process::ExitCode::from(if plugin { code.of_plugin() } else { code.number() })
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

async fn examine_and_report(run: &Run, policy: &Policy, began: Instant) -> Result<ExitCode, ExpectedError> {
    let look = async || {
        let progress = Progress::start(run.output.format.is_prose(), "examining the swarm");
        let examined = examine::examine(run, policy, Asked::default()).await;
        drop(progress);
        Ok(examined?.1)
    };
    look_and_report(look, run, policy, began).await
}

/// Looks once, or as often as is asked for, and reports.
async fn look_and_report(
    look: impl AsyncFn() -> Result<Diagnosis, ExpectedError>,
    run: &Run,
    policy: &Policy,
    began: Instant,
) -> Result<ExitCode, ExpectedError> {
    let aside = Console::new(Terminal::stdout(run.output.color), Stream::Error);
    let diagnosis = match run.wait {
        Some(limit) => watch::wait(&look, policy, limit, &aside).await?,
        None => look().await?,
    };
    let code = show(&diagnosis, policy, &run.output, run.is_live(), began)?;
    if run.stats {
        aside.stats(&diagnosis);
    }
    let Some(every) = run.watch else { return Ok(code) };
    let console = console(run);
    watch::watch(look, diagnosis, every, |diagnosis, changes| {
        match run.output.format.is_prose() {
            true => {
                changes.iter().for_each(|(kind, change)| console.say(*kind, change));
                run.output.save(diagnosis, policy).map_err(ExpectedError::usage)?;
            }
            false => drop(show(diagnosis, policy, &run.output, run.is_live(), Instant::now())?),
        }
        Ok(())
    })
    .await
}

async fn fix_and_report(
    run: &Run,
    level: Option<Level>,
    only: Option<&str>,
    policy: &Policy,
    began: Instant,
) -> Result<ExitCode, ExpectedError> {
    let (diagnosis, all_done) = fix::fix(run, &run.fixing, level, only, policy, &console(run)).await?;
    if run.fixing.dry_run && run.output.format.is_prose() {
        // The plan was the report.
        run.output.save(&diagnosis, policy).map_err(ExpectedError::usage)?;
        return Ok(run.output.exit(&diagnosis, policy));
    }
    let code = show(&diagnosis, policy, &run.output, run.is_live(), began)?;
    // What was begun in vain must not look like a finding that nobody touched.
    Ok(if all_done { code } else { ExitCode::Refused })
}

async fn undo(receipt: &str, source: &Source, receipts: &Receipts) -> Result<ExitCode, ExpectedError> {
    let console = Console::new(Terminal::stdout(When::Auto), Stream::Output);
    let undone = fix::undo(receipt, source, receipts, &console).await?;
    Ok(if undone { ExitCode::Healthy } else { ExitCode::Refused })
}

fn history(receipts: &Receipts) -> Result<ExitCode, ExpectedError> {
    Console::new(Terminal::stdout(When::Auto), Stream::Output).lines(&fix::history(receipts)?);
    Ok(ExitCode::Healthy)
}

fn console(run: &Run) -> Console {
    let stream = if run.output.format.is_prose() { Stream::Output } else { Stream::Error };
    Console::new(Terminal::stdout(run.output.color), stream)
}

async fn preflight_and_report(preflight: &Preflight, began: Instant) -> Result<ExitCode, ExpectedError> {
    let run = &preflight.run;
    let policy = Policy::of(&run.gate, &[])?.asking_all();
    let look = async || {
        let progress = Progress::start(run.output.format.is_prose(), "examining what is to be done");
        let diagnosis = preflight::preflight(preflight, &policy).await;
        drop(progress);
        diagnosis
    };
    look_and_report(look, run, &policy, began).await
}

async fn collect_into_file(collect: &Collect) -> Result<ExitCode, ExpectedError> {
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
}

fn show_difference(diff: &Diff) -> Result<ExitCode, ExpectedError> {
    let difference = swarm_doctor::diff::of_files(&diff.before, &diff.after)?;
    print(|out| match diff.format {
        Layout::Json => report::difference_json(&difference, out),
        Layout::Table => report::difference(&difference, Terminal::stdout(diff.color), out),
    })?;
    Ok(ExitCode::Healthy)
}

fn merge_bundles(merge: &Merge, began: Instant) -> Result<ExitCode, ExpectedError> {
    match &merge.file {
        Some(file) => bundle::merge(&merge.bundles, file, merge.anonymize).map(|()| ExitCode::Healthy),
        None => {
            let policy = Policy::of(&merge.gate, &[])?;
            show(&examine::offline(&merge.bundles, &policy)?.1, &policy, &merge.output, false, began)
        }
    }
}

async fn show_matrix(matrix: &Matrix) -> Result<ExitCode, ExpectedError> {
    let progress = Progress::start(matrix.format == Layout::Table, "trying each path and listening");
    let paths = examine::matrix(matrix).await;
    drop(progress);
    let paths = paths?;
    print(|out| match (paths.as_slice(), matrix.format) {
        ([one], Layout::Json) => report::matrix_json(one, out),
        ([one], Layout::Table) => report::matrix(one, Terminal::stdout(matrix.color), out),
        (all, Layout::Json) => report::matrices_json(all, out),
        (all, Layout::Table) => report::matrices(all, Terminal::stdout(matrix.color), out),
    })?;
    Ok(ExitCode::of_paths(&paths))
}

fn show(
    diagnosis: &Diagnosis,
    policy: &Policy,
    output: &Output,
    live: bool,
    began: Instant,
) -> Result<ExitCode, ExpectedError> {
    output.write(diagnosis, policy, live, began, &mut io::BufWriter::new(io::stdout().lock()))?;
    Ok(output.exit(diagnosis, policy))
}

fn list(json: bool) -> Result<ExitCode, ExpectedError> {
    let terminal = Terminal::stdout(When::Auto);
    let mut all = checks::built_in();
    print(|out| {
        if json {
            report::list_json(&mut all, out)
        } else {
            report::list(&mut all, false, terminal.width, out)
        }
    })?;
    Ok(ExitCode::Healthy)
}

/// The check of this id.
fn check_of(id: &str) -> Result<&'static BuiltIn, ExpectedError> {
    let found = check_id::find(id).map_err(ExpectedError::usage)?;
    if let Some(notice) = found.notice() {
        // A notice that cannot be written is not an error.
        drop(writeln!(io::stderr(), "swarm-doctor: {notice}"));
    }
    Ok(found.check)
}

fn explain(id: &str) -> Result<ExitCode, ExpectedError> {
    let check = check_of(id)?;
    let terminal = Terminal::stdout(When::Auto);
    let mut text = Vec::new();
    let shown = report::explain(check, terminal, &mut text).and_then(|()| pager::show(&text));
    print(|_| shown)?;
    Ok(ExitCode::Healthy)
}

async fn serve_reports(serve: &Serve) -> Result<ExitCode, ExpectedError> {
    let never = serve::serve(serve, |address| {
        // Nothing hangs on somebody reading along.
        drop(writeln!(io::stderr(), "swarm-doctor: serving http://{address}"));
    });
    match never.await? {}
}

fn completions(shell: clap_complete::Shell) -> Result<ExitCode, ExpectedError> {
    print(|out| {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "swarm-doctor", &mut text);
        // For a name with a hyphen its script for bash sets one name for a subcommand and looks for another.
        let text = String::from_utf8_lossy(&text).replace("swarm__subcmd__doctor", "swarm__doctor");
        out.write_all(text.as_bytes())
    })?;
    Ok(ExitCode::Healthy)
}

fn man(of: Option<&str>) -> Result<ExitCode, ExpectedError> {
    let mut all = Cli::command();
    all.build();
    let page = match of {
        None => Some(all),
        Some(name) => all.find_subcommand(name).cloned(),
    };
    let page = page.ok_or_else(|| {
        ExpectedError::usage(format!(
            "there is no command {:?}; swarm-doctor --help lists them",
            of.unwrap_or_default()
        ))
    })?;
    print(|out| clap_mangen::Man::new(page).render(&mut &mut *out))?;
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
