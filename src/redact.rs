//! Taking secrets out, of every artifact, before anything else sees it.

use std::borrow::Cow;

/// The compose file of a stack, in which YAML has to stay YAML.
const COMPOSE: &str = "stack/compose.yml";

/// The artifact without the secrets in it. Binary content is returned unchanged: nothing we collect is binary.
pub(crate) fn redacted(artifact: &str, content: Vec<u8>) -> Vec<u8> {
    // A byte that is not UTF-8 would be replaced, and the check reports it where it stands.
    let text = match std::str::from_utf8(&content) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(&content),
    };
    let clean = match artifact {
        COMPOSE => facts::parse::redact_compose(&text),
        _ => facts::parse::log::redact(&text),
    };
    match clean {
        // Nothing was found, so the bytes may stay as they are.
        Cow::Borrowed(_) => content,
        Cow::Owned(text) => text.into_bytes(),
    }
}
