//! Replacing a configuration file.

use super::saved::Saved;
use super::{Change, Operation, Planned, json};
use crate::fix::error::{FixError, Result};
use crate::fix::journal::Receipt;
use crate::fix::{FixContext, Level};
use facts::JsonRepair;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A new content of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct FileEdit {
    path: PathBuf,
    before: Saved,
    after: Saved,
}

/// Plans to set or remove a key of a JSON file.
pub(super) fn plan_edit(
    planned: &mut Planned,
    path: &Path,
    pointer: &str,
    to: Option<&str>,
    context: &FixContext<'_>,
) -> Result<()> {
    edit(planned, path, context, |text| {
        json::edited(text, pointer, to)
            .map_err(|reason| FixError::Protected { path: path.to_owned(), reason })
    })
}

/// Plans to repair the syntax of a JSON file.
pub(super) fn plan_repair(
    planned: &mut Planned,
    path: &Path,
    repairs: &[JsonRepair],
    context: &FixContext<'_>,
) -> Result<()> {
    edit(planned, path, context, |text| match facts::repair_json(text) {
        Some((repaired, found)) if found == *repairs => Ok(repaired),
        _ => Err(FixError::Changed { what: path.display().to_string() }),
    })
}

/// Plans a change of the text of a file, or adds to the one that is planned already.
pub(super) fn edit(
    planned: &mut Planned,
    path: &Path,
    context: &FixContext<'_>,
    change: impl Fn(&str) -> Result<String>,
) -> Result<()> {
    let text = |content: Option<&[u8]>| {
        String::from_utf8(content.unwrap_or_default().to_vec()).map_err(|_| FixError::Protected {
            path: path.to_owned(),
            reason: "its content is not UTF-8".into(),
        })
    };
    let begun = planned.operations.iter_mut().find_map(|operation| match operation {
        Operation::File(edit) if edit.path == path => Some(edit),
        _ => None,
    });
    if let Some(begun) = begun {
        begun.after = Saved::of(Some(change(&text(begun.after.planned())?)?.into_bytes()));
        return Ok(());
    }
    let before = context.system.config(path)?;
    let after = change(&text(before.as_deref())?)?.into_bytes();
    if before.as_ref() != Some(&after) {
        let edit =
            FileEdit { path: path.to_owned(), before: Saved::of(before), after: Saved::of(Some(after)) };
        planned.push(Operation::File(edit));
    }
    Ok(())
}

/// Replaces a file by one of its saved contents, if it still is the other one.
pub(super) fn replace(
    path: &Path,
    expected: &Saved,
    content: Option<&[u8]>,
    context: &FixContext<'_>,
) -> Result<()> {
    let now = context.system.config(path)?;
    if !expected.is(now.as_deref()) {
        return Err(FixError::Changed { what: path.display().to_string() });
    }
    context.system.replace(path, now.as_deref(), content)
}

impl Change for FileEdit {
    fn describe(&self) -> String {
        format!("write {}", self.path.display())
    }

    fn describe_revert(&self) -> String {
        format!("restore {}", self.path.display())
    }

    fn level(&self) -> Level {
        Level::Safe
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn save(&mut self, receipt: &Receipt<'_>, _context: &FixContext<'_>) -> Result<()> {
        self.before.store(receipt)
    }

    async fn apply(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
        replace(&self.path, &self.before, self.after.load(saved, context)?.as_deref(), context)
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(self.after.is(context.system.config(&self.path)?.as_deref()))
    }

    async fn revert(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
        if self.before.is(context.system.config(&self.path)?.as_deref()) {
            return Ok(());
        }
        replace(&self.path, &self.after, self.before.load(saved, context)?.as_deref(), context)
    }
}

impl FileEdit {
    /// The changed lines with two unchanged ones around them, in the form of `diff -u`.
    pub(in crate::fix) fn diff(&self) -> Vec<String> {
        let lines = |content: Option<&[u8]>| -> Vec<String> {
            let text = String::from_utf8_lossy(content.unwrap_or_default()).into_owned();
            text.lines().map(str::to_owned).collect()
        };
        let (old, new) = (lines(self.before.planned()), lines(self.after.planned()));
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let rest = old.len().min(new.len()) - same;
        let tail =
            old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
        let marked = |mark: char| move |line: &String| format!("{mark}{line}");
        let around = 2;
        let path = self.path.display();
        let mut diff = vec![format!("--- {path}"), format!("+++ {path}")];
        diff.extend(old[same.saturating_sub(around)..same].iter().map(marked(' ')));
        diff.extend(old[same..old.len() - tail].iter().map(marked('-')));
        diff.extend(new[same..new.len() - tail].iter().map(marked('+')));
        diff.extend(old[old.len() - tail..].iter().take(around).map(marked(' ')));
        diff
    }
}
