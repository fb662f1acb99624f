use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::container::{Connect, Container, Netns};
use facts::host::ModuleState;
use facts::link::Outcome;
use facts::{Host, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

check! {
    /// Services do not answer at their virtual addresses, while their tasks do at their own.
    ///
    /// ## Why it matters
    /// A service name resolves to the virtual address: whoever connects by name gets nothing, though every task is
    /// well and `docker service ls` counts it. The network between the nodes is not to blame, as the tasks answer
    /// over it. What is broken is this node's balancer: IPVS in the kernel, or the engine's rules and addresses in
    /// the hidden namespace `lb_...` of the network. A balancer that was made while the node forwarded no packets
    /// goes on to forward none.
    ///
    /// ## How to fix it
    /// Restart the engine of the node: it builds the balancer anew. Until then `endpoint_mode: dnsrr` or
    /// `tasks.NAME` go around it.
    ///
    /// ## When it is wrong
    /// For the moment in which a service is being created. Where tasks do not answer in time themselves nothing is
    /// said.
    ///
    /// Source: moby#25219, moby#28564; libnetwork `service_linux.go`.
    "network/vip-unreachable": Error, "virtual addresses do not answer, while the tasks behind them do";
    needs Containers, TaskNetns, Modules;
    caused_by "host/ipvs-missing", "host/ip-forward-off";
    for each Host: run
}

/// A service whose virtual addresses are silent.
struct Silent<'a> {
    netns: &'a Seen<Netns>,
    addrs: Vec<IpAddr>,
    attempts: Vec<&'a Connect>,
    confidence: Confidence,
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let containers = host.containers.get()?;
    let mut silent = BTreeMap::new();
    for container in &containers.value {
        match container.netns.get() {
            Ok(netns) => {
                if let Some(found) = judge(container, netns) {
                    silent.insert(container.service_name.as_str(), found);
                }
            }
            Err(gap) => out.inconclusive(Subject::Service(container.service_name.clone()), gap),
        }
    }
    if silent.is_empty() {
        return Ok(());
    }
    // A kernel that lacks IPVS has a finding of its own, which says what this comes to.
    let modules = host.modules.get();
    let state = |name: &str| modules.as_ref().ok().and_then(|modules| Some(modules.0.get(name)?.state));
    let lacking = state("ip_vs") == Some(ModuleState::Missing);
    let shown = |(name, found): (&&str, &Silent<'_>)| format!("{name} ({})", list(&found.addrs));
    let names = silent.iter().map(shown).collect::<Vec<_>>().join(", ");
    let summary = match silent.len() {
        1 => format!(
            "from {} nothing answers at the virtual address of {names}, while its tasks do",
            host.name
        ),
        n => format!(
            "from {} nothing answers at the virtual addresses of {n} services, while their tasks do: {names}",
            host.name
        ),
    };
    let mut evidence = silent.values().map(|found| Evidence::value(found.netns, found.shown()));
    let Some(first) = evidence.next() else { return Ok(()) };
    let finding = out.report(Subject::Node(host.name.clone()), summary, first);
    for more in evidence {
        finding.with(more);
    }
    finding.confidence(silent.values().map(|found| found.confidence).max().unwrap_or(Confidence::Medium));
    if lacking {
        finding.severity(Severity::Warning);
    }
    finding.remedy(remedy(host, silent.keys().copied().collect(), lacking));
    Ok(())
}

fn judge<'a>(container: &Container, netns: &'a Seen<Netns>) -> Option<Silent<'a>> {
    let service = &container.service_name;
    let addrs = netns.vips_of(service, service);
    let (to_vip, to_tasks): (Vec<_>, Vec<_>) = netns.connects.iter().partition(|c| addrs.contains(&c.addr));
    let open = |connect: &&Connect| connect.outcome == Outcome::Open;
    if to_vip.is_empty() || to_vip.iter().any(open) || !to_tasks.iter().any(open) {
        return None;
    }
    // What a task itself does is no fault of the way to it: a refusal may be a task's, and so may silence.
    let refused = |connect: &&Connect| matches!(connect.outcome, Outcome::Refused { .. });
    let explained = match to_vip.iter().any(refused) {
        true => !to_tasks.iter().all(open),
        false => !to_tasks.iter().all(|connect| open(connect) || refused(connect)),
    };
    if explained {
        return None;
    }
    let tried: BTreeSet<_> = to_tasks.iter().map(|connect| connect.addr).collect();
    let all_tried = netns.addresses_of(&format!("tasks.{service}")).iter().all(|addr| tried.contains(addr));
    let confidence = if all_tried { Confidence::High } else { Confidence::Medium };
    Some(Silent { netns, addrs, attempts: [to_vip, to_tasks].concat(), confidence })
}

impl Silent<'_> {
    /// Each address once with what came of it.
    fn shown(&self) -> String {
        let mut shown: Vec<String> = Vec::new();
        for connect in &self.attempts {
            let kind = if self.addrs.contains(&connect.addr) { "virtual" } else { "task" };
            let one = format!("{kind} address {}:{}/tcp {}", connect.addr, connect.port, connect.outcome);
            if !shown.contains(&one) {
                shown.push(one);
            }
        }
        shown.join(", ")
    }
}

/// The engine restarts where that helps; a kernel without IPVS has a remedy of its own.
fn remedy(host: &Host, services: Vec<&str>, lacking: bool) -> Remedy {
    let update = |name: &&str| format!("docker service update --endpoint-mode dnsrr {}", shell_quote(name));
    let go_around = Step::Manual {
        node: "a manager".into(),
        text: "do without virtual addresses; a service that publishes ports through the mesh cannot".into(),
        commands: services.iter().map(update).collect(),
    };
    if lacking {
        return Remedy {
            title: "Do without virtual addresses until the kernel has IPVS".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of these services restart".into(),
            steps: vec![go_around],
        };
    }
    let look = Step::Manual {
        node: host.name.clone(),
        text: "see what the balancers have: a line for each service, and its tasks below".into(),
        commands: vec!["for ns in /run/docker/netns/lb_*; do nsenter --net=$ns ipvsadm -Ln; done".into()],
    };
    Remedy {
        title: "Have the engine build its balancers anew".into(),
        risk: Risk::Disruptive,
        impact: "the tasks of this node restart".into(),
        steps: vec![look, Step::RestartEngine { node: host.name.clone() }],
    }
}

fn list(addrs: &[IpAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
