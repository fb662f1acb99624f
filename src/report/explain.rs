//! The explanation of a check.

use super::Terminal;
use super::writer::{Indent, ReportWriter, Span, Style};
use checks::Meta;
use std::io::{self, Write};

/// Writes the explanation of a check: its doc comment, the facts it reads, and the checks that may be its cause.
pub fn explain(meta: &Meta, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    // The explanations are part of the program, so they are shown as written in every locale.
    let mut writer = ReportWriter::new(out, Terminal { ascii: false, ..terminal });
    let severity = Span::new(Style::of(meta.severity), meta.severity.as_str());
    writer.items(Indent(0, 2), vec![Span::check(Style::Bold, &meta.id), severity])?;
    writer.flow(Indent(0, 0), &[Span::plain("Finds: "), Span::plain(meta.title.as_ref())])?;
    writer.blank()?;
    markdown(&mut writer, &meta.explain)?;
    writer.blank()?;
    let needs: Vec<&str> = meta.needs.iter().map(|need| need.name()).collect();
    writer.flow(Indent(0, 7), &[Span::new(Style::Bold, "Reads: "), Span::plain(needs.join(", "))])?;
    if !meta.caused_by.is_empty() {
        let causes = meta.caused_by.join(", ");
        writer.flow(Indent(0, 11), &[Span::new(Style::Bold, "Caused by: "), Span::plain(causes)])?;
    }
    Ok(())
}

/// Writes the little Markdown that doc comments use: headings, paragraphs, lists, and code left as it is.
fn markdown(writer: &mut ReportWriter<'_>, text: &str) -> io::Result<()> {
    // `///` leaves a space before every line.
    let mut lines =
        text.trim_end().lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).peekable();
    let mut fenced = false;
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            writer.line(4, Style::Cyan, line)?;
        } else if line.starts_with("    ") {
            writer.line(0, Style::Cyan, line)?;
        } else if line.starts_with('#') {
            writer
                .flow(Indent(0, 0), &[Span::new(Style::Bold, line.trim_start_matches('#').trim_start())])?;
        } else if line.is_empty() {
            writer.blank()?;
        } else {
            let mut paragraph = line.to_owned();
            while let Some(next) = lines.next_if(|next| continues(next)) {
                paragraph.push(' ');
                paragraph.push_str(next.trim_start());
            }
            let hang = item(&paragraph).unwrap_or(0);
            writer.flow(Indent(0, hang), &[Span::plain(paragraph)])?;
        }
    }
    Ok(())
}

/// Whether a line goes on with the paragraph before it.
fn continues(line: &str) -> bool {
    !(line.is_empty() || line.starts_with('#') || line.starts_with("    ") || line.starts_with("```"))
        && item(line).is_none()
}

/// How far the text of a list item stands in, where the line begins one.
fn item(line: &str) -> Option<usize> {
    let (lead, _) = line.split_once(' ')?;
    let number =
        || lead.strip_suffix('.').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (lead == "-" || lead == "*" || number()).then_some(lead.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::STALE;
    use crate::report::text::columns;

    fn explained(width: u16, color: bool) -> String {
        let mut out = Vec::new();
        explain(&STALE.meta, Terminal { width, color, ..Terminal::PLAIN }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn prose_is_wrapped_and_code_is_not() {
        let shown = explained(60, false);
        assert!(shown.starts_with("swarm/stale-advertise-addr · error\n"), "{shown}");
        assert!(shown.contains("\nWhy it matters\n"), "{shown}");
        assert!(
            shown.contains(
                "\n    docker swarm join --advertise-addr 10.0.0.3 --token SWMTKN-1-xyz 10.0.0.1:2377\n"
            ),
            "{shown}"
        );
        assert!(
            shown.lines().filter(|line| !line.starts_with("    ")).all(|line| columns(line) <= 60),
            "{shown}"
        );
        assert!(shown.contains("\n- behind 1:1 NAT"), "{shown}");
    }

    #[test]
    fn needs_and_causes_come_last() {
        let shown = explained(80, false);
        assert!(shown.contains("\nReads: node list, interfaces\nCaused by: swarm/not-a-member"), "{shown}");
    }

    #[test]
    fn headings_are_bold_where_there_is_colour() {
        assert!(explained(80, true).contains("\u{1b}[1mWhy it matters\u{1b}[0m"));
        assert!(!explained(80, false).contains('\u{1b}'));
    }
}
