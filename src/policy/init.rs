//! Writing the commented configuration file.

use crate::error::ExpectedError;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// A file in which every setting is commented out.
pub(super) const TEMPLATE: &str = include_str!("swarm-doctor.toml");

/// Writes the file. An existing one is only overwritten with `force`.
pub fn init(path: &Path, force: bool) -> Result<(), ExpectedError> {
    let mut options = File::options();
    match force {
        true => options.write(true).create(true).truncate(true),
        false => options.write(true).create_new(true),
    };
    let written = options.open(path).and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            ExpectedError::usage(format!("{} already exists; use --force to overwrite it", path.display()))
        }
        _ => ExpectedError::file("write", path, &error),
    })
}
