//! Options of the source: which engine and which host.

use super::values;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Where facts are collected from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Source options")]
pub struct Source {
    /// Engine, as for docker -H [env: DOCKER_HOST]
    ///
    /// unix:///path or tcp://host:port
    #[arg(short = 'H', long, value_name = "URL", conflicts_with = "context")]
    pub host: Option<String>,
    /// Docker context of the engine [env: DOCKER_CONTEXT]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Directory to read the host's files from
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub root: PathBuf,
    /// How far back to read the engine log
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "24h",
        value_parser = values::duration,
        env = "SWARM_DOCTOR_SINCE",
        hide_env = true
    )]
    pub since: Duration,
    /// Timeout per engine API request
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2s",
        value_parser = values::duration,
        env = "SWARM_DOCTOR_TIMEOUT",
        hide_env = true
    )]
    pub timeout: Duration,
    /// Timeout for collecting one kind of fact
    ///
    /// Checks that need the fact wait for it. The default is 4 s more than --timeout.
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = values::duration,
        hide_short_help = true,
        env = "SWARM_DOCTOR_CHECK_TIMEOUT",
        hide_env = true
    )]
    pub check_timeout: Option<Duration>,
    /// Capture gossip packets, at most for this long
    ///
    /// Only a capture can prove that 7946/udp works. 5s is enough for three nodes.
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = values::duration,
        env = "SWARM_DOCTOR_LISTEN",
        hide_env = true
    )]
    pub listen: Option<Duration>,
    /// Treat a service as an application, such as nifi=ingest
    ///
    /// For services whose image is not recognised. Repeatable.
    #[arg(long = "app", value_name = "PROGRAM=SERVICE", value_parser = values::app, hide_short_help = true)]
    pub apps: Vec<App>,
}

/// A service and the program that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The program, by the name that swarm-doctor gives it.
    pub program: String,
    /// The service, by name.
    pub service: String,
}
