//! The paths between several nodes: a row for each that looked, a column for each that it looked at.

use super::pen::{Indent, Ink, Pen, Span};
use super::terminal::Terminal;
use super::text::count;
use crate::matrix::{Layer, Matrix, Path, State};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// The layout; a change that could break a reader changes its number.
const LAYOUT: &str = "swarm-doctor.matrices/v1";
/// How many nodes a person can still see at once; of more, those are shown whose paths are refuted.
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
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

/// Writes one table for people, and beneath it what is refuted.
pub fn table(matrices: &[Matrix], terminal: Terminal, out: &mut dyn Write) -> io::Result<()> {
    let mut pen = Pen::new(out, terminal.width, terminal.color, terminal.ascii);
    let title = format!("Paths between {}", count(matrices.len(), "node"));
    pen.items(Indent(0, 2), vec![Span::new(Ink::Bold, title), Span::plain("from each row to each column")])?;
    for matrix in matrices {
        if let Some(why) = &matrix.why {
            let mark = pen.mark(super::matrix::mark(State::Unknown));
            pen.flow(Indent(0, 2), &[Span::plain(format!("{mark} {}: {why}", matrix.host))])?;
        }
    }
    pen.blank()?;
    grid(&mut pen, matrices)?;
    notes(&mut pen, matrices)?;
    pen.blank()?;
    let tally = [State::Proven, State::Refuted, State::Unknown].map(|state| {
        let number = matrices.iter().flat_map(Matrix::paths).filter(|path| path.state == state).count();
        let words = match state {
            State::Proven => "proven",
            State::Refuted => "refuted",
            State::Unknown | State::None => "without proof",
        };
        let ink = if number > 0 { super::matrix::ink(state) } else { Ink::Plain };
        Span::new(ink, format!("{} {number} {words}", pen.mark(super::matrix::mark(state))))
    });
    pen.items(Indent(0, 2), tally.into())
}

/// How a node stands to another: worst of all layers, for what is refuted on one is broken.
fn worst(paths: &[Path]) -> State {
    let of = |state| paths.iter().any(|path| path.state == state && path.layer != Layer::Icmp);
    match () {
        () if of(State::Refuted) => State::Refuted,
        () if of(State::Proven) => State::Proven,
        () => State::Unknown,
    }
}

fn grid(pen: &mut Pen<'_>, matrices: &[Matrix]) -> io::Result<()> {
    let mut nodes: BTreeSet<&str> = matrices.iter().map(|matrix| matrix.host.as_str()).collect();
    nodes.extend(matrices.iter().flat_map(|matrix| &matrix.peers).map(|row| row.name.as_str()));
    let all = nodes.len();
    if all > MOST {
        let broken = matrices.iter().flat_map(|matrix| {
            let rows = matrix.peers.iter().filter(|row| worst(&row.paths) == State::Refuted);
            rows.flat_map(|row| [matrix.host.as_str(), row.name.as_str()])
        });
        nodes = broken.take(MOST * MOST).collect::<BTreeSet<_>>().into_iter().take(MOST).collect();
        let text = format!("{all} nodes; shown are {} with a path that is refuted", nodes.len());
        pen.flow(Indent(0, 2), &[Span::new(Ink::Faint, text)])?;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(pen.room(0)).unwrap_or(u16::MAX));
    table.set_header(
        std::iter::once("from".to_owned()).chain(nodes.iter().map(|node| pen.clean(node).into_owned())),
    );
    for from in &nodes {
        let matrix = matrices.iter().find(|matrix| matrix.host.as_str() == *from);
        let rows: BTreeMap<&str, State> = matrix
            .iter()
            .flat_map(|matrix| &matrix.peers)
            .map(|row| (row.name.as_str(), worst(&row.paths)))
            .collect();
        let cell = |to: &&str| match rows.get(to) {
            Some(state) => pen.mark(super::matrix::mark(*state)).to_owned(),
            None if to == from => String::new(),
            None => pen.mark(super::matrix::mark(State::None)).to_owned(),
        };
        let cells: Vec<String> = nodes.iter().map(cell).collect();
        table.add_row(std::iter::once(pen.clean(from).into_owned()).chain(cells));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    for (at, line) in lines.iter().enumerate() {
        let ink = if at == 0 { Ink::Faint } else { Ink::Plain };
        pen.flow(Indent(0, 0), &[Span::solid(ink, line.as_str())])?;
    }
    Ok(())
}

/// What is refuted on each layer, and between whom.
fn notes(pen: &mut Pen<'_>, matrices: &[Matrix]) -> io::Result<()> {
    for layer in Layer::ALL {
        let mut links = Vec::new();
        for matrix in matrices {
            for row in &matrix.peers {
                let refuted = |path: &&Path| path.layer == layer && path.state == State::Refuted;
                links.extend(row.paths.iter().find(refuted).map(|path| (matrix, row, path)));
            }
        }
        let Some((_, _, first)) = links.first() else { continue };
        pen.blank()?;
        let mut named: Vec<String> =
            links.iter().take(NAMED).map(|(from, to, _)| format!("{} -> {}", from.host, to.name)).collect();
        if let more @ 1.. = links.len().saturating_sub(NAMED) {
            named.push(format!("{more} more"));
        }
        let mark = pen.mark(super::matrix::mark(State::Refuted));
        let lead = Span::new(super::matrix::ink(State::Refuted), format!("{mark} {layer} "));
        let text = Span::plain(format!("{}: {}", named.join(", "), first.why));
        pen.flow(Indent(0, 4), &[lead, text])?;
    }
    Ok(())
}
