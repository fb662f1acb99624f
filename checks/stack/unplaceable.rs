use super::{compose, edit, line, subject};
use crate::placement::{Constraint, closed_because, is_open, satisfies};
use crate::{Evidence, Finding, Findings, Judged, View};
use facts::stack::{At, StackService};
use facts::swarm::Node;

check! {
    /// No node of this swarm can run the tasks of a service.
    ///
    /// ## Why it matters
    /// The deployment succeeds and the tasks stay `pending`: a constraint names a node or a label that does not exist, the
    /// matching nodes are drained or down, more is reserved than any node has, or more tasks are wanted than the nodes may
    /// run.
    ///
    /// ## How to fix it
    /// Correct the constraint, add the label to a node, or require less.
    ///
    /// ## When it is wrong
    /// The node joins before the deployment, or the stack is for another swarm.
    ///
    /// Source: swarmkit `manager/constraint/constraint.go`, `manager/scheduler/filter.go`.
    "stack/unplaceable": Error, "no node can run the tasks of a service";
    healthy "the swarm has a node for every task of the stack";
    needs Stack, Nodes;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let compose = compose(stack)?;
    let nodes = view.snapshot.nodes.get()?;
    for service in &compose.services {
        let constraints: Vec<String> = service.constraints.iter().map(|c| c.value.clone()).collect();
        let fit: Vec<&Node> = nodes.iter().filter(|node| satisfies(&constraints, node)).collect();
        let open: Vec<&Node> = fit.iter().copied().filter(|node| is_open(node)).collect();
        let name = &service.name.value;
        let Some((number, reason)) = obstacle(service, nodes, &fit, &open) else { continue };
        let finding = out.report(
            subject(service),
            format!("no node can run all tasks of {name}: {reason}"),
            line(stack, number),
        );
        show(finding, service, nodes, |shown| Evidence::value(nodes, shown));
        finding.on_nodes(fit.iter().filter(|node| !is_open(node)).map(|node| node.name.clone()));
        finding.remedy(edit(
            stack,
            format!("Make {name} schedulable"),
            format!("line {number}: require what a node has (docker node ls, docker node inspect NODE), or give a node what is required"),
        ));
    }
    Ok(())
}

fn obstacle(service: &StackService, nodes: &[Node], fit: &[&Node], open: &[&Node]) -> Option<(u32, String)> {
    let nowhere = |text: &&At<String>| match Constraint::parse(&text.value) {
        Some(constraint) => !nodes.iter().any(|node| constraint.holds(node)),
        None => true,
    };
    if let Some(text) = service.constraints.iter().find(nowhere) {
        let words = match Constraint::parse(&text.value) {
            None => format!("{:?} is not a constraint", text.value),
            Some(constraint) if !constraint.is_known() => {
                format!("swarm does not know the key of constraint {}", text.value)
            }
            Some(_) => format!("{} holds on none of {} nodes", text.value, nodes.len()),
        };
        return Some((text.line, words));
    }
    let first = service.constraints.first().map_or(service.name.line, |text| text.line);
    if fit.is_empty() {
        return Some((first, "no node satisfies all its constraints".into()));
    }
    if open.is_empty() {
        let standing: Vec<String> = fit
            .iter()
            .filter_map(|node| Some(format!("{} is {}", node.name, closed_because(node)?)))
            .collect();
        return Some((
            first,
            format!("the nodes that satisfy its constraints accept no tasks: {}", standing.join(", ")),
        ));
    }
    let most = |of: fn(&Node) -> i64| open.iter().map(|node| of(node)).max().unwrap_or(0);
    let (memory, cpus) = (most(|node| node.resources.memory_bytes), most(|node| node.resources.nano_cpus));
    let asked = service.reserved.value;
    if asked.memory_bytes > memory {
        let mib = |bytes: i64| bytes / (1 << 20);
        let words = format!(
            "each task reserves {} MiB, and no matching node has more than {} MiB",
            mib(asked.memory_bytes),
            mib(memory)
        );
        return Some((service.reserved.line, words));
    }
    if asked.nano_cpus > cpus {
        let whole = |nano: i64| nano / 1_000_000_000;
        let words = format!(
            "each task reserves {} CPUs, and no matching node has more than {}",
            whole(asked.nano_cpus),
            whole(cpus)
        );
        return Some((service.reserved.line, words));
    }
    let (most, wanted) = (service.max_replicas.value, service.replicas.value);
    let places = most.saturating_mul(open.len() as u64);
    (!service.global && most > 0 && wanted > places).then(|| {
        let words = format!("{wanted} tasks are wanted, and {} nodes may run {most} each", open.len());
        (service.max_replicas.line, words)
    })
}

fn show(
    finding: &mut Finding,
    service: &StackService,
    nodes: &[Node],
    evidence: impl Fn(String) -> Evidence,
) {
    for constraint in service.constraints.iter().filter_map(|text| Constraint::parse(&text.value)) {
        for node in nodes.iter().take(8).filter(|node| !constraint.holds(node)) {
            if let Some(found) = constraint.found_on(node) {
                let found = if found.is_empty() { "not set" } else { found };
                finding.with(evidence(format!("{}: {}: {found}", node.name, constraint.key)));
            }
        }
    }
}
