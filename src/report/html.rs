//! The report for browsers: one file without scripts and without other files, for phones, screens and paper, light and
//! dark.

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
use std::time::Duration;

const STYLE: &str = include_str!("html/style.css");
/// How many names the picture's caption lists.
const NAMED: usize = 60;
/// How many characters of an id are shown.
const SHORT: usize = 10;

/// A page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Html {
    /// How old the diagnosis is, where a server keeps it.
    pub age: Option<Duration>,
}

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
<h1>Docker Swarm report of <bdi>{host}</bdi></h1>"#
        )?;
        let tone = match symbol {
            Symbol::Severity(Severity::Error) => "ill",
            Symbol::Severity(Severity::Warning) | Symbol::Unknown => "warn",
            Symbol::Severity(Severity::Info) => "info",
            Symbol::Healthy => "well",
            Symbol::Skipped | Symbol::Between => "open",
        };
        writeln!(out, r#"<p class="verdict {tone}"><strong>{verdict}</strong>{}</p>"#, markup(&rest))?;
        tiles(diagnosis, out)?;
        facts(diagnosis, self.age, out)?;
        sections::index(diagnosis, out)?;
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

/// The tally as tiles.
fn tiles(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let tally = Tally::of(diagnosis);
    writeln!(out, r#"<ul class="tiles">"#)?;
    for (number, word, tone) in [
        (tally.errors, "errors", "ill"),
        (tally.warnings, "warnings", "warn"),
        (tally.incomplete, "incomplete", "warn"),
        (tally.passed, "passed", "well"),
    ] {
        let tone = if number > 0 { tone } else { "open" };
        let word = if number == 1 { word.strip_suffix('s').unwrap_or(word) } else { word };
        writeln!(out, r#"<li class="{tone}"><strong>{number}</strong> {word}</li>"#)?;
    }
    writeln!(out, "</ul>")
}

/// Where, when and on what.
fn facts(diagnosis: &Diagnosis, age: Option<Duration>, out: &mut dyn Write) -> io::Result<()> {
    let header = &diagnosis.header;
    let named = |name: &str, value: Option<&str>| {
        value.filter(|v| !v.is_empty()).map(|v| format!("<bdi>{}</bdi>", markup(&format!("{name}{v}"))))
    };
    let id = |name: &str, value: Option<&str>| {
        value.filter(|v| !v.is_empty()).map(|v| format!("{name} {}", short(v)))
    };
    let role = if header.role == "unknown" { "role unknown" } else { &header.role };
    let engine = header.engine.as_deref().map_or("engine unknown".to_owned(), |v| format!("engine {v}"));
    let nodes = header.members.len();
    let facts = [
        named("", Some(role)),
        named("", Some(&engine)),
        named("API ", header.api.as_deref()),
        named("advertises ", header.node_addr.as_deref()),
        named("", Some(&header.os)),
        named("kernel ", Some(&header.kernel)),
        id("node", header.node_id.as_deref()),
        id("cluster", header.cluster_id.as_deref()),
        Some(format!("taken {}", utc(header.taken))),
        age.map(|age| format!("{} s old", age.as_secs())),
        (nodes > 0).then(|| format!("{nodes} nodes judged as one swarm")),
        header.unprivileged.then(|| "not root: facts that need root are missing".to_owned()),
    ];
    writeln!(out, r#"<ul class="facts">"#)?;
    for fact in facts.iter().flatten() {
        writeln!(out, "<li>{fact}</li>")?;
    }
    writeln!(out, "</ul>")
}

/// An id by its first characters; the whole id is its title.
fn short(id: &str) -> String {
    let mut chars = id.chars();
    let head: String = chars.by_ref().take(SHORT).collect();
    match chars.next() {
        Some(_) => format!(r#"<abbr class="id" title="{}">{}…</abbr>"#, markup(id), markup(&head)),
        None => format!(r#"<span class="id">{}</span>"#, markup(id)),
    }
}

/// Prose with its code in `backticks`.
fn prose(text: &str) -> String {
    let text = markup(text);
    let mut parts = text.split('`');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    while let Some(code) = parts.next() {
        match parts.next() {
            Some(rest) => shown.push_str(&format!("<code class=\"word\">{code}</code>{rest}")),
            // A backtick without a partner.
            None => shown.push_str(&format!("`{code}")),
        }
    }
    shown
}

/// The picture, and the same in words.
fn swarm(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let nodes = diagnosis.map.spots.len();
    if nodes == 0 {
        return Ok(());
    }
    let picture = Picture::of(diagnosis);
    writeln!(out, "<section id=\"nodes\">\n<h2>{}</h2>\n<figure>", count(nodes, "node"))?;
    picture.draw(out)?;
    write!(out, "<figcaption><p>")?;
    for (class, text) in
        [("ill", "✗ error"), ("warn", "! warning"), ("well", "healthy"), ("open", "not tested or unknown")]
    {
        write!(out, r#"<span class="key {class}"><i></i>{text}</span>"#)?;
    }
    writeln!(out, "<br>Square: manager, ★ leader. Round: worker.</p>")?;
    let unhealthy: Vec<String> = picture
        .unhealthy()
        .map(|(spot, paths)| format!("<bdi>{}</bdi>{paths}", markup(&spot.label)))
        .collect();
    if !unhealthy.is_empty() {
        let more = unhealthy.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let names: Vec<_> = unhealthy.iter().take(NAMED).map(String::as_str).collect();
        writeln!(out, "<p>With errors or warnings: {}{more}</p>", names.join(", "))?;
    }
    writeln!(out, "</figcaption>\n</figure>\n</section>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn page(diagnosis: &Diagnosis) -> String {
        let mut out = Vec::new();
        Html::default().render(diagnosis, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_page_begins_with_the_verdict_the_tiles_and_an_index() {
        let page = page(&sample::rich());
        for part in [
            r#"<p class="verdict ill"><strong>Unhealthy</strong>: 2 root causes (9 findings)."#,
            r#"<li class="ill"><strong>2</strong> errors</li>"#,
            r#"<li class="well"><strong>1</strong> passed</li>"#,
            r##"<li class="error"><a href="#finding-1">"##,
            r#"<article id="finding-1" class="error">"#,
            r#"<abbr class="id" title="x7k2m9q4w1z8r5t3y6u0p2abc">x7k2m9q4w1…</abbr>"#,
        ] {
            assert!(page.contains(part), "{part} is missing in\n{page}");
        }
    }

    #[test]
    fn no_red_stands_under_a_yellow_verdict() {
        let page = page(&sample::warned());
        let (_, body) = page.split_once("<body>").unwrap();
        assert!(body.contains(r#"class="verdict warn""#), "{body}");
        assert!(!body.contains("spot ill") && !body.contains("link ill"), "{body}");
    }

    #[test]
    fn code_in_backticks_is_code_and_markup_in_it_is_not() {
        assert_eq!(prose("run `a <b>` now"), "run <code class=\"word\">a &lt;b&gt;</code> now");
        assert_eq!(prose("one ` alone"), "one ` alone");
    }
}
