//! Which lines are worth a look, told by their tag and a few words.

use super::inner;
use super::outer::unfolded;
use crate::log::Program;

/// What a line is good for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Concern {
    /// A line of this program.
    Says(Program),
    /// A sign that lines are missing: this program's, or anyone's.
    Misses(Option<Program>),
}

/// What a line is good for, if anything.
pub(super) fn concern(tag: &str, text: &str) -> Option<Concern> {
    let said = |by| Some(Concern::Says(by));
    match tag {
        "dockerd" | "docker" | "dockerd-current" | "docker-current" | "docker.dockerd" | "docker.service" => {
            said(Program::Engine)
        }
        "containerd" | "docker-containerd" | "docker-containerd-current" | "containerd.service" => {
            said(Program::Containerd)
        }
        "kernel" if text.contains(" callbacks suppressed") => Some(Concern::Misses(Some(Program::Kernel))),
        "kernel" if has_any(text, KERNEL) => said(Program::Kernel),
        "systemd" | "init.scope" if has_any(text, UNITS) => said(Program::Systemd),
        // `logger` without a tag: people pipe an engine into it, and much else.
        "root" if inner::is_logrus(unfolded(text).1) => said(Program::Engine),
        "journal" => journald_misses(text),
        _ if tag.starts_with("systemd-journal") => journald_misses(text),
        _ if tag.starts_with("rsyslogd") && has_any(text, RSYSLOG) => Some(Concern::Misses(None)),
        _ => None,
    }
}

/// What the kernel says when it matters to a swarm. Names vary: `ip_conntrack` was the older one, and
/// "neighbour" lost its u.
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

/// How systemd names the units: `docker.service: Main process exited`, `Started Docker Application Container
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
fn journald_misses(text: &str) -> Option<Concern> {
    if text.starts_with("Suppressed ") {
        let of = |units: &[&str], program| has_any(text, units).then_some(Concern::Misses(Some(program)));
        return of(&["docker.service", "docker.dockerd"], Program::Engine)
            .or_else(|| of(&["containerd.service"], Program::Containerd));
    }
    if text.starts_with("Missed ") && text.contains("kernel messages") {
        return Some(Concern::Misses(Some(Program::Kernel)));
    }
    text.starts_with("Forwarding to syslog missed ").then_some(Concern::Misses(None))
}

/// How many lines a sign of missing lines speaks of.
pub(super) fn lost(text: &str) -> Option<u64> {
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
    fn wants_every_kernel_line_that_matters() {
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
            assert_eq!(concern("kernel", text), Some(Concern::Says(Program::Kernel)), "{text}");
        }
        assert_eq!(concern("kernel", "usb 1-1: new high-speed USB device"), None);
        assert_eq!(concern("kernel", "br0: port 2(veth0) entered forwarding state"), None);
    }

    #[test]
    fn wants_the_units_of_engine_and_containerd_and_no_mounts() {
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
            assert_eq!(concern("systemd", text), Some(Concern::Says(Program::Systemd)), "{text}");
        }
        for text in [
            "Started Session 5 of user root.",
            r"run-docker-runtime\x2drunc-moby-1f-runc.mount: Succeeded.",
            "var-lib-docker-overlay2-1f-merged.mount: Deactivated successfully.",
        ] {
            assert_eq!(concern("systemd", text), None, "{text}");
        }
    }

    #[test]
    fn tells_whose_lines_are_missing_and_how_many() {
        let engine = Some(Concern::Misses(Some(Program::Engine)));
        let kernel = Some(Concern::Misses(Some(Program::Kernel)));
        for (tag, text, misses, count) in [
            ("systemd-journald", "Suppressed 1234 messages from docker.service", engine, Some(1234)),
            ("journal", "Suppressed 7 messages from /system.slice/docker.service", engine, Some(7)),
            ("systemd-journald", "Suppressed 1234 messages from nginx.service", None, Some(1234)),
            ("systemd-journald", "Missed 12 kernel messages", kernel, Some(12)),
            (
                "systemd-journald",
                "Forwarding to syslog missed 3 messages.",
                Some(Concern::Misses(None)),
                Some(3),
            ),
            (
                "rsyslogd-2177",
                "imuxsock lost 33 messages from pid 9 due to rate-limiting",
                Some(Concern::Misses(None)),
                Some(33),
            ),
            (
                "rsyslogd",
                "imjournal: begin to drop messages due to rate-limiting",
                Some(Concern::Misses(None)),
                None,
            ),
            (
                "rsyslogd",
                "imjournal: 42 messages lost due to rate-limiting (20000 allowed within 600 seconds)",
                Some(Concern::Misses(None)),
                Some(42),
            ),
            ("kernel", "net_ratelimit: 9 callbacks suppressed", kernel, Some(9)),
            ("rsyslogd", "[origin software=\"rsyslogd\"] start", None, None),
        ] {
            assert_eq!(concern(tag, text), misses, "{text}");
            assert_eq!(lost(text), count, "{text}");
        }
    }

    #[test]
    fn wants_nothing_of_others() {
        for tag in
            ["sshd", "CRON", "", "4f66ad9c0b1e", "docker/4f66ad9c0b1e", "dockerd-rootless", "journal", "root"]
        {
            assert_eq!(concern(tag, "Started docker.service, time=\"x\" level=info"), None, "{tag}");
        }
        let logrus = r#"time="2026-08-02T10:11:12Z" level=info msg=x"#;
        assert_eq!(concern("root", logrus), Some(Concern::Says(Program::Engine)));
    }
}
