//! Exit codes. They do not change within a major version.

use crate::judge::{Diagnosis, Verdict};
use crate::matrix::{Layer, Matrix, Path, State};
use checks::Severity;

/// The exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// No finding at or above `--fail-on`, and every check is complete.
    Healthy,
    /// At least one error.
    Errors,
    /// The command line or the configuration is wrong.
    Usage,
    /// A check is incomplete, and nothing worse was found.
    Unknown,
    /// Warnings only, and `--fail-on warning` was given.
    Warnings,
    /// A fix was not confirmed or not allowed, or it was ineffective and rolled back.
    Refused,
    /// The run was interrupted (SIGINT).
    Interrupted,
    /// A fix was ended by SIGTERM.
    Terminated,
    /// A fix was ended by SIGHUP.
    HungUp,
}

/// Minimum severity that fails the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// Errors
    #[default]
    Error,
    /// Errors and warnings
    Warning,
    /// Nothing
    Never,
}

impl FailOn {
    /// The same for a monitoring plugin, which has a state for warnings.
    pub fn of_plugin(self) -> Self {
        if self == Self::Never { Self::Never } else { Self::Warning }
    }
}

impl ExitCode {
    /// The exit code of a monitoring plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    pub fn of_plugin(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Warnings => 1,
            Self::Errors => 2,
            Self::Unknown
            | Self::Usage
            | Self::Refused
            | Self::Interrupted
            | Self::Terminated
            | Self::HungUp => 3,
        }
    }

    /// The number.
    pub fn number(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Errors => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Warnings => 4,
            Self::Refused => 5,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The exit code of a matrix. A swarm needs no ICMP, and a kernel need not answer a timestamp request.
    pub fn of_paths(matrices: &[Matrix]) -> Self {
        let counts = |path: &&Path| match path.state {
            State::Refuted => path.layer != Layer::Icmp,
            State::Unknown => !matches!(path.layer, Layer::Icmp | Layer::Clock),
            State::Proven | State::None => false,
        };
        let worst = matrices.iter().flat_map(Matrix::paths).filter(counts).map(|path| path.state).min();
        match worst {
            Some(State::Refuted) => Self::Errors,
            None if matrices.iter().all(|matrix| matrix.why.is_none()) => Self::Healthy,
            _ => Self::Unknown,
        }
    }

    /// The exit code of a diagnosis.
    pub fn of(diagnosis: &Diagnosis, fail_on: FailOn, allow_unknown: bool) -> Self {
        if fail_on == FailOn::Never {
            return Self::Healthy;
        }
        let worst = diagnosis.all_findings().map(|finding| finding.severity).max();
        // A check with a finding may be incomplete, too.
        let open = diagnosis.verdicts.iter().any(Verdict::is_open);
        match worst {
            Some(Severity::Error) => Self::Errors,
            Some(Severity::Warning) if fail_on == FailOn::Warning => Self::Warnings,
            _ if open && !allow_unknown => Self::Unknown,
            _ => Self::Healthy,
        }
    }
}
