use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::container::{Connect, Container, Netns};
use facts::host::ModuleState;
use facts::link::Outcome;
use facts::{Host, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

check! {
    /// The VIP of a service does not answer, while its tasks answer at their own addresses.
    ///
    /// ## Why it matters
    /// A service name resolves to the VIP: clients that connect by name get no answer, although every task runs and
    /// `docker service ls` counts it. The network between the nodes is not the cause, because the tasks answer over it.
    /// The cause is the load balancer of this node: IPVS in the kernel, or the engine's rules and addresses in the
    /// namespace `lb_...` of the network. A load balancer that was created while IP forwarding was off keeps forwarding
    /// off.
    ///
    /// ## How to fix it
    /// Restart the engine of the node: it creates the load balancer again. Until then `endpoint_mode: dnsrr` or
    /// `tasks.NAME` avoid the VIP.
    ///
    /// ## When it is wrong
    /// In the moment in which a service is created. The check reports nothing if the tasks do not answer either.
    ///
    /// Source: moby#25219, moby#28564; libnetwork `service_linux.go`.
    "network/vip-unreachable": Error, "the VIP of a service does not answer, while its tasks do";
    healthy "the VIPs of the services answer";
    needs Containers, TaskNetns, Modules;
    caused_by "host/sandbox-forwarding-off", "host/ipvs-missing", "host/ip-forward-off";
    for each Host: run
}

/// A service with VIPs that do not answer.
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
    // A kernel without IPVS has a separate finding, and this is its effect.
    let modules = host.modules.get();
    let state = |name: &str| modules.as_ref().ok().and_then(|modules| Some(modules.0.get(name)?.state));
    let lacking = state("ip_vs") == Some(ModuleState::Missing);
    let shown = |(name, found): (&&str, &Silent<'_>)| format!("{name} ({})", list(&found.addrs));
    let names = silent.iter().map(shown).collect::<Vec<_>>().join(", ");
    let summary = match silent.len() {
        1 => format!("from {} the VIP of the service {names} does not answer, while its tasks do", host.name),
        n => format!(
            "from {} the VIPs of {n} services do not answer, while their tasks do: {names}",
            host.name
        ),
    };
    let mut evidence = silent.values().map(|found| Evidence::value(found.netns, found.describe()));
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
    // A task may refuse or ignore connections itself; then the VIP is not at fault.
    let refused = |connect: &&Connect| matches!(connect.outcome, Outcome::Refused { .. });
    let explained = if to_vip.iter().any(refused) {
        !to_tasks.iter().all(open)
    } else {
        !to_tasks.iter().all(|connect| open(connect) || refused(connect))
    };
    if explained {
        return None;
    }
    let probed: BTreeSet<_> = to_tasks.iter().map(|connect| connect.addr).collect();
    let all_probed = netns.addresses_of(&format!("tasks.{service}")).iter().all(|addr| probed.contains(addr));
    let confidence = if all_probed { Confidence::High } else { Confidence::Medium };
    Some(Silent { netns, addrs, attempts: [to_vip, to_tasks].concat(), confidence })
}

impl Silent<'_> {
    /// Each address once, with its outcome.
    fn describe(&self) -> String {
        let mut shown: Vec<String> = Vec::new();
        for connect in &self.attempts {
            let kind = if self.addrs.contains(&connect.addr) { "VIP" } else { "task" };
            let one = format!("{kind} {}:{}/tcp {}", connect.addr, connect.port, connect.outcome);
            if !shown.contains(&one) {
                shown.push(one);
            }
        }
        shown.join(", ")
    }
}

/// Restarts the engine, unless the kernel has no IPVS.
fn remedy(host: &Host, services: Vec<&str>, lacking: bool) -> Remedy {
    let update = |name: &&str| format!("docker service update --endpoint-mode dnsrr {}", shell_quote(name));
    let without_vip = Step::Manual {
        node: Target::AnyManager,
        text: "use DNS round-robin instead of VIPs; not possible for services that publish ports through the ingress network".into(),
        commands: services.iter().map(update).collect(),
    };
    if lacking {
        return Remedy {
            title: "Use DNS round-robin until the kernel has IPVS".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of these services restart".into(),
            steps: vec![without_vip],
        };
    }
    let look = Step::Manual {
        node: host.name.clone().into(),
        text: "list the load balancers: one line for each service, followed by its tasks".into(),
        commands: vec!["for ns in /run/docker/netns/lb_*; do nsenter --net=$ns ipvsadm -Ln; done".into()],
    };
    Remedy {
        title: format!("Restart the engine of {}, which re-creates its load balancers", host.name).into(),
        risk: Risk::Disruptive,
        impact: "all tasks on this node restart".into(),
        steps: vec![look, Step::RestartEngine { node: host.name.clone().into() }],
    }
}

fn list(addrs: &[IpAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
