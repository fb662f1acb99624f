//! Options of the gate: which findings fail the run. A configuration file can hold them; the command line overrides it.

use super::RuleFolders;
use crate::exit::FailOn;
use clap::Args;
use clap::builder::BoolishValueParser;
use std::path::PathBuf;

/// Which findings fail the run.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Gate options")]
pub struct Gate {
    /// Minimum severity that fails the run [default: error]
    #[arg(long, value_name = "SEVERITY", env = "SWARM_DOCTOR_FAIL_ON", hide_env = true)]
    pub fail_on: Option<FailOn>,
    /// Exit with 0 even if checks are incomplete
    #[arg(
        long,
        env = "SWARM_DOCTOR_ALLOW_UNKNOWN",
        hide_env = true,
        value_parser = BoolishValueParser::new()
    )]
    pub allow_unknown: bool,
    /// Ignore findings that are in this JSON report
    #[arg(long, value_name = "PATH", env = "SWARM_DOCTOR_BASELINE", hide_env = true)]
    pub baseline: Option<PathBuf>,
    /// Ignore a finding, with the reason (repeatable)
    ///
    /// The finding is listed as ignored. REASON may end with `until 2027-01-31`.
    #[arg(long, value_name = "CHECK[@SUBJECT]=REASON")]
    pub ignore: Vec<String>,
    /// Override the severity of a check (repeatable)
    ///
    /// error, warning or info, such as host/ipvs-missing=info
    #[arg(long, value_name = "CHECK=SEVERITY")]
    pub severity: Vec<String>,
    /// Override the threshold of a check (repeatable)
    ///
    /// Such as host/disk-full=10%
    #[arg(long, value_name = "CHECK=VALUE")]
    pub threshold: Vec<String>,
    /// Where rules are.
    #[command(flatten)]
    pub rules: RuleFolders,
    /// Configuration file
    ///
    /// The default is /etc/swarm-doctor.toml, if it exists.
    #[arg(long, value_name = "PATH", env = "SWARM_DOCTOR_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
}
