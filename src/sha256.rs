//! SHA-256 digests in hexadecimal.

use sha2::{Digest, Sha256};

/// The digest of these bytes.
pub(crate) fn of(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// A digest that was computed in pieces.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
