//! The commands of plans as a script for the nodes that they are for.

use super::level::Level;
use super::plan::Plan;
use checks::{Step, Target, shell_quote};
use std::collections::BTreeMap;

/// What the lines of the script call: dockerd is controlled by what started it, and a fix whose node has other findings left
/// did not fail.
const FUNCTIONS: [(&str, &str); 2] = [
    (
        "engine",
        r#"engine() {
    if [ -d /run/systemd/system ]; then systemctl "$1" docker; else /etc/init.d/docker "$1"; fi
}
"#,
    ),
    (
        "fix",
        r#"fix() {
    command -v swarm-doctor > /dev/null || { echo "install swarm-doctor here for this: swarm-doctor fix $1" >&2; exit 1; }
    swarm-doctor fix "$1" --level "$2" --yes || [ $? -eq 1 ]
}
"#,
    ),
];

/// Words that stand for a value which only a person knows.
const PLACEHOLDERS: [&str; 8] = ["TOKEN", "MANAGER", "OLD-ID", "NEW-ID", "NAME", "FILE", "BACKUP", "ADDRESS"];

/// A script of plain sh: on each node it does what is for that node, and nothing on others. What is above the level, needs a
/// value that only a person knows, or has to be judged by a person stands there as a comment.
pub fn script(plans: &[Plan], allowed: Level, taken: &str) -> String {
    let mut nodes: BTreeMap<Target, Vec<String>> = BTreeMap::new();
    for plan in plans {
        let steps: Vec<&Step> = plan.here.iter().chain(&plan.rest).collect();
        let mut targets: Vec<&Target> = Vec::new();
        for step in &steps {
            if !targets.contains(&step.target()) {
                targets.push(step.target());
            }
        }
        for target in targets {
            let there: Vec<&Step> = steps.iter().filter(|step| step.target() == target).copied().collect();
            nodes.entry(target.clone()).or_default().extend(lines(plan, &there, allowed));
        }
    }
    let mut text = format!(
        "#!/bin/sh\n# Written by swarm-doctor {} from the facts of {taken}. Read it before you run it.\nset -eu\n",
        env!("CARGO_PKG_VERSION")
    );
    for (name, body) in FUNCTIONS {
        if nodes.values().flatten().any(|line| line.split(' ').next() == Some(name)) {
            text.push_str(&format!("\n{body}"));
        }
    }
    text.push_str("\ncase \"$(hostname)\" in\n");
    let mut elsewhere = String::new();
    for (target, lines) in nodes {
        if let Target::Node(node) = &target {
            // Quoted even where it need not be: a host may be called `esac`.
            text.push_str(&format!("'{}')\n", node.as_str().replace('\'', r"'\''")));
            lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
            text.push_str("    ;;\n");
        } else {
            // Which hosts these are is not known here, so that nothing runs.
            elsewhere.push_str(&format!("\n# On {}:\n", one_line(&target.to_string())));
            for line in lines {
                let line = if line.starts_with('#') { line } else { comment(&line) };
                elsewhere.push_str(&format!("{line}\n"));
            }
        }
    }
    text.push_str("*) echo \"nothing to do on $(hostname)\" ;;\nesac\n");
    text.push_str(&elsewhere);
    text
}

/// The lines of a plan for one target.
fn lines(plan: &Plan, steps: &[&Step], allowed: Level) -> Vec<String> {
    let (check, subject) = plan.key();
    let mut lines =
        vec![format!("# {}", one_line(&format!("{check} on {subject}: {}", plan.finding.summary)))];
    let level = steps.iter().map(|step| Level::of(step)).fold(plan.least(), Level::max);
    let first_manual = steps.iter().position(|step| is_manual(step)).unwrap_or(steps.len());
    // What follows an instruction for a person waits for it; a sequence with a gap must not run up to the gap.
    let has_gap = first_manual < steps.len() || steps.iter().any(|step| has_placeholder(step));
    let reason = if level > allowed {
        Some(format!("{} and therefore not run; allow it with --fix={}", level.as_str(), level.as_str()))
    } else if plan.too_weak.is_some() {
        plan.too_weak.map(str::to_owned)
    } else if level == Level::Destructive && has_gap {
        Some("it needs values that only you know".to_owned())
    } else {
        None
    };
    if let Some(reason) = &reason {
        lines.push(format!("# Not run: {reason}"));
    }
    let by_doctor = steps.iter().any(|step| matches!(step, Step::EditJson { .. } | Step::RepairJson { .. }));
    for (at, step) in steps.iter().enumerate() {
        lines.push(format!("# {}", one_line(&step.text())));
        let runs = reason.is_none() && at < first_manual && !has_placeholder(step);
        if !runs {
            lines.extend(step.commands().iter().map(|command| comment(command)));
        } else if !by_doctor {
            lines.extend(runnable(step));
        } else if at == 0 {
            // No command edits JSON, so that swarm-doctor applies the whole remedy there.
            lines.push(format!("fix {} {}", shell_quote(&check), level.as_str()));
        }
    }
    lines
}

fn is_manual(step: &Step) -> bool {
    matches!(step, Step::Manual { .. } | Step::ForceNewCluster { .. } | Step::RenewCertificate { .. })
}

/// Whether a command of the step contains a word that stands for an unknown value.
fn has_placeholder(step: &Step) -> bool {
    let commands = step.commands();
    let mut words = commands.iter().flat_map(|command| {
        command.split(|char: char| !(char.is_ascii_alphanumeric() || char == '-')).map(str::to_owned)
    });
    words.any(|word| PLACEHOLDERS.contains(&word.as_str()))
}

fn comment(command: &str) -> String {
    format!("#   {}", one_line(command))
}

fn runnable(step: &Step) -> Vec<String> {
    match step {
        Step::ReloadEngine { .. } => vec!["engine reload".into()],
        Step::StartEngine { .. } => vec!["engine start".into()],
        Step::RestartEngine { .. } => vec!["engine restart".into()],
        _ => step.commands().iter().map(|command| one_line(command)).collect(),
    }
}

/// The text without control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
