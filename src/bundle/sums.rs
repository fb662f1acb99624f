//! Digests of the files in a bundle. They detect damage, not forgery.

use super::SUMS;
use crate::sha256;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The digests of these files, as `sha256sum -c` reads them.
pub(super) fn of<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut sums = String::new();
    for (name, content) in files {
        // Writing to a string does not fail.
        let _ = writeln!(sums, "{}  {name}", sha256::of(content));
    }
    sums
}

/// Whether these files are the ones that were summed up; what is wrong where they are not.
pub(super) fn hold(sums: &[u8], files: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let text = std::str::from_utf8(sums).map_err(|_| format!("its {SUMS} is no text"))?;
    let mut listed = BTreeMap::new();
    for line in text.lines() {
        let (sum, name) = line.split_once("  ").ok_or(format!("its {SUMS} is malformed"))?;
        if listed.insert(name, sum).is_some() {
            return Err(format!("its {SUMS} names {name} twice"));
        }
    }
    for (name, content) in files {
        match listed.remove(name.as_str()) {
            Some(sum) if sum == sha256::of(content) => {}
            Some(_) => return Err(format!("{name} is not what was written: its digest is another")),
            None => return Err(format!("{name} was put in later: {SUMS} does not name it")),
        }
    }
    match listed.pop_first() {
        Some((name, _)) => Err(format!("{name} was taken out: {SUMS} names it")),
        None => Ok(()),
    }
}
