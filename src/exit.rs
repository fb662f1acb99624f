//! Exit codes, fixed since 0.1.0.

use crate::judge::{Diagnosis, Verdict};
use crate::matrix::{Layer, Matrix, Path, State};
use checks::Severity;

/// What the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// No finding at or above `--fail-on`, and everything that was required was checked.
    Healthy,
    /// At least one error.
    Errors,
    /// The command line or the configuration is wrong.
    Usage,
    /// A check could not tell, and nothing worse was found.
    Unknown,
    /// Warnings only, and `--fail-on warning` was given.
    Warnings,
    /// Nothing was changed, for it may not be, or nobody was there to be asked; or what was begun did not heal.
    Refused,
    /// The run was interrupted.
    Interrupted,
}

/// From which weight on a finding fails the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// Errors.
    #[default]
    Error,
    /// Errors and warnings.
    Warning,
    /// Nothing.
    Never,
}

impl FailOn {
    /// The same for a monitoring plugin, which has a word for warnings.
    pub fn of_plugin(self) -> Self {
        if self == Self::Never { Self::Never } else { Self::Warning }
    }
}

impl ExitCode {
    /// The number that a monitoring plugin ends with: 0 is well, 1 a warning, 2 critical, 3 unknown.
    pub fn of_plugin(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Warnings => 1,
            Self::Errors => 2,
            Self::Unknown | Self::Usage | Self::Refused | Self::Interrupted => 3,
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
            Self::Interrupted => 130,
        }
    }

    /// What a matrix ends with. A swarm needs no echo, and no kernel owes another the time.
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

    /// What a diagnosis ends with.
    pub fn of(diagnosis: &Diagnosis, fail_on: FailOn, allow_unknown: bool) -> Self {
        if fail_on == FailOn::Never {
            return Self::Healthy;
        }
        let worst = diagnosis.all_findings().map(|finding| finding.severity).max();
        // A check that found something may also have left something open.
        let open = diagnosis.verdicts.iter().any(Verdict::is_open);
        match worst {
            Some(Severity::Error) => Self::Errors,
            Some(Severity::Warning) if fail_on == FailOn::Warning => Self::Warnings,
            _ if open && !allow_unknown => Self::Unknown,
            _ => Self::Healthy,
        }
    }
}
