//! A QEMU guest with a kernel that has IPVS, for hosts without it. The CPU is emulated, so no hardware virtualisation is
//! needed. A lab runs in the guest as it does on the host.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::engine::PACKAGES;
use crate::program::run;
use crate::{cache, debian, image};

/// The Debian packages that a guest needs on the host.
pub const GUEST_APT_PACKAGES: [&str; 4] = ["qemu-system-x86", "e2fsprogs", "tar", "util-linux"];

const PROGRAMS: [&str; 5] = [QEMU, "mke2fs", "tar", "setpriv", "timeout"];

const QEMU: &str = "qemu-system-x86_64";

/// Packages in the guest besides the engine: the small cloud kernel, and programs that the lab needs.
const MORE_PACKAGES: &str = "linux-image-cloud-amd64 kmod busybox-static curl ipvsadm";

/// A kernel and a root file system to boot.
#[derive(Clone, Debug)]
pub struct Guest {
    dir: PathBuf,
}

impl Guest {
    /// The guest with the Debian release of the host, so that the host's programs run there; built if it is not in the cache.
    pub fn find() -> Result<Self> {
        let absent = |program: &&str| run(Command::new("which").arg(program)).is_err();
        let absent: Vec<&str> = PROGRAMS.into_iter().filter(absent).collect();
        let packages = GUEST_APT_PACKAGES.join(" ");
        ensure!(absent.is_empty(), "there is no {}: apt-get install {packages}", absent.join(", "));
        ensure!(rustix::process::geteuid().is_root(), "not root, who alone can make the guest's files");
        ensure!(std::env::consts::ARCH == "x86_64", "the guest is for x86_64 only");
        let release = fs::read_to_string("/etc/os-release").context("failed to read /etc/os-release")?;
        let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let suite = suite.context("the guest is made of this machine's Debian release, and it has none")?;
        let packages = format!("{PACKAGES} {MORE_PACKAGES}");
        let name = debian::name_of(&format!("guest-{suite}"), &packages);
        let dir = cache::item(&name, |dir| build(suite, &packages, dir))
            .with_context(|| format!("failed to build the guest of Debian {suite}"))?;
        Ok(Self { dir })
    }

    /// Boots the guest, runs `run` of the payload directory with `sh -eu`, and passes on each line of output. `words` are
    /// kernel parameters; `without=ip_vs` removes that module. Changes in the guest are discarded, and the payload directory
    /// is consumed.
    pub fn run(
        &self,
        payload: &Path,
        words: &[&str],
        limit: Duration,
        mut said: impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        fs::write(payload.join("init"), include_str!("guest/init.sh"))?;
        // The guest has no compiler, so the host builds the image of the lab.
        let image = image::tar()?;
        let cache = payload.join("cache");
        fs::create_dir_all(&cache)?;
        fs::copy(&image, cache.join(image.file_name().context("the image has no name")?))?;
        let archive = payload.with_extension("tar");
        run(Command::new("tar")
            .arg("--create")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(payload)
            .arg("."))?;
        fs::remove_dir_all(payload)?;
        let console = payload.with_extension("console");
        let mut machine = Machine(self.boot(&archive, &console, words, limit)?);
        let lines = BufReader::new(machine.0.stdout.take().context("QEMU has no output")?).lines();
        for line in lines {
            // QEMU has it open, so it can be removed now; nothing large remains if this process is killed.
            drop(fs::remove_file(&archive));
            let line = line.context("failed to read what the guest says")?;
            match line.strip_prefix("end ") {
                None => said(line.trim_end())?,
                Some("0") => return Ok(()),
                Some(code) => bail!("the script ended with {code}:\n{}", tail(&console)),
            }
        }
        bail!("the guest ended within {} s without a word:\n{}", limit.as_secs(), tail(&console))
    }

    fn boot(&self, payload: &Path, console: &Path, words: &[&str], limit: Duration) -> Result<Child> {
        let disk = |file: &Path, more: &str| format!("file={},format=raw,if=virtio,{more}", file.display());
        // The guest ends with this process, also after SIGKILL (PR_SET_PDEATHSIG).
        Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "timeout", &limit.as_secs().to_string()])
            .args([QEMU, "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"])
            .args(["-smp", "2", "-m", "1536", "-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-nic", "none", "-device", "virtio-rng-pci"])
            .args(["-serial", &format!("file:{}", console.display()), "-serial", "stdio"])
            .arg("-kernel")
            .arg(self.dir.join("vmlinuz"))
            .arg("-initrd")
            .arg(self.dir.join("initrd.gz"))
            .args(["-drive", &disk(&self.dir.join("root.ext4"), "snapshot=on,cache=unsafe")])
            .args(["-drive", &disk(payload, "readonly=on")])
            .arg("-append")
            .arg(format!("console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on tsc=reliable no_timer_check {}", words.join(" ")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {QEMU}"))
    }
}

/// A running guest; killed on drop.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // `timeout` forwards SIGTERM to QEMU; SIGKILL would leave QEMU running.
        if let Some(pid) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        drop(self.0.wait());
    }
}

/// The last lines of the console, for an error message.
fn tail(console: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(console).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn build(suite: &str, packages: &str, dir: &Path) -> Result<()> {
    fs::create_dir(dir)?;
    let root = dir.with_extension("root");
    debian::unpack(suite, packages, &root)?;
    let modules = root.join("lib/modules");
    let release = fs::read_dir(&modules)?.flatten().next().context("the kernel's package has no modules")?;
    let release = release.file_name().into_string().ok().context("the kernel has a strange release")?;
    let inside = |words: &[&str]| run(Command::new("chroot").arg(&root).args(words));
    inside(&["depmod", &release])?;
    fs::copy(root.join(format!("boot/vmlinuz-{release}")), dir.join("vmlinuz"))?;
    let mut order: Vec<String> = Vec::new();
    for driver in ["virtio_pci", "virtio_blk", "ext4"] {
        // A built-in driver has a line in a different format.
        let lines = inside(&["modprobe", "--set-version", &release, "--show-depends", driver])?;
        let files = lines.lines().filter_map(|line| line.strip_prefix("insmod "));
        order.extend(files.map(|file| file.trim().to_owned()));
    }
    initrd(&root, &order, &dir.join("initrd.gz")).context("failed to make the initrd")?;
    fs::remove_dir_all(root.join("boot"))?;
    run(Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d"])
        .arg(&root)
        .arg(dir.join("root.ext4"))
        .arg("3G"))?;
    Ok(())
}

/// An initrd with the disk drivers and a busybox that loads them.
fn initrd(root: &Path, drivers: &[String], initrd: &Path) -> Result<()> {
    let stage = initrd.with_extension("stage");
    for path in ["bin", "modules", "proc", "dev", "root"] {
        fs::create_dir_all(stage.join(path))?;
    }
    let busybox = stage.join("bin/busybox");
    fs::copy(root.join("bin/busybox"), &busybox)?;
    for program in ["sh", "mount", "insmod", "mkdir", "sleep", "tar", "poweroff", "switch_root"] {
        symlink("busybox", stage.join("bin").join(program))?;
    }
    let mut order = String::new();
    for driver in drivers {
        let name = driver.rsplit('/').next().unwrap_or(driver);
        if !order.lines().any(|line| line == name) {
            fs::copy(root.join(driver.trim_start_matches('/')), stage.join("modules").join(name))?;
            order += &format!("{name}\n");
        }
    }
    fs::write(stage.join("modules/order"), order)?;
    fs::write(stage.join("init"), include_str!("guest/initrd.sh"))?;
    fs::set_permissions(stage.join("init"), fs::Permissions::from_mode(0o755))?;
    let pack = "find . | ./bin/busybox cpio -o -H newc | gzip -1";
    let packed =
        Command::new("sh").args(["-euc", pack]).current_dir(&stage).stderr(Stdio::null()).output()?;
    ensure!(packed.status.success(), "cpio failed with {}", packed.status);
    fs::File::create(initrd)?.write_all(&packed.stdout)?;
    fs::remove_dir_all(&stage).context("failed to clean up")
}
