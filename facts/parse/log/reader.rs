//! Reads a file of log lines.

use super::concern::{Concern, concern, lost};
use super::escape::controls;
use super::inner::{self, Inner};
use super::journal::{self, Message, Record};
use super::outer::{self, Outer, unfolded};
use super::stamp::{Calendar, Stamp};
use crate::log::{Hole, Line, Log, Program};
use jiff::Timestamp;

/// What is known of a log file beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When the file was written last, from which lines without a year get theirs. Now, if unknown.
    pub written: Timestamp,
    /// The seconds east of UTC that the log's clock was at, for stamps without a zone. Where engine lines
    /// stand beside them, these tell better.
    pub offset_seconds: i32,
    /// Leaves out what is older.
    pub since: Option<Timestamp>,
}

/// Reads a log file, or what a [`Sieve`](super::Sieve) kept of it.
///
/// Its lines come in the order of the file. A line of any other program, or one that makes no sense, is left
/// out in silence.
pub fn read(file: &str, text: &str, reading: &Reading) -> Log {
    let mut page = Page { file, items: Vec::new(), last: None, engine_owns_file: false };
    for (line, number) in text.lines().zip(1..) {
        page.line(number, outer::trimmed(line));
    }
    page.dated(reading)
}

/// A file that is being read.
struct Page<'a> {
    file: &'a str,
    items: Vec<(Option<Stamp>, Item)>,
    /// The line before this one, if it was kept.
    last: Option<usize>,
    /// Whether an engine writes straight into the file, so that anything in it may be its.
    engine_owns_file: bool,
}

enum Item {
    Line(Line),
    Hole(Hole),
}

/// Where a message came from.
struct Origin<'a> {
    number: u32,
    stamp: Option<Stamp>,
    host: Option<&'a str>,
    pid: Option<u32>,
}

impl Page<'_> {
    fn line(&mut self, number: u32, line: &str) {
        if line.is_empty() || outer::is_separator(line) {
            return;
        }
        let last = self.last.take();
        if journal::is_record(line) {
            if journal::concerns_engine(line) {
                self.record(number, line);
            }
        } else if let Some(outer) = Outer::open(line) {
            self.engine_owns_file = false;
            match outer.repeats() {
                Some(times) => self.repeat(last, times),
                None => self.outer(number, &outer),
            }
        } else {
            self.bare(number, line);
        }
    }

    /// A line that syslog or `journalctl` dressed.
    fn outer(&mut self, number: u32, outer: &Outer<'_>) {
        let Some(concern) = concern(outer.tag, outer.text) else { return };
        let stamp = Stamp::parse(outer.stamp);
        self.message(Origin { number, stamp, host: outer.host, pid: outer.pid }, concern, outer.text, false);
    }

    /// A line of `journalctl -o json`.
    fn record(&mut self, number: u32, line: &str) {
        let Some(record) = Record::read(line) else { return };
        let host = record.host();
        let origin =
            Origin { number, stamp: record.at().map(Stamp::Exact), host: host.as_deref(), pid: record.pid() };
        match record.message() {
            Some(Message::Text(text)) => {
                if let Some(concern) = concern(&record.tag(), &text) {
                    self.message(origin, concern, &text, record.is_cut());
                }
            }
            Some(Message::TooLong) => {
                if let Some(Concern::Says(program)) = concern(&record.tag(), "") {
                    self.hole(
                        origin,
                        Some(program),
                        Some(1),
                        "a message too long for journalctl without --all",
                    );
                }
            }
            None => {}
        }
    }

    /// A line without an outer layer, or with one nobody knows.
    fn bare(&mut self, number: u32, line: &str) {
        let origin = Origin { number, stamp: None, host: None, pid: None };
        let engine = Concern::Says(Program::Engine);
        if inner::is_logrus(line) || inner::is_terminal(line) || begins_crash(line) {
            self.engine_owns_file = true;
        }
        if self.engine_owns_file {
            self.message(origin, engine, line, false);
        } else if let Some(at) = line.find("time=\"")
            && line[..at].contains("docker")
            && line[at..].contains("\" level=")
        {
            self.message(origin, engine, &line[at..], false);
        }
    }

    fn message(&mut self, origin: Origin<'_>, concern: Concern, text: &str, is_cut: bool) {
        let program = match concern {
            Concern::Says(program) => program,
            Concern::Misses(whose) => return self.hole(origin, whose, lost(text), text),
        };
        let (repeated, text) = unfolded(text);
        let inner = match program {
            Program::Kernel => Inner::plain(without_uptime(text)),
            Program::Systemd => Inner::plain(text),
            Program::Engine | Program::Containerd => Inner::read(text),
        };
        self.last = Some(self.items.len());
        self.items.push((
            origin.stamp,
            Item::Line(Line {
                file: self.file.to_owned(),
                number: origin.number,
                at: inner.at,
                host: origin.host.map(str::to_owned),
                program,
                pid: origin.pid,
                level: inner.level,
                message: inner.message,
                fields: inner.fields,
                repeated,
                truncated: inner.truncated || is_cut,
            }),
        ));
    }

    fn hole(&mut self, origin: Origin<'_>, whose: Option<Program>, lost: Option<u64>, text: &str) {
        let text = controls(text).trim_end().to_owned();
        let hole = Hole { file: self.file.to_owned(), number: origin.number, at: None, whose, lost, text };
        self.items.push((origin.stamp, Item::Hole(hole)));
    }

    fn repeat(&mut self, last: Option<usize>, times: u32) {
        if let Some(Item::Line(line)) = last.and_then(|last| self.items.get_mut(last)).map(|(_, item)| item) {
            line.repeated = line.repeated.saturating_add(times);
        }
        self.last = last;
    }

    /// The log, once every line has its time.
    fn dated(mut self, reading: &Reading) -> Log {
        let mut calendar = Calendar::new(reading.written, reading.offset_seconds);
        for (stamp, item) in self.items.iter_mut().rev() {
            let at = item.at();
            *at = calendar.settle(*stamp, *at);
        }
        let mut log = Log::default();
        // A line without a time is as old as the one before.
        let mut last = None;
        for (_, mut item) in self.items {
            last = item.at().or(last);
            if last.zip(reading.since).is_some_and(|(at, since)| at < since) {
                continue;
            }
            match item {
                Item::Line(line) => log.lines.push(line),
                Item::Hole(hole) => log.holes.push(hole),
            }
        }
        log
    }
}

impl Item {
    fn at(&mut self) -> &mut Option<Timestamp> {
        match self {
            Self::Line(line) => &mut line.at,
            Self::Hole(hole) => &mut hole.at,
        }
    }
}

/// How an engine begins that has no logger yet, or no longer.
fn begins_crash(line: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "panic: ",
        "fatal error: ",
        "goroutine ",
        "runtime: ",
        "unexpected fault address ",
        "unable to configure the Docker daemon ",
        "failed to start daemon: ",
        "failed to start cluster component: ",
        "sync duration of ",
    ];
    BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

/// The kernel's message without the `[12345.678901] ` that klogd leaves before it.
fn without_uptime(text: &str) -> &str {
    let uptime = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b' '));
    let rest = text.strip_prefix('[').and_then(|text| text.split_once("] "));
    rest.filter(|(before, _)| uptime(before)).map_or(text, |(_, message)| message)
}
