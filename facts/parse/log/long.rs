//! Long logs of every form, made up from a seed: the reader has to find in them just what was put there.

use super::tests::Mutator;
use super::{LineFilter, Reading, read};
use crate::log::{Level, Line, Program};
use std::fmt::Write as _;

/// When the first line is written; the lines are a second apart.
const BEGINNING: i64 = 1_785_600_000;

/// A line of an engine as it was put in.
struct Planted {
    number: u32,
    second: i64,
    level: Level,
    message: String,
    repeated: u32,
}

/// A log, and what of it an engine wrote.
struct Long {
    text: String,
    planted: Vec<Planted>,
}

impl Long {
    /// As many lines as it takes to fill so many bytes, of which one in so many is an engine's.
    fn of(seed: u64, bytes: usize, one_in: usize) -> Self {
        let mut dice = Mutator::new(seed);
        let mut long = Self { text: String::new(), planted: Vec::new() };
        let (mut number, mut second) = (0, BEGINNING);
        while long.text.len() < bytes {
            number += 1;
            second += 1;
            if dice.below(one_in) == 0 {
                long.engine(&mut dice, &mut number, second);
            } else {
                long.other(&mut dice, second);
            }
        }
        long
    }

    fn engine(&mut self, dice: &mut Mutator, number: &mut u32, second: i64) {
        let peer = format!("192.0.2.{}", dice.below(250));
        let (level, word, short) = [
            (Level::Error, "error", "ERRO"),
            (Level::Warning, "warning", "WARN"),
            (Level::Info, "info", "INFO"),
        ][dice.below(3)];
        let message = match dice.below(4) {
            0 => format!("Failed to join memberlist [{peer}] on retry: 1 error occurred:\n\t* \"{peer}\"\n"),
            1 => format!("Node {number:x}/{peer}, joined gossip cluster"),
            2 => format!("memberlist: Suspect é{number} has failed, no acks received"),
            _ => format!("Initializing Libnetwork Agent Remote-addr-list=[{peer}]"),
        };
        let inner = match dice.below(4) {
            0 => format!(
                r#"{{"level":"{word}","msg":{},"time":"{}"}}"#,
                serde_json::to_string(&message).unwrap(),
                stamp(second, "%Y-%m-%dT%H:%M:%SZ")
            ),
            1 => format!("{short}[{}] {:<44} ", stamp(second, "%Y-%m-%dT%H:%M:%SZ"), one_line(&message)),
            // 17.03 leaves a space at the end.
            2 => format!(
                "time=\"{}\" level={word} msg={message:?} ",
                stamp(second, "%Y-%m-%dT%H:%M:%S.000000000Z")
            ),
            _ => format!(
                "time=\"{}\" level={word} msg={message:?} module=node/agent",
                stamp(second, "%Y-%m-%dT%H:%M:%S.000000000Z")
            ),
        };
        let message = if inner.starts_with(short) { one_line(&message) } else { message };
        let tag = ["dockerd", "dockerd-current", "docker", "docker.dockerd"][dice.below(4)];
        let mut repeated = 1;
        let line = match dice.below(10) {
            0 => format!("{} h {tag}[12]: {inner}", stamp(second, "%b %e %H:%M:%S")),
            1 => format!("{} h {tag}: {inner}", stamp(second, "%b %e %H:%M:%S")),
            2 => format!("{} h {tag}[12]: {inner}", stamp(second, "%Y-%m-%dT%H:%M:%S.123456+00:00")),
            3 => format!("<30>1 {} h {tag} 12 - - {inner}", stamp(second, "%Y-%m-%dT%H:%M:%S.123456Z")),
            4 => format!("{} h {tag}[12]: {inner}", stamp(second, "%a %Y-%m-%d %H:%M:%S UTC")),
            5 => format!("{second}.123456 h {tag}[12]: {inner}"),
            6 => {
                let record = serde_json::json!({
                    "__REALTIME_TIMESTAMP": format!("{second}000000"), "SYSLOG_IDENTIFIER": "dockerd",
                    "_PID": "12", "PRIORITY": "6", "MESSAGE": inner,
                });
                record.to_string()
            }
            7 => {
                let record = serde_json::json!({
                    "__REALTIME_TIMESTAMP": format!("{second}000000"), "SYSLOG_IDENTIFIER": "dockerd",
                    "_PID": "12", "MESSAGE": inner.as_bytes(),
                });
                record.to_string()
            }
            8 => {
                repeated = 5;
                let stamp = stamp(second, "%b %e %H:%M:%S");
                format!("{stamp} h {tag}[12]: message repeated 5 times: [ {inner}]")
            }
            _ => {
                repeated = 3;
                let stamp = stamp(second, "%b %e %H:%M:%S");
                format!("{stamp} h {tag}[12]: {inner}\n{stamp} h last message repeated 2 times")
            }
        };
        self.planted.push(Planted { number: *number, second, level, message, repeated });
        *number += line.matches('\n').count() as u32;
        writeln!(self.text, "{line}").unwrap();
    }

    /// What stands around the engine's lines, some of which looks like them.
    fn other(&mut self, dice: &mut Mutator, second: i64) {
        let at = stamp(second, "%b %e %H:%M:%S");
        let inner = "time=\"2026-08-02T10:11:12Z\" level=error msg=\"agent: session failed\"";
        let line = match dice.below(8) {
            0 => format!("{at} h sshd[{second}]: Accepted publickey for dockerd from 192.0.2.7"),
            1 => format!("{at} h CRON[1]: (root) CMD (docker system prune)"),
            2 => format!("{at} h systemd[1]: Started Session {second} of user root."),
            3 => format!("{at} h kernel: usb 1-1: new device {second}"),
            // A container whose log driver is syslog, or journald.
            4 => format!("{at} h 4f66ad9c0b1e[812]: {inner}"),
            5 => format!(
                r#"{{"SYSLOG_IDENTIFIER":"dockerd","CONTAINER_ID":"4f66ad9c0b1e","MESSAGE":{inner:?}}}"#
            ),
            6 => format!("{at} h traefik: {inner}"),
            _ => format!("{at} h NetworkManager[701]: <info>  [{second}.1] device (veth1a2b3c4): carrier"),
        };
        writeln!(self.text, "{line}").unwrap();
    }

    /// Holds what was read against what was put in; line numbers only where all lines were read.
    fn is(&self, lines: &[Line], numbered: bool) {
        assert_eq!(lines.len(), self.planted.len());
        for (line, planted) in lines.iter().zip(&self.planted) {
            let seen = (line.level, line.message.as_str(), line.repeated, line.program);
            let expected = (planted.level, planted.message.as_str(), planted.repeated, Program::Engine);
            assert_eq!(seen, expected, "line {}", planted.number);
            assert_eq!(line.at.map(|at| at.as_second()), Some(planted.second), "line {}", planted.number);
            assert!(!numbered || line.number == planted.number);
        }
    }
}

fn stamp(second: i64, form: &str) -> String {
    jiff::Timestamp::from_second(second).unwrap().strftime(form).to_string()
}

/// On a terminal a message is written as it is, so one of several lines is no line of a log.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn reading(long: &Long) -> Reading {
    let written = jiff::Timestamp::from_second(BEGINNING + long.text.lines().count() as i64).unwrap();
    Reading { written, offset_seconds: 0, since: None }
}

fn filtered(text: &str) -> String {
    let mut filter = LineFilter::default();
    text.split_inclusive('\n').filter(|line| filter.takes(line)).collect()
}

#[test]
fn finds_in_a_long_log_just_what_was_put_there() {
    for (seed, one_in) in [(1, 2), (2, 10), (3, 100)] {
        let long = Long::of(seed, 300_000, one_in);
        assert!(long.planted.len() > 5);
        long.is(&read("messages", &long.text, &reading(&long)).lines, true);
        // A collector keeps these lines alone, and no more than these.
        let kept = filtered(&long.text);
        long.is(&read("messages", &kept, &reading(&long)).lines, false);
        let twice = long.planted.iter().filter(|planted| planted.repeated == 3).count();
        assert_eq!(kept.lines().count(), long.planted.len() + twice);
    }
}

/// `cargo test -p swarm-facts --release -- --ignored --nocapture fifty`: figures for people, not a verdict.
#[test]
#[ignore = "it measures, and takes a while"]
#[expect(clippy::print_stdout, reason = "figures for whoever runs it")]
fn measures_fifty_megabytes() {
    let long = Long::of(42, 50_000_000, 50);
    let megabytes = long.text.len() as f64 / 1e6;
    let began = std::time::Instant::now();
    let lines = long.text.lines().map(str::len).max();
    let walked = began.elapsed().as_secs_f64();
    let began = std::time::Instant::now();
    let kept = filtered(&long.text);
    let filtering = began.elapsed().as_secs_f64();
    let began = std::time::Instant::now();
    long.is(&read("messages", &kept, &reading(&long)).lines, false);
    let reader = began.elapsed().as_secs_f64();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{megabytes:.0} MB, longest line {lines:?}: filter {:.0} MB/s, {:.1} times a walk over the lines; kept {:.1} %, \
         read in {reader:.2} s; load {load}",
        megabytes / filtering,
        filtering / walked,
        100.0 * kept.len() as f64 / long.text.len() as f64,
    );
}
