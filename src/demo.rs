//! The demonstration: a bundle recorded from a lab swarm that was really broken.

use crate::bundle::embedded;
use crate::error::ExpectedError;
use facts::bundle::Bundle;

const BUNDLE: &[u8] = include_bytes!("../fixtures/demo.tar.zst");

/// The recorded bundle.
pub fn bundle() -> Result<Bundle, ExpectedError> {
    embedded(BUNDLE)
}
