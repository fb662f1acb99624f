//! The state of kernel modules, with its evidence.

use super::namespaces::Scope;
use super::{Artifact, Place, Session, why};
use facts::Need;
use facts::host::{Module, ModuleState, Modules};
use flate2::read::GzDecoder;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A module, its kernel configuration option, and a file that exists while it is active.
struct Known {
    name: &'static str,
    option: &'static str,
    sign: Option<&'static str>,
}

const KNOWN: [Known; 15] = [
    known("bridge", "CONFIG_BRIDGE", None),
    known("br_netfilter", "CONFIG_BRIDGE_NETFILTER", Some("proc/sys/net/bridge")),
    known("esp4", "CONFIG_INET_ESP", None),
    known("ip_tables", "CONFIG_IP_NF_IPTABLES", None),
    known("ip_vs", "CONFIG_IP_VS", Some("proc/net/ip_vs")),
    known("ip_vs_rr", "CONFIG_IP_VS_RR", None),
    known("iptable_nat", "CONFIG_IP_NF_NAT", None),
    known("nf_conntrack", "CONFIG_NF_CONNTRACK", Some("proc/sys/net/netfilter/nf_conntrack_max")),
    known("nf_nat", "CONFIG_NF_NAT", None),
    known("nf_tables", "CONFIG_NF_TABLES", None),
    known("overlay", "CONFIG_OVERLAY_FS", None),
    known("veth", "CONFIG_VETH", None),
    known("vxlan", "CONFIG_VXLAN", None),
    known("xfrm_user", "CONFIG_XFRM_USER", None),
    known("xt_ipvs", "CONFIG_NETFILTER_XT_MATCH_IPVS", None),
];

const fn known(name: &'static str, option: &'static str, sign: Option<&'static str>) -> Known {
    Known { name, option, sign }
}

pub(super) async fn modules(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Modules, "host/modules.json", "/proc/modules, /sys/module, /lib/modules");
    session
        .read_in(Scope::Kernel, place, || {
            let release = fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_err(|error| why(&error, "read /proc/sys/kernel/osrelease"))?;
            Ok(Kernel::new(Path::new("/"), release.trim()).modules())
        })
        .await
}

/// The running kernel, and the directory that is used as `/`.
struct Kernel<'a> {
    root: &'a Path,
    release: &'a str,
    /// `/proc/modules`, which exists only in a kernel with loadable modules.
    loaded: Option<String>,
}

impl<'a> Kernel<'a> {
    fn new(root: &'a Path, release: &'a str) -> Self {
        Self { root, release, loaded: fs::read_to_string(root.join("proc/modules")).ok() }
    }

    /// Cheap sources come first; files of hundreds of KiB are read only for modules that those do not decide.
    fn modules(&self) -> Modules {
        let mut modules = Modules::default();
        let mut open: Vec<&Known> = Vec::new();
        for known in &KNOWN {
            match self.running(known) {
                Some(module) => drop(modules.0.insert(known.name.into(), module)),
                None => open.push(known),
            }
        }
        let mut decide = |source: &dyn Fn(&Known) -> Option<Module>| {
            open.retain(|known| match source(known) {
                Some(module) => {
                    modules.0.insert(known.name.into(), module);
                    false
                }
                None => true,
            });
            !open.is_empty()
        };
        let built_in = self.directory("modules.builtin");
        let built_in_names = names(&built_in);
        let mut left = decide(&|known| {
            built_in_names
                .contains(known.name)
                .then(|| self.module(ModuleState::BuiltIn, &built_in, known.name))
        });
        // Without `/proc/modules` no module can be loaded, even if module files exist.
        let dependencies = self.directory("modules.dep");
        if left && self.loaded.is_some() {
            let loadable = names(&dependencies);
            left = decide(&|known| {
                loadable
                    .contains(known.name)
                    .then(|| self.module(ModuleState::Loadable, &dependencies, known.name))
            });
        }
        if left && let Some((path, configuration)) = self.configuration() {
            left = decide(&|known| self.configured(known, &path, &configuration));
        }
        if left {
            decide(&|_| Some(self.not_installed(&dependencies)));
        }
        modules
    }

    /// A module that is active.
    fn running(&self, known: &Known) -> Option<Module> {
        let loaded = self.loaded.as_deref().unwrap_or_default();
        if let Some(line) = loaded.lines().find(|line| line.split(' ').next() == Some(known.name)) {
            let source = format!("/proc/modules: {}", line.trim_end());
            return Some(Module { state: ModuleState::Loaded, source });
        }
        let directory = format!("sys/module/{}", known.name);
        let sign = std::iter::once(directory.as_str())
            .chain(known.sign)
            .find(|sign| self.root.join(sign).exists())?;
        Some(Module {
            state: ModuleState::BuiltIn,
            source: format!("/{sign} exists, and the module is not in /proc/modules"),
        })
    }

    /// The state according to the kernel configuration, if that decides.
    fn configured(&self, known: &Known, path: &Path, configuration: &str) -> Option<Module> {
        let value = configuration.lines().find_map(|line| line.strip_prefix(known.option)?.strip_prefix('='));
        let (state, line) = match value {
            Some("y") => (ModuleState::BuiltIn, format!("{}=y", known.option)),
            None => (ModuleState::Missing, format!("{} is not set", known.option)),
            Some(_) => return None,
        };
        Some(self.module(state, path, &line))
    }

    /// A module that is not loaded, in no list, and not excluded by the configuration.
    fn not_installed(&self, dependencies: &Path) -> Module {
        let all = self.root.join("lib/modules");
        let others = fs::read_dir(&all).is_ok_and(|mut entries| entries.next().is_some());
        if dependencies.exists() {
            return self.module(ModuleState::Missing, dependencies, "not in the list");
        }
        // The file system of a container has no modules, which says nothing about the host.
        if others && !self.directory("").exists() {
            let what = "no module directory for the running kernel; the kernel was updated and the host not rebooted";
            return self.module(ModuleState::Missing, &self.directory(""), what);
        }
        self.module(ModuleState::Unknown, &self.directory(""), "not found, and no other source decides")
    }

    /// The kernel configuration, with its path.
    fn configuration(&self) -> Option<(PathBuf, String)> {
        let mut text = String::new();
        let packed = self.root.join("proc/config.gz");
        if let Ok(file) = fs::File::open(&packed)
            && GzDecoder::new(file).read_to_string(&mut text).is_ok()
        {
            return Some((packed, text));
        }
        let plain = [self.root.join(format!("boot/config-{}", self.release)), self.directory("config")];
        plain.into_iter().find_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
    }

    /// A file in the module directory of the running kernel.
    fn directory(&self, file: &str) -> PathBuf {
        self.root.join("lib/modules").join(self.release).join(file)
    }

    fn module(&self, state: ModuleState, path: &Path, evidence: &str) -> Module {
        let path = path.strip_prefix(self.root).unwrap_or(path).display().to_string();
        Module { state, source: format!("/{}: {evidence}", path.trim_end_matches('/')) }
    }
}

/// The known modules in a list of files, such as `kernel/net/ip_vs.ko.xz: needed.ko`.
fn names(list: &Path) -> BTreeSet<&'static str> {
    let text = fs::read(list).unwrap_or_default();
    let name = |line: &[u8]| -> Option<&'static str> {
        let path = line.split(|byte| *byte == b':').next()?;
        let file = path.rsplit(|byte| *byte == b'/').next()?;
        let stem = file.split(|byte| *byte == b'.').next()?;
        let same = |a: &u8, b: &u8| a == b || (*a == b'-' && *b == b'_');
        let is = |name: &str| {
            name.len() == stem.len() && stem.iter().zip(name.as_bytes()).all(|(a, b)| same(a, b))
        };
        KNOWN.iter().map(|known| known.name).find(|known| is(known))
    };
    text.split(|byte| *byte == b'\n').filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ModuleState::*;

    const RELEASE: &str = "6.1.0-9-amd64";

    /// A root directory with these files.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let path =
                std::env::temp_dir().join(format!("swarm-doctor-modules-{name}-{}", std::process::id()));
            for (file, content) in files {
                let file = path.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
            }
            Self(path)
        }

        fn module(&self, name: &str) -> (ModuleState, String) {
            let modules = Kernel::new(&self.0, RELEASE).modules();
            assert_eq!(modules.0.len(), KNOWN.len());
            (modules.0[name].state, modules.0[name].source.clone())
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn a_distribution_kernel_has_all_states() {
        let root = Root::new(
            "distribution",
            &[
                ("proc/modules", "ip_vs_rr 12288 1 - Live 0x0\nip_vs 200704 3 ip_vs_rr, Live 0x0\n"),
                ("lib/modules/6.1.0-9-amd64/modules.builtin", "kernel/net/bridge/bridge.ko\n"),
                (
                    "lib/modules/6.1.0-9-amd64/modules.dep",
                    "kernel/drivers/net/vxlan/vxlan.ko.zst: kernel/net/ipv4/udp_tunnel.ko\nextra/br-netfilter.ko:\n",
                ),
            ],
        );
        assert_eq!(root.module("ip_vs"), (Loaded, "/proc/modules: ip_vs 200704 3 ip_vs_rr, Live 0x0".into()));
        assert_eq!(
            root.module("bridge"),
            (BuiltIn, "/lib/modules/6.1.0-9-amd64/modules.builtin: bridge".into())
        );
        assert_eq!(root.module("vxlan"), (Loadable, "/lib/modules/6.1.0-9-amd64/modules.dep: vxlan".into()));
        assert_eq!(root.module("br_netfilter").0, Loadable);
        let missing = "/lib/modules/6.1.0-9-amd64/modules.dep: not in the list";
        assert_eq!(root.module("esp4"), (Missing, missing.into()));
    }

    #[test]
    fn the_configuration_decides_without_module_lists() {
        let root = Root::new(
            "configuration",
            &[
                ("proc/modules", ""),
                ("proc/sys/net/bridge/bridge-nf-call-iptables", "1\n"),
                (
                    "boot/config-6.1.0-9-amd64",
                    "CONFIG_VXLAN=y\n# CONFIG_IP_VS is not set\nCONFIG_VETH=m\nCONFIG_IP_VS_RRX=y\n",
                ),
            ],
        );
        let witness = |what: &str| format!("/boot/config-6.1.0-9-amd64: {what}");
        assert_eq!(root.module("vxlan"), (BuiltIn, witness("CONFIG_VXLAN=y")));
        assert_eq!(root.module("ip_vs"), (Missing, witness("CONFIG_IP_VS is not set")));
        // An option whose parent is disabled is not in the file.
        assert_eq!(root.module("ip_vs_rr"), (Missing, witness("CONFIG_IP_VS_RR is not set")));
        assert_eq!(root.module("br_netfilter").0, BuiltIn);
        assert_eq!(root.module("veth").0, Unknown);
    }

    #[test]
    fn modules_of_another_kernel_only_mean_that_the_kernel_was_updated() {
        let root = Root::new(
            "replaced",
            &[
                ("proc/modules", "vxlan 1 0 - Live 0x0\n"),
                ("lib/modules/6.1.0-10-amd64/modules.dep", "a/ip_vs.ko:\n"),
            ],
        );
        let (state, source) = root.module("ip_vs");
        assert_eq!(state, Missing);
        assert!(source.starts_with("/lib/modules/6.1.0-9-amd64: "), "{source}");
        assert_eq!(root.module("vxlan").0, Loaded);
    }

    #[test]
    fn nothing_to_read_is_unknown() {
        let root = Root::new("nothing", &[("proc/modules", "")]);
        assert!(KNOWN.iter().all(|known| root.module(known.name).0 == Unknown));
    }

    #[test]
    fn the_kernel_of_this_host_has_consistent_states() {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let modules = Kernel::new(Path::new("/"), release.trim()).modules();
        // A host with a bridge has the bridge module, loaded or built in.
        if Path::new("/sys/class/net/docker0/bridge").exists() {
            assert!(matches!(modules.0["bridge"].state, Loaded | BuiltIn), "{modules:?}");
        }
        if !Path::new("/proc/modules").exists() {
            assert!(
                modules.0.values().all(|module| !matches!(module.state, Loaded | Loadable)),
                "{modules:?}"
            );
        }
    }
}
