//! Commands that end in a report: run, fix, preflight, merge, demo, serve.

use super::{interruptible, to_the_end};
use crate::check_id;
use crate::cli::{Confirmation, Fix, Merge, Output, Preflight, Receipts, Run, Serve, Source, When};
use crate::error::{ExpectedError, notice};
use crate::examine::{self, Asked};
use crate::exit::ExitCode;
use crate::fix::{self as fixes, Level, Plan};
use crate::judge::Diagnosis;
use crate::policy::Policy;
use crate::report::{Console, MessageKind, Progress, Stream, Terminal};
use crate::{demo as recorded, preflight as preflights, serve as server, watch};
use std::io;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn run(run: &Run, checks: &[String], began: Instant) -> Result<ExitCode, ExpectedError> {
    let policy = Policy::of(&run.gate, checks)?;
    if run.fleet.all_nodes {
        if run.fixing.dry_run || run.fixing.emit_script.is_some() || run.fixing.yes {
            let what =
                "--all-nodes changes nothing: it prints the command for each node; start that one there";
            return Err(ExpectedError::usage(what));
        }
        return interruptible(examine_and_report(run, &policy, began));
    }
    if run.fix.is_some() || run.fixing.dry_run || run.fixing.emit_script.is_some() {
        to_the_end(fix_and_report(run, run.fix.flatten(), None, &policy, began))
    } else {
        interruptible(examine_and_report(run, &policy, began))
    }
}

async fn examine_and_report(run: &Run, policy: &Policy, began: Instant) -> Result<ExitCode, ExpectedError> {
    let examine = async || {
        // Of several nodes each one has its progress.
        let one = run.output.wants_progress() && !run.fleet.all_nodes;
        let progress = Progress::start(one, "examining the swarm");
        let examined = examine::examine(run, policy, Asked::default()).await;
        drop(progress);
        Ok(examined?.1)
    };
    if run.is_live() {
        for id in fixes::open_receipts(&run.fixing.receipts) {
            notice(&format!(
                "the fix {id} was interrupted; `swarm-doctor run --fix` finishes it or rolls it back"
            ));
        }
    }
    let diagnosis = patiently(&examine, policy, run.wait, &run.output).await?;
    let code = show(&diagnosis, policy, &run.output, run.is_live(), began)?;
    if run.fix.is_some() {
        commands_by_node(&diagnosis, &console(&run.output));
    }
    if run.stats {
        Console::new(Terminal::stdout(run.output.color), Stream::Error).stats(&diagnosis);
    }
    let Some(every) = run.watch else { return Ok(code) };
    let console = console(&run.output);
    watch::watch(examine, diagnosis, every, |diagnosis, changes| {
        if run.output.format.is_prose() {
            changes.iter().for_each(|(kind, change)| console.say(*kind, change));
            run.output.save(diagnosis, policy).map_err(ExpectedError::usage)
        } else {
            show(diagnosis, policy, &run.output, run.is_live(), Instant::now()).map(drop)
        }
    })
    .await
}

/// Prints the command that fixes the findings of each node there.
fn commands_by_node(diagnosis: &Diagnosis, console: &Console) {
    let (host, members) = (&diagnosis.header.host, &diagnosis.header.members);
    let nodes = if members.is_empty() { std::slice::from_ref(host) } else { members };
    for node in nodes {
        let plans = Plan::all(diagnosis, node).into_iter().filter(|plan| !plan.here.is_empty());
        for plan in plans {
            let text = format!("On {node}: sudo swarm-doctor fix {}", plan.finding.check);
            console.say(MessageKind::Plain, &text);
        }
    }
}

/// Examines once, or until the run passes or the time is over.
async fn patiently(
    examine: impl AsyncFn() -> Result<Diagnosis, ExpectedError>,
    policy: &Policy,
    limit: Option<Duration>,
    output: &Output,
) -> Result<Diagnosis, ExpectedError> {
    match limit {
        Some(limit) => {
            let console = Console::new(Terminal::stdout(output.color), Stream::Error);
            watch::wait(examine, policy, limit, &console).await
        }
        None => examine().await,
    }
}

pub(super) fn fix(fix: Fix, began: Instant) -> Result<ExitCode, ExpectedError> {
    let name = fix.check.clone();
    let run = Run::from(fix);
    let policy = Policy::of(&run.gate, &[])?.for_one();
    let found = check_id::find(&name, &policy.catalogue).map_err(ExpectedError::usage)?;
    found.notice().iter().for_each(|text| notice(text));
    to_the_end(fix_and_report(&run, run.fix.flatten(), Some(found.id()), &policy, began))
}

async fn fix_and_report(
    run: &Run,
    level: Option<Level>,
    only: Option<&str>,
    policy: &Policy,
    began: Instant,
) -> Result<ExitCode, ExpectedError> {
    let console = console(&run.output);
    let ended = fixes::fix(run, &run.fixing, level, only, policy, &console).await?;
    let fixes::Ended { diagnosis: Some(diagnosis), summary, exit } = ended else {
        return Ok(ExitCode::Refused);
    };
    if run.fixing.dry_run && run.output.format.is_prose() {
        // The plan was the report.
        run.output.save(&diagnosis, policy).map_err(ExpectedError::usage)?;
        return Ok(run.output.exit(&diagnosis, policy));
    }
    let code = show(&diagnosis, policy, &run.output, run.is_live(), began)?;
    if !summary.is_empty() {
        console.say(MessageKind::Plain, &summary);
    }
    // A fix that failed differs from a finding that was not touched.
    Ok(exit.unwrap_or(code))
}

pub(super) fn undo(
    receipt: Option<&str>,
    source: &Source,
    receipts: &Receipts,
    confirmation: &Confirmation,
) -> Result<ExitCode, ExpectedError> {
    let console = Console::new(Terminal::stdout(When::Auto), Stream::Output);
    to_the_end(async {
        let ended = fixes::undo(receipt, source, receipts, confirmation, &console).await?;
        if !ended.summary.is_empty() {
            console.say(MessageKind::Plain, &ended.summary);
        }
        Ok(ended.exit.unwrap_or(ExitCode::Healthy))
    })
}

pub(super) fn history(receipts: &Receipts) -> Result<ExitCode, ExpectedError> {
    let (lines, readable) = fixes::history(receipts)?;
    Console::new(Terminal::stdout(When::Auto), Stream::Output).lines(&lines);
    Ok(if readable { ExitCode::Healthy } else { ExitCode::Refused })
}

pub(super) fn preflight(preflight: &Preflight, began: Instant) -> Result<ExitCode, ExpectedError> {
    let policy = Policy::of(&preflight.gate, &[])?.asking_all();
    interruptible(async {
        let examine = async || {
            let progress = Progress::start(preflight.output.wants_progress(), "examining the target");
            let diagnosis = preflights::preflight(preflight, &policy).await;
            drop(progress);
            diagnosis
        };
        let diagnosis = patiently(&examine, &policy, preflight.wait, &preflight.output).await?;
        show(&diagnosis, &policy, &preflight.output, false, began)
    })
}

pub(super) fn merge(merge: &Merge, began: Instant) -> Result<ExitCode, ExpectedError> {
    match &merge.file {
        Some(file) => crate::bundle::merge(&merge.bundles, file, merge.anonymize).map(|()| ExitCode::Healthy),
        None => {
            let policy = Policy::of(&merge.gate, &[])?;
            let (_, diagnosis) = examine::offline(&merge.bundles, &policy)?;
            show(&diagnosis, &policy, &merge.output, false, began)
        }
    }
}

pub(super) fn demo(output: &Output, began: Instant) -> Result<ExitCode, ExpectedError> {
    let diagnosis = examine::diagnose(&recorded::bundle()?);
    show(&diagnosis, &Policy::default(), output, false, began)
}

/// Serves until the service manager ends it (SIGTERM), which is not an error, or the user interrupts it.
pub(super) fn serve(serve: &Serve) -> Result<ExitCode, ExpectedError> {
    interruptible(async {
        let failed = |error| ExpectedError::usage(format!("cannot handle SIGTERM: {error}"));
        let mut ended = signal(SignalKind::terminate()).map_err(failed)?;
        let serving = server::serve(serve, |address| notice(&format!("serving http://{address}")));
        tokio::select! {
            never = serving => match never? {},
            _ = ended.recv() => Ok(ExitCode::Healthy),
        }
    })
}

fn console(output: &Output) -> Console {
    let stream = if output.format.is_prose() { Stream::Output } else { Stream::Error };
    Console::new(Terminal::stdout(output.color), stream)
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
