use super::{compose, line, surroundings};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use std::collections::BTreeMap;

check! {
    /// The file names variables that this shell does not have.
    ///
    /// ## Why it matters
    /// `docker stack deploy` reads no `.env` file. Each variable that the shell has not got becomes nothing, so that
    /// an image has no tag, a password is empty and a port is missing.
    ///
    /// ## How to fix it
    /// Set them in the shell that deploys, as by `set -a; . ./.env; set +a`, or give each a default, `${NAME:-value}`.
    ///
    /// ## When it is wrong
    /// Where the deploy runs in another shell or by another user, who has them. Run the doctor there.
    ///
    /// Source: docker/cli `cli/compose/interpolation`, `cli/command/stack/loader`.
    "stack/variable-unset": Warning, "variables of the stack file are not set";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let known = surroundings(stack)?;
    let unset = compose.variables.iter().filter(|variable| {
        !variable.has_default && known.variables.get(&variable.name).is_none_or(Option::is_none)
    });
    let mut by_name: BTreeMap<&str, u32> = BTreeMap::new();
    for variable in unset {
        by_name.entry(&variable.name).or_insert(variable.line);
    }
    if by_name.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = by_name.keys().copied().collect();
    let summary = format!("not set in this shell, and so empty in the stack: {}", names.join(", "));
    let mut lines: Vec<u32> = by_name.values().copied().collect();
    lines.sort_unstable();
    lines.dedup();
    let looked = format!("no variable {} in the environment", names.join(", "));
    let finding = out.report(Subject::Cluster, summary, Evidence::absent(stack.surroundings.get()?, looked));
    for number in lines {
        finding.with(line(stack, number));
    }
    finding.remedy(Remedy {
        title: "Set the variables where the stack is deployed".into(),
        risk: Risk::Safe,
        impact: "nothing runs yet".into(),
        steps: vec![Step::Manual {
            node: "this machine".into(),
            text: "a stack reads no .env; load it into the shell, then ask again".into(),
            commands: vec![
                "set -a; . ./.env; set +a".into(),
                format!("swarm-doctor preflight --stack {}", shell_quote(&stack.source.origin)),
            ],
        }],
    });
    Ok(())
}
