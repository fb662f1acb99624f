//! The other nodes, and how each of them answered.

use super::pen::{Indent, Ink, Mark, Pen, Span};
use crate::judge::Header;
use comfy_table::{ContentArrangement, Table, presets};
use std::io;

/// From how many peers on only those are shown that failed to answer, unless all are asked for.
const MANY: usize = 20;

/// Writes the table of peers and probes; nothing where there are no peers.
pub(super) fn write(pen: &mut Pen<'_>, header: &Header, verbose: bool) -> io::Result<()> {
    if header.peers.is_empty() {
        return Ok(());
    }
    let all = header.peers.len();
    let well = header.peers.iter().filter(|peer| peer.all_open).count();
    let few = verbose || all <= MANY;
    let said = match (all, well) {
        (1, 1) => "1, and it answered every probe".to_owned(),
        (all, well) if all == well => format!("{all}, and each answered every probe"),
        (all, well) => format!("{well} of {all} answered every probe"),
    };
    pen.blank()?;
    pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, "Peers: "), Span::plain(said)])?;
    let mut attempts: Vec<&str> = Vec::new();
    for (attempt, _) in header.peers.iter().flat_map(|peer| &peer.answers) {
        if !attempts.contains(&attempt.as_str()) {
            attempts.push(attempt);
        }
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(pen.room(2)).unwrap_or(u16::MAX));
    let titles = ["", "peer", "address"].into_iter().chain(attempts.iter().copied());
    table.set_header(titles.map(|title| pen.clean(title).into_owned()));
    for peer in header.peers.iter().filter(|peer| few || !peer.all_open) {
        let mark = if peer.all_open { Mark::Healthy } else { Mark::Of(checks::Severity::Error) };
        // Without a node list a peer goes by its address, which needs no second column.
        let name = if peer.name == peer.addr { "-" } else { peer.name.as_str() };
        let answers = attempts.iter().map(|attempt| {
            let said = peer.answers.iter().find(|(other, _)| other == attempt);
            said.map_or("", |(_, outcome)| outcome.as_str())
        });
        let cells = [pen.mark(mark), name, peer.addr.as_str()].into_iter().chain(answers);
        table.add_row(cells.map(|cell| pen.clean(cell).into_owned()));
    }
    if table.is_empty() {
        return Ok(());
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if at == 0 { 1 } else { 2 }));
    }
    let (well_mark, ill_mark) = (pen.mark(Mark::Healthy), pen.mark(Mark::Of(checks::Severity::Error)));
    for (at, line) in table.lines().enumerate() {
        // The mark stands first on a row's first line, and is all that is painted.
        let (mark, rest) = line.split_at(line.find(' ').unwrap_or(0));
        let spans = match mark {
            _ if at == 0 => [Span::plain(""), Span::solid(Ink::Faint, line.trim_end())],
            mark if mark == well_mark => {
                [Span::new(Ink::Green, mark), Span::solid(Ink::Plain, rest.trim_end())]
            }
            mark if mark == ill_mark => [Span::new(Ink::Red, mark), Span::solid(Ink::Plain, rest.trim_end())],
            _ => [Span::plain(""), Span::solid(Ink::Plain, line.trim_end())],
        };
        pen.flow(Indent(2, 2), &spans)?;
    }
    if !few && well > 0 {
        let text = format!("and {well} more that answered every probe (-v shows all)");
        pen.flow(Indent(2, 2), &[Span::new(Ink::Faint, text)])?;
    }
    Ok(())
}
