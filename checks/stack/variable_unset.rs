use super::{compose, line, surroundings};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use std::collections::BTreeMap;

check! {
    /// The file uses variables that are not set in this shell.
    ///
    /// ## Why it matters
    /// `docker stack deploy` reads no `.env` file. A variable that the shell does not have becomes empty: the image has no
    /// tag, the password is empty, the port is missing.
    ///
    /// ## How to fix it
    /// Set them in the shell that deploys, for example with `set -a; . ./.env; set +a`, or give each a default,
    /// `${NAME:-value}`.
    ///
    /// ## When it is wrong
    /// The deployment runs in another shell or as another user that has them. Run the preflight there.
    ///
    /// Source: docker/cli `cli/compose/interpolation`, `cli/command/stack/loader`.
    "stack/variable-unset": Warning, "variables of the stack file are not set";
    healthy "every variable of the stack file is set or has a default";
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
    let summary =
        format!("variables without a value in this shell, empty in the stack: {}", names.join(", "));
    let mut lines: Vec<u32> = by_name.values().copied().collect();
    lines.sort_unstable();
    lines.dedup();
    let absent = format!("no variable {} in the environment", names.join(", "));
    let finding = out.report(Subject::Cluster, summary, Evidence::absent(stack.surroundings.get()?, absent));
    for number in lines {
        finding.with(line(stack, number));
    }
    finding.remedy(Remedy {
        title: format!("Set {} in the shell that deploys", names.join(", ")).into(),
        risk: Risk::Safe,
        impact: super::NOTHING_RUNS.into(),
        steps: vec![Step::Manual {
            node: Target::Described("this host"),
            text:
                "docker stack deploy reads no .env file; load it into the shell, then run the preflight again"
                    .into(),
            commands: vec![
                "set -a; . ./.env; set +a".into(),
                format!("swarm-doctor preflight --stack {}", shell_quote(&stack.source.origin)),
            ],
        }],
    });
    Ok(())
}
