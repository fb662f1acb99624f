use super::{compose, edit, line, subject};
use crate::{Findings, Judged, View};

check! {
    /// The file has options that swarm passes over.
    ///
    /// ## Why it matters
    /// They work with `docker compose` and do nothing in a stack, mostly without a word: `depends_on` starts nothing
    /// in order, `restart` restarts nothing, `build` builds nothing, `:Z` labels nothing.
    ///
    /// ## How to fix it
    /// Take them out, or say it in swarm's way: `deploy.restart_policy` for `restart`, an image that was built and
    /// pushed for `build`, a program that waits for what it needs for `depends_on`.
    ///
    /// ## When it is wrong
    /// A file that serves `docker compose` as well.
    ///
    /// Source: docker/cli `cli/compose/types/types.go`, `UnsupportedProperties` and `DeprecatedProperties`.
    "stack/option-ignored": Warning, "the stack file has options that swarm passes over";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    for service in &compose(stack)?.services {
        let Some((first, rest)) = service.ignored.split_first() else { continue };
        let names: Vec<&str> = service.ignored.iter().map(|option| option.value.as_str()).collect();
        let summary = format!("swarm passes over {} of {}", names.join(", "), service.name.value);
        let finding = out.report(subject(service), summary, line(stack, first.line));
        for option in rest {
            finding.with(line(stack, option.line));
        }
        let text = "take them out, or say under deploy what swarm is to do";
        finding.remedy(edit(stack, "Do not rely on these options", text));
    }
    Ok(())
}
