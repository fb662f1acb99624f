//! `cargo xtask generate`: the pages that are written from the code, and `--check` that they still agree.

use anyhow::bail;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Writes the pages, or with `check` says which ones differ.
pub(crate) fn generate(check: bool) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for (path, content) in pages() {
        let path = crate::root().join(path);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == content) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, content)?;
        println!("wrote {}", path.display());
    }
    if !stale.is_empty() {
        bail!("these pages differ from the code, run `cargo xtask generate`: {}", stale.join(", "));
    }
    Ok(())
}

fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    let mut index = String::from(
        "# Checks\n\nWritten from the doc comments of the checks by `cargo xtask generate`.\n\n",
    );
    for check in checks::built_in() {
        let meta = &check.meta;
        let needs: Vec<_> = meta.needs.iter().map(|need| need.name()).collect();
        let mut page = format!("# {}\n\n*{}: {}*\n\n", meta.id, meta.severity.as_str(), meta.title);
        let explain = meta.explain.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
        explain.for_each(|line| page.push_str(&format!("{line}\n")));
        page.push_str(&format!("\nReads: {}.\n", needs.join(", ")));
        if !meta.caused_by.is_empty() {
            page.push_str(&format!("\nFollows from: {}.\n", meta.caused_by.join(", ")));
        }
        index.push_str(&format!("- [{0}]({0}.md): {1}\n", meta.id, meta.title));
        pages.insert(PathBuf::from(format!("docs/checks/{}.md", meta.id)), page);
    }
    pages.insert("docs/checks/README.md".into(), index);
    pages.insert("docs/report.schema.json".into(), swarm_doctor::report::SCHEMA.to_owned());
    pages.insert("docs/matrix.schema.json".into(), swarm_doctor::report::MATRIX_SCHEMA.to_owned());
    pages
}
