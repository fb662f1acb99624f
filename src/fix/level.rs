//! How much a fix may hurt.

use checks::Step;
use clap::ValueEnum;

/// How much a fix may hurt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Nothing that runs is touched, and it can be taken back.
    Safe,
    /// An engine or tasks start again.
    Disruptive,
    /// Membership, quorum or state can be lost.
    Destructive,
}

impl Level {
    /// What one step may hurt.
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
