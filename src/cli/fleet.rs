//! Options of examining all nodes of the swarm.

use super::values;
use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Which nodes are examined besides this one, and how they are reached.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "All nodes options")]
pub struct Fleet {
    /// Examine all nodes of the swarm and judge them as one
    #[arg(long, conflicts_with = "root", help_heading = "Source options")]
    pub all_nodes: bool,
    /// How the other nodes are reached
    #[arg(long, value_name = "WAY", default_value = "auto", hide_short_help = true, requires = "all_nodes")]
    pub via: Via,
    /// Only nodes whose name or address matches (repeatable)
    ///
    /// `*` stands for any characters and `?` for one, such as `worker-*`.
    #[arg(long, value_name = "PATTERN", value_parser = glob::Pattern::new, hide_short_help = true, requires = "all_nodes")]
    pub nodes: Vec<glob::Pattern>,
    /// Timeout per node
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "20s",
        value_parser = values::duration,
        hide_short_help = true,
        requires = "all_nodes"
    )]
    pub node_timeout: Duration,
    /// How many nodes are examined at the same time over ssh
    #[arg(long, value_name = "NUMBER", default_value = "32", hide_short_help = true, requires = "all_nodes")]
    pub parallel: NonZeroUsize,
    /// Arguments of ssh, such as 'admin@{addr}'
    ///
    /// The last word is the destination. {addr} is the address of the node, {name} its hostname. The configuration of ssh
    /// applies.
    #[arg(
        long,
        value_name = "ARGUMENTS",
        default_value = "{addr}",
        value_parser = values::ssh,
        allow_hyphen_values = true,
        hide_short_help = true,
        requires = "all_nodes"
    )]
    pub ssh: SshArguments,
    /// File with the hosts, one per line, instead of the node list
    #[arg(long, value_name = "PATH", hide_short_help = true, requires = "all_nodes")]
    pub hosts: Option<PathBuf>,
    /// Image with this version as its entrypoint, for --via swarm
    #[arg(long, value_name = "IMAGE", hide_short_help = true, requires = "all_nodes")]
    pub image: Option<String>,
    /// Leave the copied program on the nodes for the next run
    #[arg(long, hide_short_help = true, requires = "all_nodes")]
    pub keep: bool,
}

impl Default for Fleet {
    /// This node only.
    fn default() -> Self {
        Self {
            all_nodes: false,
            via: Via::Auto,
            nodes: Vec::new(),
            node_timeout: Duration::from_secs(20),
            parallel: NonZeroUsize::MIN,
            ssh: SshArguments(Vec::new()),
            hosts: None,
            image: None,
            keep: false,
        }
    }
}

/// How other nodes are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// swarm if --image is given and a manager answers, else ssh
    Auto,
    /// By a service that runs --image once on each node
    Swarm,
    /// With the ssh program of this host
    Ssh,
}

/// The arguments of ssh with placeholders; the last one is the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshArguments(pub Vec<String>);
