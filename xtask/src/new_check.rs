//! `cargo xtask new-check`: a check with its fixtures, ready to fill in; and `record-fixture`: a bundle of a lab node.

use anyhow::{Context, ensure};
use lab::Lab;
use std::fs;
use std::process::Command;

const CHECK: &str = r#"use crate::{Evidence, Findings, Judged, Subject, View};

check! {
    /// TODO: the problem as a sentence.
    ///
    /// ## Why it matters
    /// TODO
    ///
    /// ## How to fix it
    /// TODO
    ///
    /// ## When it is wrong
    /// TODO
    ///
    /// Source: TODO: the upstream file or issue.
    "ID": Warning, "todo: the problem as a statement";
    healthy "todo: what holds when the check passes";
    needs Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    if nodes.is_empty() {
        out.report(Subject::Cluster, "the node list is empty", Evidence::absent(nodes, "a node"));
    }
    Ok(())
}
"#;

const SCENARIO: &str = r#"say = "TODO: what is different from the base, as a sentence."
base = "healthy/one-manager/node1"
"#;

/// Writes the files of a check and adds it to its category.
pub(crate) fn new_check(id: &str) -> anyhow::Result<()> {
    let (category, name) =
        id.split_once('/').context("an id is CATEGORY/NAME, such as network/packet-loss")?;
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    ensure!(plain(category) && plain(name), "an id has lower-case letters and hyphens only");
    let module = name.replace('-', "_");
    let folder = crate::root().join("checks").join(category);
    let list = folder.join("mod.rs");
    let text = fs::read_to_string(&list).with_context(|| format!("there is no category {category}"))?;
    let file = folder.join(format!("{module}.rs"));
    ensure!(!file.exists(), "{} exists already", file.display());
    let (at, _) = text.match_indices("mod ").next().context("the category has no list of modules")?;
    let end = text.rfind("];").context("the category has no list of checks")?;
    let (head, body, tail) = (&text[..at], &text[at..end], &text[end..]);
    let listed = format!("{head}mod {module};\n{body}    &{module}::CHECK,\n{tail}");
    fs::write(&list, listed)?;
    fs::write(&file, CHECK.replace("ID", id))?;
    for kind in ["fires", "near-miss"] {
        let folder = crate::root().join("fixtures").join(id).join(kind);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("scenario.toml"), SCENARIO)?;
    }
    println!("wrote {}, fixtures/{id}/ and the line in {}", file.display(), list.display());
    println!(
        "next: fill in the TODOs, cargo fmt, cargo xtask generate, and write the reports of its scenarios with"
    );
    println!("SWARM_DOCTOR_REWRITE=1 cargo test --test it scenarios::");
    Ok(())
}

/// Collects a bundle on a node of a running lab and unpacks it into `fixtures/FOLDER`.
pub(crate) fn record_fixture(folder: &str, node: &str, lab: &str) -> anyhow::Result<()> {
    let target = crate::root().join("fixtures").join(folder);
    ensure!(!target.exists(), "{} exists already", target.display());
    let doctor = crate::target_directory().join("debug/swarm-doctor");
    let build = ["build", "--bin", "swarm-doctor"];
    let status = Command::new("cargo").current_dir(crate::root()).args(build).status()?;
    ensure!(status.success(), "swarm-doctor does not build");
    let lab = Lab::open(lab)?;
    let node = lab.node(node);
    node.install(&doctor)?;
    node.shell("swarm-doctor collect -f /root/fixture.tar.zst", &[])?;
    let packed = tempfile::tempdir()?;
    let bundle = packed.path().join("bundle.tar.zst");
    fs::write(&bundle, node.read_file("/root/fixture.tar.zst")?)?;
    node.remove_file("/root/fixture.tar.zst")?;
    fs::create_dir_all(&target)?;
    let mut tar = Command::new("tar");
    tar.args(["--zstd", "--strip-components=1", "-xf"]).arg(&bundle).arg("-C").arg(&target);
    let status = tar.status()?;
    ensure!(status.success(), "tar exited with {status}");
    println!("recorded {}", target.display());
    Ok(())
}
