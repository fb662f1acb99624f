//! The parts of the page.

use crate::judge::{Cause, Diagnosis, Ignored, Status, Verdict};
use crate::matrix::{Layer, State};
use crate::report::finding::confidence;
use crate::report::text::{clean, count, cut, markup};
use crate::report::{evidence, grouping, remedy as risk_of};
use checks::{Evidence, Finding, Remedy, Step};
use facts::Timestamp;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// How many consequences of one cause are told.
const CONSEQUENCES: usize = 100;
/// From how many ways on only those are listed that do not work.
const FEW: usize = 60;
/// How many ways that do not work are listed.
const MANY: usize = 200;
/// How much of one piece of evidence is told.
const EVIDENCE: usize = 4000;

pub(super) fn findings(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    if diagnosis.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>What is wrong, and what to do</h2>")?;
    for (at, group) in grouping::grouped(&diagnosis.findings).enumerate() {
        if let Some(cause) = group.first() {
            article(at + 1, cause, group, diagnosis.header.taken, out)?;
        }
    }
    writeln!(out, "</section>")
}

/// One cause, which is the first of a group that says the same of other nodes.
fn article(
    number: usize,
    cause: &Cause,
    group: &[Cause],
    taken: Timestamp,
    out: &mut dyn Write,
) -> io::Result<()> {
    let found = &cause.finding;
    writeln!(
        out,
        r#"<article id="finding-{number}" class="{}">
<h3>{number}. <span class="badge">{}</span> <span class="id">{}</span> on <bdi>{}</bdi></h3>
<p class="summary">{}</p>
<h4>Evidence</h4>"#,
        found.severity.as_str(),
        format_args!("{} ({})", found.severity.as_str(), confidence(found.confidence)),
        markup(&found.check),
        markup(&found.subject.to_string()),
        markup(&found.summary),
    )?;
    proofs(found.evidence(), taken, out)?;
    if let Some(remedy) = &found.remedy {
        cure(remedy, out)?;
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
    if let Some(said) = grouping::elsewhere(group, "") {
        writeln!(out, "<p><strong>{}</strong></p>", markup(&said))?;
    }
    writeln!(out, "</article>")
}

fn consequence(found: &Finding, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        r#"<li class="{}"><span class="badge">{}</span> <span class="id">{}</span> on <bdi>{}</bdi>: {}</li>"#,
        found.severity.as_str(),
        format_args!("{} ({})", found.severity.as_str(), confidence(found.confidence)),
        markup(&found.check),
        markup(&found.subject.to_string()),
        markup(&found.summary),
    )
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

fn cure(remedy: &Remedy, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<h4>Remedy</h4>\n<p><strong>{}</strong></p>\n<p>Risk: {}</p>",
        markup(&remedy.title),
        markup(&risk_of::risk(remedy))
    )?;
    steps(&remedy.steps, out)
}

fn steps(steps: &[Step], out: &mut dyn Write) -> io::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<ol class="steps">"#)?;
    for step in steps {
        let (node, text) = (markup(step.node().as_str()), markup(&step.text()));
        write!(out, r#"<li><span class="where">On <bdi>{node}</bdi>:</span> {text}"#)?;
        let commands: Vec<String> = step.commands().iter().map(|command| markup(command)).collect();
        if !commands.is_empty() {
            write!(out, "\n<pre>{}</pre>", commands.join("\n"))?;
        }
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ol>")
}

/// What to do next, where nothing is in the way.
pub(super) fn next(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    if diagnosis.next.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>Nothing is in the way. Next:</h2>")?;
    steps(&diagnosis.next, out)?;
    writeln!(out, "</section>")
}

/// The ways between the nodes, layer by layer.
pub(super) fn paths(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let map = &diagnosis.map;
    let few = map.links.len() <= FEW;
    let ill = map.links.iter().filter(|link| link.state() == State::Refuted).count();
    if map.links.is_empty() || (!few && ill == 0) {
        return Ok(());
    }
    let title = if few { "Ways between the nodes" } else { "Ways between the nodes that do not work" };
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
        writeln!(out, "<p>and {} that do not work</p>", count(more, "more way"))?;
    }
    writeln!(out, "</section>")
}

/// What does not count, and why.
pub(super) fn ignored(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    if !diagnosis.ignored.is_empty() {
        writeln!(out, "<section>\n<h2>Ignored</h2>\n<ul class=\"plain\">")?;
        for Ignored { finding, excuse } in &diagnosis.ignored {
            let until = excuse.until.map(|until| format!("until {until}, ")).unwrap_or_default();
            writeln!(
                out,
                r#"<li><span class="id">{}</span> on <bdi>{}</bdi>: {}<br>{} ({until}{})</li>"#,
                markup(&finding.check),
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

/// What could not be judged, was not asked, or is well.
pub(super) fn checks(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let open: Vec<&Verdict> = diagnosis.open().collect();
    if !open.is_empty() {
        writeln!(
            out,
            "<section>\n<h2>{} could not look at everything</h2>\n<ul class=\"plain\">",
            count(open.len(), "check")
        )?;
        for verdict in open {
            let gaps = verdict.open();
            reasoned(
                verdict,
                gaps.map(|(_, gap)| format!("{} ({})", gap.why, gap.source.origin)).collect(),
                out,
            )?;
        }
        writeln!(out, "</ul>\n</section>")?;
    }
    for (status, said) in
        [(Status::Skipped, "skipped"), (Status::Healthy, "healthy: looked for and ruled out")]
    {
        let of: Vec<&Verdict> =
            diagnosis.verdicts.iter().filter(|verdict| verdict.status == status).collect();
        if of.is_empty() {
            continue;
        }
        writeln!(
            out,
            "<details>\n<summary>{} {said}</summary>\n<ul class=\"plain\">",
            count(of.len(), "check")
        )?;
        for verdict in of {
            match status {
                Status::Skipped => {
                    reasoned(
                        verdict,
                        verdict.unknown.iter().map(|(_, gap)| gap.why.to_string()).collect(),
                        out,
                    )?;
                }
                _ => reasoned(verdict, BTreeSet::from([verdict.title.to_string()]), out)?,
            }
        }
        writeln!(out, "</ul>\n</details>")?;
    }
    Ok(())
}

fn reasoned(verdict: &Verdict, reasons: BTreeSet<String>, out: &mut dyn Write) -> io::Result<()> {
    let reasons = reasons.into_iter().collect::<Vec<_>>().join("; ");
    writeln!(out, r#"<li><span class="id">{}</span>: {}</li>"#, markup(&verdict.check), markup(&reasons))
}
