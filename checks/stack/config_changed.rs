use super::{compose, edit, line, surroundings};
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::stack::Kind;

check! {
    /// A config of the stack exists already with other content.
    ///
    /// ## Why it matters
    /// The content of a config cannot be changed. When the file of a config changed and its name did not, the managers
    /// refuse the deployment with "only updates to Labels are allowed", and part of the stack is updated.
    ///
    /// ## How to fix it
    /// Give the config a new name for each content, such as `name: app_conf_v2`, and remove the old one later.
    ///
    /// ## When it is wrong
    /// The old config is removed before the deployment. Secrets have the same limit, but their content cannot be read.
    ///
    /// Source: swarmkit `manager/controlapi/config.go`, `UpdateConfig`; docker/cli `cli/command/stack/swarm/deploy_composefile.go`.
    "stack/config-changed": Error, "a config of the stack exists with other content";
    healthy "every existing config of the stack has the content of its file";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let known = surroundings(stack)?;
    let configs = compose.resources.iter().filter(|it| it.kind == Kind::Config && !it.external);
    for config in configs {
        let Some(name) = config.name_in(stack.name.as_deref()) else { continue };
        let Some(file) = config.file.as_ref().filter(|_| known.changed_configs.contains(&name)) else {
            continue;
        };
        let summary = format!(
            "config {name} exists with other content than {}: the managers refuse to change it",
            file.value
        );
        let next = format!("{}_v2", config.key.value);
        out.report(Subject::Cluster, summary, line(stack, file.line))
            .with(Evidence::value(
                stack.surroundings.get()?,
                format!("{name}: its content differs from {}", file.value),
            ))
            .remedy(edit(
                stack,
                format!("Give config {} a new name", config.key.value),
                format!("line {}: add name: {next}, and another name with each change", config.key.line),
            ));
    }
    Ok(())
}
