//! The program as a plugin of the docker command: `docker doctor` starts `docker-doctor` with the whole command line, docker's
//! own options first (docker/cli, cli-plugins/manager).

use super::{Cli, ordered};
use clap::CommandFactory as _;
use serde_json::json;
use std::ffi::OsString;
use std::path::Path;

/// The name of the plugin's program, and the command it is in `docker`.
const PROGRAM: &str = "docker-doctor";
const COMMAND: &str = "doctor";
/// With this word docker asks a plugin what it is.
const METADATA: &str = "docker-cli-plugin-metadata";

/// What the program was started for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// A command line of swarm-doctor.
    Arguments(Vec<OsString>),
    /// Docker asks for this description of the plugin.
    Metadata(String),
}

/// What these words ask for. An option of docker that this program does not have is an error.
pub fn invocation(words: impl IntoIterator<Item = OsString>) -> Result<Invocation, String> {
    let words: Vec<OsString> = words.into_iter().collect();
    let is_plugin = words
        .first()
        .is_some_and(|program| Path::new(program).file_name().is_some_and(|name| name == PROGRAM));
    if !is_plugin {
        return Ok(Invocation::Arguments(ordered(words)));
    }
    if words.get(1).is_some_and(|word| word == METADATA) {
        return Ok(Invocation::Metadata(metadata()));
    }
    // Started by hand, the plugin has no command of docker before its own.
    let Some(at) = words.iter().position(|word| word == COMMAND) else {
        return Ok(Invocation::Arguments(ordered(words)));
    };
    let (before, after) = words.split_at(at);
    let (program, options) = before.split_at(before.len().min(1));
    let chosen = engine(options)?;
    let mut own = ordered(program.iter().chain(after.iter().skip(1)).cloned());
    // `list` needs no engine, so it has no option for one.
    let takes = |name: &str| {
        let command = Cli::command();
        let command = own.get(1).and_then(|word| command.find_subcommand(word));
        command.is_some_and(|command| command.get_arguments().any(|arg| arg.get_long() == Some(name)))
    };
    let chosen: Vec<OsString> = chosen
        .into_iter()
        .filter(|(name, _)| takes(name))
        .map(|(name, value)| {
            let mut option = OsString::from(format!("--{name}="));
            option.push(value);
            option
        })
        .collect();
    let place = own.len().min(2);
    own.splice(place..place, chosen);
    Ok(Invocation::Arguments(own))
}

/// The engine that docker's own options choose, as options of this program.
fn engine(options: &[OsString]) -> Result<Vec<(&'static str, OsString)>, String> {
    let mut chosen = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let text = option.to_string_lossy();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(OsString::from(value))),
            None => (text.clone().into_owned(), None),
        };
        let own = match name.as_str() {
            "-c" | "--context" => "context",
            "-H" | "--host" => "host",
            "-D" | "--debug" => continue,
            "-l" | "--log-level" => {
                drop(value.or_else(|| options.next().cloned()));
                continue;
            }
            "--config" => return Err("docker --config is not passed on; set DOCKER_CONFIG instead".into()),
            _ if name.starts_with("--tls") => {
                return Err(format!(
                    "docker {name} is not passed on; set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or use a docker context"
                ));
            }
            _ => return Err(format!("docker {name} is not known to {PROGRAM}")),
        };
        let value = value.or_else(|| options.next().cloned());
        chosen.push((own, value.ok_or_else(|| format!("docker {name} needs a value"))?));
    }
    Ok(chosen)
}

fn metadata() -> String {
    json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "swarm-doctor",
        "Version": env!("CARGO_PKG_VERSION"),
        "ShortDescription": "Diagnose a Docker Swarm",
        "URL": env!("CARGO_PKG_REPOSITORY"),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> Result<String, String> {
        match invocation(words.split(' ').map(OsString::from))? {
            Invocation::Arguments(words) => {
                Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" "))
            }
            Invocation::Metadata(text) => Ok(text),
        }
    }

    #[test]
    fn the_engine_of_docker_is_taken_over() {
        for (docker, own) in [
            ("/p/docker-doctor doctor", "/p/docker-doctor run"),
            ("/p/docker-doctor doctor run dns -v", "/p/docker-doctor run dns -v"),
            ("/p/docker-doctor --context prod doctor run dns", "/p/docker-doctor run --context=prod dns"),
            ("/p/docker-doctor -c prod doctor", "/p/docker-doctor run --context=prod"),
            ("/p/docker-doctor -H tcp://a:1 doctor matrix", "/p/docker-doctor matrix --host=tcp://a:1"),
            ("/p/docker-doctor --host=tcp://a:1 doctor -q", "/p/docker-doctor run --host=tcp://a:1 -q"),
            ("/p/docker-doctor -D -l debug --context x doctor list", "/p/docker-doctor list"),
            ("/p/docker-doctor doctor --help", "/p/docker-doctor --help"),
            ("/p/docker-doctor run dns", "/p/docker-doctor run dns"),
            ("/p/swarm-doctor --context prod run", "/p/swarm-doctor run --context prod"),
        ] {
            assert_eq!(line(docker), Ok(own.to_owned()), "{docker}");
        }
    }

    #[test]
    fn an_option_that_cannot_be_taken_over_is_an_error() {
        for wrong in ["--config /x", "--tlsverify", "--tlscacert=/x", "--what", "-H"] {
            assert!(line(&format!("/p/docker-doctor {wrong} doctor run")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn docker_is_answered_what_the_plugin_is() {
        let text = line("/p/docker-doctor docker-cli-plugin-metadata").unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(metadata["SchemaVersion"], "0.1.0");
        assert!(metadata["Vendor"].as_str().is_some_and(|vendor| !vendor.is_empty()));
        assert!(
            line("/p/swarm-doctor docker-cli-plugin-metadata")
                .unwrap()
                .contains("docker-cli-plugin-metadata")
        );
    }
}
