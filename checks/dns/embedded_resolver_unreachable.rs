use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::container::Answer;
use std::collections::BTreeSet;

check! {
    /// The engine's DNS server does not answer a container.
    ///
    /// ## Why it matters
    /// Names of services and tasks are known to that server alone, which each container finds at 127.0.0.11. What leads
    /// there are rules in the container's own network namespace. Where they are gone, because something in the container
    /// or on the node emptied its tables, no name resolves, and each program in it says `Temporary failure in name
    /// resolution`, while its task counts as running.
    ///
    /// ## How to fix it
    /// Start the task anew: the engine writes the rules when it starts a container. Then find who empties them.
    ///
    /// ## When it is wrong
    /// On a machine so busy that no answer comes within a second, twice.
    ///
    /// Source: libnetwork `resolver_unix.go`, `setupIPTable`.
    "dns/embedded-resolver-unreachable": Error, "the engine's DNS server does not answer a container";
    needs Containers, TaskNetns, Networks;
    caused_by "engine/unreachable";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    let networks = host.networks.get()?;
    let mut told = BTreeSet::new();
    // Elsewhere all names are passed on, and the silence may be that of others.
    for container in containers.value.iter().filter(|it| super::finds_services(it, networks)) {
        let service = &container.service_name;
        let netns = match container.netns.get() {
            Ok(netns) => netns,
            Err(gap) => {
                out.inconclusive(Subject::Service(service.clone()), gap);
                continue;
            }
        };
        let silent = !netns.answers.is_empty() && netns.answers.iter().all(is_silence);
        if !silent || !told.insert(service) {
            continue;
        }
        let name = &container.name;
        let summary = format!("inside {name} the engine's DNS server, 127.0.0.11, answers no question");
        let mut shown = netns.answers.iter().filter_map(|answer| {
            let error = answer.result.as_ref().err()?;
            Some(Evidence::value(netns, format!("DNS {}: {error}", answer.name)))
        });
        let Some(first) = shown.next() else { continue };
        let finding = out.report(Subject::Service(service.clone()), summary, first);
        for shown in shown {
            finding.with(shown);
        }
        finding.on_nodes([host.name.clone()]);
        let look = |file: &str| format!("nsenter --net=/proc/{}/ns/net iptables {file}", container.pid);
        finding.remedy(Remedy {
            title: "Let the engine write the container's rules anew".into(),
            risk: Risk::Disruptive,
            impact: "the task ends, and another one starts in its place".into(),
            steps: vec![
                Step::Manual {
                    node: host.name.clone(),
                    text: "see what has become of the rules that lead to the server: without DOCKER_OUTPUT in nat nothing \
                           does, and a rule in OUTPUT may keep it away"
                        .into(),
                    commands: vec![look("-t nat -S"), look("-S OUTPUT")],
                },
                Step::Manual {
                    node: host.name.clone(),
                    text: "end this container, and swarm starts another one".into(),
                    commands: vec![format!("docker stop {}", shell_quote(name))],
                },
            ],
        });
    }
    Ok(())
}

/// Whether nobody answered, as opposed to an answer that there is no such name.
fn is_silence(answer: &Answer) -> bool {
    let silence = |error: &String| error.starts_with("no answer") || error.contains("os error");
    answer.result.as_ref().is_err_and(silence)
}
