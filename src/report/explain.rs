//! The explanation of a check.

use super::pen::{Indent, Ink, Pen, Span};
use checks::BuiltIn;
use std::io::{self, Write};

/// How many wrong letters an id may have for us to guess the one that was meant.
const TYPOS: usize = 3;

/// Writes what is to be known of a check: its doc comment, what it reads, and what can be behind it.
pub fn explain(check: &BuiltIn, width: u16, color: bool, out: &mut dyn Write) -> io::Result<()> {
    // The explanations are ours and in the reader's hands as they were written, whatever the locale.
    let mut pen = Pen::new(out, width, color, false);
    let meta = &check.meta;
    let severity = Span::new(Ink::of(meta.severity), meta.severity.as_str());
    pen.items(Indent(0, 2), vec![Span::new(Ink::Bold, meta.id.as_ref()), severity])?;
    pen.flow(Indent(0, 0), &[Span::plain("Looks for: "), Span::plain(meta.title.as_ref())])?;
    pen.blank()?;
    markdown(&mut pen, &meta.explain)?;
    pen.blank()?;
    let needs: Vec<&str> = meta.needs.iter().map(|need| need.name()).collect();
    pen.flow(Indent(0, 7), &[Span::new(Ink::Bold, "Needs: "), Span::plain(needs.join(", "))])?;
    if !meta.caused_by.is_empty() {
        let causes = format!("{} (a finding of it may be the cause)", meta.caused_by.join(", "));
        pen.flow(Indent(0, 10), &[Span::new(Ink::Bold, "See also: "), Span::plain(causes)])?;
    }
    Ok(())
}

/// Writes the little Markdown that doc comments use: headings, paragraphs, lists, and code left as it is.
fn markdown(pen: &mut Pen<'_>, text: &str) -> io::Result<()> {
    // `///` leaves a space before every line.
    let mut lines =
        text.trim_end().lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).peekable();
    let mut fenced = false;
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            pen.line(4, Ink::Cyan, line)?;
        } else if line.starts_with("    ") {
            pen.line(0, Ink::Cyan, line)?;
        } else if line.starts_with('#') {
            pen.flow(Indent(0, 0), &[Span::new(Ink::Bold, line.trim_start_matches('#').trim_start())])?;
        } else if line.is_empty() {
            pen.blank()?;
        } else {
            let mut paragraph = line.to_owned();
            while let Some(next) = lines.next_if(|next| continues(next)) {
                paragraph.push(' ');
                paragraph.push_str(next.trim_start());
            }
            let hang = item(&paragraph).unwrap_or(0);
            pen.flow(Indent(0, hang), &[Span::plain(paragraph)])?;
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

/// The id that was meant, where one is near enough: a slip of the keyboard, or the name without its category.
pub fn nearest<'a>(id: &str, ids: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = |id: &'a str| id.rsplit_once('/').map_or(id, |(_, name)| name);
    ids.map(|known| (typos(id, known).min(typos(id, name(known))), known))
        .filter(|(typos, _)| *typos <= TYPOS.min(id.len() / 2))
        .min_by_key(|(typos, _)| *typos)
        .map(|(_, known)| known)
}

/// How many letters have to be put in, taken out or changed to turn one text into the other (Levenshtein).
fn typos(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, char) in one.chars().enumerate() {
        let mut next = vec![at + 1];
        for ((expected, diagonal), above) in other.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(at + 1);
            next.push((diagonal + usize::from(char != *expected)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::STALE;
    use crate::report::text::columns;

    fn explained(width: u16, color: bool) -> String {
        let mut out = Vec::new();
        explain(&STALE, width, color, &mut out).unwrap();
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
        assert!(shown.contains("\nNeeds: node list, interfaces\nSee also: swarm/not-a-member"), "{shown}");
    }

    #[test]
    fn headings_are_bold_where_there_is_colour() {
        assert!(explained(80, true).contains("\u{1b}[1mWhy it matters\u{1b}[0m"));
        assert!(!explained(80, false).contains('\u{1b}'));
    }

    #[test]
    fn the_id_that_was_meant_is_guessed() {
        let ids = ["swarm/lost-quorum", "swarm/even-managers", "host/ipvs-missing"];
        assert_eq!(nearest("swarm/lost-qorum", ids.into_iter()), Some("swarm/lost-quorum"));
        assert_eq!(nearest("even-managers", ids.into_iter()), Some("swarm/even-managers"));
        assert_eq!(nearest("ipvs-mising", ids.into_iter()), Some("host/ipvs-missing"));
        assert_eq!(nearest("network/whatever", ids.into_iter()), None);
        assert_eq!(nearest("", ids.into_iter()), None);
    }
}
