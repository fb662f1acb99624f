//! The one image of the lab: a static busybox with a stand-in for NiFi, imported on every node because nothing can
//! be pulled.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::builder::each;
use crate::cache;
use crate::lab::Lab;
use crate::node::Node;
use crate::program::run;

/// The image that every node with an engine has.
pub const IMAGE: &str = "lab/busybox:1";

/// The image's root file system as a tar file in the cache, built if it is not there.
pub(crate) fn tar() -> Result<PathBuf> {
    cache::item("busybox-nifi.tar", |new| build(new).context("failed to build the busybox image"))
}

pub(crate) fn import(node: &Node, tar: &Path) -> Result<()> {
    let step = || format!("{}: failed to import {IMAGE}", node.name());
    let bytes = fs::read(tar).with_context(step)?;
    let words = ["docker", "import", "--change", r#"CMD ["sh"]"#, "-", IMAGE];
    let output = node.command(&words)?.stdin(bytes).run().with_context(step)?;
    ensure!(output.success(), "{}: {}\n{}", step(), output.stderr.trim(), node.log_tail());
    Ok(())
}

impl Lab {
    /// Gives every node that is on an image with this program as its entrypoint, together with the libraries that it
    /// needs.
    pub fn import_program(&self, program: &Path, image: &str) -> Result<()> {
        let stage = self.dir().join("program-image");
        let tar = self.dir().join("program-image.tar");
        let name = program.file_name().and_then(|name| name.to_str()).context("the program has no name")?;
        fs::create_dir_all(stage.join("tmp"))?;
        // Symbols make it several times larger.
        run(Command::new("strip").arg("-o").arg(stage.join(name)).arg(program))?;
        let needed = run(Command::new("ldd").arg(program)).unwrap_or_default();
        for library in needed.split_whitespace().filter(|word| word.starts_with('/')) {
            let place = stage.join(library.trim_start_matches('/'));
            fs::create_dir_all(place.parent().context("a library has no directory")?)?;
            fs::copy(library, place)?;
        }
        run(Command::new("tar")
            .arg("--directory")
            .arg(&stage)
            .arg("--create")
            .arg("--file")
            .arg(&tar)
            .arg("."))?;
        let bytes = fs::read(&tar)?;
        let entrypoint = format!("ENTRYPOINT [\"/{name}\"]");
        each(self.nodes(), |node| {
            if node.pid1().is_none() {
                return Ok(());
            }
            let words = ["docker", "import", "--change", &entrypoint, "-", image];
            let output = node.command(&words)?.stdin(bytes.clone()).run()?;
            ensure!(output.success(), "{}: failed to import {image}: {}", node.name(), output.stderr.trim());
            Ok(())
        })
    }
}

fn build(tar: &Path) -> Result<()> {
    let stage = tar.with_extension("stage");
    let root = stage.join("root");
    for path in ["bin", "etc", "tmp", "var/www"] {
        fs::create_dir_all(root.join(path))?;
    }
    let busybox = root.join("bin/busybox");
    fs::copy(static_busybox(&stage)?, &busybox)?;
    let programs = run(Command::new(&busybox).arg("--list"))?;
    for program in programs.lines().filter(|&program| program != "busybox") {
        symlink("busybox", root.join("bin").join(program))?;
    }
    stand_in(&stage, &root.join("bin/nifi"))?;
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    run(Command::new("tar").arg("--directory").arg(&root).arg("--create").arg("--file").arg(tar).arg("."))
        .map(drop)
}

/// Builds the stand-in for NiFi: static, without crates.
fn stand_in(stage: &Path, program: &Path) -> Result<()> {
    let source = stage.join("nifi.rs");
    fs::write(&source, include_str!("stand_in.rs"))?;
    let flags = ["opt-level=s", "panic=abort", "strip=symbols", "target-feature=+crt-static"];
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "-o"]).arg(program);
    run(rustc.args(flags.iter().flat_map(|flag| ["-C", flag])).arg(&source)).map(drop)
}

/// The busybox of the host if it is static, else that of the Debian package.
fn static_busybox(stage: &Path) -> Result<PathBuf> {
    let installed = Path::new("/bin/busybox");
    // `ldd` fails on a program without dynamic libraries.
    if installed.is_file() && run(Command::new("ldd").arg(installed)).is_err() {
        return Ok(installed.to_owned());
    }
    let download = ["--quiet=2", "--option=APT::Sandbox::User=root", "download", "busybox-static"];
    run(Command::new("apt-get").current_dir(stage).args(download))?;
    let mut files = fs::read_dir(stage)?.flatten().map(|entry| entry.path());
    let package = files.find(|path| path.extension().is_some_and(|end| end == "deb"));
    let unpacked = stage.join("package");
    run(Command::new("dpkg-deb")
        .arg("--extract")
        .arg(package.context("nothing was downloaded")?)
        .arg(&unpacked))?;
    let mut places = ["usr/bin/busybox", "bin/busybox"].map(|place| unpacked.join(place)).into_iter();
    places.find(|place| place.is_file()).context("the package holds no busybox")
}
