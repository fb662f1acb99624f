//! The developer commands.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]
#![expect(clippy::disallowed_methods, reason = "the developer commands start cargo, apt-get and chroot")]

mod consumers;
mod dist;
mod faults;
mod generate;
mod lab;
mod steady;
mod test;
mod vm;

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The developer commands of swarm-doctor.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    /// Install what is missing with apt, then check and run everything
    Test {
        /// Also ask those who read our reports elsewhere and are heavy: a browser, validators
        #[arg(long)]
        all: bool,
    },
    /// Build one stripped static binary
    Dist,
    /// Write the pages that come from the code
    Generate {
        /// Only say which ones differ
        #[arg(long)]
        check: bool,
    },
    /// Make faults in real swarms; each has to be the first thing that the doctor says
    Faults(faults::Faults),
    /// A swarm of real engines on this machine
    #[command(subcommand)]
    Lab(lab::Command),
}

fn main() -> ExitCode {
    let done = match Xtask::parse() {
        Xtask::Test { all } => test::test(all).map(|()| ExitCode::SUCCESS),
        Xtask::Dist => dist::dist().map(|()| ExitCode::SUCCESS),
        Xtask::Generate { check } => generate::generate(check).map(|()| ExitCode::SUCCESS),
        Xtask::Faults(faults) => faults.run(),
        Xtask::Lab(command) => command.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The top of the checkout.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Where cargo builds.
fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
