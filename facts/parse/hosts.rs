//! Hosts files, hosts(5).

use crate::container::{HostsFile, HostsLine};

pub(super) fn hosts_file(text: &str) -> HostsFile {
    let one = |(index, line): (usize, &str)| {
        let said = line.split('#').next().unwrap_or_default();
        let mut words = said.split_whitespace();
        let addr = words.next()?.parse().ok()?;
        let names = words.map(str::to_owned).collect();
        Some(HostsLine { number: u32::try_from(index + 1).unwrap_or(0), text: line.to_owned(), addr, names })
    };
    HostsFile(text.lines().enumerate().filter_map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::hosts_file;

    #[test]
    fn reads_lines_past_comments_and_rubbish() {
        let hosts = hosts_file("# a\n127.0.0.1\tlocalhost\nrubbish here\n10.0.0.11 nifi1 # mine\n");
        assert_eq!(hosts.0.len(), 2);
        let pinned: Vec<_> = hosts.lines_for("NIFI1").collect();
        assert_eq!((pinned[0].number, pinned[0].addr.to_string()), (4, "10.0.0.11".into()));
    }
}
