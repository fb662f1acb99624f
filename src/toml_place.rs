//! Places in a TOML file that a person wrote.

use crate::check_id::hint;

/// The line and the column of a byte, each from 1.
pub(crate) fn place(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (count(before.matches('\n').count()).saturating_add(1), count(line.chars().count()).saturating_add(1))
}

/// The byte at which a file is wrong, and how; with the key that was probably meant.
pub(crate) fn wrong(error: &toml::de::Error) -> (usize, String) {
    let what = error.message().trim().replace('\n', "; ");
    // "unknown field `chekcs`, expected one of `checks`, ..."
    let mut names = what.split('`').skip(1).step_by(2);
    let hint = match names.next().filter(|_| what.starts_with("unknown field")) {
        Some(unknown) => hint(unknown, names),
        None => String::new(),
    };
    (error.span().map_or(0, |span| span.start), format!("{what}{hint}"))
}
