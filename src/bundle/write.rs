//! Writing a bundle.

use super::{FOLDER, MANIFEST};
use crate::error::ExpectedError;
use facts::bundle::Bundle;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a bundle beside its place and then moves it there, so that no half of one is ever found.
pub fn write(bundle: &Bundle, path: &Path) -> Result<(), ExpectedError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = PathBuf::from(partial);
    let written = write_to(bundle, &partial).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| {
        // The error that matters is the first; a file that cannot be removed either was likely never made.
        drop(std::fs::remove_file(&partial));
        ExpectedError::file("write the bundle", path, &error)
    })
}

fn write_to(bundle: &Bundle, path: &Path) -> io::Result<()> {
    let file = private(path)?;
    let mut archive = tar::Builder::new(zstd::Encoder::new(file, 0)?);
    let seconds = u64::try_from(bundle.manifest.taken.as_second()).unwrap_or_default();
    let manifest = serde_json::to_vec_pretty(&bundle.manifest)?;
    append(&mut archive, MANIFEST, &manifest, seconds)?;
    for (name, content) in &bundle.artifacts {
        append(&mut archive, name, content, seconds)?;
    }
    let file = archive.into_inner()?.finish()?;
    file.sync_all()
}

/// What was collected is for the one who collected it, until they pass it on.
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    content: &[u8],
    seconds: u64,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(seconds);
    archive.append_data(&mut header, format!("{FOLDER}/{name}"), content)
}
