//! Reads a file of log lines.

use super::escape::controls;
use super::journal::{self, Message, Record};
use super::logrus::{self, Inner};
use super::relevance::{Relevance, lost_count, relevance};
use super::stamp::{Calendar, Stamp};
use super::syslog::{self, Outer, unfolded};
use crate::log::{Line, Log, LostLines, Program};
use jiff::Timestamp;

/// Properties of a log file beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When the file was last written; dates the lines without a year. Now, if unknown.
    pub written: Timestamp,
    /// The offset of the log's clock from UTC in seconds, for stamps without a zone. Engine lines beside them are more
    /// reliable and take precedence.
    pub offset_seconds: i32,
    /// Older lines are left out.
    pub since: Option<Timestamp>,
}

/// Reads a log file, or the part of it that a [`LineFilter`](super::LineFilter) kept.
///
/// The lines keep the order of the file. Lines of other programs and lines that cannot be parsed are left out.
pub fn read(file: &str, text: &str, reading: &Reading) -> Log {
    let mut page = Page { file, items: Vec::new(), last: None, engine_owns_file: false };
    for (line, number) in text.lines().zip(1..) {
        page.line(number, syslog::trimmed(line));
    }
    page.dated(reading)
}

/// A file that is being read.
struct Page<'a> {
    file: &'a str,
    items: Vec<(Option<Stamp>, Item)>,
    /// The line before this one, if it was kept.
    last: Option<usize>,
    /// Whether an engine writes to the file directly, so that any line may be its own.
    engine_owns_file: bool,
}

enum Item {
    Line(Line),
    LostLines(LostLines),
}

/// The position and the outer layer of a message.
struct Origin<'a> {
    number: u32,
    stamp: Option<Stamp>,
    host: Option<&'a str>,
    pid: Option<u32>,
}

impl Page<'_> {
    fn line(&mut self, number: u32, line: &str) {
        if line.is_empty() || syslog::is_separator(line) {
            return;
        }
        let last = self.last.take();
        if journal::is_record(line) {
            if journal::is_relevant(line) {
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

    /// A line with an outer layer of syslog or `journalctl`.
    fn outer(&mut self, number: u32, outer: &Outer<'_>) {
        let Some(relevance) = relevance(outer.tag, outer.text) else { return };
        let stamp = Stamp::parse(outer.stamp);
        self.message(
            Origin { number, stamp, host: outer.host, pid: outer.pid },
            relevance,
            outer.text,
            false,
        );
    }

    /// A line of `journalctl -o json`.
    fn record(&mut self, number: u32, line: &str) {
        let Some(record) = Record::read(line) else { return };
        let host = record.host();
        let origin =
            Origin { number, stamp: record.at().map(Stamp::Exact), host: host.as_deref(), pid: record.pid() };
        match record.message() {
            Some(Message::Text(text)) => {
                if let Some(relevance) = relevance(&record.tag(), &text) {
                    self.message(origin, relevance, &text, record.is_cut());
                }
            }
            Some(Message::TooLong) => {
                if let Some(Relevance::Line(program)) = relevance(&record.tag(), "") {
                    self.lost(
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

    /// A line without an outer layer, or with an unknown one.
    fn bare(&mut self, number: u32, line: &str) {
        let origin = Origin { number, stamp: None, host: None, pid: None };
        let engine = Relevance::Line(Program::Engine);
        if logrus::is_logrus(line) || logrus::is_terminal(line) || begins_crash(line) {
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

    fn message(&mut self, origin: Origin<'_>, relevance: Relevance, text: &str, is_cut: bool) {
        let program = match relevance {
            Relevance::Line(program) => program,
            Relevance::Lost(program) => return self.lost(origin, program, lost_count(text), text),
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

    fn lost(&mut self, origin: Origin<'_>, program: Option<Program>, count: Option<u64>, text: &str) {
        let text = controls(text).trim_end().to_owned();
        let lost =
            LostLines { file: self.file.to_owned(), number: origin.number, at: None, program, count, text };
        self.items.push((origin.stamp, Item::LostLines(lost)));
    }

    fn repeat(&mut self, last: Option<usize>, times: u32) {
        if let Some(Item::Line(line)) = last.and_then(|last| self.items.get_mut(last)).map(|(_, item)| item) {
            line.repeated = line.repeated.saturating_add(times);
        }
        self.last = last;
    }

    /// The log with a time for every line.
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
                Item::LostLines(lost) => log.lost.push(lost),
            }
        }
        log
    }
}

impl Item {
    fn at(&mut self) -> &mut Option<Timestamp> {
        match self {
            Self::Line(line) => &mut line.at,
            Self::LostLines(lost) => &mut lost.at,
        }
    }
}

/// Whether a line is written by an engine before its logger exists, or after it crashed.
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
