//! Package commands that fit the distribution of a node.

use crate::Step;
use crate::remedy::shell_quote;
use facts::Host;
use facts::host::OsRelease;

/// The package manager of a distribution family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackageManager {
    Apt,
    Dnf,
    Zypper,
    Unknown,
}

impl PackageManager {
    pub(super) fn of(os: &OsRelease) -> Self {
        let families = || std::iter::once(os.id.as_str()).chain(os.id_like.iter().map(String::as_str));
        let is = |names: &[&str]| families().any(|family| names.contains(&family));
        if is(&["debian", "ubuntu"]) {
            Self::Apt
        } else if is(&["rhel", "centos", "fedora", "rocky", "almalinux", "amzn", "ol"]) {
            Self::Dnf
        } else if is(&["suse", "sles", "opensuse", "opensuse-leap", "opensuse-tumbleweed"]) {
            Self::Zypper
        } else {
            Self::Unknown
        }
    }

    /// The command that installs these packages; none where the package manager is unknown.
    pub(super) fn install(self, packages: &[&str]) -> Option<String> {
        let program = match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Zypper => "zypper",
            Self::Unknown => return None,
        };
        let packages: Vec<_> = packages.iter().map(|package| shell_quote(package)).collect();
        Some(format!("{program} install {}", packages.join(" ")))
    }
}

/// How to get a kernel module that the running kernel does not have.
pub(super) struct KernelModules {
    /// The command; none where no package can help.
    pub(super) command: Option<String>,
    /// The package brings another kernel, which runs after a reboot.
    pub(super) reboot: bool,
}

/// The package with the remaining modules for the running kernel. Debian has all of its modules in one package, and only
/// its cloud kernel leaves some out.
pub(super) fn kernel_modules(os: &OsRelease) -> KernelModules {
    let release = os.kernel.as_str();
    let none = KernelModules { command: None, reboot: true };
    let foreign = ["microsoft", "-pve", "linuxkit"].iter().any(|mark| release.contains(mark));
    if os.in_container || foreign || release.is_empty() {
        return none;
    }
    let packages = PackageManager::of(os);
    let ubuntu = std::iter::once(&os.id).chain(&os.id_like).any(|family| family == "ubuntu");
    let (wanted, reboot): (Vec<String>, bool) = match packages {
        PackageManager::Apt if ubuntu && release.ends_with("-raspi") => {
            (vec!["linux-modules-extra-raspi".into()], false)
        }
        PackageManager::Apt if ubuntu => (vec![format!("linux-modules-extra-{release}")], false),
        PackageManager::Apt => match release.split_once("-cloud-") {
            Some((_, architecture)) => (vec![format!("linux-image-{architecture}")], true),
            None => return none,
        },
        PackageManager::Dnf if os.id == "amzn" => (vec![format!("kernel-modules-extra-{release}")], false),
        PackageManager::Dnf => {
            (vec![format!("kernel-modules-{release}"), format!("kernel-modules-extra-{release}")], false)
        }
        PackageManager::Zypper if release.ends_with("-default") => (vec!["kernel-default".into()], true),
        PackageManager::Zypper | PackageManager::Unknown => return none,
    };
    let wanted: Vec<_> = wanted.iter().map(String::as_str).collect();
    KernelModules { command: packages.install(&wanted), reboot }
}

/// The steps that install and load a module which the running kernel does not have.
pub(super) fn missing_module_steps(host: &Host, module: &str) -> Vec<Step> {
    let node = || host.name.clone();
    let os = host.os.get().ok();
    if os.is_some_and(|os| os.in_container || os.container.is_some()) {
        return vec![Step::Manual {
            node: node().into(),
            text: "load the module on the host of this container: a container cannot load kernel modules"
                .into(),
            commands: vec![format!("modprobe {module}")],
        }];
    }
    let package = os.map_or(KernelModules { command: None, reboot: true }, |os| kernel_modules(os));
    let text = if package.reboot {
        format!("install a kernel that has {module}, and reboot")
    } else {
        "install the remaining modules of the running kernel".to_owned()
    };
    let mut steps =
        vec![Step::Manual { node: node().into(), text, commands: package.command.into_iter().collect() }];
    if !package.reboot {
        steps.push(Step::LoadModule { node: node().into(), module: module.into() });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(id: &str, like: &[&str], kernel: &str) -> Option<String> {
        let id_like = like.iter().map(|family| (*family).to_owned()).collect();
        kernel_modules(&OsRelease { id: id.into(), id_like, kernel: kernel.into(), ..Default::default() })
            .command
    }

    #[test]
    fn each_distribution_gets_its_own_package() {
        let is = |got: Option<String>, want: &str| assert_eq!(got.as_deref(), Some(want));
        is(
            command("ubuntu", &["debian"], "6.8.0-31-generic"),
            "apt-get install linux-modules-extra-6.8.0-31-generic",
        );
        is(command("ubuntu", &["debian"], "5.15.0-1005-raspi"), "apt-get install linux-modules-extra-raspi");
        is(command("debian", &[], "6.1.0-18-cloud-amd64"), "apt-get install linux-image-amd64");
        is(
            command("rocky", &["rhel", "centos", "fedora"], "5.14.0-1.el9.x86_64"),
            "dnf install kernel-modules-5.14.0-1.el9.x86_64 kernel-modules-extra-5.14.0-1.el9.x86_64",
        );
        is(
            command("opensuse-leap", &["suse", "opensuse"], "6.4.0-1-default"),
            "zypper install kernel-default",
        );
        // No package of Debian, of WSL or of an unknown distribution adds a module to the running kernel.
        assert_eq!(command("debian", &[], "6.1.0-18-amd64"), None);
        assert_eq!(command("ubuntu", &["debian"], "5.15.153.1-microsoft-standard-WSL2"), None);
        assert_eq!(command("arch", &[], "6.9.1-arch1-1"), None);
        assert_eq!(command("", &[], ""), None);
    }
}
