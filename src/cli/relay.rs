//! Arguments of the commands that run in the containers of `--via swarm`. They are hidden: no person types them.

use super::{Cli, Collect, Command, values};
use crate::error::ExpectedError;
use clap::{Args, Parser as _};
use std::time::Duration;

/// Arguments of `relay`.
#[derive(Clone, Debug, Args)]
pub struct Relay {
    /// Run that started it
    #[arg(long, value_name = "ID")]
    pub run: String,
    /// Second of the epoch from which its container is stale
    #[arg(long, value_name = "SECOND")]
    pub until: u64,
    /// Timeout of the collecting
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub node_timeout: Duration,
    /// Arguments of the collecting
    #[arg(last = true, value_name = "ARGUMENT")]
    pub words: Vec<String>,
}

impl Relay {
    /// The arguments of the collecting, parsed.
    pub fn collect(&self) -> Result<Collect, ExpectedError> {
        let words = ["swarm-doctor", "collect-host"].into_iter().chain(self.words.iter().map(String::as_str));
        match Cli::try_parse_from(words) {
            Ok(Cli { command: Command::CollectHost(collect) }) => Ok(*collect),
            Ok(_) => Err(ExpectedError::usage("these are no arguments of the collecting")),
            Err(error) => Err(ExpectedError::usage(error.to_string())),
        }
    }
}
