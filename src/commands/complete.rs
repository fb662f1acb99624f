//! `completions`: the script of a shell, with the names that exist now as values. A shell that reads the script when it
//! starts completes the present contexts and receipts.

use super::print;
use crate::cli::Cli;
use crate::error::ExpectedError;
use crate::exit::ExitCode;
use clap::CommandFactory as _;
use clap::builder::PossibleValuesParser;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where receipts are, unless `--state-dir` names another place.
const RECEIPTS: &str = "/var/lib/swarm-doctor/receipts";

pub(super) fn script(shell: clap_complete::Shell) -> Result<ExitCode, ExpectedError> {
    let ids: Vec<&'static str> = checks::built_in().map(|check| check.meta.id.as_ref()).collect();
    let categories: BTreeSet<&'static str> = ids.iter().filter_map(|id| id.split('/').next()).collect();
    let chosen: Vec<&'static str> = categories.into_iter().chain(ids.iter().copied()).collect();
    let command = valued(Cli::command(), "run", "checks", chosen);
    let command =
        ["explain", "fix"].iter().fold(command, |all, name| valued(all, name, "check", ids.clone()));
    let command = valued(command, "undo", "receipt", leaked(names_in(Path::new(RECEIPTS))));
    let contexts = leaked(contexts());
    let sources: Vec<String> = command
        .get_subcommands()
        .filter(|command| command.get_arguments().any(|arg| arg.get_id() == "context"))
        .map(|command| command.get_name().to_owned())
        .collect();
    let mut command =
        sources.iter().fold(command, |all, name| valued(all, name, "context", contexts.clone()));
    print(|out| {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "swarm-doctor", &mut text);
        // For a name with a hyphen its script for bash sets one name for a subcommand and tests another.
        let text = String::from_utf8_lossy(&text).replace("swarm__subcmd__doctor", "swarm__doctor");
        out.write_all(text.as_bytes())
    })
}

/// The command line with the values of one argument of one command.
fn valued(all: clap::Command, command: &str, argument: &str, values: Vec<&'static str>) -> clap::Command {
    if values.is_empty() {
        return all;
    }
    let parser = PossibleValuesParser::new(values);
    all.mut_subcommand(command, |command| command.mut_arg(argument, |arg| arg.value_parser(parser)))
}

/// Names for the parser, which takes static ones. The process ends after it wrote the script. Names that a shell could
/// take for more than a word are left out.
fn leaked(names: Vec<String>) -> Vec<&'static str> {
    let plain = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    let plain = names.into_iter().filter(|name| !name.is_empty() && name.chars().all(plain));
    plain.map(|name| &*name.leak()).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The docker contexts of this user: `Name` in the meta.json of each folder.
fn contexts() -> Vec<String> {
    let named = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker"));
    let Some(config) = named.or_else(home) else { return Vec::new() };
    let folder = config.join("contexts/meta");
    let read = |name: String| {
        let text = std::fs::read(folder.join(name).join("meta.json")).ok()?;
        serde_json::from_slice::<Value>(&text).ok()?["Name"].as_str().map(str::to_owned)
    };
    let mut contexts: Vec<String> = names_in(&folder).into_iter().filter_map(read).collect();
    contexts.push("default".to_owned());
    contexts.sort();
    contexts
}
