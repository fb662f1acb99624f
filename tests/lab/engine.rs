//! The engines: the host's own, and those of other Debian releases, unpacked beside it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::program::run;
use crate::{cache, debian};

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

    /// The Debian suite that it is from.
    pub(crate) fn suite(&self) -> Result<String> {
        if self.root != "/" {
            let name = Path::new(&self.root).file_name().and_then(|name| name.to_str());
            let suite = name.and_then(|name| name.rsplit_once('-')).map(|(suite, _)| suite.to_owned());
            return suite.with_context(|| format!("{} is named after no suite", self.root));
        }
        let text = fs::read_to_string("/etc/os-release").context("failed to read the host's suite")?;
        let suite = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        Ok(suite.context("the host is no Debian release")?.to_owned())
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
pub(crate) const PACKAGES: &str = "docker.io iptables iproute2 tini rsyslog bsdutils util-linux mount procps bash coreutils dash \
                        sed grep gawk findutils hostname openssl nftables firewalld dbus ufw";

/// The name of a suite's root in the cache. One that was made of other packages has another.
fn root_of(suite: &str) -> String {
    debian::name_of(suite, PACKAGES)
}

/// `Docker version 20.10.24+dfsg1, build 297e128` -> `20.10.24`.
fn version(printed: &str) -> Result<String> {
    let word = printed.split_whitespace().nth(2).and_then(|word| word.split([',', '+']).next());
    Ok(word.with_context(|| format!("failed to understand {printed:?}"))?.to_owned())
}

fn fetch(suite: &str, root: &Path) -> Result<()> {
    debian::install(suite, PACKAGES, root)?;
    let inside = |program: &str| run(Command::new("chroot").arg(root).args([program, "--version"]));
    inside("docker")?;
    fs::write(root.join(VERSION), version(&inside("dockerd")?)?).context("failed to note its version")
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
