//! Putting bundles together, one machine after the other.

use super::{Pseudonyms, Writer, each};
use crate::error::ExpectedError;
use std::path::{Path, PathBuf};

/// Writes the machines of all these bundles into one, under pseudonyms if wanted.
pub fn merge(bundles: &[PathBuf], file: &Path, anonymize: bool) -> Result<(), ExpectedError> {
    let mut pseudonyms = None;
    if anonymize {
        // All names have to be known before any is replaced.
        let mut all = Pseudonyms::default();
        for path in bundles {
            each(path, &mut |bundle| all.learn(&bundle))?;
        }
        all.settle();
        pseudonyms = Some(all);
    }
    let mut writer = Writer::of_several(file)?;
    for path in bundles {
        let mut written = Ok(());
        each(path, &mut |bundle| {
            if written.is_ok() {
                let bundle = match &pseudonyms {
                    Some(pseudonyms) => pseudonyms.bundle(bundle),
                    None => bundle,
                };
                written = writer.machine(&bundle);
            }
        })?;
        written?;
    }
    writer.end()
}
