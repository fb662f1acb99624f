//! `cargo xtask test`: installs missing packages, then runs all checks and tests.

use crate::{consumers, steady};
use anyhow::bail;
use std::process::Command;
use std::time::Instant;

/// Runs the steps until the first failure; with `all` also the slow ones, with `quick` only those that need neither root nor
/// an engine.
pub(crate) fn test(all: bool, quick: bool) -> anyhow::Result<()> {
    if !quick {
        install(all)?;
        consumers::fetch(all);
    }
    let mut steps: Vec<(&str, &[&str])> = vec![
        ("format", &["fmt", "--all", "--check"]),
        ("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        ("pages", &["xtask", "generate", "--check"]),
    ];
    if quick {
        steps.push((
            "tests except live tests",
            &["test", "--workspace", "--no-fail-fast", "--", "--skip", "live::"],
        ));
    } else {
        steps.push(("unit, contract, fixture and live tests", &["test", "--workspace", "--no-fail-fast"]));
        steps.push(("static binary", &["xtask", "dist"]));
    }
    if all {
        steps.push((
            "slow format tests",
            &["test", "--test", "it", "formats::", "--", "--ignored", "--nocapture"],
        ));
        steps.push((
            "many nodes as one swarm",
            &["test", "--test", "it", "scale::", "--", "--ignored", "--nocapture"],
        ));
    }
    for (name, arguments) in steps {
        println!("== {name}: cargo {}", arguments.join(" "));
        let began = Instant::now();
        if !steady::cargo(arguments)? {
            bail!("{name} failed");
        }
        println!("== {name}: {:.0} s", began.elapsed().as_secs_f64());
    }
    if quick {
        return Ok(());
    }
    // A lab that remains after its tests is a leak: it is taken down, and this step fails.
    let left = lab::sweep()?;
    if !left.is_empty() {
        bail!("tests left labs behind: {}", left.join(", "));
    }
    Ok(())
}

/// Installs packages for the live tests and the format tests with apt. Without root, these tests are skipped with a reason.
fn install(all: bool) -> anyhow::Result<()> {
    let mut missing = lab::missing();
    let readers = consumers::missing(all);
    missing.extend(readers.iter().map(|package| format!("no {package}")));
    if missing.is_empty() {
        return Ok(());
    }
    println!("missing here: {}", missing.join("; "));
    if !rustix::process::geteuid().is_root() {
        println!("only root can install it and run engines; live tests will be skipped");
        return Ok(());
    }
    let apt = |arguments: &[&str]| {
        // Debian's docker.io would start an engine on this host; `policy-rc.d` with exit code 101 prevents it.
        Command::new("apt-get")
            .args(["-q", "-y"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
    };
    let policy = Policy::forbid_services()?;
    let done = apt(&["update"]).and_then(|_| {
        let mut install = vec!["install", "--no-install-recommends"];
        install.extend_from_slice(&lab::APT_PACKAGES);
        install.extend_from_slice(&readers);
        apt(&install)
    });
    drop(policy);
    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("apt-get ended with {status}"),
        Err(error) => {
            println!("there is no apt-get here ({error}); live tests that need more are skipped");
            Ok(())
        }
    }
}

/// A temporary `policy-rc.d`, unless the host already has one; removed on drop.
struct Policy(Option<&'static str>);

impl Policy {
    fn forbid_services() -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        const PATH: &str = "/usr/sbin/policy-rc.d";
        if std::fs::exists(PATH)? {
            return Ok(Self(None));
        }
        std::fs::write(PATH, "#!/bin/sh\nexit 101\n")?;
        std::fs::set_permissions(PATH, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self(Some(PATH)))
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            drop(std::fs::remove_file(path));
        }
    }
}
