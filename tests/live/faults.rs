//! The fault bench: the part of it that CI runs. `cargo xtask faults` runs all of it.

use crate::live::needs_a_lab;
use bench::{Bench, Verdict, faults, table};
use std::path::Path;

#[test]
fn each_fault_is_named_first_and_health_is_silent_after_it() {
    needs_a_lab!();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/faults");
    let faults: Vec<_> = faults(&folder).unwrap().into_iter().filter(|fault| fault.ci).collect();
    let doctor = env!("CARGO_BIN_EXE_swarm-doctor").into();
    let bench = Bench { doctor, engines: Vec::new(), jobs: 3, fix: true };
    let outcomes = bench.run(faults, |outcome| println!("{} {:?}", outcome.fault, outcome.verdict));
    println!("{}", table(&outcomes, 160));
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.verdict.fails()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // A bench that skips everything has shown nothing.
    assert!(outcomes.iter().any(|outcome| outcome.verdict == Verdict::Named));
}
