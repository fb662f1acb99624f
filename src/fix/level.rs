//! How much a fix may affect.

use checks::Step;
use clap::ValueEnum;

/// How much a fix may affect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Running tasks are not affected, and it can be undone.
    Safe,
    /// dockerd or tasks restart.
    Disruptive,
    /// Membership, quorum or state can be lost.
    Destructive,
}

impl Level {
    /// The level of one step.
    pub fn of(step: &Step) -> Self {
        match step {
            Step::EditJson { .. }
            | Step::RepairJson { .. }
            | Step::SetSysctl { .. }
            | Step::LoadModule { .. }
            | Step::ChangeFirewall { .. }
            | Step::ReloadEngine { .. }
            | Step::CreateIngress { .. }
            | Step::Unlock { .. }
            | Step::Manual { .. } => Self::Safe,
            Step::AddAddress { .. }
            | Step::StartEngine { .. }
            | Step::RestartEngine { .. }
            | Step::ActivateNode { .. }
            | Step::UpdateService { .. }
            | Step::RemoveNode { .. } => Self::Disruptive,
            Step::RecreateIngress { .. }
            | Step::DemoteManager { .. }
            | Step::Leave { .. }
            | Step::Join { .. }
            | Step::Init { .. }
            | Step::ForceNewCluster { .. }
            | Step::RenewCertificate { .. } => Self::Destructive,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Disruptive => "disruptive",
            Self::Destructive => "destructive",
        }
    }
}
