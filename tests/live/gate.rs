//! Exit codes, each from a real situation, and the options that change them.

use crate::live::doctor::install;
use crate::live::needs_a_lab;
use facts::Need;
use facts::bundle::ArtifactStatus;
use lab::{Lab, Node};
use std::collections::BTreeSet;
use std::time::Duration;
use swarm_doctor::bundle::read_from;

/// Options with long timeouts, so that a slow host does not change the result.
const PATIENT: [&str; 3] = ["run", "--timeout", "30s"];

/// The exit code and the output of `swarm-doctor`.
fn doctor(node: &Node, words: &[&str]) -> (i32, String) {
    let output = node.exec(&[&["swarm-doctor"], words].concat()).unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    // The report is wrapped at the terminal width.
    (output.status.code().unwrap_or(-1), said.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn ends(node: &Node, words: &[&str], exit: i32, says: &str) {
    let (code, said) = doctor(node, words);
    assert!(code == exit && said.contains(says), "{words:?}: {code}, and not {exit} with {says:?}: {said}");
}

#[test]
fn every_exit_code_occurs() {
    needs_a_lab!();
    let lab = Lab::builder().managers(2).up().unwrap();
    let node = lab.node("node1");
    lab.nodes().iter().for_each(install);

    // An even number of managers is a warning: 0, and 4 where warnings count. What the kernel lacks is left out.
    let warned = [&PATIENT[..], &["!host/ipvs-missing"]].concat();
    ends(node, &warned, 0, "swarm/even-managers");
    let strict = [&warned[..], &["--fail-on", "warning"]].concat();
    ends(node, &strict, 4, "swarm/even-managers");
    ends(
        node,
        &[&warned[..], &["--fail-on", "never", "--severity", "swarm/even-managers=error"]].concat(),
        0,
        "",
    );
    ends(node, &[&warned[..], &["--severity", "swarm/even-managers=error"]].concat(), 1, "✗ error");
    let ignored = "Ignored: 1 finding";
    ends(
        node,
        &[&strict[..], &["--ignore", "swarm/even-managers@the swarm=a third comes"]].concat(),
        0,
        ignored,
    );
    ends(
        node,
        &[&strict[..], &["--ignore", "swarm/even-managers=a third comes, until 2020-02-29"]].concat(),
        4,
        "is active again: it was ignored until 2020-02-29 (--ignore): a third comes",
    );

    // A saved report is a baseline.
    node.shell("swarm-doctor run '!host/ipvs-missing' -o json > /root/before.json", &[]).unwrap();
    let known = [&strict[..], &["--baseline", "/root/before.json"]].concat();
    ends(node, &known, 0, "(the baseline /root/before.json)");

    // A configuration file has the same effect, is found at its default path, and its errors are reported.
    ends(node, &["init"], 0, "Wrote /etc/swarm-doctor.toml");
    ends(node, &["init"], 2, "/etc/swarm-doctor.toml already exists; use --force to overwrite it");
    ends(node, &warned, 0, "swarm/even-managers");
    let file = "checks = ['!host/ipvs-missing']\nfail-on = 'warning'\n[[ignore]]\ncheck = 'swarm/even-managers'\nreason = 'a third comes'\nuntil = ";
    node.write_file("/etc/swarm-doctor.toml", format!("{file}2099-01-01\n")).unwrap();
    ends(node, &[], 0, "a third comes (until 2099-01-01, /etc/swarm-doctor.toml:3)");
    ends(node, &["--config", "/dev/null"], 0, "swarm/even-managers");
    node.write_file("/etc/swarm-doctor.toml", format!("{file}2020-01-01\n")).unwrap();
    ends(node, &[], 4, "is active again");
    node.write_file("/etc/swarm-doctor.toml", "\nfial-on = 'error'\n").unwrap();
    ends(node, &[], 2, "swarm-doctor: /etc/swarm-doctor.toml:2: unknown field `fial-on`");
    ends(node, &[], 2, "did you mean fail-on?");
    node.remove_file("/etc/swarm-doctor.toml").unwrap();
    ends(node, &["--config", "/root/none.toml"], 2, "cannot read /root/none.toml");
    ends(node, &["run", "netwrok"], 2, "did you mean network?");
    ends(node, &["--baseline", "/etc/hostname"], 2, "not a report");

    // Without privileges, checks are unknown.
    let without_root = |flags: &[&str]| {
        let words = [&["swarm-doctor", "run"], flags].concat();
        node.command(&words).unwrap().user(65534, 65534).run().unwrap().status.code()
    };
    assert_eq!((without_root(&[]), without_root(&["--allow-unknown"])), (Some(3), Some(0)));

    // Standard input is not a terminal.
    ends(node, &["run", "--fix"], 5, "standard input is not a terminal");

    // Interrupted while it listens, waits and watches.
    for flags in ["--listen 60s", "--fail-on warning --wait 60s", "--watch 1s"] {
        let script = format!(
            "swarm-doctor run {flags} > /dev/null 2>&1 & while kill -INT $! 2> /dev/null; do sleep 0.2; done; wait $! || echo $?"
        );
        assert_eq!(node.shell(&script, &[]).unwrap().trim(), "130", "{flags}");
    }

    // `wait` ends once the state is reached, and `watch` prints the change.
    let background = |words: &str, to: &str| {
        let run = format!("swarm-doctor run '!host/ipvs-missing' {words} > {to} 2>&1");
        let script = format!("(code=0; {run} || code=$?; echo $code > {to}.exit) &");
        node.shell(&script, &[]).unwrap();
    };
    let text = |path: &str| String::from_utf8(node.read_file(path).unwrap_or_default()).unwrap();
    let limit = Duration::from_secs(60);
    let shows = |path: &str, words: &str| {
        lab.wait(words, limit, || {
            Ok(text(path).split_whitespace().collect::<Vec<_>>().join(" ").contains(words))
        })
        .unwrap_or_else(|error| panic!("{error:#}: {}", text(path)));
    };
    background("--watch 1s", "/root/watched");
    background("--fail-on warning --wait 2m", "/root/waited");
    shows("/root/watched", "swarm/even-managers");
    shows("/root/waited", "s left: swarm/even-managers on the swarm");
    node.docker(&["node", "demote", "node2"]).unwrap();
    shows("/root/waited.exit", "0");
    shows("/root/watched", "- swarm/even-managers · the swarm is resolved");

    // A killed engine is an error that is not in the baseline.
    node.kill_engine().unwrap();
    ends(node, &known, 1, "error · engine/unreachable");
    ends(node, &["run", "engine", "--wait", "2s"], 1, "s left: engine/unreachable on node1");
    shows("/root/watched", "+ error · engine/unreachable · node1: ");
    node.shell("kill -INT $(pidof swarm-doctor)", &[]).unwrap();
    shows("/root/watched.exit", "130");
}

#[test]
fn a_single_check_collects_only_what_it_needs() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    let kinds = |words: &[&str]| -> BTreeSet<Need> {
        ends(node, &[&PATIENT[..], words, &["--save", "/root/one.tar.zst"]].concat(), 0, "");
        let bundle = read_from(&node.read_file("/root/one.tar.zst").unwrap()[..]).unwrap();
        let looked = |entry: &&facts::bundle::Entry| !matches!(&entry.status, ArtifactStatus::Failed { why } if !why.leaves_open());
        bundle.manifest.entries.iter().filter(looked).map(|entry| entry.need).collect()
    };
    let alone = kinds(&["host/disk-full"]);
    for need in [Need::Disk, Need::EngineLog, Need::Info] {
        assert!(alone.contains(&need), "{need:?} is not in {alone:?}");
    }
    for need in [Need::Nodes, Need::Services, Need::Tasks, Need::Firewall, Need::Sockets, Need::Containers] {
        assert!(!alone.contains(&need), "{need:?} is in {alone:?}");
    }
    let all = kinds(&[]);
    assert!(all.is_superset(&alone) && all.len() > 2 * alone.len(), "{all:?}");
    ends(node, &["run", "host/disk-full"], 0, "Healthy: 1 check passed");
    ends(node, &["run", "host/disk-full", "--stats"], 0, "ms disk room");

    // A closed or full pipe does not cause a panic.
    for words in [
        "run",
        "run -v",
        "run -o json",
        "list",
        "list --json",
        "explain swarm/autolock-locked",
        "schema",
        "--help",
        "run --help",
        "demo",
        "run --stats",
    ] {
        let closed = node.shell(&format!("swarm-doctor {words} 2>&1 >&- | cat"), &[]).unwrap();
        assert!(!closed.contains("panicked"), "{words}: {closed}");
        let piped = node
            .shell(
                &format!("swarm-doctor {words} 2> /root/output | head -c 1 > /dev/null; cat /root/output"),
                &[],
            )
            .unwrap();
        assert!(!piped.contains("panicked") && !piped.contains("swarm-doctor: "), "{words}: {piped}");
    }
    ends(node, &["sh"], 2, "unrecognized subcommand");
    let full = node.exec(&["sh", "-c", "swarm-doctor run > /dev/full"]).unwrap();
    assert_eq!(full.status.code(), Some(2), "{}", full.stderr);
    assert!(full.stderr.contains("No space left on device"), "{}", full.stderr);
}
