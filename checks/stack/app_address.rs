use super::member::{Member, members};
use super::{compose, edit, edit_of, line, subject};
use crate::{Confidence, Findings, Judged, Severity, View};
use facts::app::{Claim, Malformed, Said};

check! {
    /// A clustered program is told an address under which its peers do not reach it.
    ///
    /// ## Why it matters
    /// NiFi, ZooKeeper, Kafka and their kind bind to a name, and tell it to their peers. In a stack the name of a
    /// service is its virtual address, which no task has, so that binding to it fails; a wildcard or `localhost` leads
    /// each peer to itself; an identity that two members share lets them take turns; and a `hostname` that is the name
    /// of its service is answered with the virtual address and the task's by turns.
    ///
    /// ## How to fix it
    /// One service for each member, with a `hostname` of its own that is not the service's name, and that name in
    /// every setting that binds or advertises.
    ///
    /// ## When it is wrong
    /// With `endpoint_mode: dnsrr` the name of a service is its task's address, and the doctor says nothing.
    ///
    /// Source: moby#30963; NiFi `NiFiProperties.java`; ddewaele/nifi.cluster.docker.swarm.
    "stack/app-address": Error, "a clustered program is told an address that leads astray";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    let members = members(stack, compose(stack)?);
    for (at, member) in members.iter().enumerate() {
        hostname(member, out);
        for wrong in &member.config.malformed {
            malformed(member, wrong, out);
        }
        addresses(member, out);
        if let Some(said) = &member.config.identity {
            let twin = members.iter().take(at).find(|other| are_twins(member, other, said));
            if let Some(twin) = twin {
                shared(member, twin, said, out);
            }
        }
    }
    Ok(())
}

/// A value that cannot be meant, such as one with a second `=` before it.
fn malformed(member: &Member<'_>, wrong: &Malformed, out: &mut Findings<'_>) {
    let Malformed { said, why, meant, advice } = wrong;
    let (name, value) = (&said.name, &said.value);
    let summary = match meant {
        Some(_) => format!("{} is told {name}={value}, and {value:?} is no value of it", member.name()),
        None => format!("{} {why} ({said})", member.name()),
    };
    out.report(subject(member.service), summary, member.evidence(said)).remedy(edit_of(
        &member.place(said),
        format!("Correct {name}"),
        advice.as_str(),
    ));
}

/// An address to bind that is the VIP's, or one to tell others that is everybody's.
fn addresses(member: &Member<'_>, out: &mut Findings<'_>) {
    let (service, name) = (member.service, member.name());
    let hostname = service.hostname.as_ref().map(|hostname| hostname.value.as_str());
    let is_vip = |claim: &&Claim| !service.dnsrr && claim.host == name && hostname != Some(name);
    let leads_nowhere =
        |claim: &&Claim| matches!(claim.host.as_str(), "localhost" | "127.0.0.1" | "0.0.0.0" | "::" | "::1");
    let bound = member.config.endpoints.iter().filter_map(|endpoint| endpoint.bind.as_ref());
    let told = member.config.endpoints.iter().filter_map(|endpoint| endpoint.advertise.as_ref());
    let told = told.filter(|_| member.config.clustered);
    let (claim, summary) = if let Some(claim) = bound.clone().find(is_vip) {
        let why = "the name of its service is its virtual address, which its task does not hold";
        (claim, format!("{name} is told to listen at {} ({}): {why}", claim.host, claim.said))
    } else if let Some(claim) = told.clone().find(leads_nowhere) {
        let why = "each of its peers reaches itself there";
        (claim, format!("{name} is told to tell its peers {} ({}): {why}", claim.host, claim.said))
    } else {
        return;
    };
    out.report(subject(service), summary, member.evidence(&claim.said))
        .with(line(member.stack, service.name.line))
        .remedy(edit_of(
            &member.place(&claim.said),
            format!("Give {name} a hostname, and the setting that name"),
            format!(
                "{}={name}-node, and in the stack file under {name} hostname: {name}-node",
                claim.said.name
            ),
        ));
}

/// Whether two members of one program will take each other's place.
fn are_twins(one: &Member<'_>, other: &Member<'_>, said: &Said) -> bool {
    let together = one.config.peers.is_empty()
        || other.config.peers.is_empty()
        || one.config.peers.iter().any(|peer| other.config.peers.contains(peer));
    let same =
        other.config.identity.as_ref().is_some_and(|it| it.name == said.name && it.value == said.value);
    let clustered = one.config.clustered && other.config.clustered;
    one.program.name == other.program.name && clustered && same && together && !said.value.contains("{{")
}

fn shared(member: &Member<'_>, twin: &Member<'_>, said: &Said, out: &mut Findings<'_>) {
    let summary = format!("{} and {} are both told {}={}", twin.name(), member.name(), said.name, said.value);
    let theirs = twin.config.identity.as_ref().unwrap_or(said);
    out.report(subject(member.service), summary, member.evidence(said)).with(twin.evidence(theirs)).remedy(
        edit_of(
            &member.place(said),
            "Give each member an identity of its own",
            format!("let {} be one that no other member has", said.name),
        ),
    );
}

/// A hostname that is the service's name, or one for several tasks.
fn hostname(member: &Member<'_>, out: &mut Findings<'_>) {
    let (stack, service, name) = (member.stack, member.service, member.name());
    let Some(hostname) = &service.hostname else { return };
    let many = service.global || service.replicas.value > 1;
    let shared = many && !hostname.value.contains("{{");
    let (summary, meant) = if shared {
        (
            format!("all tasks of {name} have the hostname {}", hostname.value),
            format!("{name}-{{{{.Task.Slot}}}}"),
        )
    } else if hostname.value == *name && !service.dnsrr {
        let answer = "its peers are answered with its virtual address and its task's by turns";
        (format!("the hostname of {name} is the name of its service: {answer}"), format!("{name}-node"))
    } else {
        return;
    };
    let finding = out.report(subject(service), summary, line(stack, hostname.line));
    if !shared {
        finding.severity(Severity::Warning).confidence(Confidence::Medium);
    }
    let text = format!(
        "line {}: hostname: \"{meant}\", and that name in its settings and its peers'",
        hostname.line
    );
    finding.remedy(edit(stack, format!("Give the tasks of {name} names of their own"), text));
}
