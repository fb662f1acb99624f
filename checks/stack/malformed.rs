use super::{edit, line};
use crate::model::engine_version::EngineVersion;
use crate::{Findings, Judged, Subject, View};
use facts::stack::{At, Compose, Stack};
use facts::{Host, Seen};

check! {
    /// `docker stack deploy` refuses the file.
    ///
    /// ## Why it matters
    /// It is not YAML, or it is not a stack: a tab, a service without an image, a version that is a number, a key
    /// that only `docker compose` knows, such as `profiles` or `mem_limit`, a truth value in the environment.
    ///
    /// ## How to fix it
    /// Correct the line named.
    ///
    /// ## When it is wrong
    /// The docker command that deploys is of another version than the engine.
    ///
    /// Source: docker/cli `cli/compose/loader/loader.go`, `cli/compose/schema/`.
    "stack/malformed": Error, "docker refuses the stack file";
    healthy "docker accepts the stack file";
    needs Stack, Version;
    for each Host: run
}

/// The version that docker knew last: the first major version of docker that knows it, and the second number of the
/// file's version.
const NEWEST: [(u32, u32); 3] = [(29, 14), (23, 13), (0, 9)];
/// From this major version on docker refuses a key that stands twice in one mapping.
const REFUSES_REPEATED: u32 = 28;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = match &stack.parsed {
        Ok(compose) => compose,
        Err(fault) => {
            let column = if fault.column > 0 { format!(", column {}", fault.column) } else { String::new() };
            let problem = format!("line {}{column}: {}", fault.line, fault.what);
            report(stack, fault.line, problem, out);
            return Ok(());
        }
    };
    let major = major(&host.version.get()?.engine);
    let repeated = compose.repeated.iter().filter(|_| major >= REFUSES_REPEATED);
    let repeated =
        repeated.map(|key| At { line: key.line, value: format!("the key {:?} stands twice", key.value) });
    for At { line, value } in
        version(compose, major).into_iter().chain(repeated).chain(compose.faults.iter().cloned())
    {
        report(stack, line, format!("line {line}: {value}"), out);
    }
    Ok(())
}

fn report(stack: &Seen<Stack>, number: u32, problem: String, out: &mut Findings<'_>) {
    out.report(Subject::Cluster, format!("docker refuses the stack file: {problem}"), line(stack, number))
        .remedy(edit(stack, "Correct the stack file", problem));
}

fn major(version: &str) -> u32 {
    EngineVersion::parse(version).map_or(u32::MAX, |version| version.0.into())
}

/// What docker refuses because of the version at the top.
fn version(compose: &Compose, major: u32) -> Vec<At<String>> {
    let newest = NEWEST.iter().find(|(since, _)| major >= *since).map_or(9, |(_, newest)| *newest);
    let old = newest == 9;
    let Some(version) = &compose.version else {
        let line = compose.services.first().map_or(1, |service| service.name.line);
        let value = format!("the key \"version\" is missing; docker {major} reads the file as version 1");
        return if old { vec![At { line, value }] } else { Vec::new() };
    };
    let (line, text) = (version.line, &version.value);
    if compose.version_is_number {
        return vec![At {
            line,
            value: format!("version {text} is a number and must be a string; put it in quotes"),
        }];
    }
    let minor = match text.split_once('.') {
        // Newer docker reads "3" as the newest version.
        None if text == "3" => Some(if old { 0 } else { newest }),
        Some(("3", minor)) => minor.parse().ok().filter(|minor| *minor <= newest),
        _ => None,
    };
    let Some(minor) = minor else {
        return vec![At {
            line,
            value: format!("version {text:?} is not supported; a stack has \"3\" to \"3.{newest}\""),
        }];
    };
    let newer = compose.since.iter().filter(|key| key.value.0 > minor);
    newer
        .map(|key| At {
            line: key.line,
            value: format!(
                "the key {:?} needs version 3.{}, and the file has {text:?}",
                key.value.1, key.value.0
            ),
        })
        .collect()
}
