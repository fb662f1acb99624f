//! The operations of a fix: one file each, with how it is planned, shown, applied, checked and reverted.

mod address;
mod engine;
mod file;
mod firewall;
mod ingress;
mod json;
mod membership;
mod module;
mod new_cluster;
mod nodes;
mod raft_compare;
mod saved;
mod service;
mod sysctl;

pub(super) use engine::start as start_engine;
pub(super) use file::FileEdit;
pub(super) use new_cluster::aftermath;

use super::error::{FixError, Result};
use super::journal::Receipt;
use super::{FixContext, Level};
use checks::Step;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How an operation is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reversal {
    /// [`Change::revert`] does it.
    Revert,
    /// [`Change::revert`] does it once all others are rolled back.
    RevertLast,
    /// Nothing has to be rolled back.
    Unneeded,
    /// It cannot be rolled back once it took effect, and why. [`Change::revert`] is called only where it did not.
    Impossible(&'static str),
}

/// One change of the host or of the swarm.
pub(super) trait Change {
    /// What is run, exactly.
    fn describe(&self) -> String;
    /// What reverting it does.
    fn describe_revert(&self) -> String;
    /// How much applying or reverting it may affect.
    fn level(&self) -> Level;
    /// How it is rolled back.
    fn reversal(&self) -> Reversal {
        Reversal::Revert
    }
    /// How long its effect may take to show.
    fn settles_within(&self) -> Duration;
    /// Whether it needs an engine that answers.
    fn needs_engine(&self) -> bool {
        false
    }
    /// Saves the state that it replaces beside the journal.
    fn save(&mut self, _receipt: &Receipt<'_>, _context: &FixContext<'_>) -> Result<()> {
        Ok(())
    }
    /// Applies it. `saved` is the directory of the receipt.
    async fn apply(&self, saved: &Path, context: &FixContext<'_>) -> Result<()>;
    /// Whether the system is in the state that it is for.
    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool>;
    /// Reverts it as far as it was applied; a second time changes nothing.
    async fn revert(&self, saved: &Path, context: &FixContext<'_>) -> Result<()>;
}

macro_rules! operations {
    ($($kind:ident($type:ty)),+ $(,)?) => {
        /// One operation, as it is planned and as the journal records it.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        pub(super) enum Operation {
            $(
                #[doc = concat!("See [`", stringify!($type), "`].")]
                $kind($type)
            ),+
        }

        impl Operation {
            pub(super) fn describe(&self) -> String {
                match self { $(Self::$kind(change) => change.describe()),+ }
            }

            pub(super) fn describe_revert(&self) -> String {
                match self { $(Self::$kind(change) => change.describe_revert()),+ }
            }

            pub(super) fn level(&self) -> Level {
                match self { $(Self::$kind(change) => change.level()),+ }
            }

            pub(super) fn reversal(&self) -> Reversal {
                match self { $(Self::$kind(change) => change.reversal()),+ }
            }

            pub(super) fn settles_within(&self) -> Duration {
                match self { $(Self::$kind(change) => change.settles_within()),+ }
            }

            pub(super) fn needs_engine(&self) -> bool {
                match self { $(Self::$kind(change) => change.needs_engine()),+ }
            }

            pub(super) fn save(&mut self, receipt: &Receipt<'_>, context: &FixContext<'_>) -> Result<()> {
                match self { $(Self::$kind(change) => change.save(receipt, context)),+ }
            }

            pub(super) async fn apply(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
                match self { $(Self::$kind(change) => change.apply(saved, context).await),+ }
            }

            pub(super) async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
                match self { $(Self::$kind(change) => change.is_applied(context).await),+ }
            }

            pub(super) async fn revert(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
                match self { $(Self::$kind(change) => change.revert(saved, context).await),+ }
            }
        }
    };
}

operations! {
    File(file::FileEdit),
    Sysctl(sysctl::SysctlEdit),
    Module(module::ModuleLoad),
    Firewall(firewall::FirewallEdit),
    Engine(engine::EngineAction),
    Address(address::AddressAdd),
    Service(service::ServiceEdit),
    IngressRemove(ingress::IngressRemove),
    IngressCreate(ingress::IngressCreate),
    Availability(nodes::Availability),
    NodeRemove(nodes::NodeRemove),
    Demote(nodes::Demote),
    Unlock(membership::Unlock),
    StateCopy(membership::StateCopy),
    Forget(membership::Forget),
    Leave(membership::Leave),
    Join(membership::Join),
    Init(membership::Init),
    NewCluster(new_cluster::NewCluster),
}

/// The operations of a plan, in order.
#[derive(Default)]
pub(super) struct Planned {
    pub(super) operations: Vec<Operation>,
    /// What a person has to know before they are allowed.
    pub(super) notes: Vec<String>,
}

impl Planned {
    /// The operations that these steps need on this host as it is now.
    pub(super) async fn of(steps: &[Step], context: &FixContext<'_>) -> Result<Self> {
        let mut planned = Self::default();
        for step in steps {
            planned.step(step, context).await?;
        }
        Ok(planned)
    }

    /// The changes of files among them.
    pub(super) fn files(&self) -> impl Iterator<Item = &FileEdit> {
        self.operations.iter().filter_map(|operation| match operation {
            Operation::File(edit) => Some(edit),
            _ => None,
        })
    }

    async fn step(&mut self, step: &Step, context: &FixContext<'_>) -> Result<()> {
        match step {
            Step::EditJson { file, pointer, to, .. } => {
                file::plan_edit(self, Path::new(file), pointer, to.as_deref(), context)
            }
            Step::RepairJson { file, repairs, .. } => {
                file::plan_repair(self, Path::new(file), repairs, context)
            }
            Step::SetSysctl { key, to, .. } => sysctl::plan(self, key, to, context),
            Step::LoadModule { module, .. } => module::plan(self, module, context),
            Step::ChangeFirewall { changes, .. } => firewall::plan(self, changes, context),
            Step::ReloadEngine { .. } => engine::plan(self, engine::Action::Reload, context),
            Step::StartEngine { .. } => engine::plan(self, engine::Action::Start, context),
            Step::RestartEngine { .. } => engine::plan(self, engine::Action::Restart, context),
            Step::AddAddress { device, addr, prefix, .. } => {
                address::plan(self, device, *addr, *prefix, context).await
            }
            Step::UpdateService { service, changes, .. } => {
                service::plan(self, service, changes, context).await
            }
            Step::CreateIngress { .. } => {
                self.operations.push(Operation::IngressCreate(ingress::IngressCreate::default()));
                Ok(())
            }
            Step::RecreateIngress { subnet, .. } => ingress::plan(self, subnet, context).await,
            Step::ActivateNode { id, .. } => nodes::plan_activate(self, id, context).await,
            Step::RemoveNode { id, manager, .. } => nodes::plan_remove(self, id, *manager),
            Step::DemoteManager { id: Some(id), .. } => nodes::plan_demote(self, id, context).await,
            Step::Unlock { .. } => membership::plan_unlock(self, context),
            Step::Leave { force, .. } => membership::plan_leave(self, *force, context).await,
            Step::Join { advertise, .. } => membership::plan_join(self, advertise.as_deref(), context).await,
            Step::Init { advertise, .. } => membership::plan_init(self, advertise, context).await,
            Step::ForceNewCluster { .. } => new_cluster::plan(self, context).await,
            Step::RenewCertificate { .. } => new_cluster::plan_renewal(self, context).await,
            Step::DemoteManager { id: None, .. } | Step::Manual { .. } => {
                Err(FixError::Refused(format!("only a person can do this: {}", step.text())))
            }
        }
    }

    fn push(&mut self, operation: Operation) {
        self.operations.push(operation);
    }
}

/// Where an engine stores its swarm state.
fn swarm_state(info: &Value) -> PathBuf {
    Path::new(info["DockerRootDir"].as_str().unwrap_or("/var/lib/docker")).join("swarm")
}

/// An id or a name as part of a path of the API: it must not lead to another path.
fn path_segment(id: &str) -> Result<&str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !id.is_empty() && !id.starts_with('.') && id.bytes().all(fits) {
        Ok(id)
    } else {
        Err(FixError::Refused(format!("{id:?} is not a valid id or name")))
    }
}

/// A string of an answer; empty where it is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of an answer; none where it is no list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
