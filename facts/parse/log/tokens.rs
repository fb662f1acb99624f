//! Tokens that are known by their looks, wherever they stand.

use super::redact::run;
use std::ops::Range;

/// How a token begins that tells of nothing else, and how long the rest of it is at least.
const TOKENS: &[(&str, usize)] = &[
    ("AKIA", 16),
    ("ASIA", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("ghu_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("dckr_pat_", 16),
    ("npm_", 30),
    ("hvs.", 20),
    ("sk_live_", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xoxr-", 10),
    ("xapp-", 10),
    ("sk-", 20),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("AIza", 30),
    ("SG.", 20),
    ("pypi-", 16),
    ("shpat_", 16),
    ("hf_", 20),
    ("glrt-", 16),
    ("ATATT", 20),
    ("dop_v1_", 20),
    ("hvb.", 20),
    ("ya29.", 20),
    ("AGE-SECRET-KEY-1", 20),
];

/// Addresses of webhooks: what follows lets anyone post.
const WEBHOOKS: &[&str] = &[
    "hooks.slack.com/services/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "outlook.office.com/webhook/",
    "api.telegram.org/bot",
];

/// A token of a known kind, a JSON web token, or what bears one in a header.
pub(super) fn token(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    if !rest.starts_with(['A', 'B', 'S', 'a', 'b', 'd', 'e', 'g', 'h', 'n', 'o', 'p', 'r', 's', 'x', 'y'])
        || text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    {
        return None;
    }
    let of_token = |from: usize| {
        let is_of_token = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(&b);
        run(text, from, is_of_token)
    };
    if let Some(address) = WEBHOOKS.iter().find(|address| rest.starts_with(**address)) {
        let start = at + address.len();
        return Some(start..run(text, start, |b| b.is_ascii_alphanumeric() || b"-_/@.:".contains(&b)));
    }
    if let Some(word) = ["Bearer ", "bearer "].iter().find(|word| rest.starts_with(**word)) {
        let start = at + word.len();
        let end = of_token(start);
        let is_word = text[start..end].bytes().all(|b| b.is_ascii_lowercase());
        return (end - start >= 8 && !is_word || end - start >= 20).then_some(start..end);
    }
    if rest.starts_with("eyJ") {
        // The head ends at the first dot; only where a body follows is the rest read.
        let head = run(text, at, |b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if head - at <= 8 || !text[head..].starts_with(".eyJ") {
            return None;
        }
        let end = of_token(at);
        let parts: Vec<&str> = text[at..end].splitn(3, '.').collect();
        return matches!(parts[..], [head, body, _] if head.len() > 8 && body.starts_with("eyJ"))
            .then_some(at..end);
    }
    let (begin, least) = TOKENS.iter().find(|(begin, _)| rest.starts_with(begin))?;
    let end = of_token(at);
    (end - at >= begin.len() + least).then_some(at..end)
}

#[cfg(test)]
mod tests {
    use crate::parse::log::redact;

    #[test]
    fn knows_tokens_by_their_looks() {
        for (text, wanted) in [
            ("the key AKIAIOSFODNN7EXAMPLE was used", "the key *** was used"),
            ("cloned with ghp_0123456789abcdefghij0123456789abcdef", "cloned with ***"),
            ("sent Bearer 0123456789abc to it", "sent Bearer *** to it"),
            ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl.", "got ***"),
        ] {
            assert_eq!(redact(text), wanted);
            assert_eq!(redact(wanted), wanted);
        }
    }

    #[test]
    fn leaves_words_that_only_begin_so() {
        for text in [
            "AKIA",
            "a Bearer token is missing",
            "Bearer authentication",
            "npm_config_cache",
            "eyJ.eyJ.x",
            "é",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
