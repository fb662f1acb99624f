//! The paths to the other nodes, as a table and as JSON; `matrix.schema.json` describes the JSON.

pub(super) mod many;

use super::terminal::Terminal;
use super::writer::{Indent, ReportWriter, Span, Style, Symbol};
use crate::matrix::{Layer, Matrix, Path, Row, State};
use checks::Severity;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{self, Write};

/// The layout; a change that could break a reader changes its number.
const LAYOUT: &str = "swarm-doctor.matrix/v1";
/// From this width on each symbol has a value behind it, and each name an address.
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
    super::json::write(&Document { schema: LAYOUT, tool, matrix }, true, out)
}

/// Writes the matrix for people: a row for each node, a column for each layer, then the reason of each symbol.
pub fn table(matrix: &Matrix, terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = ReportWriter::new(out, terminal);
    let listened = match matrix.listened_ms {
        Some(ms) => format!("listened for {}.{} s", ms / 1000, ms % 1000 / 100),
        None => "did not listen".to_owned(),
    };
    let taken = format!("taken {}", super::text::utc(matrix.taken));
    let from = format!("Paths from {}", matrix.host);
    writer
        .items(Indent(0, 2), vec![Span::new(Style::Bold, from), Span::plain(taken), Span::plain(listened)])?;
    if let Some(why) = &matrix.why {
        return writer
            .flow(Indent(0, 2), &[Span::plain(format!("{} {why}", writer.symbol(Symbol::Unknown)))]);
    }
    writer.blank()?;
    rows(&mut writer, matrix, terminal.width >= WIDE)?;
    for state in [State::Refuted, State::Unknown] {
        notes(&mut writer, matrix, state)?;
    }
    writer.blank()?;
    let tally = [State::Proven, State::Refuted, State::Unknown, State::None].map(|state| {
        let number = matrix.paths().filter(|path| path.state == state).count();
        let words = match state {
            State::Proven => "ok",
            State::Refuted => "broken",
            State::Unknown => "unknown",
            State::None => "n/a",
        };
        let style = if number > 0 { style(state) } else { Style::Plain };
        Span::new(style, format!("{} {number} {words}", writer.symbol(symbol(state))))
    });
    writer.items(Indent(0, 2), tally.into())
}

pub(super) fn symbol(state: State) -> Symbol {
    match state {
        State::Proven => Symbol::Healthy,
        State::Refuted => Symbol::Severity(Severity::Error),
        State::Unknown => Symbol::Unknown,
        State::None => Symbol::Skipped,
    }
}

pub(super) fn style(state: State) -> Style {
    match state {
        State::Proven => Style::Green,
        State::Refuted => Style::Red,
        State::Unknown => Style::Yellow,
        State::None => Style::Faint,
    }
}

fn rows(writer: &mut ReportWriter<'_>, matrix: &Matrix, wide: bool) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(writer.room(0)).unwrap_or(u16::MAX));
    let titles: &[&str] = if wide { &["node", "address"] } else { &["node"] };
    let titles = titles.iter().map(ToString::to_string);
    table.set_header(titles.chain(Layer::ALL.iter().map(ToString::to_string)));
    for row in &matrix.peers {
        let (name, addr) = (writer.clean(&row.name), writer.clean(&row.addr));
        let named = match (wide, row.name == row.addr) {
            (false, _) => vec![name.into_owned()],
            // Without a node list a node goes by its address, which needs no second column.
            (true, true) => vec!["-".to_owned(), addr.into_owned()],
            (true, false) => vec![name.into_owned(), addr.into_owned()],
        };
        let cells = row.paths.iter().map(|path| cell(writer, path, wide));
        table.add_row(named.into_iter().chain(cells).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let styles = [State::Proven, State::Refuted, State::Unknown, State::None]
        .map(|state| (writer.symbol(symbol(state)), style(state)));
    for (at, line) in table.lines().enumerate() {
        if at == 0 {
            writer.flow(Indent(0, 0), &[Span::solid(Style::Faint, line.trim_end())])?;
            continue;
        }
        // A symbol stands alone between spaces, and is all that is coloured.
        let spans: Vec<Span<'_>> = line
            .trim_end()
            .split_inclusive(' ')
            .map(|word| {
                let style = styles.iter().find(|(symbol, _)| *symbol == word.trim_end());
                Span::solid(style.map_or(Style::Plain, |(_, style)| *style), word)
            })
            .collect();
        writer.flow(Indent(0, 0), &spans)?;
    }
    Ok(())
}

fn cell(writer: &ReportWriter<'_>, path: &Path, wide: bool) -> String {
    let symbol = writer.symbol(symbol(path.state));
    match path.says.as_str() {
        says if wide && !says.is_empty() => format!("{symbol} {}", writer.clean(says)),
        _ => symbol.to_owned(),
    }
}

/// The reasons of the symbols of one kind; the same reason for several nodes is one line.
fn notes(writer: &mut ReportWriter<'_>, matrix: &Matrix, state: State) -> io::Result<()> {
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
        writer.blank()?;
    }
    for (path, rows) in notes {
        let mut names: Vec<_> = rows.iter().take(NAMED).map(|row| row.name.as_str()).collect();
        let more = rows.len().saturating_sub(NAMED);
        let more = format!("{more} more");
        if rows.len() > NAMED {
            names.push(&more);
        }
        let lead = format!("{} {} ", writer.symbol(symbol(state)), path.layer);
        let text = format!("{}: {}", names.join(", "), path.why);
        writer.flow(Indent(0, 4), &[Span::new(style(state), lead), Span::plain(text)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
