//! Cargo, for tests of which some deal with engines that have time-outs of their own.

use anyhow::Context;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// More failures than these are no accident of a busy machine.
const FEW: usize = 3;

/// Runs cargo, and says whether it ended well. Where a few live tests failed, those run once more alone: a machine that
/// stands still for half a minute lets engines time out, which is no fault of the program. Both outcomes are printed.
pub(crate) fn cargo(arguments: &[&str]) -> anyhow::Result<bool> {
    let (passed, lines) = run(arguments)?;
    let failed: Vec<&str> = ended(&lines, "FAILED").collect();
    if passed || failed.is_empty() || failed.len() > FEW {
        return Ok(passed);
    }
    println!("== UNSTEADY, once more alone: {}", failed.join(", "));
    let alone = [&["test", "--test", "it", "--", "--test-threads", "1", "--exact"], &failed[..]].concat();
    let (passed, lines) = run(&alone)?;
    // One that is no live test is not run by that.
    let passed = passed && ended(&lines, "ok").count() == failed.len();
    println!("== UNSTEADY, alone: {}", if passed { "passed" } else { "failed again, or no live test" });
    Ok(passed)
}

/// The names of the tests that ended so.
fn ended<'a>(lines: &'a [String], how: &'a str) -> impl Iterator<Item = &'a str> {
    lines.iter().filter_map(move |line| line.strip_prefix("test ")?.strip_suffix(how)?.strip_suffix(" ... "))
}

/// Whether cargo ended well, and what it wrote, which is passed on as it comes.
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
