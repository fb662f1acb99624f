//! Every remedy of every fixture on a host in memory: it is planned, applied and undone to the byte; and whatever goes wrong
//! at whichever durable act, the host is in the old or the new state afterwards and the engine runs.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a broken fixture has to stop the test, which prints its counts"
)]

use crate::support::scenarios;
use checks::{Step, Target};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use swarm_doctor::fix::system::fake::{Failure, FakeSystem};
use swarm_doctor::fix::trial::{Ending, Trial};
use swarm_doctor::fix::{Interrupts, Level, Plan, Signal, script};

const RECEIPTS: &str = "/var/lib/swarm-doctor/receipts";

/// A remedy as far as it belongs to one host, and the configuration files that it was made for.
struct Case {
    name: String,
    steps: Vec<Step>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Case {
    fn system(&self) -> FakeSystem {
        FakeSystem::for_steps(&self.steps, self.files.clone())
    }

    fn is_final(&self) -> bool {
        let last = |step: &Step| matches!(step, Step::RemoveNode { .. } | Step::ForceNewCluster { .. });
        self.steps.iter().any(last)
    }
}

fn trial<'a>(system: &'a FakeSystem, interrupts: &Interrupts) -> Trial<'a> {
    Trial::new(system, Path::new(RECEIPTS), FakeSystem::token(), interrupts.clone())
}

/// The remedies of all fixtures, each kind of steps on each kind of values once.
fn cases() -> Vec<Case> {
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for scenario in scenarios() {
        let diagnosis = swarm_doctor::examine::diagnose(&scenario.bundle);
        let snapshot = facts::parse::snapshot(&scenario.bundle);
        let files: Vec<_> = snapshot
            .hosts
            .iter()
            .filter_map(|host| host.daemon_json.get().ok()?.value.as_ref())
            .map(|file| (PathBuf::from(&file.path), file.text.0.clone().into_bytes()))
            .collect();
        for finding in diagnosis.all_findings() {
            let steps = finding.remedy.iter().flat_map(|remedy| &remedy.steps);
            let automatic = |step: &&Step| {
                matches!(step.target(), Target::Node(_))
                    && !matches!(step, Step::Manual { .. } | Step::DemoteManager { id: None, .. })
            };
            let mut by_host: BTreeMap<&Target, Vec<Step>> = BTreeMap::new();
            for step in steps.filter(automatic) {
                by_host.entry(step.target()).or_default().push(step.clone());
            }
            for steps in by_host.into_values() {
                let kinds: Vec<_> = steps.iter().map(Step::kind).collect();
                let commands: Vec<_> = steps.iter().flat_map(Step::commands).collect();
                let name = format!("{} {}: {}", finding.check, kinds.join("+"), commands.join("; "));
                cases.insert(name.clone(), Case { name, steps, files: files.clone() });
            }
        }
    }
    cases.extend(extra().map(|case| (case.name.clone(), case)));
    cases.into_values().collect()
}

/// Steps that no fixture has for a host that it was taken on.
fn extra() -> impl Iterator<Item = Case> {
    let node = || Target::Node("node1".into());
    let join = |advertise: Option<&str>| Step::Join {
        node: node(),
        advertise: advertise.map(str::to_owned),
        manager: false,
        through: None,
    };
    let ingress = Step::RecreateIngress {
        node: node(),
        network: "ingress".into(),
        subnet: "10.99.0.0/24".into(),
        published: vec![("web".into(), vec![(80, 8080)])],
    };
    let restart = Step::RestartEngine { node: node() };
    let demote = Step::DemoteManager { node: node(), name: "node2".into(), id: Some("id2".into()) };
    [
        ("leave and join", vec![Step::Leave { node: node(), force: true }, join(Some("192.0.2.9"))]),
        ("recreate the ingress network", vec![ingress]),
        ("demote", vec![demote]),
        ("create the ingress network", vec![Step::CreateIngress { node: node() }]),
        ("restart", vec![restart]),
        ("unlock", vec![Step::Unlock { node: node() }]),
        ("new cluster", vec![Step::ForceNewCluster { node: node(), lost: Vec::new(), flags: String::new() }]),
        ("remove a manager", vec![Step::RemoveNode { node: node(), id: "old".into(), manager: true }]),
        ("activate", vec![Step::ActivateNode { node: node(), name: "node3".into(), id: "id3".into() }]),
    ]
    .into_iter()
    .map(|(name, steps)| Case { name: name.to_owned(), steps, files: Vec::new() })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

#[test]
fn every_remedy_of_every_fixture_is_applied_and_undone_to_the_byte() {
    let mut refused = Vec::new();
    let mut applied = 0;
    for case in cases() {
        let name = &case.name;
        let system = case.system();
        let interrupts = Interrupts::default();
        let trial = trial(&system, &interrupts);
        let before = system.state(Path::new(RECEIPTS));
        let ending = match block_on(trial.apply(&case.steps)) {
            Ok(ending) => ending,
            Err(error) => {
                refused.push(format!("{name}: {error}"));
                continue;
            }
        };
        assert!(matches!(ending, Ending::Applied | Ending::Nothing), "{name}: {ending:?}");
        if ending == Ending::Nothing {
            continue;
        }
        applied += 1;
        let undone = block_on(trial.undo());
        if case.is_final() {
            assert!(undone.is_err(), "{name}: {undone:?}");
            continue;
        }
        let undone = undone.unwrap_or_else(|error| panic!("{name}: {error}"));
        if undone == Ending::Nothing {
            continue;
        }
        assert_eq!(undone, Ending::RolledBack, "{name}");
        let mut after = system.state(Path::new(RECEIPTS));
        // An engine that was started stays started.
        after.keep_engine_of(&before);
        assert!(after == before, "{name}:\nbefore {before:#?}\nafter {after:#?}");
    }
    println!("{applied} remedies applied and undone");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn whatever_fails_at_a_durable_act_the_host_is_in_the_old_or_the_new_state() {
    let failures = [
        Failure::Error(ErrorKind::StorageFull),
        Failure::Error(ErrorKind::Other),
        Failure::ErrorAfter(ErrorKind::Other),
        Failure::CrashBefore,
        Failure::CrashAfter,
        Failure::Signal(Signal::Interrupt),
        Failure::Signal(Signal::Terminate),
        Failure::Signal(Signal::Hangup),
    ];
    let (mut runs, mut wrong) = (0, Vec::new());
    let mut table = BTreeMap::new();
    for case in cases() {
        let receipts = Path::new(RECEIPTS);
        let clean = case.system();
        let old = clean.state(receipts);
        let none = Interrupts::default();
        match block_on(trial(&clean, &none).apply(&case.steps)) {
            Ok(Ending::Applied) => {}
            _ => continue,
        }
        let (new, acts) = (clean.state(receipts), clean.acts());
        for at in 1..=acts {
            for failure in failures {
                runs += 1;
                let system = case.system();
                let interrupts = Interrupts::default();
                system.fail_at(at, failure, interrupts.clone());
                let first = block_on(trial(&system, &interrupts).apply(&case.steps));
                system.next_process();
                let second = block_on(trial(&system, &Interrupts::default()).recover());
                let mut now = system.state(receipts);
                let is_new = now == new;
                now.keep_engine_of(&old);
                let kind = if is_new {
                    "new"
                } else if now == old {
                    "old"
                } else {
                    "between"
                };
                *table.entry((format!("{failure:?}"), kind)).or_insert(0) += 1;
                let engine = system.engine_runs() || !old.engine_runs();
                let again = block_on(trial(&system, &Interrupts::default()).recover());
                if kind == "between" || !engine || second.is_err() || !matches!(again, Ok(None)) {
                    wrong.push(format!(
                        "{} at {at} {failure:?}: {kind}, engine {engine}, {first:?}, {second:?}, {again:?}",
                        case.name
                    ));
                }
            }
        }
    }
    let mut text = String::new();
    for ((failure, kind), count) in &table {
        let _ = writeln!(text, "{failure:<24} {kind:<8} {count}");
    }
    println!("{runs} runs\n{text}");
    assert!(wrong.is_empty(), "{} of {runs}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(runs > 1000, "{runs}");
}

#[test]
fn the_undo_of_an_old_leave_is_refused_once_another_swarm_was_joined() {
    let case = extra().next().unwrap();
    let system = case.system();
    let interrupts = Interrupts::default();
    let trial = trial(&system, &interrupts);
    assert_eq!(block_on(trial.apply(&case.steps)).unwrap(), Ending::Applied);
    system.joins_another_swarm();
    let now = system.state(Path::new(RECEIPTS));
    let error = block_on(trial.undo()).unwrap_err().to_string();
    assert!(error.contains("left or joined a swarm since"), "{error}");
    assert!(system.state(Path::new(RECEIPTS)) == now);
}

#[test]
fn a_damaged_receipt_is_an_error_and_never_nothing_to_undo() {
    let case = extra().find(|case| case.name == "activate").unwrap();
    let system = case.system();
    let interrupts = Interrupts::default();
    let trial = trial(&system, &interrupts);
    assert_eq!(block_on(trial.apply(&case.steps)).unwrap(), Ending::Applied);
    let journal = Path::new(RECEIPTS).join("19700101T000000Z-b/journal");
    system.flip_a_bit_of(&journal);
    for result in [block_on(trial.undo()).map(Some), block_on(trial.recover())] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("checksum"), "{error}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "sh and shellcheck are the judges here")]
fn the_script_of_every_fixture_is_valid_sh() {
    let folder = tempfile::tempdir().unwrap();
    let mut scripts: BTreeMap<String, PathBuf> = BTreeMap::new();
    for scenario in scenarios() {
        let diagnosis = swarm_doctor::examine::diagnose(&scenario.bundle);
        let here = &diagnosis.header.host;
        for level in [Level::Safe, Level::Destructive] {
            let text = script(&Plan::all(&diagnosis, here), level, "2026-11-22 19:21:04 UTC");
            let path = folder.path().join(format!("{}.sh", scripts.len()));
            scripts.entry(text).or_insert(path);
        }
    }
    for (text, path) in &scripts {
        std::fs::write(path, text).unwrap();
        let output = Command::new("sh").arg("-n").arg(path).output().unwrap();
        assert!(output.status.success(), "{}{text}", String::from_utf8_lossy(&output.stderr));
    }
    println!("{} scripts", scripts.len());
    let paths: Vec<&PathBuf> = scripts.values().collect();
    for paths in paths.chunks(50) {
        // Functions are written once for all nodes of a script, also where one node calls none of them.
        let checked =
            Command::new("shellcheck").args(["--shell=sh", "--severity=warning"]).args(paths).output();
        match checked {
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
            }
            Err(error) => return println!("skipped: shellcheck does not start: {error}"),
        }
    }
}
