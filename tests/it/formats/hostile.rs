//! A report in which everything that comes from the swarm wants to be something else.

use checks::{
    Check, Confidence, Evidence, Finding, Findings, Meta, Remedy, Risk, Severity, Step, Subject, View,
};
use facts::{Gap, Need, Source, Why};
use swarm_doctor::judge::{Diagnosis, Link, PeerAnswers, Role, Spot};
use swarm_doctor::matrix::{Layer, Path, State};

/// Malicious names of services.
const NASTY: [&str; 14] = [
    "\u{1b}[2J\u{1b}]0;pwned\u{7}\u{9b}31m",
    "<script>alert(1)</script><img src=x onerror=\"alert(1)\">",
    "]]><!-- --><![CDATA[ &amp; &lt; &#0; \u{b}\u{0}\u{ffff}\u{fdd0}",
    "a\n::error title=x::injected%0A\r\n::set-env name=A::B",
    "\"} 1\nswarm_doctor_fake{a=\"b\"} 1\n# HELP \\",
    "| errors=0;;0 'x'=1",
    "**bold** _it_ `code` ``` [link](http://198.51.100.1) ![i](x) <b> @team #1 ~~s~~ http://198.51.100.1/x www.example.com",
    "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}\u{2028}",
    "שלום مرحبا 節点 👩‍👩‍👧",
    "%s %n %00 ${jndi:x} $(reboot) `reboot` '; reboot #",
    "../../../etc/passwd?#%2e",
    "{\"schema\": null}\\u0000\\",
    "--output=/etc/passwd",
    "\u{fffd}\u{fffd} was not UTF-8",
];

/// All of it in one text, and much of it.
fn all() -> String {
    let mut text = NASTY.join(" ");
    text.push_str(&"x".repeat(20_000));
    text
}

struct Hostile(Meta);

impl Check for Hostile {
    fn meta(&self) -> &Meta {
        &self.0
    }

    fn judge(&self, _: &View<'_>, out: &mut Findings<'_>) {
        for (at, nasty) in NASTY.iter().enumerate() {
            let subject = match at % 5 {
                0 => Subject::Node((*nasty).into()),
                1 => Subject::Service((*nasty).into()),
                2 => Subject::Network((*nasty).into()),
                3 => Subject::Link { from: (*nasty).into(), to: (*nasty).into() },
                _ => Subject::Cluster,
            };
            let source = |origin: &str| Source {
                need: Need::EngineLog,
                artifact: (*nasty).into(),
                origin: origin.into(),
            };
            let line = Evidence::Line { source: source("/var/log/messages"), line: 0, at: None, text: all() };
            let found: &mut Finding = out.report(subject, format!("it says {nasty}"), line);
            found.with(Evidence::Value { source: source(nasty), shown: (*nasty).into() });
            found.with(Evidence::Absent { source: source(&format!("/{nasty}")), what: (*nasty).into() });
            found.severity([Severity::Error, Severity::Warning, Severity::Info][at % 3]);
            found.confidence(Confidence::Low);
            let node = || checks::Target::Node((*nasty).into());
            let steps = vec![
                Step::Manual { node: node(), text: all(), commands: vec![(*nasty).into(), all()] },
                Step::LoadModule { node: node(), module: (*nasty).into() },
            ];
            let (title, impact) = ((*nasty).to_owned().into(), (*nasty).to_owned().into());
            found.remedy(Remedy { title, risk: Risk::Destructive, impact, steps });
            let why = Why::Malformed { line: 1, what: (*nasty).into() };
            out.inconclusive(Subject::Service((*nasty).into()), Gap { source: source(nasty), why });
        }
    }
}

/// The report.
pub(crate) fn diagnosis() -> Diagnosis {
    let hostile = |id: &'static str, caused_by: &'static [checks::Str]| {
        Hostile(Meta {
            id: id.into(),
            title: all().into(),
            healthy: "".into(),
            severity: Severity::Error,
            explain: "".into(),
            needs: vec![Need::EngineLog].into(),
            caused_by: caused_by.into(),
            remaining: false,
        })
    };
    static CAUSE: [checks::Str; 1] = [std::borrow::Cow::Borrowed("swarm/one")];
    let (one, two) = (hostile("swarm/one", &[]), hostile("host/two", &CAUSE));
    let mut diagnosis = super::judged(&[&one, &two], NASTY[1]);
    let header = &mut diagnosis.header;
    for text in [&mut header.role, &mut header.os, &mut header.kernel] {
        *text = all();
    }
    for text in [
        &mut header.engine,
        &mut header.api,
        &mut header.node_id,
        &mut header.cluster_id,
        &mut header.node_addr,
    ] {
        *text = Some(all());
    }
    let map = &mut diagnosis.map;
    for nasty in NASTY {
        header.peers.push(PeerAnswers {
            name: nasty.into(),
            addr: nasty.into(),
            // What was tried and what came of it are words of ours.
            answers: vec![("2377/tcp".into(), "filtered".into())],
            paths: Vec::new(),
            all_open: false,
            echoes: None,
        });
        let (label, addr) = (nasty.into(), Some(nasty.into()));
        let (state, availability) = (Some(nasty.into()), Some(nasty.into()));
        map.spots.push(Spot { label, addr, role: Role::Manager, state, availability, looked_at: false });
        let path = |layer, state| Path { layer, state, says: nasty.into(), why: nasty.into() };
        let paths = vec![path(Layer::Manager, State::Refuted), path(Layer::Icmp, State::Proven)];
        map.links.push(Link { from: 0, to: map.spots.len() - 1, paths, echo_us: Some(1) });
    }
    diagnosis
}
