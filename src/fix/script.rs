//! The commands of a plan as a script for the nodes that they are for.

use super::plan::Plan;
use checks::Step;
use std::collections::BTreeMap;

/// A script of plain sh: on each node it does what is for that node, and nothing on others. What a person has to judge
/// stands there as a comment.
pub(super) fn script(plans: &[Plan], taken: &str) -> String {
    let mut nodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for plan in plans {
        let (check, subject) = plan.key();
        let mut told = None;
        for step in plan.here.iter().chain(&plan.rest) {
            let lines = nodes.entry(step.node().to_string()).or_default();
            if told != Some(step.node()) {
                lines
                    .push(format!("# {}", plain(&format!("{check} on {subject}: {}", plan.finding.summary))));
                told = Some(step.node());
            }
            lines.push(format!("# {}", plain(&step.text())));
            let by_hand = matches!(step, Step::ByHand { .. } | Step::ForceNewCluster { .. });
            lines.extend(step.commands().iter().map(|command| match by_hand {
                true => format!("#   {}", plain(command)),
                false => plain(command),
            }));
            if step.commands().is_empty() {
                lines.push(format!("swarm-doctor fix {check}"));
            }
        }
    }
    let mut text = format!(
        "#!/bin/sh\n# Written by swarm-doctor {} from what it saw at {taken}. Read it before you run it.\nset -eu\ncase \
         \"$(hostname)\" in\n",
        env!("CARGO_PKG_VERSION")
    );
    for (node, lines) in nodes {
        text.push_str(&format!("{})\n", checks::word(&node)));
        for line in lines {
            text.push_str(&format!("    {line}\n"));
        }
        text.push_str("    ;;\n");
    }
    text.push_str("*) echo \"nothing of this is for $(hostname)\" ;;\nesac\n");
    text
}

/// A line that stays one line.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
