use super::{compose, edit, line, subject};
use crate::{Findings, Judged, View};

check! {
    /// The file has options that swarm ignores.
    ///
    /// ## Why it matters
    /// They work with `docker compose` and have no effect in a stack, mostly without a message: `depends_on` orders
    /// nothing, `restart` restarts nothing, `build` builds nothing, `:Z` labels nothing.
    ///
    /// ## How to fix it
    /// Remove them, or use the swarm option: `deploy.restart_policy` for `restart`, an image that was built and pushed for
    /// `build`, a program that waits for its dependencies for `depends_on`.
    ///
    /// ## When it is wrong
    /// The file serves `docker compose` as well.
    ///
    /// Source: docker/cli `cli/compose/types/types.go`, `UnsupportedProperties` and `DeprecatedProperties`.
    "stack/option-ignored": Warning, "the stack file has options that swarm ignores";
    healthy "swarm uses every option of the stack file";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    for service in &compose(stack)?.services {
        let Some((first, rest)) = service.ignored.split_first() else { continue };
        let names: Vec<&str> = service.ignored.iter().map(|option| option.value.as_str()).collect();
        let summary = format!("swarm ignores {} of {}", names.join(", "), service.name.value);
        let finding = out.report(subject(service), summary, line(stack, first.line));
        for option in rest {
            finding.with(line(stack, option.line));
        }
        let text = "remove them, or use the options under `deploy` instead";
        finding.remedy(edit(stack, format!("Remove the ignored options of {}", service.name.value), text));
    }
    Ok(())
}
