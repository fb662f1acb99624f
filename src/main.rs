//! Parses the arguments, runs the command, and turns the outcome into an exit code.

use clap::Parser;
use std::io::Write as _;
use std::process;
use std::time::Instant;
use swarm_doctor::cli::{Cli, Format, Invocation, invocation};
use swarm_doctor::commands::execute;
use swarm_doctor::error::notice;
use swarm_doctor::report::Printable;

fn main() -> process::ExitCode {
    let began = Instant::now();
    let words = match invocation(std::env::args_os()) {
        Ok(Invocation::Arguments(words)) => words,
        Ok(Invocation::Metadata(text)) => {
            // Docker takes a plugin without an answer for a broken one.
            let written = writeln!(std::io::stdout(), "{text}");
            return process::ExitCode::from(u8::from(written.is_err()));
        }
        Err(error) => {
            notice(&error);
            return process::ExitCode::from(2);
        }
    };
    let command = match Cli::try_parse_from(words) {
        Ok(cli) => cli.command,
        Err(error) if !error.use_stderr() => {
            // Help that cannot be written, such as to a closed pipe, is not an error.
            drop(error.print());
            return process::ExitCode::SUCCESS;
        }
        Err(error) => {
            // If standard error is closed as well, the error cannot be reported.
            drop(write!(std::io::stderr(), "{}", Printable::new(&error.render().to_string())));
            return process::ExitCode::from(2);
        }
    };
    let plugin = command.output().is_some_and(|output| output.format == Format::Nagios);
    let code = execute(command, began).unwrap_or_else(|error| {
        notice(&error.to_string());
        error.exit()
    });
    process::ExitCode::from(if plugin { code.of_plugin() } else { code.number() })
}
