//! The subset of the fault bench that CI runs. `cargo xtask faults` runs all faults.

use crate::live::needs_a_lab;
use bench::{Bench, Verdict, faults, table};
use std::path::Path;

#[test]
fn each_fault_is_the_first_finding_and_undone_there_is_none() {
    needs_a_lab!();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/faults");
    let faults: Vec<_> = faults(&folder).unwrap().into_iter().filter(|fault| fault.ci).collect();
    let doctor = env!("CARGO_BIN_EXE_swarm-doctor").into();
    let bench = Bench { doctor, engines: Vec::new(), jobs: 3, fix: true };
    let outcomes = bench.run(faults, |outcome| println!("{} {:?}", outcome.fault, outcome.verdict));
    println!("{}", table(&outcomes, 160));
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.verdict.fails()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // If the bench skips everything, nothing was tested.
    assert!(outcomes.iter().any(|outcome| outcome.verdict == Verdict::Named));
}
