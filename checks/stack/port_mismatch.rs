use super::{compose, edit, line, subject};
use crate::model::stack_app::members;
use crate::{Findings, Judged, View};

check! {
    /// A service publishes a port on which its program does not listen.
    ///
    /// ## Why it matters
    /// The environment or a mounted file configures one port, and the stack publishes another. Nothing listens there, and
    /// every connection is refused.
    ///
    /// ## How to fix it
    /// Set the second number of the published port to the port that is configured for the program.
    ///
    /// ## When it is wrong
    /// Only programs with known settings are judged, and only where none of the published ports leads to a configured
    /// port.
    ///
    /// Source: the manuals of the applications; ddewaele/nifi.cluster.docker.swarm, whose nodes had it.
    "stack/port-mismatch": Error, "a service publishes a port on which its program does not listen";
    healthy "every published port is one on which its program listens";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    for member in members(stack, compose(stack)?) {
        let service = member.service;
        // A program may have more ports than those that are known; only one that is configured says otherwise.
        let is_set = |port: u16| {
            let port = port.to_string();
            let names =
                |value: &str| value.split(|char: char| !char.is_ascii_digit()).any(|number| number == port);
            member.program.name == "nifi"
                || member.settings.entries.iter().any(|setting| names(&setting.value))
        };
        let configured: Vec<(u16, _)> =
            member.config.endpoints.iter().filter_map(|it| Some((it.port?, it.what.as_str()))).collect();
        if !configured.iter().any(|(port, _)| is_set(*port)) {
            continue;
        }
        let targets: Vec<u16> = service.ports.iter().map(|port| port.value.target).collect();
        let (Some((port, what)), Some(first)) = (configured.first(), service.ports.first()) else { continue };
        if targets.iter().any(|target| configured.iter().any(|(port, _)| port == target)) {
            continue;
        }
        let name = member.name();
        let published: Vec<String> = targets.iter().map(u16::to_string).collect();
        let summary = format!(
            "{name} publishes its port {}, and its {what} is configured to listen on {port}",
            published.join(", ")
        );
        let finding = out.report(subject(service), summary, line(stack, first.line));
        for setting in member.settings.entries.iter().filter(|setting| setting.value == port.to_string()) {
            finding.with(member.evidence(setting));
        }
        let text =
            format!("line {}: publish port {port}, or configure another port for the program", first.line);
        finding.remedy(edit(
            stack,
            format!("Align the published port of {name} with its listening port"),
            text,
        ));
    }
    Ok(())
}
