//! Debian packages, unpacked into a root file system without installing them.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::program::run;

/// The name of a root file system in the cache; it depends on the list of packages.
pub(crate) fn name_of(root: &str, packages: &str) -> String {
    let mut hasher = DefaultHasher::new();
    packages.hash(&mut hasher);
    format!("{root}-{:08x}", hasher.finish() as u32)
}

/// Makes a root file system of these packages and does what their maintainer scripts would have done.
pub(crate) fn install(suite: &str, packages: &str, root: &Path) -> Result<()> {
    unpack(suite, packages, root)?;
    configure(root).context("failed to do what maintainer scripts would have done")
}

/// Downloads with the host's `apt` but with separate lists, state and cache, and unpacks without maintainer scripts: the
/// package database of the host does not change.
pub(crate) fn unpack(suite: &str, packages: &str, root: &Path) -> Result<()> {
    let apt = root.with_extension("apt");
    for path in [
        "etc/apt.conf.d",
        "etc/preferences.d",
        "etc/sources.list.d",
        "state/lists/partial",
        "archives/partial",
    ] {
        fs::create_dir_all(apt.join(path))?;
    }
    // With an empty status file no package counts as installed, so every dependency is downloaded.
    File::create(apt.join("state/status"))?;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(apt.join("etc/sources.list"), format!("deb [signed-by={keys}] {} {suite} main\n", mirror()?))?;
    let with = |program: &str, words: &[&str]| {
        let own = |option: &str, path: &str| format!("--option=Dir::{option}={}", apt.join(path).display());
        run(Command::new(program)
            .args([own("Etc", "etc"), own("State", "state"), own("State::status", "state/status")])
            .args([own("Cache", ""), own("Cache::archives", "archives")])
            .args(["--option=APT::Sandbox::User=root", "--option=Acquire::Languages=none", "--quiet=2"])
            .args(words))
    };
    with("apt-get", &["update"])?;
    let mut words = vec!["install", "--yes", "--no-install-recommends", "--download-only"];
    words.extend(packages.split_whitespace());
    // Newer releases have the `docker` command in the separate package docker-cli.
    words.extend(with("apt-cache", &["show", "docker-cli"]).is_ok().then_some("docker-cli"));
    with("apt-get", &words)?;

    // Merged /usr comes first, so that every package unpacks into it.
    for top in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(top))?;
        symlink(format!("usr/{top}"), root.join(top))?;
    }
    for package in fs::read_dir(apt.join("archives"))?.flatten().map(|entry| entry.path()) {
        if package.extension().is_some_and(|end| end == "deb") {
            unpack_one(&package, root).with_context(|| format!("failed to unpack {}", package.display()))?;
        }
    }
    Ok(())
}

/// The Debian mirror in the apt configuration of the host.
fn mirror() -> Result<String> {
    let targets = ["indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", "Label: Debian"];
    let printed = run(Command::new("apt-get").args(targets))?;
    Ok(printed.lines().next().context("apt has no Debian mirror in its configuration")?.to_owned())
}

fn unpack_one(package: &Path, root: &Path) -> Result<()> {
    let mut archive =
        Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).stdout(Stdio::piped()).spawn()?;
    let stream = archive.stdout.take().context("dpkg-deb has no output")?;
    let status = Command::new("tar")
        .args(["--extract", "--keep-directory-symlink", "--overwrite", "--directory"])
        .arg(root)
        .stdin(stream)
        .status()?;
    ensure!(archive.wait()?.success() && status.success(), "tar failed with {status}");
    Ok(())
}

fn configure(root: &Path) -> Result<()> {
    for table in ["iptables", "ip6tables"] {
        for end in ["", "-save", "-restore"] {
            let link = root.join("usr/sbin").join(format!("{table}{end}"));
            if fs::symlink_metadata(&link).is_ok() {
                fs::remove_file(&link)?;
            }
            symlink("xtables-nft-multi", link)?;
        }
    }
    // The maintainer script of ufw copies these.
    for name in ["before", "before6", "after", "after6", "user", "user6"] {
        fs::copy(
            root.join(format!("usr/share/ufw/iptables/{name}.rules")),
            root.join(format!("etc/ufw/{name}.rules")),
        )?;
    }
    fs::copy(root.join("usr/share/ufw/ufw.conf"), root.join("etc/ufw/ufw.conf"))?;
    let awk = root.join("usr/bin/awk");
    if fs::symlink_metadata(&awk).is_err() {
        symlink("gawk", awk)?;
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\ntty:x:5:\nadm:x:4:\ndocker:x:999:\nnogroup:x:65534:\n")?;
    fs::write(root.join("etc/nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n")?;
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    run(Command::new("ldconfig").arg("-r").arg(root)).map(drop)
}
