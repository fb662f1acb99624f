//! `cargo xtask generate`: writes the pages that come from the code; `--check` compares them.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::PathBuf;
use swarm_doctor::report::{Format, Human, Page};

/// Writes the pages; with `check`, only lists those that differ.
pub(crate) fn generate(check: bool) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for (path, content) in pages()? {
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

fn pages() -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut pages = BTreeMap::new();
    let mut index = String::from(
        "# Checks\n\nGenerated from the doc comments of the checks by `cargo xtask generate`. Checks of your own: [rules](../rules/README.md).\n\n",
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
    pages.insert("README.md".into(), readme()?);
    pages.insert("docs/help.txt".into(), swarm_doctor::cli::help_pages());
    pages.insert("docs/report.schema.json".into(), swarm_doctor::report::SCHEMA.to_owned());
    pages.insert("docs/facts.schema.json".into(), swarm_doctor::rules::facts_schema());
    pages.insert("docs/matrix.schema.json".into(), swarm_doctor::report::MATRIX_SCHEMA.to_owned());
    Ok(pages)
}

/// The README, with the end of the report of `demo` between its markers.
fn readme() -> anyhow::Result<String> {
    const BEGIN: &str = "<!-- demo -->\n";
    const END: &str = "<!-- /demo -->";
    const LINES: usize = 28;
    let text = std::fs::read_to_string(crate::root().join("README.md"))?;
    let (before, rest) = text.split_once(BEGIN).context("README.md has no mark for the sample")?;
    let (_, after) = rest.split_once(END).context("README.md has no end of the sample")?;
    let bundle = swarm_doctor::demo::bundle().map_err(anyhow::Error::msg)?;
    let diagnosis = swarm_doctor::examine::diagnose(&bundle);
    let mut report = Vec::new();
    Human { page: Page::PLAIN }.render(&diagnosis, &mut report)?;
    let report = String::from_utf8(report)?;
    let lines: Vec<&str> = report.lines().collect();
    let end = &lines[lines.len().saturating_sub(LINES)..];
    // The sample begins with a whole paragraph.
    let first = end.iter().position(|line| line.is_empty()).map_or(0, |at| at + 1);
    Ok(format!("{before}{BEGIN}```\n{}\n```\n{END}{after}", end[first..].join("\n")))
}
