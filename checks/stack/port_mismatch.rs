use super::member::members;
use super::{compose, edit, line, subject};
use crate::{Findings, Judged, View};

check! {
    /// A service publishes a port that its program does not listen on.
    ///
    /// ## Why it matters
    /// The environment or a mounted file tells the program one port, and the stack leads to another. Nobody listens
    /// there, and every connection is refused.
    ///
    /// ## How to fix it
    /// Let the second number of the published port be the one that the program is told.
    ///
    /// ## When it is wrong
    /// Only programs are judged whose settings are known, and only where none of the published ports leads to any
    /// port that they are told.
    ///
    /// Source: the applications' manuals; ddewaele/nifi.cluster.docker.swarm, whose nodes had it.
    "stack/port-mismatch": Error, "a service publishes a port that its program does not listen on";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    for member in members(stack, compose(stack)?) {
        let service = member.service;
        let told: Vec<(u16, _)> =
            member.config.endpoints.iter().filter_map(|it| Some((it.port?, it.what.as_str()))).collect();
        let targets: Vec<u16> = service.ports.iter().map(|port| port.value.target).collect();
        let (Some((first_told, what)), Some(first)) = (told.first(), service.ports.first()) else { continue };
        if targets.iter().any(|target| told.iter().any(|(port, _)| port == target)) {
            continue;
        }
        let name = member.name();
        let published: Vec<String> = targets.iter().map(u16::to_string).collect();
        let summary = format!(
            "{name} publishes its port {}, and its {what} is told to listen on {first_told}",
            published.join(", ")
        );
        let finding = out.report(subject(service), summary, line(stack, first.line));
        for said in member.settings.said.iter().filter(|said| said.value == first_told.to_string()) {
            finding.with(member.evidence(said));
        }
        let text = format!("line {}: lead to {first_told}, or tell the program another port", first.line);
        finding.remedy(edit(stack, format!("Let {name} and its published port agree"), text));
    }
    Ok(())
}
