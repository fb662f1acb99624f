//! The paths between several nodes: a row for each node that was examined, a column for each node that it tested.

use crate::matrix::{Layer, Matrix, Path, State};
use crate::report::terminal::Terminal;
use crate::report::text::count;
use crate::report::writer::{Indent, ReportWriter, Span, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// The layout; a change that could break a reader changes its number.
const LAYOUT: &str = "swarm-doctor.matrices/v1";
/// How many nodes fit on a screen; of more, only those with a refuted path are shown.
const MOST: usize = 16;
/// How many paths are named in a note.
const NAMED: usize = 6;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    matrices: &'a [Matrix],
}

/// Writes the matrices for programs, each as it is written alone.
pub fn json(matrices: &[Matrix], out: &mut dyn Write) -> io::Result<()> {
    let document = Document { schema: LAYOUT, version: env!("CARGO_PKG_VERSION"), matrices };
    crate::report::json::write(&document, true, out)
}

/// Writes one table for people, then the broken paths.
pub fn table(matrices: &[Matrix], terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = ReportWriter::new(out, terminal);
    let title = format!("Paths between {}", count(matrices.len(), "node"));
    writer.items(
        Indent(0, 2),
        vec![Span::new(Style::Bold, title), Span::plain("from each row to each column")],
    )?;
    for matrix in matrices {
        if let Some(why) = &matrix.why {
            let symbol = writer.symbol(super::symbol(State::Unknown));
            writer.flow(Indent(0, 2), &[Span::plain(format!("{symbol} {}: {why}", matrix.host))])?;
        }
    }
    writer.blank()?;
    grid(&mut writer, matrices)?;
    notes(&mut writer, matrices)?;
    writer.blank()?;
    let tally = [State::Proven, State::Refuted, State::Unknown].map(|state| {
        let number = matrices.iter().flat_map(Matrix::paths).filter(|path| path.state == state).count();
        let words = match state {
            State::Proven => "ok",
            State::Refuted => "broken",
            State::Unknown | State::None => "unknown",
        };
        let style = if number > 0 { super::style(state) } else { Style::Plain };
        Span::new(style, format!("{} {number} {words}", writer.symbol(super::symbol(state))))
    });
    writer.items(Indent(0, 2), tally.into())
}

/// The state of the paths to a node: one layer that is refuted makes them broken.
fn worst(paths: &[Path]) -> State {
    let of = |state| paths.iter().any(|path| path.state == state && path.layer != Layer::Icmp);
    match () {
        () if of(State::Refuted) => State::Refuted,
        () if of(State::Proven) => State::Proven,
        () => State::Unknown,
    }
}

fn grid(writer: &mut ReportWriter<'_>, matrices: &[Matrix]) -> io::Result<()> {
    let mut nodes: BTreeSet<&str> = matrices.iter().map(|matrix| matrix.host.as_str()).collect();
    nodes.extend(matrices.iter().flat_map(|matrix| &matrix.peers).map(|row| row.name.as_str()));
    let all = nodes.len();
    if all > MOST {
        let broken = matrices.iter().flat_map(|matrix| {
            let rows = matrix.peers.iter().filter(|row| worst(&row.paths) == State::Refuted);
            rows.flat_map(|row| [matrix.host.as_str(), row.name.as_str()])
        });
        nodes = broken.take(MOST * MOST).collect::<BTreeSet<_>>().into_iter().take(MOST).collect();
        let text = format!("{all} nodes; only the {} with a broken path are shown", nodes.len());
        writer.flow(Indent(0, 2), &[Span::new(Style::Faint, text)])?;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(writer.room(0)).unwrap_or(u16::MAX));
    table.set_header(
        std::iter::once("from".to_owned()).chain(nodes.iter().map(|node| writer.clean(node).into_owned())),
    );
    for from in &nodes {
        let matrix = matrices.iter().find(|matrix| matrix.host.as_str() == *from);
        let rows: BTreeMap<&str, State> = matrix
            .iter()
            .flat_map(|matrix| &matrix.peers)
            .map(|row| (row.name.as_str(), worst(&row.paths)))
            .collect();
        let cell = |to: &&str| match rows.get(to) {
            Some(state) => writer.symbol(super::symbol(*state)).to_owned(),
            None if to == from => String::new(),
            None => writer.symbol(super::symbol(State::None)).to_owned(),
        };
        let cells: Vec<String> = nodes.iter().map(cell).collect();
        table.add_row(std::iter::once(writer.clean(from).into_owned()).chain(cells));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    for (at, line) in lines.iter().enumerate() {
        let style = if at == 0 { Style::Faint } else { Style::Plain };
        writer.flow(Indent(0, 0), &[Span::solid(style, line.as_str())])?;
    }
    Ok(())
}

/// The refuted paths of each layer.
fn notes(writer: &mut ReportWriter<'_>, matrices: &[Matrix]) -> io::Result<()> {
    for layer in Layer::ALL {
        let mut links = Vec::new();
        for matrix in matrices {
            for row in &matrix.peers {
                let refuted = |path: &&Path| path.layer == layer && path.state == State::Refuted;
                links.extend(row.paths.iter().find(refuted).map(|path| (matrix, row, path)));
            }
        }
        let Some((_, _, first)) = links.first() else { continue };
        writer.blank()?;
        let mut named: Vec<String> =
            links.iter().take(NAMED).map(|(from, to, _)| format!("{} -> {}", from.host, to.name)).collect();
        if let more @ 1.. = links.len().saturating_sub(NAMED) {
            named.push(format!("{more} more"));
        }
        let symbol = writer.symbol(super::symbol(State::Refuted));
        let lead = Span::new(super::style(State::Refuted), format!("{symbol} {layer} "));
        let text = Span::plain(format!("{}: {}", named.join(", "), first.why));
        writer.flow(Indent(0, 4), &[lead, text])?;
    }
    Ok(())
}
