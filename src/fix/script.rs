//! The commands of a plan as a script for the nodes that they are for.

use super::level::Level;
use super::plan::Plan;
use checks::{Step, Target, shell_quote};
use std::collections::BTreeMap;

/// What the lines of the script call: engines are turned by what started them, and a fix whose node has other ailments
/// left is none that failed.
const FUNCTIONS: &str = r#"
engine() {
    if [ -d /run/systemd/system ]; then systemctl "$1" docker; else /etc/init.d/docker "$1"; fi
}
fix() {
    command -v swarm-doctor > /dev/null || { echo "bring swarm-doctor here for this: swarm-doctor fix $1" >&2; exit 1; }
    swarm-doctor fix "$1" --level "$2" --yes || [ $? -eq 1 ]
}
is_manager() {
    [ "$(docker info --format '{{.Swarm.ControlAvailable}}')" = true ]
}
"#;

/// A script of plain sh: on each node it does what is for that node, and nothing on others. What a person has to judge
/// stands there as a comment.
pub(super) fn script(plans: &[Plan], taken: &str) -> String {
    let mut nodes: BTreeMap<Target, Vec<String>> = BTreeMap::new();
    for plan in plans {
        let (check, subject) = plan.key();
        let mut told = None;
        let steps: Vec<_> = plan.here.iter().chain(&plan.rest).collect();
        for (at, step) in steps.iter().enumerate() {
            let lines = nodes.entry(step.target().clone()).or_default();
            if told != Some(step.target()) {
                lines
                    .push(format!("# {}", plain(&format!("{check} on {subject}: {}", plan.finding.summary))));
                told = Some(step.target());
            }
            lines.push(format!("# {}", plain(&step.text())));
            let there: Vec<_> = steps.iter().filter(|other| other.target() == step.target()).collect();
            // What comes behind something that a person has to do first waits for that.
            let waits = steps[..at]
                .iter()
                .any(|other| other.target() == step.target() && matches!(other, Step::Manual { .. }));
            if waits {
                lines.extend(step.commands().iter().map(|command| comment(command)));
            } else if !there.iter().any(|step| is_own(step)) {
                lines.extend(typed(step));
            } else if !steps[..at].iter().any(|other| other.target() == step.target()) {
                // What no command does, swarm-doctor does there, and with it the whole remedy.
                let level = there.iter().map(|step| Level::of(step)).fold(plan.least(), Level::max);
                lines.push(format!("fix {} {}", shell_quote(&check), level.as_str()));
            }
        }
    }
    let mut text = format!(
        "#!/bin/sh\n# Written by swarm-doctor {} from what it saw at {taken}. Read it before you run it.\nset -eu\n",
        env!("CARGO_PKG_VERSION")
    );
    for (name, head) in [("engine", "\nengine() {"), ("fix", "\nfix() {"), ("is_manager", "\nis_manager() {")]
    {
        let called = |line: &String| line.split(' ').next() == Some(name);
        let wanted = name == "is_manager" && nodes.contains_key(&Target::AnyManager);
        if (wanted || nodes.values().flatten().any(called))
            && let Some(at) = FUNCTIONS.find(head)
            && let Some(length) = FUNCTIONS[at..].find("\n}\n")
        {
            text.push_str(&FUNCTIONS[at + 1..at + length + 3]);
        }
    }
    let on_managers = nodes.remove(&Target::AnyManager);
    text.push_str("case \"$(hostname)\" in\n");
    for (target, lines) in nodes {
        // What belongs to a place that no hostname stands for is left to a person.
        let Target::Node(node) = target else { continue };
        text.push_str(&format!("{})\n", shell_quote(node.as_str())));
        for line in lines {
            text.push_str(&format!("    {line}\n"));
        }
        text.push_str("    ;;\n");
    }
    text.push_str("*) echo \"nothing of this is for $(hostname) alone\" ;;\nesac\n");
    if let Some(lines) = on_managers {
        text.push_str("# On one manager, whichever it is.\nif is_manager; then\n");
        for line in lines {
            text.push_str(&format!("    {line}\n"));
        }
        text.push_str("    :\nfi\n");
    }
    text
}

fn comment(command: &str) -> String {
    format!("#   {}", plain(command))
}

/// Whether no command does it.
fn is_own(step: &Step) -> bool {
    matches!(step, Step::EditJson { .. } | Step::RepairJson { .. })
}

/// The lines that do it; comments where a person has to judge.
fn typed(step: &Step) -> Vec<String> {
    match step {
        Step::ReloadEngine { .. } => vec!["engine reload".into()],
        Step::StartEngine { .. } => vec!["engine start".into()],
        Step::RestartEngine { .. } => vec!["engine restart".into()],
        Step::Manual { .. } | Step::ForceNewCluster { .. } | Step::RenewCertificate { .. } => {
            step.commands().iter().map(|command| comment(command)).collect()
        }
        _ => step.commands().iter().map(|command| plain(command)).collect(),
    }
}

/// A line that stays one line.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
