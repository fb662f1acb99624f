//! The parts of the page.

use super::prose;
use crate::judge::{Cause, Diagnosis, Ignored, Status, Verdict};
use crate::matrix::{Layer, State};
use crate::report::finding::confidence;
use crate::report::page_of;
use crate::report::text::{clean, count, cut, cut_end, markup};
use crate::report::{evidence, grouping, remedy as risk_of};
use checks::{Evidence, Finding, Remedy, Step};
use facts::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// How many consequences of one cause are listed.
const CONSEQUENCES: usize = 100;
/// From how many paths on only the broken ones are listed.
const FEW: usize = 60;
/// How many broken paths are listed.
const MANY: usize = 200;
/// How much of the summary the index shows.
const INDEXED: usize = 100;
/// How much of one piece of evidence is shown.
const EVIDENCE: usize = 4000;

pub(super) fn findings(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    if diagnosis.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section id=\"findings\">\n<h2>Findings</h2>")?;
    for (at, group) in grouping::grouped(&diagnosis.findings).enumerate() {
        if let Some(cause) = group.first() {
            article(at + 1, cause, group, diagnosis.header.taken, out)?;
        }
    }
    writeln!(out, "</section>")
}

/// A root cause, the first of a group with the same finding on other nodes.
fn article(
    number: usize,
    cause: &Cause,
    group: &[Cause],
    taken: Timestamp,
    out: &mut dyn Write,
) -> io::Result<()> {
    let found = &cause.finding;
    let severity = found.severity.as_str();
    writeln!(
        out,
        r#"<article id="finding-{number}" class="{severity}">
<h3>{number}. {}</h3>
<p class="about"><span class="badge">{severity}</span> {} on <bdi>{}</bdi> · {}</p>
<h4>Evidence</h4>"#,
        prose(&found.summary),
        linked(&found.check),
        markup(&found.subject.to_string()),
        confidence(found.confidence),
    )?;
    proofs(found.evidence(), taken, out)?;
    if let Some(remedy) = &found.remedy {
        remedy_block(remedy, out)?;
    }
    if !cause.consequences.is_empty() {
        let number = cause.consequences.len();
        let open = if number <= 5 { " open" } else { "" };
        writeln!(
            out,
            "<details{open}>\n<summary>Consequences: {}</summary>\n<ul class=\"felt\">",
            count(number, "finding")
        )?;
        for found in cause.consequences.iter().take(CONSEQUENCES) {
            consequence(found, out)?;
        }
        if let more @ 1.. = number.saturating_sub(CONSEQUENCES) {
            writeln!(out, "<li>and {}</li>", count(more, "more finding"))?;
        }
        writeln!(out, "</ul>\n</details>")?;
    }
    if let Some(others) = grouping::elsewhere(group, "") {
        writeln!(out, "<p><strong>{}</strong></p>", markup(&others))?;
    }
    writeln!(out, "</article>")
}

fn consequence(found: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let severity = found.severity.as_str();
    writeln!(
        out,
        r#"<li class="{severity}"><span class="badge">{severity}</span> {} <span class="about">{} on <bdi>{}</bdi></span></li>"#,
        prose(&found.summary),
        linked(&found.check),
        markup(&found.subject.to_string()),
    )
}

/// The id of a check as a link to its page.
fn linked(check: &str) -> String {
    format!(r#"<a class="id" href="{}">{}</a>"#, markup(&page_of(check)), markup(check))
}

/// A link to each root cause, and to the sections.
pub(super) fn index(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    if diagnosis.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<nav><ol class="index">"#)?;
    for (at, group) in grouping::grouped(&diagnosis.findings).enumerate() {
        let Some(Cause { finding, .. }) = group.first() else { continue };
        writeln!(
            out,
            r##"<li class="{}"><a href="#finding-{}">{}</a> <span class="about">· <bdi>{}</bdi></span></li>"##,
            finding.severity.as_str(),
            at + 1,
            prose(&cut_end(&finding.summary, INDEXED, false)),
            markup(&finding.subject.to_string()),
        )?;
    }
    writeln!(out, "</ol></nav>")
}

fn proofs(pieces: &[Evidence], taken: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, r#"<ul class="proof">"#)?;
    for piece in pieces {
        let place = evidence::origin(piece, taken);
        let text = clean(evidence::text(piece), false);
        let text = markup(&cut(&text, EVIDENCE, false));
        writeln!(
            out,
            r#"<li><span class="place"><bdi>{}</bdi></span><code>{text}</code></li>"#,
            markup(&place)
        )?;
    }
    writeln!(out, "</ul>")
}

fn remedy_block(remedy: &Remedy, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<h4>Remedy</h4>\n<p><strong>{}</strong></p>\n<p>Risk: {}</p>",
        prose(&remedy.title),
        prose(&risk_of::risk(remedy))
    )?;
    steps(&remedy.steps, out)
}

fn steps(steps: &[Step], out: &mut dyn Write) -> io::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<ol class="steps">"#)?;
    for step in steps {
        let (node, text) = (markup(&step.target().to_string()), prose(&step.text()));
        write!(out, r#"<li><span class="where">On <bdi>{node}</bdi>:</span> {text}"#)?;
        let commands: Vec<String> = step.commands().iter().map(|command| markup(command)).collect();
        if !commands.is_empty() {
            write!(out, "\n<pre>{}</pre>", commands.join("\n"))?;
        }
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ol>")
}

/// The next steps of a preflight without errors.
pub(super) fn next(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    if diagnosis.next.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>No obstacle found. Next:</h2>")?;
    steps(&diagnosis.next, out)?;
    writeln!(out, "</section>")
}

/// The paths between the nodes by layer.
pub(super) fn paths(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let map = &diagnosis.map;
    let few = map.links.len() <= FEW;
    let ill = map.links.iter().filter(|link| link.state() == State::Refuted).count();
    if map.links.is_empty() || (!few && ill == 0) {
        return Ok(());
    }
    let title = if few { "Network paths" } else { "Broken network paths" };
    let layers: BTreeSet<Layer> =
        map.links.iter().flat_map(|link| link.paths.iter().map(|path| path.layer)).collect();
    writeln!(
        out,
        "<section>\n<h2>{title}</h2>\n<div class=\"scroll\">\n<table>\n<thead><tr><th>from</th><th>to</th>"
    )?;
    for layer in &layers {
        write!(out, "<th>{layer}</th>")?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    let label = |at: usize| map.spots.get(at).map(|spot| markup(&spot.label)).unwrap_or_default();
    let listed = map.links.iter().filter(|link| few || link.state() == State::Refuted).take(MANY);
    for link in listed {
        write!(out, "<tr><td>{}</td><td>{}</td>", label(link.from), label(link.to))?;
        for layer in &layers {
            match link.paths.iter().find(|path| path.layer == *layer) {
                Some(path) => {
                    let (class, symbol) =
                        if path.state == State::Refuted { ("ill", "✗") } else { ("well", "✓") };
                    let (why, says) = (markup(&path.why), markup(&path.says));
                    write!(out, r#"<td class="{class}" title="{why}">{symbol} {says}</td>"#)?;
                }
                None => write!(out, "<td></td>")?,
            }
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>\n</div>")?;
    if let more @ 1.. = ill.saturating_sub(MANY) {
        writeln!(out, "<p>and {}</p>", count(more, "more broken path"))?;
    }
    writeln!(out, "</section>")
}

/// Ignored findings, and why.
pub(super) fn ignored(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    if !diagnosis.ignored.is_empty() {
        writeln!(out, "<section>\n<h2>Ignored</h2>\n<ul class=\"plain\">")?;
        for Ignored { finding, excuse } in &diagnosis.ignored {
            let until = excuse.until.map(|until| format!("until {until}, ")).unwrap_or_default();
            writeln!(
                out,
                r#"<li>{} on <bdi>{}</bdi>: {}<br>{} ({until}{})</li>"#,
                linked(&finding.check),
                markup(&finding.subject.to_string()),
                markup(&finding.summary),
                markup(&excuse.reason),
                markup(&excuse.by),
            )?;
        }
        writeln!(out, "</ul>\n</section>")?;
    }
    diagnosis.notes.iter().try_for_each(|note| writeln!(out, "<p>Note: {}.</p>", markup(note)))
}

/// The checks without a finding: incomplete ones by reason, skipped and passed ones.
pub(super) fn checks(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    incomplete(diagnosis, out)?;
    let of = |status: Status| diagnosis.verdicts.iter().filter(move |verdict| verdict.status == status);
    let skipped = of(Status::Skipped).map(|verdict| {
        let reasons: BTreeSet<String> = verdict.unknown.iter().map(|(_, gap)| gap.why.to_string()).collect();
        (verdict, reasons.into_iter().collect::<Vec<_>>().join("; "))
    });
    listed("skipped", skipped.collect(), out)?;
    let passed = of(Status::Healthy).map(|verdict| {
        let text = match verdict.healthy.as_ref() {
            "" => format!("not found: {}", verdict.title),
            healthy => healthy.to_owned(),
        };
        (verdict, text)
    });
    listed("passed", passed.collect(), out)
}

/// One missing fact stops many checks, so they are grouped by the reason.
fn incomplete(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let mut reasons: BTreeMap<String, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for verdict in diagnosis.open() {
        for (_, gap) in verdict.open() {
            let (origins, checks) = reasons.entry(gap.why.to_string()).or_default();
            origins.insert(&gap.source.origin);
            checks.insert(&verdict.check);
        }
    }
    if reasons.is_empty() {
        return Ok(());
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, (_, checks))| std::cmp::Reverse(checks.len()));
    writeln!(out, "<section>\n<h2>{} incomplete</h2>", count(diagnosis.open().count(), "check"))?;
    for (reason, (origins, checks)) in reasons {
        let origins: Vec<&str> = origins.into_iter().collect();
        writeln!(
            out,
            "<details>\n<summary>{}: {} <span class=\"about\">({})</span></summary>\n<ul class=\"plain\">",
            count(checks.len(), "check"),
            prose(&cut(&reason, EVIDENCE, false)),
            markup(&cut(&origins.join(", "), EVIDENCE, false)),
        )?;
        for check in checks {
            writeln!(out, "<li>{}</li>", linked(check))?;
        }
        writeln!(out, "</ul>\n</details>")?;
    }
    writeln!(out, "</section>")
}

fn listed(how: &str, checks: Vec<(&Verdict, String)>, out: &mut dyn Write) -> io::Result<()> {
    if checks.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<details>\n<summary>{} {how}</summary>\n<ul class=\"plain\">",
        count(checks.len(), "check")
    )?;
    for (verdict, text) in checks {
        writeln!(out, "<li>{}: {}</li>", linked(&verdict.check), prose(&text))?;
    }
    writeln!(out, "</ul>\n</details>")
}
