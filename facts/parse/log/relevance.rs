//! Which lines are relevant, by their tag and a few words.

use super::logrus;
use super::syslog::unfolded;
use crate::log::Program;

/// The relevance of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Relevance {
    /// A line of this program.
    Line(Program),
    /// A sign that lines are missing: of this program, or of any.
    Lost(Option<Program>),
}

/// The relevance of a line, if it has any.
pub(super) fn relevance(tag: &str, text: &str) -> Option<Relevance> {
    let line = |program| Some(Relevance::Line(program));
    match tag {
        "dockerd" | "docker" | "dockerd-current" | "docker-current" | "docker.dockerd" | "docker.service" => {
            line(Program::Engine)
        }
        "containerd" | "docker-containerd" | "docker-containerd-current" | "containerd.service" => {
            line(Program::Containerd)
        }
        "kernel" if text.contains(" callbacks suppressed") => Some(Relevance::Lost(Some(Program::Kernel))),
        "kernel" if has_any(text, KERNEL) => line(Program::Kernel),
        "systemd" | "init.scope" if has_any(text, UNITS) => line(Program::Systemd),
        // `logger` without a tag: an engine may be piped into it, and so may other programs.
        "root" if logrus::is_logrus(unfolded(text).1) => line(Program::Engine),
        "journal" => journald_lost(text),
        _ if tag.starts_with("systemd-journal") => journald_lost(text),
        _ if tag.starts_with("rsyslogd") && has_any(text, RSYSLOG) => Some(Relevance::Lost(None)),
        _ => None,
    }
}

/// Kernel messages that matter to a swarm. Wordings vary: older kernels have `ip_conntrack` and "neighbour".
const KERNEL: &[&str] = &[
    "IPVS:",
    "vxlan",
    "conntrack: table full",
    "eighbor table overflow",
    "eighbour table overflow",
    "ut of memory",
    "entered disabled state",
    "I/O error",
    "EXT4-fs error",
    "blocked for more than",
];

/// The names of the units in systemd's messages: `docker.service: Main process exited`, `Started Docker Application Container
/// Engine.`, and for a snap `Started Service for snap application docker.dockerd.`. The mount units of
/// containers, of which there are thousands, are not among them.
const UNITS: &[&str] = &[
    "docker.service",
    "Docker Application Container Engine",
    "docker.socket",
    "Docker Socket for the API",
    "docker.dockerd",
    "containerd.service",
    "containerd container runtime",
];

/// `imuxsock lost 33 messages from pid 1 due to rate-limiting`, `imjournal: begin to drop messages due to
/// rate-limiting`.
const RSYSLOG: &[&str] = &["rate-limiting", "imuxsock lost", "begin to drop messages"];

/// `Suppressed 1234 messages from docker.service` (a path in old journald), `Missed 3 kernel messages`,
/// `Forwarding to syslog missed 3 messages.`
fn journald_lost(text: &str) -> Option<Relevance> {
    if text.starts_with("Suppressed ") {
        let of = |units: &[&str], program| has_any(text, units).then_some(Relevance::Lost(Some(program)));
        return of(&["docker.service", "docker.dockerd"], Program::Engine)
            .or_else(|| of(&["containerd.service"], Program::Containerd));
    }
    if text.starts_with("Missed ") && text.contains("kernel messages") {
        return Some(Relevance::Lost(Some(Program::Kernel)));
    }
    text.starts_with("Forwarding to syslog missed ").then_some(Relevance::Lost(None))
}

/// The number of lines that a sign of missing lines gives.
pub(super) fn lost_count(text: &str) -> Option<u64> {
    let mut last = None;
    for word in text.split_ascii_whitespace() {
        if word.starts_with("messages") || word.starts_with("callbacks") {
            return last;
        }
        // The word between is `kernel` at most.
        last = word.parse().ok().or(last.filter(|_| word == "kernel"));
    }
    None
}

fn has_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_kernel_line_that_matters() {
        for text in [
            "vxlan: non-ECT from 10.0.0.1",
            "nf_conntrack: table full, dropping packet",
            "nf_conntrack: nf_conntrack: table full, dropping packet",
            "ip_conntrack: table full, dropping packet.",
            "neighbour: arp_cache: neighbor table overflow!",
            "Neighbour table overflow.",
            "Out of memory: Killed process 12 (dockerd)",
            "Memory cgroup out of memory: Killed process 12 (java)",
            "IPVS: rr: FWM 265 0x00000109 - no destination available",
            "IPVS: [rr] scheduler registered.",
            "IPVS: Registered protocols (TCP, UDP, SCTP, AH, ESP)",
            "br0: port 2(veth0) entered disabled state",
            "blk_update_request: I/O error, dev sda, sector 1",
            "EXT4-fs error (device sda1): ext4_find_entry:1455",
            "INFO: task dockerd:12 blocked for more than 120 seconds.",
        ] {
            assert_eq!(relevance("kernel", text), Some(Relevance::Line(Program::Kernel)), "{text}");
        }
        assert_eq!(relevance("kernel", "usb 1-1: new high-speed USB device"), None);
        assert_eq!(relevance("kernel", "br0: port 2(veth0) entered forwarding state"), None);
    }

    #[test]
    fn keeps_the_units_of_engine_and_containerd_and_no_mounts() {
        for text in [
            "Starting Docker Application Container Engine...",
            "Started docker.service - Docker Application Container Engine.",
            "docker.service: Main process exited, code=exited, status=1/FAILURE",
            "docker.service: Start request repeated too quickly.",
            "docker.service: Failed with result 'oom-kill'.",
            "docker.service: Found left-over process 12 (containerd-shim) in control group while starting unit.",
            "Started containerd container runtime.",
            "Started Service for snap application docker.dockerd.",
            "Listening on Docker Socket for the API.",
        ] {
            assert_eq!(relevance("systemd", text), Some(Relevance::Line(Program::Systemd)), "{text}");
        }
        for text in [
            "Started Session 5 of user root.",
            r"run-docker-runtime\x2drunc-moby-1f-runc.mount: Succeeded.",
            "var-lib-docker-overlay2-1f-merged.mount: Deactivated successfully.",
        ] {
            assert_eq!(relevance("systemd", text), None, "{text}");
        }
    }

    #[test]
    fn recognises_lost_lines_with_program_and_count() {
        let engine = Some(Relevance::Lost(Some(Program::Engine)));
        let kernel = Some(Relevance::Lost(Some(Program::Kernel)));
        for (tag, text, lost, count) in [
            ("systemd-journald", "Suppressed 1234 messages from docker.service", engine, Some(1234)),
            ("journal", "Suppressed 7 messages from /system.slice/docker.service", engine, Some(7)),
            ("systemd-journald", "Suppressed 1234 messages from nginx.service", None, Some(1234)),
            ("systemd-journald", "Missed 12 kernel messages", kernel, Some(12)),
            (
                "systemd-journald",
                "Forwarding to syslog missed 3 messages.",
                Some(Relevance::Lost(None)),
                Some(3),
            ),
            (
                "rsyslogd-2177",
                "imuxsock lost 33 messages from pid 9 due to rate-limiting",
                Some(Relevance::Lost(None)),
                Some(33),
            ),
            (
                "rsyslogd",
                "imjournal: begin to drop messages due to rate-limiting",
                Some(Relevance::Lost(None)),
                None,
            ),
            (
                "rsyslogd",
                "imjournal: 42 messages lost due to rate-limiting (20000 allowed within 600 seconds)",
                Some(Relevance::Lost(None)),
                Some(42),
            ),
            ("kernel", "net_ratelimit: 9 callbacks suppressed", kernel, Some(9)),
            ("rsyslogd", "[origin software=\"rsyslogd\"] start", None, None),
        ] {
            assert_eq!(relevance(tag, text), lost, "{text}");
            assert_eq!(lost_count(text), count, "{text}");
        }
    }

    #[test]
    fn drops_other_programs() {
        for tag in
            ["sshd", "CRON", "", "4f66ad9c0b1e", "docker/4f66ad9c0b1e", "dockerd-rootless", "journal", "root"]
        {
            assert_eq!(relevance(tag, "Started docker.service, time=\"x\" level=info"), None, "{tag}");
        }
        let logrus = r#"time="2026-08-02T10:11:12Z" level=info msg=x"#;
        assert_eq!(relevance("root", logrus), Some(Relevance::Line(Program::Engine)));
    }
}
