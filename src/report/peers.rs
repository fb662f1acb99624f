//! The table of the other nodes: which of them answer, on which ports and layers.

use super::writer::{Indent, ReportWriter, Span, Style, Symbol};
use crate::judge::{Header, PeerAnswers};
use crate::matrix::{Layer, State};
use checks::Severity;
use comfy_table::{ContentArrangement, Table, presets};
use std::io;

/// From how many peers on only those with a broken path are shown, unless `-v` asks for all.
const MANY: usize = 20;
/// Layers that are shown even where their state is unknown: without them a row could look complete while the data
/// plane is dead.
const ALWAYS: [Layer; 4] = [Layer::Icmp, Layer::GossipTcp, Layer::Vxlan, Layer::Mtu];

/// Writes the table; nothing where there are no peers.
pub(super) fn write(writer: &mut ReportWriter<'_>, header: &Header, verbose: bool) -> io::Result<()> {
    if header.peers.is_empty() {
        return Ok(());
    }
    let all = header.peers.len();
    let reachable = header.peers.iter().filter(|peer| peer.all_open).count();
    let few = verbose || all <= MANY;
    writer.blank()?;
    let text = format!("{reachable} of {all} reachable on every path that was tested");
    writer.flow(Indent(0, 2), &[Span::new(Style::Bold, "Peers: "), Span::plain(text)])?;
    let known = |layer: &Layer| {
        let mut paths = header.peers.iter().flat_map(|peer| &peer.paths);
        ALWAYS.contains(layer)
            || paths.any(|path| path.layer == *layer && matches!(path.state, State::Proven | State::Refuted))
    };
    let layers: Vec<Layer> = Layer::ALL.into_iter().filter(known).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(writer.room(2)).unwrap_or(u16::MAX));
    let titles = ["", "node", "address"].map(str::to_owned).into_iter();
    table.set_header(titles.chain(layers.iter().map(ToString::to_string)));
    for peer in header.peers.iter().filter(|peer| few || !peer.all_open) {
        let symbol = if peer.all_open { Symbol::Healthy } else { Symbol::Severity(Severity::Error) };
        // Without a node list a peer goes by its address, which needs no second column.
        let name = if peer.name == peer.addr { "-" } else { peer.name.as_str() };
        let named = [writer.symbol(symbol), name, peer.addr.as_str()].map(str::to_owned);
        let cells = named.into_iter().chain(layers.iter().map(|layer| cell(writer, peer, *layer)));
        table.add_row(cells.map(|cell| writer.clean(&cell).into_owned()).collect::<Vec<_>>());
    }
    if table.is_empty() {
        return Ok(());
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if at == 0 { 1 } else { 2 }));
    }
    let (good, bad) = (writer.symbol(Symbol::Healthy), writer.symbol(Symbol::Severity(Severity::Error)));
    for (at, line) in table.lines().enumerate() {
        // The symbol stands first on a row's first line, and is all that is coloured.
        let (symbol, rest) = line.split_at(line.find(' ').unwrap_or(0));
        let spans = match symbol {
            _ if at == 0 => [Span::plain(""), Span::solid(Style::Faint, line.trim_end())],
            symbol if symbol == good => {
                [Span::new(Style::Green, symbol), Span::solid(Style::Plain, rest.trim_end())]
            }
            symbol if symbol == bad => {
                [Span::new(Style::Red, symbol), Span::solid(Style::Plain, rest.trim_end())]
            }
            _ => [Span::plain(""), Span::solid(Style::Plain, line.trim_end())],
        };
        writer.flow(Indent(2, 2), &spans)?;
    }
    if !few && reachable > 0 {
        let text = format!("and {reachable} more without a broken path (-v shows all)");
        writer.flow(Indent(2, 2), &[Span::new(Style::Faint, text)])?;
    }
    Ok(())
}

/// What is known of one path, in a word or two.
fn cell(writer: &ReportWriter<'_>, peer: &PeerAnswers, layer: Layer) -> String {
    let path = peer.paths.iter().find(|path| path.layer == layer);
    match path.map(|path| (path.state, path.says.as_str())) {
        Some((State::Proven, says)) => says.to_owned(),
        Some((State::Refuted, says)) => {
            format!("{} {says}", writer.symbol(Symbol::Severity(Severity::Error)))
        }
        Some((State::Unknown, _)) => writer.symbol(Symbol::Unknown).to_owned(),
        Some((State::None, _)) | None => String::new(),
    }
}
