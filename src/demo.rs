//! The demonstration: a bundle recorded from a lab swarm that was really broken.

use crate::bundle::read_from;
use crate::error::ExpectedError;
use facts::bundle::Bundle;

const BUNDLE: &[u8] = include_bytes!("../fixtures/demo.tar.zst");

/// The recorded bundle.
pub fn bundle() -> Result<Bundle, ExpectedError> {
    read_from(BUNDLE)
        .map_err(|what| ExpectedError::usage(format!("failed to read the embedded bundle: {what}")))
}
