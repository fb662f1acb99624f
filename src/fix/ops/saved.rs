//! State that an operation replaces: in memory while it is planned, a file beside the journal once it is saved.

use crate::fix::FixContext;
use crate::fix::error::{FixError, Result};
use crate::fix::journal::Receipt;
use crate::sha256;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Some bytes, or the absence of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct Saved {
    /// The SHA-256 of the content; none where there is no file.
    digest: Option<String>,
    /// The name of the copy beside the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip)]
    bytes: Option<Vec<u8>>,
}

impl Saved {
    pub(super) fn of(bytes: Option<Vec<u8>>) -> Self {
        Self { digest: bytes.as_deref().map(sha256::of), file: None, bytes }
    }

    /// Writes the content beside the journal.
    pub(super) fn store(&mut self, receipt: &Receipt<'_>) -> Result<()> {
        if let (Some(bytes), None) = (&self.bytes, &self.file) {
            self.file = Some(receipt.save(bytes)?);
        }
        Ok(())
    }

    /// Whether it is this content.
    pub(super) fn is(&self, bytes: Option<&[u8]>) -> bool {
        self.digest == bytes.map(sha256::of)
    }

    /// The content as long as it is planned; none where there is no file.
    pub(super) fn planned(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }

    /// The content, from memory or from the copy.
    ///
    /// # Errors
    /// Where the copy is missing or damaged.
    pub(super) fn load(&self, saved: &Path, context: &FixContext<'_>) -> Result<Option<Vec<u8>>> {
        let Some(expected) = &self.digest else { return Ok(None) };
        if let Some(bytes) = &self.bytes {
            return Ok(Some(bytes.clone()));
        }
        let path = saved.join(self.file.as_deref().unwrap_or_default());
        let found = context.system.read(&path)?;
        match found {
            Some(bytes) if sha256::of(&bytes) == *expected => Ok(Some(bytes)),
            _ => Err(FixError::Failed(format!("the backup {} is missing or damaged", path.display()))),
        }
    }
}
