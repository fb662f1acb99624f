//! Joins the logs of several files into one.

use crate::log::{Line, Log, LostLines, Program};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Joins logs into one in the order of time.
///
/// A line without a time stays after the one before it. So does, within its second, a line whose time has whole seconds
/// only: a crash has only the collector's stamp, while lines before it have the engine's nine digits. A line read through
/// two files, as with journald and rsyslog side by side, is kept once; a line that one file has twice is kept twice.
pub fn merge(logs: Vec<Log>) -> Log {
    let (lines, lost) = logs.into_iter().map(|log| (log.lines, log.lost)).unzip();
    Log { lines: joined(lines, by_line), lost: joined(lost, by_lost), ends: None }
}

/// The parts by which items of two files are the same.
struct Key<'a> {
    at: Option<Timestamp>,
    program: Option<Program>,
    text: &'a str,
    pid: Option<u32>,
    fields: Option<&'a BTreeMap<String, String>>,
}

fn by_line(line: &Line) -> Key<'_> {
    let Line { at, program, pid, .. } = *line;
    Key { at, program: Some(program), text: &line.message, pid, fields: Some(&line.fields) }
}

fn by_lost(lost: &LostLines) -> Key<'_> {
    Key { at: lost.at, program: lost.program, text: &lost.text, pid: None, fields: None }
}

impl Key<'_> {
    /// Not every file keeps the pid.
    fn is(&self, other: &Self) -> bool {
        let same_time = self.at.is_some() && self.at == other.at;
        let same_process = self.pid.is_none() || other.pid.is_none() || self.pid == other.pid;
        same_time && same_process && self.fields == other.fields
    }
}

/// An item that is kept.
struct Kept<'a> {
    key: Key<'a>,
    /// The logs that contain it.
    sources: Vec<usize>,
}

fn joined<T>(logs: Vec<Vec<T>>, key: for<'a> fn(&'a T) -> Key<'a>) -> Vec<T> {
    let mut items = Vec::new();
    for (source, log) in logs.into_iter().enumerate() {
        let mut last = log.iter().find_map(|item| key(item).at).unwrap_or(Timestamp::MIN);
        for item in log {
            last = key(&item).at.filter(|at| !is_within(last, *at)).unwrap_or(last);
            items.push((last, source, item));
        }
    }
    items.sort_by_key(|(at, ..)| *at);
    let mut is_copy = Vec::with_capacity(items.len());
    for moment in items.chunk_by(|(a, ..), (b, ..)| a == b) {
        mark_copies(moment, key, &mut is_copy);
    }
    items.into_iter().zip(is_copy).filter(|(_, is_copy)| !is_copy).map(|((.., item), _)| item).collect()
}

/// Whether a stamp in whole seconds may denote the same moment as a finer one.
fn is_within(fine: Timestamp, coarse: Timestamp) -> bool {
    coarse.subsec_nanosecond() == 0 && fine.as_second() == coarse.as_second()
}

/// Marks each item that another log contains too. One log may contain the same line twice on purpose, so an item is a
/// copy only if another log contains it as often.
fn mark_copies<T>(
    moment: &[(Timestamp, usize, T)],
    key: for<'a> fn(&'a T) -> Key<'a>,
    is_copy: &mut Vec<bool>,
) {
    if moment.len() == 1 {
        return is_copy.push(false);
    }
    let mut kept: HashMap<(Option<Program>, &str), Vec<Kept<'_>>> = HashMap::new();
    for (_, source, item) in moment {
        let item = key(item);
        let alike = kept.entry((item.program, item.text)).or_default();
        let first = alike.iter_mut().find(|kept| !kept.sources.contains(source) && item.is(&kept.key));
        is_copy.push(first.is_some());
        match first {
            Some(kept) => kept.sources.push(*source),
            None => alike.push(Kept { key: item, sources: vec![*source] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::log::{Reading, read};

    fn log(file: &str, text: &str) -> Log {
        let reading =
            Reading { written: "2026-08-03T00:00:00Z".parse().unwrap(), offset_seconds: 0, since: None };
        read(file, text, &reading)
    }

    fn messages(log: &Log) -> Vec<&str> {
        log.lines.iter().map(|line| line.message.as_str()).collect()
    }

    #[test]
    fn leaves_a_stamp_in_whole_seconds_where_it_stands() {
        let text = "Aug  2 10:00:00 h dockerd[1]: time=\"2026-08-02T10:00:00.4Z\" level=info msg=\"Starting up\"\n\
                    Aug  2 10:00:00 h dockerd[1]: panic: b\nAug  2 09:59:59 h dockerd[1]: set back";
        assert_eq!(messages(&merge(vec![log("messages", text)])), ["set back", "Starting up", "panic: b"]);
    }

    #[test]
    fn puts_rotated_files_in_order_whatever_their_names() {
        let new = log("messages", "Aug  2 10:00:00 h dockerd: c\nAug  2 11:00:00 h dockerd: d");
        let old = log("messages-20260802", "Aug  1 10:00:00 h dockerd: a\nAug  1 11:00:00 h dockerd: b");
        assert_eq!(messages(&merge(vec![new, old])), ["a", "b", "c", "d"]);
    }

    #[test]
    fn leaves_lines_without_a_time_behind_the_one_before() {
        let raw = log(
            "docker.log",
            "goroutine 0 [x]:\ntime=\"2026-08-02T10:00:00Z\" level=info msg=a\npanic: b\n\tc\ntime=\"2026-08-02T12:00:00Z\" level=info msg=e",
        );
        let other =
            log("messages", "Aug  2 09:00:00 h kernel: IPVS: first\nAug  2 11:00:00 h kernel: IPVS: d");
        let merged = merge(vec![other, raw]);
        assert_eq!(
            messages(&merged),
            ["IPVS: first", "goroutine 0 [x]:", "a", "panic: b", "\tc", "IPVS: d", "e"]
        );
    }

    #[test]
    fn keeps_a_line_of_two_files_once() {
        let inner = "time=\"2026-08-02T10:00:00.5Z\" level=info msg=a";
        let one = log("messages", &format!("Aug  2 10:00:00 h dockerd: {inner}"));
        let two = log("syslog", &format!("2026-08-02T10:00:00.6Z h dockerd[7]: {inner} x=1"));
        let three = log("journal", &format!("2026-08-02T10:00:00.7Z h dockerd[7]: {inner}"));
        assert_eq!(messages(&merge(vec![one, two, three])), ["a", "a"]);
    }

    #[test]
    fn keeps_a_repeated_line_of_one_file() {
        let text = "Aug  2 10:00:00 h kernel: IPVS: a\nAug  2 10:00:00 h kernel: IPVS: a";
        assert_eq!(merge(vec![log("messages", text), log("syslog", text)]).lines.len(), 2);
        let pids = "Aug  2 10:00:00 h dockerd[1]: a\n";
        let others = "Aug  2 10:00:00 h dockerd[2]: a\n";
        assert_eq!(merge(vec![log("messages", pids), log("syslog", others)]).lines.len(), 2);
    }

    #[test]
    fn joins_lost_lines_too() {
        let text = "Aug  2 10:00:00 h systemd-journald[1]: Suppressed 5 messages from docker.service";
        assert_eq!(merge(vec![log("messages", text), log("syslog", text)]).lost.len(), 1);
    }
}
