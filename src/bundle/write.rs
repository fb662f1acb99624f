//! Writing a bundle.

use super::{FOLDER, MANIFEST, MERGED, Merged, NODES, SUMS, sums};
use crate::error::ExpectedError;
use facts::bundle::Bundle;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes the bundle of one machine.
pub fn write(bundle: &Bundle, path: &Path) -> Result<(), ExpectedError> {
    let mut writer = Writer::begin(path)?;
    writer.machine_in("", bundle).map_err(|error| writer.failed(&error))?;
    writer.end()
}

/// Writes the bundle of one machine to a stream.
pub fn write_to(bundle: &Bundle, out: impl Write) -> io::Result<()> {
    let mut archive = Archive::begin(out)?;
    archive.machine("", bundle)?;
    archive.end()?.flush()
}

/// A bundle that is being written, beside its place; then it is moved there, so that no half of one is ever found.
pub struct Writer {
    archive: Option<Archive<File>>,
    path: PathBuf,
    partial: PathBuf,
    folders: BTreeSet<String>,
}

impl Writer {
    fn begin(path: &Path) -> Result<Self, ExpectedError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", std::process::id()));
        let partial = PathBuf::from(partial);
        let mut writer = Self { archive: None, path: path.to_owned(), partial, folders: BTreeSet::new() };
        let archive = create(&writer.partial).and_then(Archive::begin);
        writer.archive = Some(archive.map_err(|error| writer.failed(&error))?);
        Ok(writer)
    }

    /// Begins a bundle of several machines.
    pub fn of_several(path: &Path) -> Result<Self, ExpectedError> {
        let mut writer = Self::begin(path)?;
        let merged = Merged { schema: MERGED.into(), tool: env!("CARGO_PKG_VERSION").into() };
        let manifest = serde_json::to_vec_pretty(&merged).map_err(io::Error::from);
        let put = manifest.and_then(|manifest| match &mut writer.archive {
            Some(archive) => archive.put(MANIFEST, &manifest, 0),
            None => Ok(()),
        });
        put.map_err(|error| writer.failed(&error))?;
        Ok(writer)
    }

    /// Puts a machine in.
    pub fn machine(&mut self, bundle: &Bundle) -> Result<(), ExpectedError> {
        let folder = format!("{NODES}/{}/", self.folder(bundle.manifest.host.as_str()));
        self.machine_in(&folder, bundle).map_err(|error| self.failed(&error))
    }

    /// Writes what is left, and puts the bundle in its place.
    pub fn end(mut self) -> Result<(), ExpectedError> {
        let ended = match self.archive.take() {
            Some(archive) => archive
                .end()
                .and_then(|file| file.sync_all())
                .and_then(|()| std::fs::rename(&self.partial, &self.path)),
            None => Ok(()),
        };
        ended.map_err(|error| self.failed(&error))
    }

    /// A folder's name for a host: one that needs no quotes, and that no other machine has.
    fn folder(&mut self, host: &str) -> String {
        let plain =
            |char: char| if char.is_ascii_alphanumeric() || "-_.".contains(char) { char } else { '_' };
        let name: String = host.chars().take(64).map(plain).collect();
        let name = if name.trim_matches('.').is_empty() { "unknown".to_owned() } else { name };
        let mut folder = name.clone();
        let mut number = 1;
        while !self.folders.insert(folder.clone()) {
            number += 1;
            folder = format!("{name}.{number}");
        }
        folder
    }

    fn machine_in(&mut self, folder: &str, bundle: &Bundle) -> io::Result<()> {
        self.archive.as_mut().map_or(Ok(()), |archive| archive.machine(folder, bundle))
    }

    /// The error that matters is the first; a file that cannot be removed either was likely never made.
    fn failed(&self, error: &io::Error) -> ExpectedError {
        drop(std::fs::remove_file(&self.partial));
        ExpectedError::file("write the bundle", &self.path, error)
    }
}

impl Drop for Writer {
    /// Removes the temporary file of an incomplete bundle.
    fn drop(&mut self) {
        if self.archive.is_some() {
            drop(std::fs::remove_file(&self.partial));
        }
    }
}

/// Creates the file, readable by its owner only.
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// A packed archive that is being written.
struct Archive<W: Write>(tar::Builder<zstd::Encoder<'static, W>>);

impl<W: Write> Archive<W> {
    fn begin(out: W) -> io::Result<Self> {
        let mut packed = zstd::Encoder::new(out, 0)?;
        packed.include_checksum(true)?;
        Ok(Self(tar::Builder::new(packed)))
    }

    fn machine(&mut self, folder: &str, bundle: &Bundle) -> io::Result<()> {
        let seconds = u64::try_from(bundle.manifest.taken.as_second()).unwrap_or_default();
        let manifest = serde_json::to_vec_pretty(&bundle.manifest)?;
        let artifacts = bundle.artifacts.iter().map(|(name, content)| (name.as_str(), content.as_slice()));
        let sums = sums::of(std::iter::once((MANIFEST, manifest.as_slice())).chain(artifacts));
        self.put(&format!("{folder}{MANIFEST}"), &manifest, seconds)?;
        self.put(&format!("{folder}{SUMS}"), sums.as_bytes(), seconds)?;
        for (name, content) in &bundle.artifacts {
            self.put(&format!("{folder}{name}"), content, seconds)?;
        }
        Ok(())
    }

    fn put(&mut self, name: &str, content: &[u8], seconds: u64) -> io::Result<()> {
        // A ustar header has room for long names, without an additional entry for the name.
        let mut header = tar::Header::new_ustar();
        header.set_path(format!("{FOLDER}/{name}"))?;
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(seconds);
        header.set_cksum();
        self.0.append(&header, content)
    }

    fn end(self) -> io::Result<W> {
        self.0.into_inner().and_then(zstd::Encoder::finish)
    }
}
