//! The files of an installed swarm-doctor.

use super::{Source, output_of};
use flate2::{Compression, GzBuilder};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A file, a link or a folder of a package.
pub(super) enum Entry {
    /// A file with its permissions.
    File(u32, Vec<u8>),
    /// A symbolic link.
    Link(&'static str),
    /// An empty folder.
    Folder,
}

/// All entries by path below the root.
pub(super) fn entries(source: &Source) -> anyhow::Result<Vec<(PathBuf, Entry)>> {
    let packaging = crate::root().join("xtask/package");
    let read = |path: PathBuf| -> anyhow::Result<Entry> { Ok(Entry::File(0o644, std::fs::read(path)?)) };
    let mut entries = vec![
        ("usr/bin/swarm-doctor".into(), Entry::File(0o755, std::fs::read(&source.binary)?)),
        ("usr/libexec/docker/cli-plugins/docker-doctor".into(), Entry::Link("../../../bin/swarm-doctor")),
        ("etc/swarm-doctor/checks.d".into(), Entry::Folder),
    ];
    for unit in ["swarm-doctor.service", "swarm-doctor-metrics.service", "swarm-doctor-metrics.timer"] {
        entries.push((Path::new("usr/lib/systemd/system").join(unit), read(packaging.join(unit))?));
    }
    for (file, path) in [
        ("completions.bash", "usr/share/bash-completion/completions/swarm-doctor"),
        ("completions.zsh", "usr/share/zsh/vendor-completions/_swarm-doctor"),
        ("completions.fish", "usr/share/fish/vendor_completions.d/swarm-doctor.fish"),
        ("copyright", "usr/share/doc/swarm-doctor/copyright"),
    ] {
        entries.push((path.into(), read(packaging.join(file))?));
    }
    let documents = Path::new("usr/share/doc/swarm-doctor");
    entries.push((documents.join("README.md"), read(crate::root().join("README.md"))?));
    entries.push((
        documents.join("swarm-doctor.toml"),
        read(crate::root().join("src/policy/swarm-doctor.toml"))?,
    ));
    let changes = std::fs::read(crate::root().join("CHANGELOG.md"))?;
    entries.push((documents.join("changelog.gz"), Entry::File(0o644, gzip(&changes)?)));
    for folder in ["rules", "monitoring"] {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(crate::root().join("docs").join(folder)).into_iter().flatten() {
            files.push(entry?.path());
        }
        for file in files {
            let name = file.file_name().unwrap_or_default().to_owned();
            entries.push((documents.join(folder).join(name), read(file)?));
        }
    }
    for (name, page) in manual(source)? {
        entries.push((
            Path::new("usr/share/man/man1").join(format!("{name}.1.gz")),
            Entry::File(0o644, gzip(&page)?),
        ));
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(entries)
}

/// The manual pages, by name: of the program and of each command.
fn manual(source: &Source) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = vec![("swarm-doctor".to_owned(), output_of(&source.binary, &["man"])?)];
    for command in swarm_doctor::cli::command_names() {
        pages.push((format!("swarm-doctor-{command}"), output_of(&source.binary, &["man", &command])?));
    }
    Ok(pages)
}

/// Compressed without a time and a name, so that it is always the same.
pub(super) fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

/// A tar archive of the entries below a folder.
pub(super) fn tar(entries: &[(PathBuf, Entry)], below: &Path, time: u64) -> anyhow::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, entry) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(time);
        let path = below.join(path);
        match entry {
            Entry::File(mode, content) => {
                header.set_mode(*mode);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, content.as_slice())?;
            }
            Entry::Link(to) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                builder.append_link(&mut header, path, to)?;
            }
            Entry::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                builder.append_data(&mut header, path, std::io::empty())?;
            }
        }
    }
    Ok(builder.into_inner()?)
}
