//! The paths to the other nodes, as a table and as JSON; `matrix.schema.json` describes the latter.

use super::pen::{Indent, Ink, Mark, Pen, Span};
use super::terminal::Terminal;
use crate::matrix::{Layer, Matrix, Path, Row, State};
use checks::Severity;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{self, Write};

/// The layout; a change that could break a reader changes its number.
const LAYOUT: &str = "swarm-doctor.matrix/v1";
/// From this width on a word or two stand behind each mark, and addresses beside names.
const WIDE: u16 = 100;
/// How many nodes are named in a note.
const NAMED: usize = 6;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tool: Tool,
    #[serde(flatten)]
    matrix: &'a Matrix,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Writes the matrix for programs.
pub fn json(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    let tool = Tool { name: "swarm-doctor", version: env!("CARGO_PKG_VERSION") };
    serde_json::to_writer_pretty(&mut *out, &Document { schema: LAYOUT, tool, matrix })?;
    out.write_all(b"\n")
}

/// Writes the matrix for people: a row for each node, a column for each layer, and beneath what the marks rest on.
pub fn table(matrix: &Matrix, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    let mut pen = Pen::new(out, terminal.width, terminal.color, terminal.ascii);
    let listened = match matrix.listened_ms {
        Some(ms) => format!("listened for {}.{} s", ms / 1000, ms % 1000 / 100),
        None => "did not listen".to_owned(),
    };
    let taken = matrix.taken.strftime("taken %Y-%m-%d %H:%M:%S UTC").to_string();
    let from = format!("Paths from {}", matrix.host);
    pen.items(Indent(0, 2), vec![Span::new(Ink::Bold, from), Span::plain(taken), Span::plain(listened)])?;
    if let Some(why) = &matrix.why {
        return pen.flow(Indent(0, 2), &[Span::plain(format!("{} {why}", pen.mark(Mark::Unknown)))]);
    }
    pen.blank()?;
    rows(&mut pen, matrix, terminal.width >= WIDE)?;
    for state in [State::Refuted, State::Unknown] {
        notes(&mut pen, matrix, state)?;
    }
    pen.blank()?;
    let tally = [State::Proven, State::Refuted, State::Unknown, State::None].map(|state| {
        let number = matrix.paths().filter(|path| path.state == state).count();
        let words = match state {
            State::Proven => "proven",
            State::Refuted => "refuted",
            State::Unknown => "without proof",
            State::None => "not there",
        };
        let ink = if number > 0 { ink(state) } else { Ink::Plain };
        Span::new(ink, format!("{} {number} {words}", pen.mark(mark(state))))
    });
    pen.items(Indent(0, 2), tally.into())
}

pub(super) fn mark(state: State) -> Mark {
    match state {
        State::Proven => Mark::Healthy,
        State::Refuted => Mark::Of(Severity::Error),
        State::Unknown => Mark::Unknown,
        State::None => Mark::Skipped,
    }
}

pub(super) fn ink(state: State) -> Ink {
    match state {
        State::Proven => Ink::Green,
        State::Refuted => Ink::Red,
        State::Unknown => Ink::Yellow,
        State::None => Ink::Faint,
    }
}

fn rows(pen: &mut Pen<'_>, matrix: &Matrix, wide: bool) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(pen.room(0)).unwrap_or(u16::MAX));
    let titles: &[&str] = if wide { &["node", "address"] } else { &["node"] };
    let titles = titles.iter().map(ToString::to_string);
    table.set_header(titles.chain(Layer::ALL.iter().map(ToString::to_string)));
    for row in &matrix.peers {
        let (name, addr) = (pen.clean(&row.name), pen.clean(&row.addr));
        let named = match (wide, row.name == row.addr) {
            (false, _) => vec![name.into_owned()],
            // Without a node list a node goes by its address, which needs no second column.
            (true, true) => vec!["-".to_owned(), addr.into_owned()],
            (true, false) => vec![name.into_owned(), addr.into_owned()],
        };
        let cells = row.paths.iter().map(|path| cell(pen, path, wide));
        table.add_row(named.into_iter().chain(cells).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let inks = [State::Proven, State::Refuted, State::Unknown, State::None]
        .map(|state| (pen.mark(mark(state)), ink(state)));
    for (at, line) in table.lines().enumerate() {
        if at == 0 {
            pen.flow(Indent(0, 0), &[Span::solid(Ink::Faint, line.trim_end())])?;
            continue;
        }
        // A mark stands alone between spaces, and is all that is painted.
        let spans: Vec<Span<'_>> = line
            .trim_end()
            .split_inclusive(' ')
            .map(|word| {
                let ink = inks.iter().find(|(mark, _)| *mark == word.trim_end());
                Span::solid(ink.map_or(Ink::Plain, |(_, ink)| *ink), word)
            })
            .collect();
        pen.flow(Indent(0, 0), &spans)?;
    }
    Ok(())
}

fn cell(pen: &Pen<'_>, path: &Path, wide: bool) -> String {
    let mark = pen.mark(mark(path.state));
    match path.says.as_str() {
        says if wide && !says.is_empty() => format!("{mark} {}", pen.clean(says)),
        _ => mark.to_owned(),
    }
}

/// What all marks of one kind rest on; what is true of several nodes alike is said once.
fn notes(pen: &mut Pen<'_>, matrix: &Matrix, state: State) -> io::Result<()> {
    let mut notes: Vec<(&Path, Vec<&Row>)> = Vec::new();
    for layer in Layer::ALL {
        for row in &matrix.peers {
            for path in row.paths.iter().filter(|path| path.layer == layer && path.state == state) {
                match notes.iter_mut().find(|(other, _)| other.layer == layer && other.why == path.why) {
                    Some((_, rows)) => rows.push(row),
                    None => notes.push((path, vec![row])),
                }
            }
        }
    }
    if !notes.is_empty() {
        pen.blank()?;
    }
    for (path, rows) in notes {
        let mut names: Vec<_> = rows.iter().take(NAMED).map(|row| row.name.as_str()).collect();
        let more = rows.len().saturating_sub(NAMED);
        let more = format!("{more} more");
        if rows.len() > NAMED {
            names.push(&more);
        }
        let lead = format!("{} {} ", pen.mark(mark(state)), path.layer);
        let text = format!("{}: {}", names.join(", "), path.why);
        pen.flow(Indent(0, 4), &[Span::new(ink(state), lead), Span::plain(text)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
