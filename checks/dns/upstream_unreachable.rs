use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::{Line, Log, Program};
use facts::{Host, Seen, Timestamp};
use regex::Regex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

check! {
    /// An upstream DNS server of the node does not answer questions that containers ask.
    ///
    /// ## Why it matters
    /// The embedded DNS server answers service and task names itself. It forwards all other names to the servers in
    /// `dns:` of the service, in `dns` of daemon.json, or in `/etc/resolv.conf` of the node. If such a server does not
    /// answer, each lookup of an external name waits 4 s for it. If none answers, external names do not resolve in
    /// containers, while service names still do.
    ///
    /// ## How to fix it
    /// Configure DNS servers that containers can reach: with `"dns"` in daemon.json of the node, or with `dns:` in the
    /// service. A server on 127.0.0.1 is asked from the node itself; it has to run there.
    ///
    /// ## When it is wrong
    /// On a node without access to the Internet where a program asks for external names without success.
    ///
    /// Source: moby `daemon/libnetwork/resolver.go`, `exchange` (the lines, from 23.0 on; 20.10 logs them only with
    /// `debug`); moby#34972, moby#27399.
    "dns/upstream-unreachable": Warning, "an upstream DNS server does not answer questions from containers";
    healthy "upstream DNS servers answer questions from containers";
    needs EngineLog, ResolvConf;
    caused_by "host/forward-drop", "host/ip-forward-off", "host/docker-chains-missing", "host/firewall-drops-swarm", "network/no-route",
        "network/bridge-down", "host/bridge-address-missing", "network/subnet-overlap", "dns/server-unreachable";
    for each Host: run
}

/// Failures older than this do not count, in seconds.
const WINDOW_SECONDS: i64 = 600;
/// The last failure must not be older than this, in seconds.
const FRESH_SECONDS: i64 = 180;
/// How many failures count as a fault of the server.
const FAILURES: u32 = 3;

/// The failed questions to one server.
struct Failures<'a> {
    count: u32,
    last: &'a Line,
    name: String,
    error: String,
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let resolv_conf = host.resolv_conf.get();
    let now = log.ends.unwrap_or(view.snapshot.taken);
    for (server, failures) in failures(log, now) {
        let recent = failures.last.at.is_some_and(|at| now.as_second() - at.as_second() <= FRESH_SECONDS);
        if failures.count < FAILURES || !recent {
            continue;
        }
        let summary = format!(
            "DNS server {server} did not answer {} questions of containers on {} in 10 min, such as {}: {}",
            failures.count, host.name, failures.name, failures.error
        );
        let finding =
            out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, failures.last));
        finding.confidence(Confidence::Medium).remedy(remedy(host, server));
        if let Ok(resolv_conf) = &resolv_conf {
            let servers = resolv_conf.servers.join(", ");
            finding.with(Evidence::value(resolv_conf, format!("nameserver {servers}")));
        }
    }
    Ok(())
}

fn remedy(host: &Host, server: IpAddr) -> Remedy {
    let local = if server.is_loopback() {
        format!("check that a DNS server runs on {} at {server}", host.name)
    } else {
        format!("check that {server} answers on 53/udp")
    };
    Remedy {
        title: format!("Configure a DNS server that answers on {}", host.name).into(),
        risk: Risk::Disruptive,
        impact: "The change takes effect in new containers, after a restart of the engine.".into(),
        steps: vec![
            Step::Manual {
                node: host.name.clone().into(),
                text: local,
                commands: vec![format!("dig @{server} +time=2 +tries=1 . NS")],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "if it does not answer, replace it under \"dns\" in /etc/docker/daemon.json, or in \
                       /etc/resolv.conf of the node"
                    .into(),
                commands: Vec::new(),
            },
        ],
    }
}

/// The failed questions for external names, by server.
fn failures(log: &Seen<Log>, now: Timestamp) -> BTreeMap<IpAddr, Failures<'_>> {
    let mut servers: BTreeMap<IpAddr, Failures<'_>> = BTreeMap::new();
    for line in log.lines.iter().filter(|line| line.program == Program::Engine) {
        let in_window =
            line.at.is_some_and(|at| (0..=WINDOW_SECONDS).contains(&(now.as_second() - at.as_second())));
        let Some((server, name)) = question(line).filter(|(_, name)| in_window && is_external(name)) else {
            continue;
        };
        let error = line.fields.get("error").map_or("no answer", |error| reason(error)).to_owned();
        let count = servers.get(&server).map_or(0, |failures| failures.count).saturating_add(line.repeated);
        servers.insert(server, Failures { count, last: line, name, error });
    }
    servers
}

/// `[resolver] failed to query external DNS server` has the server and the question in fields; engines before 26.0
/// have them in the message.
fn question(line: &Line) -> Option<(IpAddr, String)> {
    static MESSAGE: LazyLock<Regex> = LazyLock::new(|| {
        let form = r"^\[resolver\] failed to (?:query|read from) DNS server: (\S+), query: ;(\S+)";
        #[expect(clippy::expect_used, reason = "the pattern is constant")]
        Regex::new(form).expect("the pattern compiles")
    });
    let (server, name) = if line.message == "[resolver] failed to query external DNS server" {
        let server = line.fields.get("dns-server")?;
        let server = server.split_once(':').map_or(server.as_str(), |(_, addr)| addr);
        (server, line.fields.get("question")?.trim_start_matches(';').split_whitespace().next()?)
    } else {
        let found = MESSAGE.captures(&line.message)?;
        (found.get(1)?.as_str(), found.get(2)?.as_str())
    };
    let server: std::net::SocketAddr = server.parse().ok()?;
    Some((server.ip(), name.trim_end_matches('.').to_owned()))
}

/// Whether a name belongs to an external zone. A name without a dot, `tasks.NAME` and a task such as `web.1.ID` may be
/// names of the swarm that are not published.
fn is_external(name: &str) -> bool {
    let Some((rest, zone)) = name.rsplit_once('.') else { return false };
    let is_zone = zone.len() >= 2 && zone.chars().all(|char| char.is_ascii_alphabetic());
    is_zone && rest != "tasks" && !rest.starts_with("tasks.") && zone != "arpa"
}

/// The last part of an error of Go, such as `i/o timeout`.
fn reason(error: &str) -> &str {
    error.rsplit(": ").next().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::{is_external, reason};

    #[test]
    fn names_that_may_be_services_are_not_external() {
        assert!(is_external("registry.example.com"));
        for name in ["web", "tasks.web", "web.1.962n2fbn4rnemq2fini6lh4dt", "4.1.0.10.in-addr.arpa"] {
            assert!(!is_external(name), "{name}");
        }
    }

    #[test]
    fn the_reason_is_the_last_part_of_an_error() {
        assert_eq!(reason("read udp 172.18.0.3:48273->203.0.113.53:53: i/o timeout"), "i/o timeout");
    }
}
