//! Parsers of option values.

use super::fleet::SshArguments;
use super::output::{Format, Wanted};
use super::source::App;
use clap::ValueEnum as _;
use std::time::Duration;

/// Parses `PROGRAM=SERVICE`.
pub(super) fn app(text: &str) -> Result<App, String> {
    let Some((program, service)) = text.split_once('=').filter(|(_, service)| !service.is_empty()) else {
        return Err("PROGRAM=SERVICE is expected, such as nifi=stack1_ingest".into());
    };
    match facts::app::Program::named(program) {
        Some(program) => Ok(App { program: program.name.to_owned(), service: service.to_owned() }),
        None => {
            let known: Vec<_> = facts::app::PROGRAMS.iter().map(|program| program.name).collect();
            Err(format!("{program:?} is not one of {}", known.join(", ")))
        }
    }
}

/// Parses `FORMAT=PATH`.
pub(super) fn wanted(text: &str) -> Result<Wanted, String> {
    let Some((format, path)) = text.split_once('=').filter(|(_, path)| !path.is_empty()) else {
        return Err("FORMAT=PATH is expected, such as sarif=swarm.sarif".into());
    };
    let known = || Format::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
    let format = Format::from_str(format, false).map_err(|_| {
        let names: Vec<_> = known().map(|value| value.get_name().to_owned()).collect();
        format!("{format:?} is not one of {}", names.join(", "))
    })?;
    Ok(Wanted { format, path: path.into() })
}

/// Parses the arguments of ssh, split as a shell does it.
pub(super) fn ssh(text: &str) -> Result<SshArguments, String> {
    let words = shlex::split(text).ok_or("a quote is not closed")?;
    match words.last() {
        Some(last) if last.contains("{addr}") || last.contains("{name}") => Ok(SshArguments(words)),
        _ => Err("the last word is expected to be a destination with {addr} or {name}, such as admin@{addr}"
            .into()),
    }
}

/// Parses a duration such as `250ms`, `2s`, `90m`, `24h` or `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("a number with ms, s, m, h or d is expected, such as 24h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a whole number is expected before the unit".to_owned())?;
    let millis = number.checked_mul(millis).filter(|millis| *millis > 0);
    millis.map(Duration::from_millis).ok_or_else(|| "a duration above zero is expected".into())
}
