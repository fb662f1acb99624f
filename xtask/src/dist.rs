//! `cargo xtask dist`: one stripped static binary that runs in an empty root file system.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the binary into `target/dist` and verifies that it needs only a kernel.
pub(crate) fn dist() -> anyhow::Result<()> {
    let built = build("dist")?;
    let folder = crate::root().join("target/dist");
    std::fs::create_dir_all(&folder)?;
    let binary = folder.join("swarm-doctor");
    std::fs::copy(&built, &binary).with_context(|| format!("failed to copy {}", built.display()))?;
    on_an_empty_root(&binary)?;
    let size = std::fs::metadata(&binary)?.len();
    println!(
        "{}: {:.1} MiB, static, runs on an empty root",
        binary.display(),
        size as f64 / f64::from(1 << 20)
    );
    Ok(())
}

/// Builds a static binary with the given profile. `--target` keeps the flags from build scripts and macros,
/// which are loaded by a compiler that is not static.
pub(crate) fn build(profile: &str) -> anyhow::Result<PathBuf> {
    let status = Command::new("cargo")
        .current_dir(crate::root())
        .args(["build", "--package", "swarm-doctor", "--profile", profile, "--target", TARGET])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .envs(origin())
        .status()
        .context("failed to start cargo")?;
    if !status.success() {
        bail!("the build failed");
    }
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(crate::target_directory().join(TARGET).join(folder).join("swarm-doctor"))
}

/// The commit and its date, which `swarm-doctor version` prints. `SOURCE_DATE_EPOCH` replaces the date, so that the same
/// sources give the same binary. Empty outside a repository.
fn origin() -> Vec<(&'static str, String)> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(crate::root()).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    let date = std::env::var("SOURCE_DATE_EPOCH").ok().map(|seconds| format!("@{seconds}"));
    let date = date.or_else(|| git(&["log", "-1", "--format=%cI"]));
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    [("SWARM_DOCTOR_COMMIT", commit), ("SWARM_DOCTOR_DATE", date)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Runs it in a root file system without libraries, /proc and /etc. Without root, prints that this is skipped.
fn on_an_empty_root(binary: &Path) -> anyhow::Result<()> {
    let empty = tempfile::tempdir()?;
    std::fs::copy(binary, empty.path().join("swarm-doctor"))?;
    let output = Command::new("chroot").arg(empty.path()).args(["/swarm-doctor", "--version"]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("not permitted") => {
            println!("skipped: only root may run it on an empty root");
            Ok(())
        }
        Ok(output) => bail!("it does not run on an empty root: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => Err(error).context("failed to start chroot"),
    }
}
