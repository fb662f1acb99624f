//! The engines: the host's own, and those of other Debian releases, unpacked beside it.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::cache;
use crate::program::run;

/// The Debian suites with an engine of their own, and its version when this was written.
pub const SUITES: [(&str, &str); 4] =
    [("bullseye", "20.10.5"), ("bookworm", "20.10.24"), ("trixie", "26.1.5"), ("forky", "28.5.2")];

/// An installed engine: a root file system with `dockerd` in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    version: String,
    root: String,
}

impl Engine {
    /// The engine installed on the host.
    pub fn host() -> Result<Self> {
        let printed =
            run(Command::new("dockerd").arg("--version")).context("failed to find the host's engine")?;
        Ok(Self { version: version(&printed)?, root: "/".to_owned() })
    }

    /// The engine of this version or of this Debian suite; fetched, if neither the host nor the cache has it.
    pub fn find(wanted: &str) -> Result<Self> {
        if let Ok(host) = Self::host()
            && host.version == wanted
        {
            return Ok(host);
        }
        let suite = SUITES.iter().find(|(suite, version)| [*suite, *version].contains(&wanted));
        let Some((suite, _)) = suite else {
            let known: Vec<&str> = SUITES.iter().map(|(_, version)| *version).collect();
            bail!("no engine {wanted}: there are {}", known.join(", "))
        };
        cache::item(&root_of(suite), |root| fetch(suite, root))
            .with_context(|| format!("failed to fetch the engine of Debian {suite}"))?;
        let engine =
            Self::fetched(suite).with_context(|| format!("the engine of Debian {suite} is incomplete"))?;
        let right = [suite, engine.version.as_str()].contains(&wanted);
        ensure!(right, "Debian {suite} has engine {} now, not {wanted}: ask for `{suite}`", engine.version);
        Ok(engine)
    }

    /// The engine of this Debian suite, if it is in the cache.
    #[must_use]
    pub fn fetched(suite: &str) -> Option<Self> {
        let root = cache::place(&root_of(suite));
        let version = fs::read_to_string(root.join(VERSION)).ok()?;
        Some(Self { version, root: root.to_str()?.to_owned() })
    }

    /// Its version, without Debian's suffix: `20.10.24`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The root directory that it is installed in; `/` for the host's own.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }
}

/// In the root directory of a fetched engine.
const VERSION: &str = "engine-version";

/// Everything a node runs, besides what these depend on.
const PACKAGES: &str = "docker.io iptables iproute2 tini rsyslog bsdutils util-linux mount procps bash coreutils dash \
                        sed grep gawk findutils hostname openssl nftables firewalld dbus ufw";

/// The name of a suite's root in the cache. One that was made of other packages has another.
fn root_of(suite: &str) -> String {
    let mut hasher = DefaultHasher::new();
    PACKAGES.hash(&mut hasher);
    format!("{suite}-{:08x}", hasher.finish() as u32)
}

/// `Docker version 20.10.24+dfsg1, build 297e128` -> `20.10.24`.
fn version(printed: &str) -> Result<String> {
    let word = printed.split_whitespace().nth(2).and_then(|word| word.split([',', '+']).next());
    Ok(word.with_context(|| format!("failed to understand {printed:?}"))?.to_owned())
}

/// Downloads with the host's `apt`, but with lists, state and cache of its own, and unpacks without running
/// any maintainer script: the host's package database never hears of it.
fn fetch(suite: &str, root: &Path) -> Result<()> {
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
    words.extend(PACKAGES.split_whitespace());
    // Newer releases have the `docker` command in a package of its own.
    words.extend(with("apt-cache", &["show", "docker-cli"]).is_ok().then_some("docker-cli"));
    with("apt-get", &words)?;

    // Merged /usr comes first, so that every package unpacks into it.
    for top in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(top))?;
        symlink(format!("usr/{top}"), root.join(top))?;
    }
    for package in fs::read_dir(apt.join("archives"))?.flatten().map(|entry| entry.path()) {
        if package.extension().is_some_and(|end| end == "deb") {
            unpack(&package, root).with_context(|| format!("failed to unpack {}", package.display()))?;
        }
    }
    configure(root).context("failed to do what maintainer scripts would have done")?;
    let inside = |program: &str| run(Command::new("chroot").arg(root).args([program, "--version"]));
    inside("docker")?;
    fs::write(root.join(VERSION), version(&inside("dockerd")?)?).context("failed to note its version")
}

/// The Debian mirror that this machine's own apt uses.
fn mirror() -> Result<String> {
    let targets = ["indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", "Label: Debian"];
    let printed = run(Command::new("apt-get").args(targets))?;
    Ok(printed.lines().next().context("apt has no Debian mirror in its configuration")?.to_owned())
}

fn unpack(package: &Path, root: &Path) -> Result<()> {
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
    // What ufw's maintainer script copies.
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

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_without_debians_suffix() {
        assert_eq!(version("Docker version 20.10.24+dfsg1, build 297e128").unwrap(), "20.10.24");
        assert_eq!(version("Docker version 28.2.2, build e6534b4\n").unwrap(), "28.2.2");
        assert!(version("dockerd").is_err());
    }
}
