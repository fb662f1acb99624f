//! What would fail when a stack is deployed, read from its file before the deployment.

mod app_address;
mod bind_source_missing;
mod config_changed;
mod dnsrr_ingress_port;
mod engine_access;
mod external_missing;
mod heap_exceeds_limit;
mod local_volume;
mod malformed;
mod nfs_server_unresolved;
mod option_ignored;
mod port_conflict;
mod port_mismatch;
mod start_first_conflict;
mod unplaceable;
mod variable_unset;

use crate::{BuiltIn, Evidence, Remedy, Risk, Step, Subject, Target};
use facts::stack::{Compose, Stack, StackService, Surroundings};
use facts::{Gap, Seen, Why};

/// The impact of a remedy before the deployment.
pub(crate) const NOTHING_RUNS: &str = "Nothing is deployed yet. Running tasks are not affected.";

/// The checks of this folder.
pub const CHECKS: &[&BuiltIn] = &[
    &malformed::CHECK,
    &external_missing::CHECK,
    &unplaceable::CHECK,
    &bind_source_missing::CHECK,
    &port_conflict::CHECK,
    &config_changed::CHECK,
    &dnsrr_ingress_port::CHECK,
    &nfs_server_unresolved::CHECK,
    &engine_access::CHECK,
    &app_address::CHECK,
    &port_mismatch::CHECK,
    &heap_exceeds_limit::CHECK,
    &start_first_conflict::CHECK,
    &variable_unset::CHECK,
    &option_ignored::CHECK,
    &local_volume::CHECK,
];

/// The parsed file.
fn compose(stack: &Seen<Stack>) -> Result<&Compose, Gap> {
    stack.parsed.as_ref().map_err(|fault| {
        let reason = format!("the file cannot be parsed: {}", fault.what);
        Gap { source: stack.source.clone(), why: Why::NotApplicable { reason } }
    })
}

/// What was collected for the stack.
fn surroundings(stack: &Stack) -> Result<&Surroundings, Gap> {
    stack.surroundings.get().map(|seen| &seen.value)
}

/// A line of the file.
pub(crate) fn line(stack: &Seen<Stack>, number: u32) -> Evidence {
    Evidence::line(stack, number, stack.text.line(number).unwrap_or_default().trim_end())
}

fn subject(service: &StackService) -> Subject {
    Subject::Service(service.name.value.clone())
}

/// An edit of the stack file, which is on this host.
fn edit(stack: &Seen<Stack>, title: impl Into<String>, text: impl Into<String>) -> Remedy {
    edit_of(&stack.source.origin, title, text)
}

/// An edit of a file on this host.
fn edit_of(file: &str, title: impl Into<String>, text: impl Into<String>) -> Remedy {
    let text = format!("in {file}: {}", text.into());
    manual(title, Step::Manual { node: Target::Described("this host"), text, commands: Vec::new() })
}

fn manual(title: impl Into<String>, step: Step) -> Remedy {
    Remedy { title: title.into().into(), risk: Risk::Safe, impact: NOTHING_RUNS.into(), steps: vec![step] }
}
