use super::file::parse;
use super::*;
use crate::examine::offline;
use crate::policy::{Policy, Selection};
use ::facts::{Fact, Gap, Need, Snapshot, Source, Why};
use checks::{Check, Findings, View};
use std::path::{Path, PathBuf};

fn snapshot() -> Snapshot {
    ::facts::parse::snapshot(&crate::demo::bundle().unwrap())
}

/// A rule with this subject and condition.
fn written(subject: &str, when: &str) -> String {
    format!(
        "id = \"site/rule\"\ntitle = \"t\"\nseverity = \"error\"\nsubject = \"{subject}\"\nmessage = \"m\"\nwhen = '{when}'\n"
    )
}

fn rule(subject: &str, when: &str) -> Rule {
    parse(&written(subject, when), "rule.toml", &|_| false)
        .unwrap_or_else(|faults| panic!("{when}: {}", Fault::list(&faults)))
}

fn judged<'a>(rule: &'a Rule, snapshot: &Snapshot) -> Findings<'a> {
    let mut out = Findings::of(rule.meta());
    rule.judge(&View::of(snapshot), &mut out);
    out
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let faults = parse(text, "rule.toml", &|id| id == "site/taken").err().unwrap_or_default();
    let messages: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(messages.first().map(String::as_str), Some(expected), "{messages:?}\n{text}");
}

/// A rule in which one line is replaced.
#[track_caller]
fn with_line(line: usize, text: &str, expected: &str) {
    let whole = written("host", "host.disk.inodes == 0");
    let lines: Vec<&str> =
        whole.lines().enumerate().map(|(at, old)| if at + 1 == line { text } else { old }).collect();
    refused(&lines.join("\n"), expected);
}

#[track_caller]
fn condition(subject: &str, when: &str, expected: &str) {
    refused(&written(subject, when), expected);
}

#[test]
fn each_fault_of_a_file_has_its_place_and_what_may_have_been_meant() {
    const FIELDS: &str = "expected one of `id`, `title`, `healthy`, `severity`, `subject`, `when`, `message`, `evidence`, \
                          `explain`, `causes`, `remedy`, `log`";
    with_line(
        2,
        "titel = \"t\"",
        &format!("rule.toml:2:1: unknown field `titel`, {FIELDS}; did you mean title?"),
    );
    with_line(5, "", "rule.toml:1:1: missing field `message`");
    with_line(6, "", "rule.toml:1:1: missing field `when`");
    with_line(2, "title = \" \"", "rule.toml:2:9: a title is expected");
    with_line(2, "title = 5", "rule.toml:2:9: invalid type: integer `5`, expected a string");
    with_line(3, "severity = \"warn\"", "rule.toml:3:12: \"warn\" is not one of info, warning, error");
    with_line(
        3,
        "severity = \"waring\"",
        "rule.toml:3:12: \"waring\" is not one of info, warning, error; did you mean warning?",
    );
    with_line(
        4,
        "subject = \"hosts\"",
        "rule.toml:4:11: \"hosts\" is not one of swarm, host, node, service, task, network, link, log; did you mean host?",
    );
    with_line(4, "subject = \"log\"", "rule.toml:4:11: a rule about log lines needs a [log] table");
    with_line(
        1,
        "id = \"rule\"",
        "rule.toml:1:6: \"rule\" is not an id: a category and a name in lower case are expected, such as site/nifi-ports",
    );
    with_line(
        1,
        "id = \"host/rule\"",
        "rule.toml:1:6: the category \"host\" belongs to swarm-doctor; use another, such as site",
    );
    with_line(1, "id = \"site/taken\"", "rule.toml:1:6: another rule has the id \"site/taken\"");
    with_line(
        5,
        "message = \"{host.disk.inode}\"",
        "rule.toml:5:23: host.disk has no field \"inode\"; did you mean inodes?; it has available_bytes, file_system, inodes, \
         inodes_free, path, read_only, size_bytes",
    );
    with_line(
        5,
        "message = \"{host.name\"",
        "rule.toml:5:12: a brace is not closed; write {{ or }} for a brace",
    );
    with_line(6, "when = [", "rule.toml:6:9: unclosed array, expected `]`");
    let log = |table: &str| {
        format!("{}[log]\n{table}", written("log", "count > 1").replace("when = 'count > 1'\n", ""))
    };
    refused(&log("match = \"(\""), "rule.toml:7:9: the pattern is not valid: unclosed group");
    refused(&log("match = \"x\"\ncount = 0"), "rule.toml:8:9: a count of at least 1 is expected");
    refused(
        &log("match = \"x\"\nwindow = \"soon\""),
        "rule.toml:8:10: \"soon\" is not a duration, such as 10m",
    );
    refused(
        &log("match = \"x\"\nwidow = \"1m\""),
        "rule.toml:8:1: unknown field `widow`, expected one of `match`, `count`, `window`; did you mean window?",
    );
    refused(
        &format!("{}[log]\nmatch = \"x\"", written("host", "host.disk.inodes == 0")),
        "rule.toml:4:11: a [log] table needs subject = \"log\"",
    );
}

#[test]
fn each_fault_of_a_condition_has_its_place_and_what_may_have_been_meant() {
    condition(
        "host",
        "host.dsik.inodes == 0",
        "rule.toml:6:14: host has no field \"dsik\"; did you mean disk?; it has apps, certificate, clock, clocks, containers, \
         daemon_json, disk, engine, engine_namespaces, hosts_file, info, interfaces, ...",
    );
    condition(
        "host",
        "hosts.exists(h, h.memory.total == 0)",
        "rule.toml:6:34: hosts[].memory has no field \"total\"; it has available_bytes, total_bytes",
    );
    condition(
        "host",
        "host.interfaces.filter(i, i.up)[0].addreses.size() > 0",
        "rule.toml:6:44: host.interfaces[] has no field \"addreses\"; did you mean addresses?; it has addresses, driver, index, \
         kind, mac, mtu, name, network_file, offloads, running, up",
    );
    condition(
        "host",
        "host.name.length > 3",
        "rule.toml:6:19: host.name has no fields, so it has no \"length\"",
    );
    condition(
        "node",
        "host.name == \"a\"",
        "rule.toml:6:9: there is no variable \"host\"; did you mean hosts?; there are cluster, hosts, node, nodes, services, tasks",
    );
    condition("node", "node.name.beginsWith(\"a\")", "rule.toml:6:19: there is no function \"beginsWith\"");
    condition(
        "node",
        "node.name.matchs(\"a\")",
        "rule.toml:6:19: there is no function \"matchs\"; did you mean matches?",
    );
    condition("node", "1 == 1", "rule.toml:6:8: the condition reads no fact");
    condition("host", "{\"a\": host}[\"a\"].name == \"\"", "rule.toml:6:9: a rule cannot build maps");
    condition(
        "host",
        "[[host]][0][0].name == \"\"",
        "rule.toml:6:24: the fields of this value are not known, so \"name\" cannot be read",
    );
    condition("node", " ", "rule.toml:6:9: an expression is expected");
    condition("node", "Node{name: 1}.x", "rule.toml:6:9: there is no type \"Node\"");
    let long = format!("node.name == \"{}\"", "a".repeat(5000));
    condition("node", &long, "rule.toml:6:9: the expression is longer than 4096 bytes");
    for wrong in ["node.name ==", "node.name == \"", "node..name", "(node.name", "node.name = 1", "&&"] {
        let faults = parse(&written("node", wrong), "rule.toml", &|_| false).err().unwrap_or_default();
        assert!(faults[0].line == 6 && faults[0].what.contains("cannot be parsed"), "{wrong}: {faults:?}");
    }
}

#[test]
fn an_expression_that_is_nested_too_deeply_is_refused() {
    let grown = format!("[node.name]{} != []", ".map(a, a + a)".repeat(5));
    condition("node", &grown, "rule.toml:6:9: more than 4 loops are inside each other");
    let added = format!("node.name{} == \"\"", " + node.name".repeat(33));
    condition("node", &added, "rule.toml:6:9: the expression has more than 32 additions");
    for (open, close) in [("[", "]"), ("[0].exists(x, ", ")"), ("true ? true : ", "")] {
        let when = format!("{}node.name{} == 1", open.repeat(200), close.repeat(200));
        let faults = parse(&written("node", &when), "rule.toml", &|_| false).err().unwrap_or_default();
        assert!(!faults.is_empty(), "{open}");
    }
}

#[test]
fn a_gap_in_what_is_read_leaves_the_rule_unknown_for_the_subject() {
    let mut snapshot = snapshot();
    let firing = rule("host", "host.memory.total_bytes > 0");
    assert_eq!(judged(&firing, &snapshot).found.len(), 1);
    let why = Why::Denied { what: "a test".into() };
    let source = Source { need: Need::Memory, artifact: String::new(), origin: String::new() };
    snapshot.hosts[0].memory = Fact::Unseen(Gap { source, why: why.clone() });
    for when in [
        "host.memory.total_bytes > 0",
        "host.memory == host.memory",
        "has(host.memory.total_bytes)",
        "hosts.all(h, h.memory.total_bytes > 0)",
        "hosts.filter(h, true).map(h, h)[0].memory.total_bytes > 0",
        "[host][0].memory.total_bytes > 0",
    ] {
        let rule = rule("host", when);
        let out = judged(&rule, &snapshot);
        assert!(out.found.is_empty(), "{when}");
        assert_eq!(out.unknown.first().map(|(_, gap)| &gap.why), Some(&why), "{when}");
    }
}

#[test]
fn a_condition_without_a_value_is_unknown_and_not_healthy() {
    let snapshot = snapshot();
    for when in [
        "host.interfaces[99].up",
        "host.sysctls[\"no.such.setting\"] == \"1\"",
        "host.memory.total_bytes / 0 > 1",
        "host.memory.total_bytes",
        "age(host.os.hostname) > 1",
    ] {
        let rule = rule("host", when);
        let out = judged(&rule, &snapshot);
        assert!(out.found.is_empty() && out.unknown.len() == 1, "{when}: {:?}", out.found);
    }
}

#[test]
fn loops_end_after_their_limit_of_steps() {
    let list = format!("[{}]", vec!["1"; 200].join(","));
    let when = format!(
        "host.name != \"\" && {list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, a + b + c + d > 0))))"
    );
    let began = std::time::Instant::now();
    let rule = rule("host", &when);
    let out = judged(&rule, &snapshot());
    assert!(out.found.is_empty());
    assert!(out.unknown[0].1.why.to_string().contains("more than 20000 loop steps"), "{:?}", out.unknown);
    // 200^4 steps would take minutes.
    assert!(began.elapsed().as_secs() < 60);
}

#[test]
fn a_broken_file_leaves_the_other_checks_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.toml"), "id = 5").unwrap();
    std::fs::write(folder.path().join("named.toml"), written("host", "host.nothing")).unwrap();
    std::fs::write(folder.path().join("works.toml"), TEMPLATE).unwrap();
    let catalogue = Catalogue::load(&[folder.path().to_owned()]).unwrap();
    assert_eq!(catalogue.faults.len(), 2);
    let bundle = [Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo.tar.zst")];
    let (_, plain) = offline(&bundle, &Policy::default()).unwrap();
    let policy = Policy::of_checks(catalogue, Selection::default());
    let (_, diagnosis) = offline(&bundle, &policy).unwrap();
    assert_eq!(diagnosis.verdicts.len(), plain.verdicts.len() + 3);
    let why = |id: &str| {
        let verdict = diagnosis.verdicts.iter().find(|verdict| verdict.check == id).unwrap();
        verdict.open().next().map(|(_, gap)| format!("{} ({})", gap.why, gap.source.origin))
    };
    assert!(why("rules/broken").unwrap().starts_with("malformed at line 1: column 6: invalid type"));
    assert!(why("site/rule").unwrap().contains("host has no field \"nothing\""));
    assert!(why("site/service-without-limit").unwrap().starts_with("HTTP 500"), "the manager has no quorum");
}

#[test]
fn the_template_is_valid() {
    let rule = parse(TEMPLATE, "rule.toml", &|_| false).map_err(|faults| Fault::list(&faults));
    assert_eq!(rule.unwrap().meta().needs.as_ref(), [Need::Services]);
}

#[test]
fn every_fact_that_a_rule_reads_is_in_the_schema_with_the_need_it_comes_from() {
    let snapshot = snapshot();
    let host = &snapshot.hosts[0];
    struct Seen(Vec<(&'static str, Need)>);
    impl ::facts::FactVisitor for Seen {
        fn fact<T: serde::Serialize>(&mut self, name: &'static str, fact: &Fact<T>) {
            let need = match fact {
                Fact::Seen(seen) => seen.source.need,
                Fact::Unseen(gap) => gap.source.need,
            };
            self.0.push((name, need));
        }
    }
    let mut seen = Seen(Vec::new());
    host.visit(&mut seen);
    assert_eq!(seen.0, ::facts::Host::FACTS);
    let mut seen = Seen(Vec::new());
    snapshot.visit(&mut seen);
    assert_eq!(seen.0, Snapshot::FACTS);
    for (name, _) in ::facts::Host::FACTS {
        rule("host", &format!("host.{name} == host.{name}"));
    }
}

#[test]
fn a_folder_that_is_named_has_to_exist() {
    assert!(Catalogue::load(&[PathBuf::from("/nonexistent")]).is_err());
}
