//! The report for browsers: one file that needs nothing else, without a script, for a phone, for paper, by day and by
//! night.

mod layout;
mod picture;
mod sections;

use super::headline::{Headline, headline};
use super::tally::Tally;
use super::text::{count, markup, utc};
use super::writer::Symbol;
use super::{Format, TOOL_VERSION};
use crate::judge::Diagnosis;
use checks::Severity;
use picture::Picture;
use std::io::{self, Write};

const STYLE: &str = include_str!("html/style.css");
/// How many names the picture's caption lists.
const NAMED: usize = 60;

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Html;

impl Format for Html {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let host = markup(diagnosis.header.host.as_str());
        let Headline { symbol, verdict, rest, .. } = headline(diagnosis);
        // Nothing in the page may fetch or run anything, even if something were to slip through.
        writeln!(
            out,
            r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>{host}: {verdict} - swarm-doctor</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>The swarm, seen from <bdi>{host}</bdi></h1>"#
        )?;
        let tone = match symbol {
            Symbol::Severity(Severity::Error) => "ill",
            Symbol::Severity(Severity::Warning) | Symbol::Unknown => "warn",
            Symbol::Severity(Severity::Info) | Symbol::Healthy => "well",
            Symbol::Skipped | Symbol::Between => "open",
        };
        writeln!(out, r#"<p class="verdict {tone}"><strong>{verdict}</strong>{}</p>"#, markup(&rest))?;
        facts(diagnosis, out)?;
        writeln!(out, "</header>\n<main>")?;
        swarm(diagnosis, out)?;
        sections::findings(diagnosis, out)?;
        sections::next(diagnosis, out)?;
        sections::paths(diagnosis, out)?;
        sections::ignored(diagnosis, out)?;
        sections::checks(diagnosis, out)?;
        writeln!(out, "</main>")?;
        writeln!(
            out,
            "<footer><p>{}</p>\n<p>swarm-doctor {TOOL_VERSION}</p></footer>\n</body>\n</html>",
            Tally::of(diagnosis).line()
        )
    }
}

/// Where, when and on what.
fn facts(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let header = &diagnosis.header;
    let named =
        |name: &str, value: Option<&str>| value.filter(|v| !v.is_empty()).map(|v| format!("{name}{v}"));
    let facts = [
        Some(if header.role == "unknown" { "role unknown".to_owned() } else { header.role.clone() }),
        Some(
            header.engine.as_deref().map_or("engine unknown".to_owned(), |engine| format!("engine {engine}")),
        ),
        named("API ", header.api.as_deref()),
        named("advertises ", header.node_addr.as_deref()),
        named("", Some(&header.os)),
        named("kernel ", Some(&header.kernel)),
        named("node ", header.node_id.as_deref()),
        named("cluster ", header.cluster_id.as_deref()),
        Some(format!("taken {}", utc(header.taken))),
        Some(header.members.len())
            .filter(|number| *number > 0)
            .map(|number| format!("{number} nodes judged as one swarm")),
        header.unprivileged.then(|| "not root: what only root may see is unknown".to_owned()),
    ];
    writeln!(out, r#"<ul class="facts">"#)?;
    for fact in facts.iter().flatten() {
        writeln!(out, "<li><bdi>{}</bdi></li>", markup(fact))?;
    }
    writeln!(out, "</ul>")
}

/// The picture, and what it shows in words.
fn swarm(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let nodes = diagnosis.map.spots.len();
    if nodes == 0 {
        return Ok(());
    }
    let picture = Picture::of(diagnosis);
    writeln!(out, "<section>\n<h2>{}</h2>\n<figure>", count(nodes, "node"))?;
    picture.draw(out)?;
    write!(out, "<figcaption><p>")?;
    for (class, text) in [
        ("ill", "✗ does not work, or is not well"),
        ("warn", "! worth a look"),
        ("well", "well"),
        ("open", "not known"),
    ] {
        write!(out, r#"<span class="key {class}"><i></i>{text}</span>"#)?;
    }
    writeln!(out, "<br>Managers have corners, ★ leads; all others are round.</p>")?;
    let ailing: Vec<String> =
        picture.ailing().map(|(spot, ways)| format!("<bdi>{}</bdi>{ways}", markup(&spot.label))).collect();
    if !ailing.is_empty() {
        let more = ailing.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let names: Vec<_> = ailing.iter().take(NAMED).map(String::as_str).collect();
        writeln!(out, "<p>Not well: {}{more}</p>", names.join(", "))?;
    }
    writeln!(out, "</figcaption>\n</figure>\n</section>")
}
