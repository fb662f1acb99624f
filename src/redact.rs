//! Taking secrets out, of every artifact, before anything else sees it.

use std::borrow::Cow;

/// The artifact without the secrets in it. What is no text is kept as it is: nothing we collect is binary.
pub(crate) fn redacted(content: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&content);
    match facts::parse::log::redact(&text) {
        // Nothing was found, so the bytes may stay as they are.
        Cow::Borrowed(_) => content,
        Cow::Owned(text) => text.into_bytes(),
    }
}
