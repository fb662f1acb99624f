//! Setting a kernel parameter, now and at every boot.

use super::{Change, Operation, Planned, file};
use crate::fix::error::{FixError, Result};
use crate::fix::{FixContext, Level};
use checks::SYSCTL_FILE;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// A new value of a kernel parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct SysctlEdit {
    key: String,
    before: String,
    after: String,
}

pub(super) fn plan(planned: &mut Planned, key: &str, to: &str, context: &FixContext<'_>) -> Result<()> {
    let before = context.system.sysctl(key)?;
    file::edit(planned, Path::new(SYSCTL_FILE), context, |text| Ok(persistent(text, key, to)))?;
    if before != to {
        planned.push(Operation::Sysctl(SysctlEdit { key: key.into(), before, after: to.into() }));
    }
    Ok(())
}

/// The text of a sysctl file with one parameter set.
fn persistent(text: &str, key: &str, to: &str) -> String {
    let of_key = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
    let mut lines: Vec<String> = text.lines().filter(|line| !of_key(line)).map(str::to_owned).collect();
    lines.push(format!("{key} = {to}"));
    lines.join("\n") + "\n"
}

impl SysctlEdit {
    fn set(&self, from: &str, to: &str, context: &FixContext<'_>) -> Result<()> {
        let now = context.system.sysctl(&self.key)?;
        if now == to {
            return Ok(());
        }
        if now != from {
            return Err(FixError::Changed { what: self.key.clone() });
        }
        context.system.set_sysctl(&self.key, to)
    }
}

impl Change for SysctlEdit {
    fn describe(&self) -> String {
        format!("set {} to {} (now {})", self.key, self.after, self.before)
    }

    fn describe_revert(&self) -> String {
        format!("set {} back to {}", self.key, self.before)
    }

    fn level(&self) -> Level {
        Level::Safe
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        self.set(&self.before, &self.after, context)
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(context.system.sysctl(&self.key)? == self.after)
    }

    async fn revert(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        self.set(&self.after, &self.before, context)
    }
}

#[cfg(test)]
mod tests {
    use super::persistent;

    #[test]
    fn a_parameter_stands_once_in_its_file() {
        assert_eq!(persistent("", "net.ipv4.ip_forward", "1"), "net.ipv4.ip_forward = 1\n");
        assert_eq!(persistent("# mine\na.b=1\nc = 2", "a.b", "0"), "# mine\nc = 2\na.b = 0\n");
    }
}
