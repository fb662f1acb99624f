use super::kernel_log::contains;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::Host;
use facts::host::ModuleState;
use facts::join_progress::since_start;
use facts::swarm::LocalState;

check! {
    /// The kernel package was updated and the host was not rebooted: the modules of the running kernel are gone.
    ///
    /// ## Why it matters
    /// The engine loads `vxlan`, `ip_vs`, `br_netfilter`, `xfrm_user` and others when they are first needed. After the update
    /// they cannot be loaded any more. Networks that exist keep working. The first new overlay network or published port on
    /// this node fails.
    ///
    /// ## How to fix it
    /// Drain the node, reboot it, and activate it again.
    ///
    /// ## When it is wrong
    /// When all modules that the node will ever need are loaded. Then nothing is reported.
    ///
    /// Source: modprobe(8); the modules are loaded on first use in moby `libnetwork/drivers/overlay` and `libnetwork/osl`.
    "host/kernel-updated-no-reboot": Warning, "the kernel was updated and the host was not rebooted";
    healthy "the modules of the running kernel are installed";
    needs OsRelease, Modules, EngineLog, Info;
    for each Host: run
}

/// The modules that a swarm node loads on first use. IPsec modules are needed for encrypted networks only.
const ON_DEMAND: [&str; 6] = ["br_netfilter", "ip_vs", "ip_vs_rr", "overlay", "veth", "vxlan"];

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let os = host.os.get()?;
    if os.kernel_replaced != Some(true) {
        return Ok(());
    }
    let info = host.info.get();
    if info.as_ref().is_ok_and(|info| info.swarm.state == LocalState::Inactive) {
        return Ok(());
    }
    let modules = host.modules.get()?;
    let gone = |name: &&str| modules.0.get(*name).is_some_and(|module| module.state == ModuleState::Missing);
    let gone: Vec<_> = ON_DEMAND.into_iter().filter(|name| gone(name)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let summary = format!(
        "kernel {} is running and its modules are no longer installed: {} cannot be loaded until the host reboots",
        os.kernel,
        gone.join(", ")
    );
    let first = Evidence::value(os, format!("/lib/modules/{} does not exist", os.kernel));
    let finding = out.report(Subject::Node(host.name.clone()), summary, first);
    for name in &gone {
        if let Some(module) = modules.0.get(*name) {
            finding.with(Evidence::value(modules, format!("{name}: {}", module.source)));
        }
    }
    let log = host.log.get()?;
    let failed = since_start(log).iter().rev().find(|line| {
        contains(line, "not found in directory /lib/modules")
            || contains(line, "error creating vxlan interface: operation not supported")
            || contains(line, "Could not get ipvs family information from the kernel")
    });
    if let Some(line) = failed {
        finding.with(Evidence::log(log, line)).severity(Severity::Error);
    }
    let name = shell_quote(host.name.as_str());
    let manager = view.manager();
    let on_manager = manager.clone().map_or(Target::AnyManager, Target::Node);
    let update = |availability: &str| format!("docker node update --availability {availability} {name}");
    finding.remedy(Remedy {
        title: format!("Reboot {}", host.name).into(),
        risk: Risk::Manual,
        impact: "All tasks on this node move to other nodes. A manager is missing from the quorum during the reboot.".into(),
        steps: vec![
            Step::Manual {
                node: on_manager.clone(),
                text: "drain the node".into(),
                commands: vec![update("drain")],
            },
            Step::Manual { node: host.name.clone().into(), text: "reboot".into(), commands: vec!["reboot".into()] },
            Step::Manual {
                node: on_manager,
                text: "activate the node again".into(),
                commands: vec![update("active")],
            },
        ],
    });
    Ok(())
}
