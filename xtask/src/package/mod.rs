//! `cargo xtask package`: a Debian package, a tar archive and an image for `docker load`, with their checksums. The same
//! sources and binary give the same bytes.

mod archive;
mod debian;
mod image;
mod tree;

use anyhow::Context;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of the packages.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the packages are made of.
pub(crate) struct Source {
    /// The static binary.
    binary: PathBuf,
    /// The time of every file, in seconds since 1970.
    time: u64,
    /// Where the packages go.
    folder: PathBuf,
}

/// Packs a static binary; builds it where none is named.
pub(crate) fn package(binary: Option<PathBuf>) -> anyhow::Result<()> {
    let folder = crate::root().join("target/package");
    let binary = match binary {
        Some(binary) => binary,
        None => {
            crate::dist::dist()?;
            crate::root().join("target/dist/swarm-doctor")
        }
    };
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let source = Source { binary, time: time()?, folder };
    let made = [debian::package(&source)?, archive::archive(&source)?, image::image(&source)?];
    let mut sums = String::new();
    for path in &made {
        let content = std::fs::read(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        sums.push_str(&format!("{}  {name}\n", digest(&content)));
        println!("{}: {:.1} MiB", path.display(), content.len() as f64 / f64::from(1 << 20));
    }
    std::fs::write(source.folder.join("SHA256SUMS"), sums)?;
    Ok(())
}

/// `SOURCE_DATE_EPOCH`, else the time of the last commit.
fn time() -> anyhow::Result<u64> {
    if let Ok(seconds) = std::env::var("SOURCE_DATE_EPOCH") {
        return seconds.parse().context("SOURCE_DATE_EPOCH is not a number of seconds");
    }
    let output =
        Command::new("git").current_dir(crate::root()).args(["log", "-1", "--format=%ct"]).output()?;
    String::from_utf8(output.stdout)?.trim().parse().context("git has no commit to take the time from")
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the binary prints for these arguments, in an empty environment.
fn output_of(binary: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output =
        Command::new(binary).args(arguments).env_clear().output().context("failed to start the binary")?;
    anyhow::ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}
