//! Counters of the kernel: neighbour table, connection tracking, reverse path filter.

use super::{Artifact, Place, Session};
use facts::Need;
use facts::host::{ConntrackStats, KernelStats, NeighbourTable};
use std::fs;

pub(super) async fn kernel_stats(session: &Session) -> Vec<Artifact> {
    let origin = "/proc/net/stat/arp_cache, /proc/net/stat/nf_conntrack, /proc/net/netstat";
    let place = Place::new(Need::Sysctls, "host/kernel-stats.json", origin);
    session.of_this_machine(place, || Ok(read())).await
}

fn read() -> KernelStats {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    KernelStats {
        neighbours: neighbour_table(&text("/proc/net/stat/arp_cache")),
        conntrack: conntrack(&text("/proc/net/stat/nf_conntrack")),
        reverse_path_drops: counter(&text("/proc/net/netstat"), "TcpExt:", "IPReversePathFilter"),
    }
}

/// The neighbour table. The file exists only in the initial network namespace; the table is one for all of them.
fn neighbour_table(text: &str) -> Option<NeighbourTable> {
    let rows = Rows::of(text)?;
    Some(NeighbourTable { entries: rows.first("entries")?, table_fulls: rows.sum("table_fulls")? })
}

/// Connection tracking of a network namespace.
pub(super) fn conntrack(text: &str) -> Option<ConntrackStats> {
    let rows = Rows::of(text)?;
    Some(ConntrackStats { insert_failed: rows.sum("insert_failed")?, drop: rows.sum("drop")? })
}

/// A table with a header and one line of hexadecimal numbers for each CPU.
struct Rows<'a> {
    header: Vec<&'a str>,
    lines: Vec<Vec<u64>>,
}

impl<'a> Rows<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut lines = text.lines();
        let header: Vec<_> = lines.next()?.split_whitespace().collect();
        let number = |word: &str| u64::from_str_radix(word, 16).ok();
        let lines: Vec<Vec<u64>> =
            lines.filter_map(|line| line.split_whitespace().map(number).collect()).collect();
        Some(Self { header, lines }).filter(|rows| !rows.lines.is_empty())
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| *column == name)
    }

    /// A number that is the same in each line.
    fn first(&self, name: &str) -> Option<u64> {
        self.lines.first()?.get(self.column(name)?).copied()
    }

    fn sum(&self, name: &str) -> Option<u64> {
        let column = self.column(name)?;
        Some(self.lines.iter().filter_map(|line| line.get(column)).sum())
    }
}

/// A counter of `/proc/net/netstat`, which has a line of names and a line of numbers for each group.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let at = lines.next()?.split_whitespace().position(|column| column == name)?;
    lines.next()?.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_summed_over_all_cpus() {
        let arp = "entries  allocs   destroys hash_grows table_fulls\n00000010 00000001 00000000 00000000 00000002\n\
                   00000010 00000001 00000000 00000000 0000000a\n";
        assert_eq!(neighbour_table(arp), Some(NeighbourTable { entries: 16, table_fulls: 12 }));
        let conntrack_table = "entries  clashres found insert insert_failed drop early_drop\n00000005 0 0 0 00000001 00000003 0\n\
                         00000005 0 0 0 00000001 00000000 0\n";
        assert_eq!(conntrack(conntrack_table), Some(ConntrackStats { insert_failed: 2, drop: 3 }));
        assert_eq!(neighbour_table("entries allocs\n"), None);
        assert_eq!(conntrack("no such columns\n1 2 3\n"), None);
    }

    #[test]
    fn a_counter_stands_below_its_name() {
        let text =
            "TcpExt: SyncookiesSent IPReversePathFilter TW\nTcpExt: 1 42 3\nIpExt: InNoRoutes\nIpExt: 7\n";
        assert_eq!(counter(text, "TcpExt:", "IPReversePathFilter"), Some(42));
        assert_eq!(counter(text, "IpExt:", "InNoRoutes"), Some(7));
        assert_eq!(counter("", "TcpExt:", "IPReversePathFilter"), None);
    }
}
