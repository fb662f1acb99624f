//! The report as metrics, for the textfile collector and for `serve`. The number of series is bounded by the number of
//! checks, of other nodes and of causes, so that a very unhealthy swarm does not make too many.

use super::text::clean;
use super::{Format, TOOL_VERSION};
use crate::judge::{Diagnosis, Link, Status};
use crate::matrix::State;
use checks::Severity;
use std::io::{self, Write};

/// How many causes have a series.
const CAUSES: usize = 50;

/// Metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prometheus;

impl Format for Prometheus {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let header = &diagnosis.header;
        let mut sheet = Sheet { out };
        sheet.gauge("swarm_doctor_info", "Version of swarm-doctor, and what it examined.")?;
        let info = [
            ("version", TOOL_VERSION),
            ("engine", header.engine.as_deref().unwrap_or_default()),
            ("role", &header.role),
            ("cluster", header.cluster_id.as_deref().unwrap_or_default()),
        ];
        sheet.value("swarm_doctor_info", &info, "1")?;
        sheet.gauge("swarm_doctor_last_run_timestamp_seconds", "When the facts were collected.")?;
        sheet.value("swarm_doctor_last_run_timestamp_seconds", &[], &header.taken.as_second().to_string())?;
        sheet.gauge("swarm_doctor_run_duration_seconds", "How long collecting the facts took.")?;
        sheet.value("swarm_doctor_run_duration_seconds", &[], &seconds(header.took_ms * 1000))?;
        checks(diagnosis, &mut sheet)?;
        findings(diagnosis, &mut sheet)?;
        peers(diagnosis, &mut sheet)
    }
}

fn checks(diagnosis: &Diagnosis, sheet: &mut Sheet<'_>) -> io::Result<()> {
    const NAME: &str = "swarm_doctor_check_status";
    sheet.gauge(
        NAME,
        "How a check ended: 0 healthy, 1 skipped, 2 unknown, 3 info, 4 warning, 5 error, -1 ignored.",
    )?;
    for verdict in &diagnosis.verdicts {
        let category = verdict.check.split('/').next().unwrap_or_default();
        let value = match verdict.status {
            Status::Healthy => "0",
            Status::Skipped => "1",
            Status::Unknown => "2",
            Status::Info => "3",
            Status::Warning => "4",
            Status::Error => "5",
            Status::Ignored => "-1",
        };
        sheet.value(NAME, &[("check", &verdict.check), ("category", category)], value)?;
    }
    const CHECKS: &str = "swarm_doctor_checks";
    sheet.gauge(CHECKS, "Number of checks by how they ended.")?;
    for status in [
        Status::Healthy,
        Status::Skipped,
        Status::Unknown,
        Status::Ignored,
        Status::Info,
        Status::Warning,
        Status::Error,
    ] {
        sheet.value(CHECKS, &[("status", status.as_str())], &diagnosis.count(status).to_string())?;
    }
    Ok(())
}

fn findings(diagnosis: &Diagnosis, sheet: &mut Sheet<'_>) -> io::Result<()> {
    const NAME: &str = "swarm_doctor_findings";
    sheet.gauge(NAME, "Number of findings by severity, consequences included.")?;
    for severity in [Severity::Info, Severity::Warning, Severity::Error] {
        let number = diagnosis.all_findings().filter(|finding| finding.severity == severity).count();
        sheet.value(NAME, &[("severity", severity.as_str())], &number.to_string())?;
    }
    const CAUSE: &str = "swarm_doctor_cause";
    sheet.gauge(CAUSE, "A root cause, by its rank; the first 50.")?;
    // A check may have two findings on one subject, and a series must be unique.
    let mut listed: Vec<(&str, String)> = Vec::new();
    for (at, cause) in diagnosis.findings.iter().take(CAUSES).enumerate() {
        let found = &cause.finding;
        let key = (found.check.as_ref(), found.subject.to_string());
        if listed.contains(&key) {
            continue;
        }
        let labels = [("check", key.0), ("subject", &key.1), ("severity", found.severity.as_str())];
        sheet.value(CAUSE, &labels, &(at + 1).to_string())?;
        listed.push(key);
    }
    Ok(())
}

/// The paths from the examined node. Paths between other nodes belong to the runs there.
fn peers(diagnosis: &Diagnosis, sheet: &mut Sheet<'_>) -> io::Result<()> {
    let map = &diagnosis.map;
    let host = diagnosis.header.host.as_str();
    let here = map.spots.iter().position(|spot| spot.looked_at && spot.label == host);
    let mut links: Vec<(&Link, [(&str, &str); 2])> = map
        .links
        .iter()
        .filter(|link| Some(link.from) == here)
        .filter_map(|link| {
            let spot = map.spots.get(link.to)?;
            Some((link, [("peer", spot.label.as_str()), ("addr", spot.addr.as_deref().unwrap_or_default())]))
        })
        .collect();
    links.dedup_by(|(_, one), (_, other)| one == other);
    const REACHABLE: &str = "swarm_doctor_peer_reachable";
    sheet
        .gauge(REACHABLE, "Whether a path to another node works: 1 yes, 0 no; absent where it is unknown.")?;
    for (link, peer) in &links {
        for path in &link.paths {
            let value = match path.state {
                State::Proven => "1",
                State::Refuted => "0",
                State::Unknown | State::None => continue,
            };
            let [name, addr] = *peer;
            sheet.value(REACHABLE, &[name, addr, ("layer", &path.layer.to_string())], value)?;
        }
    }
    const RTT: &str = "swarm_doctor_peer_rtt_seconds";
    sheet.gauge(RTT, "Round-trip time of an ICMP echo to another node.")?;
    for (link, peer) in &links {
        if let Some(micros) = link.echo_us {
            sheet.value(RTT, peer, &seconds(micros))?;
        }
    }
    Ok(())
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

struct Sheet<'a> {
    out: &'a mut dyn Write,
}

impl Sheet<'_> {
    fn gauge(&mut self, name: &str, help: &str) -> io::Result<()> {
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} gauge")
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: &str) -> io::Result<()> {
        let labels: Vec<String> =
            labels.iter().map(|(key, text)| format!("{key}=\"{}\"", label(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(self.out, "{name}{labels} {value}")
    }
}

/// The value of a label.
fn label(text: &str) -> String {
    clean(text, false).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_series_tell_checks_findings_and_peers() {
        let mut out = Vec::new();
        Prometheus.render(&sample::rich(), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        for line in [
            "swarm_doctor_run_duration_seconds 0.084000",
            "swarm_doctor_last_run_timestamp_seconds 1772334764",
            "swarm_doctor_check_status{check=\"swarm/lost-quorum\",category=\"swarm\"} 5",
            "swarm_doctor_checks{status=\"error\"} 2",
            "swarm_doctor_findings{severity=\"error\"} 2",
            "swarm_doctor_cause{check=\"swarm/stale-advertise-addr\",subject=\"m3\",severity=\"error\"} 1",
            "swarm_doctor_peer_reachable{peer=\"m2\",addr=\"10.0.1.2\",layer=\"2377/tcp\"} 1",
            "swarm_doctor_peer_reachable{peer=\"m3\",addr=\"10.0.1.3\",layer=\"2377/tcp\"} 0",
            "swarm_doctor_peer_rtt_seconds{peer=\"m2\",addr=\"10.0.1.2\"} 0.000310",
        ] {
            assert!(shown.lines().any(|other| other == line), "{line} is missing in\n{shown}");
        }
    }

    #[test]
    fn a_label_cannot_end_itself() {
        assert_eq!(label("a\"} 1\nb\\"), "a\\\"} 1⏎b\\\\");
    }
}
