//! The report for tickets.

use super::headline::headline;
use super::tally::Tally;
use super::text::{clean, count, cut, utc};
use super::{Format, TOOL_VERSION, evidence, finding, grouping, remedy};
use crate::judge::{Cause, Diagnosis, Ignored};
use checks::{Finding, Step};
use facts::Timestamp;
use std::io::{self, Write};

/// How many consequences of one cause are listed.
const CONSEQUENCES: usize = 20;
/// How much of one piece of evidence is shown.
const EVIDENCE: usize = 1000;

/// Markdown as GitHub, GitLab and others take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Markdown;

impl Format for Markdown {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let header = &diagnosis.header;
        let headline = headline(diagnosis);
        writeln!(out, "# Docker Swarm report of {}\n", text(header.host.as_str()))?;
        writeln!(out, "**{}**{}\n", headline.verdict, text(&headline.rest))?;
        let engine = header.engine.as_deref().unwrap_or("unknown");
        writeln!(
            out,
            "{}, engine {}, {}, kernel {}; taken {} by swarm-doctor {TOOL_VERSION}\n",
            text(&header.role),
            text(engine),
            text(&header.os),
            text(&header.kernel),
            utc(header.taken),
        )?;
        for (at, group) in grouping::grouped(&diagnosis.findings).enumerate() {
            if let Some(cause) = group.first() {
                one(at + 1, cause, header.taken, out)?;
            }
            if let Some(others) = grouping::elsewhere(group, "") {
                writeln!(out, "{}\n", text(&others))?;
            }
        }
        let open: Vec<_> = diagnosis.open().collect();
        if !open.is_empty() {
            writeln!(out, "## Incomplete\n")?;
            for verdict in open {
                let mut reasons: Vec<String> =
                    verdict.unknown.iter().map(|(_, gap)| gap.why.to_string()).collect();
                reasons.dedup();
                writeln!(out, "- {}: {}", code(&verdict.check), text(&reasons.join("; ")))?;
            }
            writeln!(out)?;
        }
        if !diagnosis.ignored.is_empty() {
            writeln!(out, "## Ignored\n")?;
            for Ignored { finding, excuse } in &diagnosis.ignored {
                let (subject, reason) = (text(&finding.subject.to_string()), text(&excuse.reason));
                writeln!(out, "- {} {subject}: {reason}", code(&finding.check))?;
            }
            writeln!(out)?;
        }
        writeln!(out, "{}", Tally::of(diagnosis).line())
    }
}

fn one(number: usize, cause: &Cause, taken: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let found = &cause.finding;
    writeln!(
        out,
        "## {number}. {}: {} on {} ({})\n",
        found.severity.as_str(),
        code(&found.check),
        text(&found.subject.to_string()),
        finding::confidence(found.confidence)
    )?;
    writeln!(out, "{}\n\nEvidence:\n", text(&found.summary))?;
    proofs(found, taken, out)?;
    if let Some(remedy) = &found.remedy {
        writeln!(out, "Remedy: **{}**\n", text(&remedy.title))?;
        writeln!(out, "Risk: {}\n", text(&remedy::risk(remedy)))?;
        for (at, step) in remedy.steps.iter().enumerate() {
            act(at + 1, step, out)?;
        }
    }
    if !cause.consequences.is_empty() {
        writeln!(out, "Consequences:\n")?;
        for found in cause.consequences.iter().take(CONSEQUENCES) {
            let subject = text(&found.subject.to_string());
            writeln!(out, "- {} {}: {}", code(&found.check), subject, text(&found.summary))?;
        }
        if let more @ 1.. = cause.consequences.len().saturating_sub(CONSEQUENCES) {
            writeln!(out, "- and {}", count(more, "more finding"))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn proofs(found: &Finding, taken: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let lines: Vec<String> = found
        .evidence()
        .iter()
        .map(|piece| {
            let shown = format!("{}: {}", evidence::origin(piece, taken), evidence::text(piece));
            cut(&clean(&shown, false), EVIDENCE, false).into_owned()
        })
        .collect();
    block("", &lines, out)
}

fn act(number: usize, step: &Step, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{number}. On {}: {}\n", code(&step.target().to_string()), text(&step.text()))?;
    let commands: Vec<String> =
        step.commands().iter().map(|command| clean(command, false).into_owned()).collect();
    if commands.is_empty() { Ok(()) } else { block("   ", &commands, out) }
}

/// Lines as they are, between fences that are longer than any in them.
fn block(indent: &str, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    let longest = lines.iter().map(|line| ticks(line)).max().unwrap_or_default();
    let fence = "`".repeat(3.max(longest + 1));
    writeln!(out, "{indent}{fence}text")?;
    for line in lines {
        writeln!(out, "{indent}{line}")?;
    }
    writeln!(out, "{indent}{fence}\n")
}

/// A name as it is.
fn code(name: &str) -> String {
    let name = clean(name, false);
    let ticks = "`".repeat(ticks(&name) + 1);
    let space = if name.starts_with('`') || name.ends_with('`') || name.is_empty() { " " } else { "" };
    format!("{ticks}{space}{name}{space}{ticks}")
}

/// The longest run of backticks.
fn ticks(text: &str) -> usize {
    text.split(|char| char != '`').map(str::len).max().unwrap_or_default()
}

/// Prose in which nothing is markup, an element, a link, a mention or a reference. Some readers look for the last three
/// after the markup is gone, so a comment separates the parts of one.
fn text(prose: &str) -> String {
    const COMMENT: &str = "<!---->";
    let prose = clean(prose.trim(), false);
    // A number and a dot begin a list.
    let digits = prose.len() - prose.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let mut shown = String::with_capacity(prose.len() + 16);
    let mut before = ' ';
    for (at, char) in prose.char_indices() {
        match char {
            '@' | '#' | '!' => shown.extend(['\\', char]),
            '-' | '=' | '.' if at == if char == '.' { digits } else { 0 } => shown.extend(['\\', char]),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '(' | ')' | '+' | '|' | '~'
            | '&' | '$' => {
                shown.extend(['\\', char]);
            }
            _ => shown.push(char),
        }
        let parts = matches!(char, '@' | '#' | '!')
            || (char == '/' && before == ':')
            || (char == 'w' && before == 'w');
        if parts {
            shown.push_str(COMMENT);
        }
        before = char;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_stays_prose() {
        assert_eq!(
            text("10.0.0.1:7946/tcp of web-1 is shut"),
            "10.0.0.1:7946/tcp of web-1 is shut".replacen('.', "\\.", 1)
        );
        assert_eq!(text("- http://x @team #1"), "\\- http:/<!---->/x \\@<!---->team \\#<!---->1");
        assert_eq!(text("<b>*a*</b>\n# b"), "\\<b\\>\\*a\\*\\</b\\>⏎\\#<!----> b");
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`"), "`` ` ``");
        let mut out = Vec::new();
        block("", &["````".to_owned()], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "`````text\n````\n`````\n\n");
    }
}
