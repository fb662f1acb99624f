//! Reads the log lines of the engine, of systemd about its units, and of the kernel.
//!
//! A line has two layers. The outer one is of syslog or journald (`syslog`, `journal`) and may be missing; the
//! inner one is written by the engine (`logrus`).

mod escape;
mod journal;
mod logins;
mod logrus;
#[cfg(test)]
mod long;
mod merge;
mod names;
mod reader;
mod redact;
mod relevance;
mod stamp;
mod syslog;
mod tokens;

pub use merge::merge;
pub(in crate::parse) use names::is_secret;
pub use reader::{Reading, read};
pub use redact::redact;

use relevance::relevance;
use syslog::Outer;

/// Whether [`read`] can use a line of a log. Fast, so that a collector can drop the rest of `/var/log/messages` before it
/// stores anything.
///
/// A line without an outer layer is always relevant, because it may belong to an engine that logs to a file. So is
/// `last message repeated`, but only together with the line before: see [`LineFilter`].
pub fn is_relevant(line: &str) -> bool {
    let line = syslog::trimmed(line);
    if line.is_empty() || syslog::is_separator(line) {
        return false;
    }
    if journal::is_record(line) {
        return journal::is_relevant(line);
    }
    Outer::open(line)
        .is_none_or(|outer| outer.repeats().is_some() || relevance(outer.tag, outer.text).is_some())
}

/// Selects the lines of one file that [`read`] can use. It has to see all lines in order, because `last message repeated
/// 5 times` refers to the line before.
#[derive(Clone, Debug, Default)]
pub struct LineFilter {
    took_last: bool,
}

impl LineFilter {
    /// Whether to keep the next line of the file.
    pub fn takes(&mut self, line: &str) -> bool {
        if !syslog::repeats_last(line) {
            self.took_last = is_relevant(line);
        }
        self.took_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Level, Line, Log, Program};

    /// Mutates text, the same way on every run.
    pub(in crate::parse::log) struct Mutator(u64);

    impl Mutator {
        pub(in crate::parse::log) fn new(seed: u64) -> Self {
            Self(seed)
        }

        /// A number below the limit (xorshift64*).
        pub(in crate::parse::log) fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
        }

        /// The text with a few places cut, doubled, overwritten or filled with syntax of the formats.
        pub(in crate::parse::log) fn mutated(&mut self, text: &str) -> String {
            const PIECES: &[&str] = &[
                "\"",
                "\\",
                "=",
                " ",
                "  ",
                ":",
                "[",
                "]",
                "{",
                "}",
                "<",
                ">",
                "#012",
                "\u{1b}[3",
                "é",
                "\0",
                "\n",
                "\\x",
                "\\u12",
                "time=\"",
                "level=",
                "\u{feff}",
                "docker",
                "kernel: IPVS:",
                "99999999999",
                "-- ",
                "***",
                "@",
                "last message repeated 3 times",
                "message repeated 2 times: [ ",
                "\"MESSAGE\":",
                "TOKEN=",
                "://",
                "'",
            ];
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=self.below(4) {
                let at = self.below(bytes.len() + 1);
                match self.below(5) {
                    0 => bytes.truncate(at),
                    1 => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].bytes())),
                    2 => drop(bytes.drain(at..bytes.len().min(at + 1 + self.below(8)))),
                    3 => {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = self.0 as u8;
                        }
                    }
                    _ => {
                        let end = bytes.len().min(at + self.below(20));
                        let piece = bytes[at..end].to_vec();
                        drop(bytes.splice(at..at, piece));
                    }
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }

    fn reading() -> Reading {
        Reading { written: "2026-09-01T00:00:00Z".parse().unwrap(), offset_seconds: 7200, since: None }
    }

    fn log(text: &str) -> Log {
        read("messages", text, &reading())
    }

    fn line(text: &str) -> Line {
        assert!(is_relevant(text), "{text}");
        let mut lines = log(text).lines;
        assert_eq!(lines.len(), 1, "{text}");
        lines.remove(0)
    }

    fn at(line: &Line) -> String {
        line.at.map(|at| at.to_string()).unwrap_or_default()
    }

    fn messages(log: &Log) -> Vec<&str> {
        log.lines.iter().map(|line| line.message.as_str()).collect()
    }

    const INNER: &str = r#"time="2026-08-02T10:11:12.123456789+02:00" level=error msg="agent: session failed" error="x" module=node/agent"#;

    const SEED: &str = r#"Mar 17 02:27:48 localhost dockerd: time="2017-03-17T02:27:48.650544962-04:00" level=error msg="Failed to join memberlist [172.20.10.3] on retry: 1 error(s) occurred:\n\n* Failed to join 172.20.10.3: dial tcp 172.20.10.3:7946: getsockopt: connection refused"
Mar 17 02:27:49 localhost dockerd: time="2017-03-17T02:27:49.650392919-04:00" level=error msg="Failed to join memberlist [172.20.10.3] on retry: 1 error(s) occurred:\n\n* Failed to join 172.20.10.3: dial tcp 172.20.10.3:7946: getsockopt: connection refused"
Mar  6 15:05:45 localhost dockerd-current: time="2017-03-06T15:05:45.628495856-05:00" level=info msg="{Action=networks, Username=root, LoginUID=0, PID=3581}"
Mar  6 15:07:01 localhost dockerd-current: time="2017-03-06T15:07:01.848843383-05:00" level=info msg="{Action=leave, Username=root, LoginUID=0, PID=3588}"
Mar  6 15:07:28 localhost dockerd-current: time="2017-03-06T15:07:28.444636373-05:00" level=info msg="{Action=join, Username=root, LoginUID=0, PID=3592}"
Mar  6 15:07:28 localhost dockerd-current: time="2017-03-06T15:07:28.447964027-05:00" level=warning msg="Could not find ingress network while leaving: network ingress not found"
Mar  6 15:07:28 localhost dockerd-current: time="2017-03-06T15:07:28.463132389-05:00" level=info msg="Waiting for TLS certificate to be issued..."
Mar  6 15:07:28 localhost dockerd-current: time="2017-03-06T15:07:28.469101946-05:00" level=info msg="Downloaded new TLS credentials with role: swarm-worker."
Mar  6 15:07:28 localhost dockerd-current: time="2017-03-06T15:07:28.547430841-05:00" level=info msg="{Action=01oa7e502xhbsgo7681brbmxn, Username=root, LoginUID=0, PID=3592}"
Mar  6 15:14:45 localhost dockerd-current: time="2017-03-06T15:14:45.923136031-05:00" level=info msg="{Action=join, Username=root, LoginUID=0, PID=2500}"
Mar  6 15:14:45 localhost dockerd-current: time="2017-03-06T15:14:45.967385587-05:00" level=info msg="Waiting for TLS certificate to be issued..."
Mar  6 15:14:45 localhost dockerd-current: time="2017-03-06T15:14:45.974734682-05:00" level=info msg="Downloaded new TLS credentials with role: swarm-worker."
Mar  6 15:14:46 localhost dockerd-current: time="2017-03-06T15:14:46.075697387-05:00" level=info msg="Initializing Libnetwork Agent Listen-Addr=0.0.0.0 Local-addr=192.168.0.122 Adv-addr=192.168.0.122 Remote-addr =192.168.0.191"
Mar  6 15:14:46 localhost dockerd-current: time="2017-03-06T15:14:46.075744718-05:00" level=info msg="Gossip cluster hostname node2-650c2ff501e4"
Mar  6 15:14:46 localhost dockerd-current: time="2017-03-06T15:14:46.109140645-05:00" level=info msg="{Action=1n8aitz5d4omfuu3n69m4jt3e, Username=root, LoginUID=0, PID=2500}""#;

    #[test]
    fn keeps_the_seed_lines_verbatim() {
        assert!(SEED.lines().all(is_relevant));
        let log = log(SEED);
        assert_eq!(log.lines.len(), 15);
        let first = &log.lines[0];
        assert_eq!(
            first.message,
            "Failed to join memberlist [172.20.10.3] on retry: 1 error(s) occurred:\n\n* Failed to join 172.20.10.3: dial tcp 172.20.10.3:7946: getsockopt: connection refused"
        );
        assert_eq!((at(first).as_str(), first.level), ("2017-03-17T06:27:48.650544962Z", Level::Error));
        assert_eq!((first.number, first.host.as_deref(), first.pid), (1, Some("localhost"), None));
        assert_eq!(log.lines[3].message, "{Action=leave, Username=root, LoginUID=0, PID=3588}");
        assert_eq!(log.lines[5].level, Level::Warning);
        assert!(log.lines[12].message.ends_with("Remote-addr =192.168.0.191"));
        for (line, raw) in log.lines.iter().zip(SEED.lines()) {
            assert!(line.fields.is_empty() && !line.truncated && line.program == Program::Engine, "{raw}");
            assert!(raw.ends_with(&format!("msg={:?}", line.message)), "{raw}");
        }
    }

    #[test]
    fn reads_the_engine_behind_every_outer_layer() {
        for before in [
            "Aug  2 10:11:12 h dockerd[12]: ",
            "Aug  2 10:11:12 h docker[12]: ",
            "Aug  2 10:11:12 h docker.dockerd[12]: ",
            "Aug  2 10:11:12 h dockerd-current[12]: ",
            "Aug  2 10:11:12 h root[12]: ",
            "2026-08-02T10:11:12.123456+02:00 h dockerd[12]: ",
            "<30>1 2026-08-02T10:11:12.123456+02:00 h dockerd 12 - - ",
            "<27>1 2026-08-02T10:11:12.123456+02:00 h dockerd 12 ID [x@1 y=\"\\]\"] \u{feff}",
            "Aug 02 10:11:12 h dockerd[12]: ",
            "Aug 02 10:11:12.123456 h dockerd[12]: ",
            "2026-08-02T10:11:12+0200 h dockerd[12]: ",
            "2026-08-02T10:11:12.123456+0200 h dockerd[12]: ",
            "Sun 2026-08-02 10:11:12 CEST h dockerd[12]: ",
            "1785658272.123456 h dockerd[12]: ",
            "Aug 02 10:11:12 dockerd[12]: ",
        ] {
            let line = line(&format!("{before}{INNER}\r\n"));
            assert_eq!((line.program, line.pid), (Program::Engine, Some(12)), "{before}");
            assert_eq!(at(&line), "2026-08-02T08:11:12.123456789Z");
            assert_eq!((line.level, line.message.as_str()), (Level::Error, "agent: session failed"));
            assert_eq!(line.fields["module"], "node/agent");
        }
    }

    #[test]
    fn reads_an_engine_that_has_no_outer_layer() {
        let text =
            format!("{INNER}\npanic: x\n\ngoroutine 1 [running]:\nmain.main()\n\t/go/src/x.go:1 +0x1\n");
        let log = log(&text);
        let panic = [
            "agent: session failed",
            "panic: x",
            "goroutine 1 [running]:",
            "main.main()",
            "\t/go/src/x.go:1 +0x1",
        ];
        assert_eq!(messages(&log), panic);
        assert_eq!(log.lines[4].number, 6);
        assert!(log.lines[1..].iter().all(|line| line.at.is_none() && line.level == Level::Unknown));
    }

    #[test]
    fn keeps_messages_written_without_the_logger() {
        for text in [
            "panic: invalid freelist page: 7, page type is leaf",
            "fatal error: concurrent map writes",
            "goroutine 42 [running]:",
            "runtime: goroutine stack exceeds 1000000000-byte limit",
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character",
            "failed to start daemon: error while opening volume store metadata database: timeout",
            "failed to start cluster component: could not find local IP address",
            "sync duration of 6.1s, expected less than 1s",
        ] {
            for before in ["", "Aug  2 10:11:12 h dockerd[12]: "] {
                let line = line(&format!("{before}{text}"));
                assert_eq!((line.message.as_str(), line.level), (text, Level::Unknown));
            }
        }
        assert!(log("\tat java.lang.Thread.run(Thread.java:1)").lines.is_empty());
    }

    #[test]
    fn reads_an_engine_behind_an_unknown_layer() {
        let line = line(&format!("h;daemon.info;dockerd[12];{INNER}"));
        assert_eq!(line.message, "agent: session failed");
        assert!(log(&format!("h;daemon.info;traefik[12];{INNER}")).lines.is_empty());
        assert!(log("h;daemon.info;sshd[12];nothing").lines.is_empty());
    }

    #[test]
    fn reads_every_inner_format_behind_syslog() {
        for inner in [
            r#"{"level":"error","module":"node/agent","msg":"agent: session failed","time":"2026-08-02T10:11:12Z"}"#,
            "ERRO[0001] agent: session failed                        module=node/agent",
            "#033[31mERRO#033[0m[0001] agent: session failed   #033[31mmodule#033[0m=node/agent",
        ] {
            let line = line(&format!("Aug  2 12:11:12 h dockerd[12]: {inner}"));
            assert_eq!((line.level, line.message.as_str()), (Level::Error, "agent: session failed"));
            assert_eq!(
                (line.fields["module"].as_str(), at(&line).as_str()),
                ("node/agent", "2026-08-02T10:11:12Z")
            );
        }
        let bare = r#"{"level":"error","msg":"agent: session failed","time":"2026-08-02T10:11:12Z"}"#;
        assert_eq!(line(bare).message, "agent: session failed");
        assert!(log(r#"{"log":"x\n","stream":"stdout","time":"2026-08-02T10:11:12Z"}"#).lines.is_empty());
    }

    #[test]
    fn reads_the_journal() {
        let record = |tag: &str, message: &str, more: &str| {
            format!(
                r#"{{"__REALTIME_TIMESTAMP":"1785658272123456","_HOSTNAME":"h","PRIORITY":"6","SYSLOG_IDENTIFIER":"{tag}","_PID":"12"{more},"MESSAGE":{message}}}"#
            )
        };
        let line = line(&record("dockerd", r#""level=error msg=x""#, ""));
        assert_eq!((line.level, line.pid, line.host.as_deref()), (Level::Error, Some(12), Some("h")));
        assert_eq!(at(&line), "2026-08-02T08:11:12.123456Z");
        let lines = [
            record("kernel", r#""IPVS: rr: FWM 265 0x00000109 - no destination available""#, ""),
            record("systemd", r#""Started docker.service - Docker Application Container Engine.""#, ""),
            record("dockerd", "[97,255]", r#","_LINE_BREAK":"line-max""#),
            record("dockerd", r#""x""#, r#","CONTAINER_ID":"4f66ad9c0b1e""#),
            record("sshd", r#""x""#, ""),
            record("systemd", r#""Started Session 5.""#, ""),
        ];
        let log = log(&lines.join("\n"));
        let programs: Vec<_> = log.lines.iter().map(|line| (line.program, line.truncated)).collect();
        assert_eq!(programs, [(Program::Kernel, false), (Program::Systemd, false), (Program::Engine, true)]);
    }

    #[test]
    fn counts_a_message_that_the_journal_omits_as_lost() {
        let log = log(
            r#"{"__REALTIME_TIMESTAMP":"1785658272123456","SYSLOG_IDENTIFIER":"dockerd","MESSAGE":null}"#,
        );
        assert_eq!(
            (log.lines.len(), log.lost[0].program, log.lost[0].count),
            (0, Some(Program::Engine), Some(1))
        );
    }

    #[test]
    fn skips_separators_and_other_programs() {
        let text = "-- Logs begin at Sun 2026-08-02 10:11:12 CEST, end at Sun 2026-08-02 10:11:13 CEST. --
-- Journal begins at Sun 2026-08-02 10:11:12 CEST. --
-- Boot 0123456789abcdef0123456789abcdef --
-- Reboot --
-- No entries --

Aug  2 10:11:12 h sshd[1]: Accepted publickey for dockerd
Aug  2 10:11:12 h CRON[1]: (root) CMD (docker ps)
Aug  2 10:11:12 h systemd[1]: Started Session 5 of user docker.
Aug  2 10:11:12 h 4f66ad9c0b1e[1]: time=\"2026-08-02T10:11:12Z\" level=error msg=x
Aug  2 10:11:12 h root: dockerd was here
Aug  2 10:11:12 h kernel: usb 1-1: new device
Aug  2 10:11:12 h";
        assert_eq!(log(text), Log::default());
        assert!(!text.lines().any(is_relevant));
    }

    #[test]
    fn keeps_units_and_the_kernel_without_its_uptime() {
        let unit = line(
            "Aug  2 10:11:12 h systemd[1]: docker.service: Main process exited, code=exited, status=1/FAILURE",
        );
        assert_eq!((unit.program, unit.level, unit.pid), (Program::Systemd, Level::Unknown, Some(1)));
        assert_eq!(at(&unit), "2026-08-02T08:11:12Z");
        for text in [
            "Aug  2 10:11:12 h kernel: [12345.678901] IPVS: [rr] scheduler registered.",
            "Aug  2 10:11:12 h kernel: IPVS: [rr] scheduler registered.",
            "[Sun Aug  2 10:11:12 2026] IPVS: [rr] scheduler registered.",
        ] {
            let line = line(text);
            assert_eq!(
                (line.program, line.message.as_str()),
                (Program::Kernel, "IPVS: [rr] scheduler registered.")
            );
            assert_eq!(at(&line), "2026-08-02T08:11:12Z");
        }
        assert_eq!(line("[12345.678901] IPVS: x").at, None);
    }

    #[test]
    fn undoes_octal_escapes_of_plain_lines_only() {
        assert_eq!(line("Aug  2 10:11:12 h dockerd: panic: x#012#011y").message, "panic: x\n\ty");
        assert_eq!(line(r#"Aug  2 10:11:12 h dockerd: level=info msg="task #012""#).message, "task #012");
    }

    #[test]
    fn multiplies_repetitions() {
        let folded = line(&format!("Aug  2 10:11:12 h dockerd[12]: message repeated 5 times: [ {INNER}]"));
        assert_eq!((folded.repeated, folded.message.as_str()), (5, "agent: session failed"));
        assert_eq!(folded.fields["module"], "node/agent");
        let text = "Aug  2 10:11:12 h dockerd: a
Aug  2 10:11:13 h last message repeated 2 times
Aug  2 10:11:14 h last message repeated 3 times
Aug  2 10:11:15 h sshd: b
Aug  2 10:11:16 h last message repeated 7 times";
        let log = log(text);
        assert_eq!((log.lines.len(), log.lines[0].repeated), (1, 6));
    }

    #[test]
    fn keeps_repetitions_with_the_line_they_refer_to() {
        let text = [
            "Aug  2 10:11:16 h last message repeated 7 times",
            "Aug  2 10:11:12 h dockerd: a",
            "Aug  2 10:11:13 h last message repeated 2 times",
            "Aug  2 10:11:15 h sshd: b",
            "Aug  2 10:11:16 h last message repeated 7 times",
        ];
        let mut filter = LineFilter::default();
        assert_eq!(text.map(|line| filter.takes(line)), [false, true, true, false, false]);
    }

    #[test]
    fn records_lost_lines() {
        let text = "Aug  2 10:11:12 h systemd-journald[1]: Suppressed 1234 messages from docker.service
Aug  2 10:11:13 h rsyslogd: imjournal: begin to drop messages due to rate-limiting";
        assert!(text.lines().all(is_relevant));
        let lost = log(text).lost;
        assert_eq!((lost[0].program, lost[0].count, lost[0].number), (Some(Program::Engine), Some(1234), 1));
        assert_eq!(lost[0].at, "2026-08-02T08:11:12Z".parse().ok());
        assert_eq!(lost[1].text, "imjournal: begin to drop messages due to rate-limiting");
    }

    #[test]
    fn leaves_out_older_lines_and_their_continuations() {
        let text = "time=\"2026-08-01T10:00:00Z\" level=info msg=old\npanic: old\ntime=\"2026-08-03T10:00:00Z\" level=info msg=new\npanic: new";
        let since = "2026-08-02T00:00:00Z".parse().ok();
        let log = read("docker.log", text, &Reading { since, ..reading() });
        assert_eq!(messages(&log), ["new", "panic: new"]);
    }

    #[test]
    fn takes_the_year_from_the_lines_around() {
        let text = "Dec 31 23:59:58 h kernel: IPVS: a
Jan  1 00:00:01 h dockerd: time=\"2021-01-01T00:00:01Z\" level=info msg=b
Jan  1 00:00:02 h kernel: IPVS: c
";
        let log = log(text);
        let times: Vec<_> = log.lines.iter().map(at).collect();
        assert_eq!(times[..2], ["2020-12-31T23:59:58Z", "2021-01-01T00:00:01Z"]);
    }

    #[test]
    fn never_panics_and_drops_nothing_readable() {
        let record = format!(
            r#"{{"__REALTIME_TIMESTAMP":"1785658272123456","SYSLOG_IDENTIFIER":"dockerd","_PID":"12","MESSAGE":{INNER:?}}}"#
        );
        let plain = format!("<30>1 2026-08-02T10:11:12.123456+02:00 h dockerd 12 ID [x@1 y=\"\\]\"] {INNER}");
        let more = [
            record.as_str(),
            plain.as_str(),
            "Aug  2 10:11:12 h kernel: [12345.678901] IPVS: rr: FWM 265 0x00000109 - no destination available",
            "Sun 2026-08-02 10:11:12 CEST h systemd[1]: Started Docker Application Container Engine.",
            "2026-08-02T10:11:12.123456+0200 h systemd-journald[1]: Suppressed 1234 messages from docker.service",
            "Aug 02 10:11:12 h dockerd[12]: message repeated 5 times: [ level=info msg=\"x\\n\\u00e9\"]",
            "1785658272.123456 h dockerd[12]: #033[31mERRO#033[0m[0001] x    a=b",
            "Aug  2 10:11:12 h last message repeated 5 times",
            "Aug  2 10:11:12 h sshd[12]: Accepted publickey for root",
            "[Sun Aug  2 10:11:12 2026] IPVS: x",
            "INFO[0001] API listen on x                 addr=\"a b\" module=x",
            r#"{"error":"a \u003cb\u003e","level":"warning","msg":"x","time":"2026-08-22T10:11:12.5Z"}"#,
            "goroutine 1 [running]:",
        ];
        let lines: Vec<_> = SEED.lines().chain(more).collect();
        let mut mutator = Mutator::new(42);
        for round in 0..30_000 {
            let text = mutator.mutated(lines[round % lines.len()]);
            read("messages", &text, &reading());
            for line in text.lines() {
                if !is_relevant(line) {
                    assert_eq!(log(line), Log::default(), "{line}");
                }
            }
        }
    }
}
