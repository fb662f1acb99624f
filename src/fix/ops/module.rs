//! Loading a kernel module, now and at every boot.

use super::{Change, Operation, Planned, file};
use crate::fix::error::Result;
use crate::fix::{FixContext, Level};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// The time limit of modprobe.
const LIMIT: Duration = Duration::from_secs(20);

/// A module that is not loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct ModuleLoad {
    name: String,
}

pub(super) fn plan(planned: &mut Planned, module: &str, context: &FixContext<'_>) -> Result<()> {
    if context.system.module_users(module).is_none() {
        planned.push(Operation::Module(ModuleLoad { name: module.into() }));
    }
    let path = format!("/etc/modules-load.d/{module}.conf");
    file::edit(planned, Path::new(&path), context, |_| Ok(format!("{module}\n")))
}

impl Change for ModuleLoad {
    fn describe(&self) -> String {
        format!("modprobe {}", self.name)
    }

    fn describe_revert(&self) -> String {
        format!("unload the kernel module {} if it is not in use", self.name)
    }

    fn level(&self) -> Level {
        Level::Safe
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        context.system.run(&["modprobe".into(), self.name.clone()], LIMIT).map(drop)
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(context.system.module_users(&self.name).is_some())
    }

    /// A module that is in use stays loaded.
    async fn revert(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        if context.system.module_users(&self.name) != Some(0) {
            return Ok(());
        }
        context.system.run(&["modprobe".into(), "-r".into(), self.name.clone()], LIMIT).map(drop)
    }
}
