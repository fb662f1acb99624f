//! `cargo test`, with a second run of failed live tests: a stalled host lets engines time out.

use anyhow::Context;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// With more failures than this, a busy host is not the cause and nothing runs again.
const FEW: usize = 3;

/// Runs cargo; returns whether it succeeded. A few failed live tests run a second time, one at a time: a host that stalls for
/// 30 s lets engines time out. Both results are printed.
pub(crate) fn cargo(arguments: &[&str]) -> anyhow::Result<bool> {
    let (passed, lines) = run(arguments)?;
    let failed: Vec<&str> = ended(&lines, "FAILED").collect();
    if passed || failed.is_empty() || failed.len() > FEW {
        return Ok(passed);
    }
    println!("== UNSTEADY, once more alone: {}", failed.join(", "));
    let alone = [&["test", "--test", "it", "--", "--test-threads", "1", "--exact"], &failed[..]].concat();
    let (passed, lines) = run(&alone)?;
    // This runs live tests only, so a different failed test is missing in the output.
    let passed = passed && ended(&lines, "ok").count() == failed.len();
    println!("== UNSTEADY, alone: {}", if passed { "passed" } else { "failed again, or no live test" });
    Ok(passed)
}

/// The names of the tests with this result.
fn ended<'a>(lines: &'a [String], how: &'a str) -> impl Iterator<Item = &'a str> {
    lines.iter().filter_map(move |line| line.strip_prefix("test ")?.strip_suffix(how)?.strip_suffix(" ... "))
}

/// Runs cargo and forwards its output; returns whether it succeeded, and the output.
fn run(arguments: &[&str]) -> anyhow::Result<(bool, Vec<String>)> {
    let mut child = Command::new("cargo")
        .current_dir(crate::root())
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start cargo {}", arguments.join(" ")))?;
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().context("no output")?).split(b'\n') {
        let line = line.context("failed to read what cargo writes")?;
        let mut out = std::io::stdout().lock();
        out.write_all(&line).and_then(|()| out.write_all(b"\n")).context("failed to write")?;
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
    Ok((child.wait()?.success(), lines))
}
