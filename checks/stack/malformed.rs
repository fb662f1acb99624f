use super::{edit, line};
use crate::{Findings, Judged, Subject, View};
use facts::stack::{Compose, Stack};
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
    /// The docker command may be newer than the engine that was asked for its version.
    ///
    /// Source: docker/cli `cli/compose/loader/loader.go`, `cli/compose/schema/`.
    "stack/malformed": Error, "docker refuses the stack file";
    needs Stack, Version;
    for each Host: run
}

/// The newest version of the file, 3.13.
const NEWEST: u32 = 13;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = match &stack.parsed {
        Ok(compose) => compose,
        Err(fault) => {
            let column = if fault.column > 0 { format!(", column {}", fault.column) } else { String::new() };
            let what = format!("line {}{column}: {}", fault.line, fault.what);
            tell(stack, fault.line, what, out);
            return Ok(());
        }
    };
    let old = engine_is_old(&host.version.get()?.engine);
    for (number, what) in version(compose, old) {
        tell(stack, number, format!("line {number}: {what}"), out);
    }
    for fault in &compose.faults {
        tell(stack, fault.line, format!("line {}: {}", fault.line, fault.value), out);
    }
    Ok(())
}

fn tell(stack: &Seen<Stack>, number: u32, what: String, out: &mut Findings<'_>) {
    out.report(Subject::Cluster, format!("docker refuses the stack file: {what}"), line(stack, number))
        .remedy(edit(stack, "Correct the stack file", what));
}

/// Docker up to 20.10 takes a file for what its version says; later ones for what it holds.
fn engine_is_old(version: &str) -> bool {
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major <= 20)
}

fn version(compose: &Compose, old: bool) -> Vec<(u32, String)> {
    let Some(version) = &compose.version else {
        let first = compose.services.first().map_or(1, |service| service.name.line);
        return match old {
            true => vec![(
                first,
                "without a version at its top, docker of this age takes it for version 1".into(),
            )],
            false => Vec::new(),
        };
    };
    let said = &version.value;
    if compose.version_is_number {
        return vec![(
            version.line,
            format!("version {said} stands there as a number; it has to be a text in quotes"),
        )];
    }
    let minor = match said.split_once('.') {
        None if said == "3" => Some(0),
        Some(("3", minor)) => minor.parse().ok().filter(|minor| *minor <= NEWEST),
        _ => None,
    };
    let Some(minor) = minor else {
        return vec![(
            version.line,
            format!("version {said:?} is not one for a stack, which are \"3\" to \"3.{NEWEST}\""),
        )];
    };
    let newer = compose.since.iter().filter(|feature| old && feature.value.0 > minor);
    newer
        .map(|f| {
            (f.line, format!("{} came with version 3.{}, and the file says {said:?}", f.value.1, f.value.0))
        })
        .collect()
}
