//! Putting bundles together, one machine after the other.

use super::{Writer, each};
use crate::error::ExpectedError;
use std::path::{Path, PathBuf};

/// Writes the machines of all these bundles into one.
pub fn merge(bundles: &[PathBuf], file: &Path) -> Result<(), ExpectedError> {
    let mut writer = Writer::of_several(file)?;
    for path in bundles {
        let mut written = Ok(());
        each(path, &mut |bundle| {
            if written.is_ok() {
                written = writer.machine(&bundle);
            }
        })?;
        written?;
    }
    writer.end()
}
