//! `cargo xtask upgrade-bundle`: rewrites bundles of an older format in place, files and unpacked folders alike.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use swarm_doctor::bundle::{Writer, each, is_format_1, upgrade, write};

/// Rewrites each bundle; one in the current format stays unchanged.
pub(crate) fn upgrade_all(paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        let upgraded = if path.is_dir() { folder(path) } else { file(path) };
        let upgraded = upgraded.with_context(|| format!("failed to upgrade {}", path.display()))?;
        println!(
            "{}: {}",
            path.display(),
            if upgraded { "upgraded" } else { "already of the present format" }
        );
    }
    Ok(())
}

/// A `.tar.zst` file. Reading upgrades it, so writing it again is enough.
fn file(path: &Path) -> anyhow::Result<bool> {
    let mut bundles = Vec::new();
    each(path, &mut |bundle| bundles.push(bundle)).map_err(anyhow::Error::msg)?;
    match bundles.as_slice() {
        [] => bail!("it holds no node"),
        [one] => write(one, path).map_err(anyhow::Error::msg)?,
        several => {
            let mut writer = Writer::of_several(path).map_err(anyhow::Error::msg)?;
            several.iter().try_for_each(|bundle| writer.machine(bundle)).map_err(anyhow::Error::msg)?;
            writer.end().map_err(anyhow::Error::msg)?;
        }
    }
    Ok(true)
}

/// An unpacked bundle, as fixtures are.
fn folder(path: &Path) -> anyhow::Result<bool> {
    let manifest_path = path.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&manifest_path)?)?;
    if !is_format_1(&manifest) {
        return Ok(false);
    }
    let before = files_below(path, path)?;
    let mut after = before.clone();
    upgrade(&mut manifest, &mut after);
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        fs::remove_file(path.join(name))?;
    }
    for (name, content) in after.iter().filter(|(name, content)| before.get(*name) != Some(content)) {
        let json: serde_json::Value = serde_json::from_slice(content)?;
        fs::write(path.join(name), serde_json::to_string_pretty(&json)? + "\n")?;
    }
    fs::write(manifest_path, serde_json::to_string_pretty(&manifest)? + "\n")?;
    Ok(true)
}

fn files_below(top: &Path, folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(top, &path)?);
        } else {
            let name = path.strip_prefix(top)?.to_str().context("a name that is not UTF-8")?.to_owned();
            if name != "manifest.json" {
                files.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}
