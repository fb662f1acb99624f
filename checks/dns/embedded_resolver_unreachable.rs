use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::container::{Answer, Container, Netns};
use facts::link::Outcome;
use facts::{Gap, Host, Why};
use std::collections::BTreeSet;

check! {
    /// The embedded DNS server of the engine does not answer a container.
    ///
    /// ## Why it matters
    /// Only the embedded DNS server knows service and task names. Each container reaches it at 127.0.0.11, through
    /// NAT rules in the network namespace of the container. If a program in the container or on the node deletes
    /// these rules, no name resolves in the container (`Temporary failure in name resolution`), and the task still
    /// counts as running.
    ///
    /// ## How to fix it
    /// Restart the task: the engine writes the rules when it starts a container. Then find what deletes them.
    ///
    /// ## When it is wrong
    /// On a node that is so busy that two questions in a row are not answered within 0.7 s each. A task that starts,
    /// stops or drains is not judged by its own name: the engine does not know that name yet, forwards the question,
    /// and an unreachable upstream server then looks like silence.
    ///
    /// Source: libnetwork `resolver_unix.go`, `setupIPTable`; moby `daemon/cluster/executor/container/controller.go`
    /// (names are published while a task is healthy).
    "dns/embedded-resolver-unreachable": Error, "the embedded DNS server does not answer a container";
    healthy "the embedded DNS server answers containers";
    needs Containers, TaskNetns, Networks, Tasks;
    caused_by "engine/unreachable", "network/endpoint-missing";
    for each Host: run
}

/// For how many seconds a task must have been running until its names have to be known.
const SETTLED_SECONDS: i64 = 30;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    let networks = host.networks.get()?;
    let mut reported = BTreeSet::new();
    // Without an overlay all names are forwarded, and silence may be that of the upstream servers.
    for container in containers.value.iter().filter(|it| super::resolves_services(it, networks)) {
        let service = &container.service_name;
        let netns = match container.netns.get() {
            Ok(netns) => netns,
            Err(gap) => {
                out.inconclusive(Subject::Service(service.clone()), gap);
                continue;
            }
        };
        let silent = !netns.answers.is_empty() && netns.answers.iter().all(is_timeout);
        if !silent || reported.contains(service) {
            continue;
        }
        let confidence = match cause(netns, container, view) {
            Ok(Silence::NoPath) => Confidence::High,
            Ok(Silence::KnownName) => Confidence::Medium,
            Ok(Silence::MaybeUpstream) => continue,
            Err(gap) => {
                out.inconclusive(Subject::Service(service.clone()), gap);
                continue;
            }
        };
        reported.insert(service);
        let name = &container.name;
        let summary = format!("container {name}: the embedded DNS server 127.0.0.11 does not answer");
        let mut questions = netns.answers.iter().filter_map(|answer| {
            let error = answer.result.as_ref().err()?;
            Some(Evidence::value(netns, format!("DNS {}: {error}", answer.name)))
        });
        let Some(first) = questions.next() else { continue };
        let finding = out.report(Subject::Service(service.clone()), summary, first).confidence(confidence);
        for question in questions {
            finding.with(question);
        }
        if let Some(outcome) = &netns.resolver {
            finding.with(Evidence::value(netns, format!("127.0.0.11:53/tcp in the container: {outcome}")));
        }
        finding.on_nodes([host.name.clone()]);
        let inside =
            |arguments: &str| format!("nsenter --net=/proc/{}/ns/net iptables {arguments}", container.pid);
        finding.remedy(Remedy {
            title: format!("Replace the tasks of {service}").into(),
            risk: Risk::Disruptive,
            impact: format!("The tasks of {service} restart, one after the other.").into(),
            steps: vec![
                Step::Manual {
                    node: host.name.clone().into(),
                    text: "find what removed the rules: the nat table needs the chain DOCKER_OUTPUT, and no rule in \
                           OUTPUT may drop 53/udp"
                        .into(),
                    commands: vec![inside("-t nat -S"), inside("-S OUTPUT")],
                },
                Step::Manual {
                    node: Target::AnyManager,
                    text: "start new tasks; the engine writes the rules into each new container".into(),
                    commands: vec![format!("docker service update --force {}", shell_quote(service))],
                },
            ],
        });
    }
    Ok(())
}

/// Why no question was answered.
enum Silence {
    /// Packets do not reach the server.
    NoPath,
    /// The server must know a name that was asked, and did not answer.
    KnownName,
    /// The server may have forwarded every question.
    MaybeUpstream,
}

fn cause(netns: &Netns, container: &Container, view: &View<'_>) -> Result<Silence, Gap> {
    match &netns.resolver {
        Some(Outcome::Open) | None => {}
        Some(_) => return Ok(Silence::NoPath),
    }
    let tasks = match view.snapshot.tasks.get() {
        Ok(tasks) => tasks,
        // A worker does not know whether a task stops: the container runs until the grace period is over.
        Err(Gap { source, why: Why::NotApplicable { .. } }) => {
            let reason = "only a manager knows whether the task is starting or stopping".into();
            return Err(Gap { source, why: Why::NotApplicable { reason } });
        }
        Err(gap) => return Err(gap),
    };
    let now = view.snapshot.taken.as_second();
    let settled = tasks.iter().find(|task| task.id == container.task).is_some_and(|task| {
        let since = task.since.map_or(now, |at| at.as_second());
        task.state == "running" && task.desired == "running" && now - since >= SETTLED_SECONDS
    });
    Ok(if settled { Silence::KnownName } else { Silence::MaybeUpstream })
}

/// Whether the question got no answer at all, not even NXDOMAIN.
fn is_timeout(answer: &Answer) -> bool {
    answer.result.as_ref().is_err_and(|error| error.starts_with("no answer") || error.contains("os error"))
}
