//! ssh between the nodes, for the tests that want it: the server of the node's own Debian suite, one host key and one user
//! key per lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::builder::each;
use crate::lab::Lab;
use crate::node::Node;
use crate::program::run;
use crate::time_limit::seconds;
use crate::{cache, debian};

const PACKAGES: &str = "openssh-server openssh-client gzip";
const CONFIG: &str = "/etc/ssh/lab_config";

/// Makes the keys of the lab in this directory.
fn keys(dir: &Path) -> Result<PathBuf> {
    let keys = dir.join("ssh");
    if !keys.exists() {
        fs::create_dir(&keys)?;
        for name in ["host", "user"] {
            let file = keys.join(name);
            run(Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"])
                .arg(file))?;
        }
    }
    Ok(keys)
}

impl Lab {
    /// Starts an ssh server on every node that is on, and lets root of each log in on all others.
    pub fn start_ssh(&self) -> Result<()> {
        let keys = keys(self.dir()).context("failed to make the keys for ssh")?;
        each(self.nodes(), |node| {
            if node.pid1().is_none() {
                return Ok(());
            }
            node.start_ssh(&keys).with_context(|| format!("{}: failed to start ssh", node.name()))
        })
    }
}

impl Node {
    fn start_ssh(&self, keys: &Path) -> Result<()> {
        let suite = self.engine().suite()?;
        let name = format!("ssh-{}", debian::name_of(&suite, PACKAGES));
        let packages = cache::item(&name, |root| debian::unpack(&suite, PACKAGES, root))?;
        let pid1 = self.pid1().context("it is switched off")?;
        // What the node has stays as it is; only what is missing is added.
        for part in ["bin", "sbin", "lib"] {
            let from = packages.join("usr").join(part);
            run(Command::new("cp")
                .args(["--archive", "--no-clobber"])
                .arg(from)
                .arg(format!("/proc/{pid1}/root/usr/")))?;
        }
        run(Command::new("ldconfig").arg("-r").arg(format!("/proc/{pid1}/root")))?;
        let read = |name: &str| fs::read(keys.join(name));
        self.write_file("/etc/ssh/lab_host", read("host")?)?;
        self.write_file("/root/.ssh/id_ed25519", read("user")?)?;
        self.write_file("/root/.ssh/authorized_keys", read("user.pub")?)?;
        let host = String::from_utf8_lossy(&read("host.pub")?).into_owned();
        self.write_file("/root/.ssh/known_hosts", format!("* {host}"))?;
        self.write_file(
            CONFIG,
            "HostKey /etc/ssh/lab_host\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nUseDNS no\n",
        )?;
        let script = r#"
            chmod 600 /etc/ssh/lab_host /root/.ssh/*; chmod 700 /root/.ssh; mkdir -p /run/sshd
            grep -q ^sshd: /etc/passwd || echo 'sshd:x:101:65534::/run/sshd:/usr/sbin/nologin' >>/etc/passwd
            /usr/sbin/sshd -f "$1"
        "#;
        self.shell(script, &[CONFIG])?;
        let deadline = Instant::now() + seconds(10);
        while !self.exec(&["ssh", "-o", "BatchMode=yes", "localhost", "true"])?.success() {
            ensure!(Instant::now() < deadline, "its ssh server does not answer");
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}
