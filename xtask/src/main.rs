//! The developer commands.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]
#![expect(clippy::disallowed_methods, reason = "the developer commands start cargo, apt-get and chroot")]

mod consumers;
mod dist;
mod faults;
mod generate;
mod lab;
mod new_check;
mod package;
mod steady;
mod test;
mod upgrade;
mod vm;

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The developer commands of swarm-doctor.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    /// Install missing packages with apt, then run all checks and tests
    Test {
        /// Also run slow format tests: a browser, validators
        #[arg(long, conflicts_with = "quick")]
        all: bool,
        /// Only what needs neither root nor an engine: format, lints, pages, tests except live ones
        #[arg(long)]
        quick: bool,
    },
    /// Build one stripped static binary
    Dist,
    /// Pack the static binary: .deb, tar.gz, image, checksums
    Package {
        /// A static binary that is there already
        #[arg(long, value_name = "PATH")]
        binary: Option<PathBuf>,
    },
    /// Write the pages that are generated from the code
    Generate {
        /// Only list the pages that differ
        #[arg(long)]
        check: bool,
    },
    /// Create a check with its fixtures, ready to fill in
    NewCheck {
        /// Its id, such as network/packet-loss
        id: String,
    },
    /// Record a bundle of a lab node as a fixture
    RecordFixture {
        /// Folder below fixtures/, such as healthy/my-swarm/node1
        folder: String,
        /// Node to record
        #[arg(long, default_value = "node1")]
        node: String,
        /// Name of the lab
        #[arg(long, default_value = "lab")]
        lab: String,
    },
    /// Rewrite bundles of an older format in place
    UpgradeBundle {
        /// Bundles (.tar.zst) or unpacked bundles (folders)
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Inject faults into real swarms; the doctor must report each first
    Faults(faults::Faults),
    /// Manage swarms of real engines on this host
    #[command(subcommand)]
    Lab(lab::Command),
}

fn main() -> ExitCode {
    let done = match Xtask::parse() {
        Xtask::Test { all, quick } => test::test(all, quick).map(|()| ExitCode::SUCCESS),
        Xtask::Dist => dist::dist().map(|()| ExitCode::SUCCESS),
        Xtask::Package { binary } => package::package(binary).map(|()| ExitCode::SUCCESS),
        Xtask::Generate { check } => generate::generate(check).map(|()| ExitCode::SUCCESS),
        Xtask::NewCheck { id } => new_check::new_check(&id).map(|()| ExitCode::SUCCESS),
        Xtask::RecordFixture { folder, node, lab } => {
            new_check::record_fixture(&folder, &node, &lab).map(|()| ExitCode::SUCCESS)
        }
        Xtask::UpgradeBundle { paths } => upgrade::upgrade_all(&paths).map(|()| ExitCode::SUCCESS),
        Xtask::Faults(faults) => faults.run(),
        Xtask::Lab(command) => command.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The root of the checkout.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The target directory of cargo.
fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
