use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::host::ModuleState;
use facts::swarm::LocalState;

check! {
    /// IPv4 forwarding is disabled in a load balancer namespace of the engine (`ingress_sbox` or `lb_*`).
    ///
    /// ## Why it matters
    /// Service VIPs and published ports are forwarded inside these namespaces. A new namespace takes `ip_forward` from the initial
    /// namespace of the kernel. In an LXC container that is the outer host, where forwarding may be off while it is on inside. Then
    /// VIPs and published ports do not answer, and `tasks.NAME` works.
    ///
    /// ## How to fix it
    /// Set `net.ipv4.ip_forward=1` on the outer host before the engine starts, and restart the engine. The commands of the remedy
    /// enable it in the namespaces that exist now.
    ///
    /// ## When it is wrong
    /// When no service uses a VIP on this node.
    ///
    /// Source: moby#38723; Linux `net/ipv4/devinet.c` (`devinet_init_net`).
    "host/sandbox-forwarding-off": Error, "forwarding of IPv4 packets is disabled in the engine's load balancer namespaces";
    healthy "IPv4 forwarding is enabled in the engine's load balancer namespaces";
    needs Sysctls, Modules, Info, OsRelease;
    caused_by "host/ip-forward-off", "host/ipvs-missing";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let modules = host.modules.get()?;
    let info = host.info.get()?;
    let ipvs = modules.0.get("ip_vs").map(|module| module.state);
    // Without IPVS nothing is forwarded there in any case.
    if info.swarm.state != LocalState::Active
        || !matches!(ipvs, Some(ModuleState::Loaded | ModuleState::BuiltIn))
    {
        return Ok(());
    }
    let sandboxes = host.sandboxes.get()?;
    let off: Vec<&str> = sandboxes
        .iter()
        .filter(|sandbox| sandbox.ip_forward == Some(false))
        .map(|sandbox| sandbox.name.as_str())
        .collect();
    if off.is_empty() {
        return Ok(());
    }
    let container = host.os.get()?.container.clone();
    let summary = format!(
        "net.ipv4.ip_forward is 0 in the namespace {} of {}: VIPs and published ports do not work",
        off.join(", "),
        host.name
    );
    let shown = format!("net.ipv4.ip_forward = 0 in {}", off.join(", "));
    let now = off.iter().map(|name| {
        let path = format!("/run/docker/netns/{name}");
        format!("nsenter --net={} sysctl -w net.ipv4.ip_forward=1", shell_quote(&path))
    });
    let mut steps = vec![Step::Manual {
        node: host.name.clone().into(),
        text: "enable forwarding in the namespaces that exist now".into(),
        commands: now.collect(),
    }];
    steps.push(Step::Manual {
        node: host.name.clone().into(),
        text: match container {
            Some(kind) => format!("enable forwarding on the host of this {kind} container, for namespaces that are created later"),
            None => "enable forwarding in the initial network namespace, for namespaces that are created later".into(),
        },
        commands: vec!["sysctl -w net.ipv4.ip_forward=1".into()],
    });
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(sandboxes, shown)).remedy(Remedy {
        title: format!("Enable IPv4 forwarding in the load balancer namespaces of {}", host.name).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected.".into(),
        steps,
    });
    Ok(())
}
