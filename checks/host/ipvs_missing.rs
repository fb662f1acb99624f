use super::packages::missing_module_steps;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::host::{Module, ModuleState, Modules};
use facts::join_progress::since_start;
use facts::{Gap, Host, Seen, Why};

check! {
    /// The kernel has no IPVS (module `ip_vs`).
    ///
    /// ## Why it matters
    /// Service VIPs and the ingress routing mesh use IPVS. Without it a service name resolves to a VIP that does not
    /// answer, and published ports do not work. `tasks.NAME` and `endpoint_mode: dnsrr` still work.
    ///
    /// ## How to fix it
    /// Install the package with the remaining kernel modules of the distribution, load `ip_vs`, and restart the engine; or
    /// run a kernel that has it. Where the module is installed and the engine could not load it, load it before the
    /// engine starts.
    ///
    /// ## When it is wrong
    /// When no service uses a VIP or publishes a port through the routing mesh. Inside a container that does not see the
    /// modules of its host the check is unknown.
    ///
    /// Source: moby#24005, moby `contrib/check-config.sh`, `libnetwork/internal/ipvs` (asked for once in the life of a dockerd).
    "host/ipvs-missing": Warning, "the kernel has no IPVS, so service VIPs and published ports do not work";
    healthy "the kernel has IPVS";
    needs Modules, EngineLog, OsRelease;
    caused_by "host/kernel-updated-no-reboot";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let modules = host.modules.get()?;
    let gap =
        |what: &str| Gap { source: modules.source.clone(), why: Why::Unreachable { what: what.to_owned() } };
    let Some(module) = modules.0.get("ip_vs") else {
        return Err(gap("the state of ip_vs was not collected"));
    };
    match module.state {
        ModuleState::Loaded | ModuleState::BuiltIn => return Ok(()),
        ModuleState::Loadable => return not_loaded(host, modules, module, out),
        ModuleState::Unknown => {
            return Err(gap(&format!("cannot determine whether ip_vs is installed: {}", module.source)));
        }
        ModuleState::Missing => {}
    }
    let summary = "Kernel module ip_vs is not loaded and not installed: service VIPs and published ports do not work on \
                   this node";
    let mut steps = missing_module_steps(host, "ip_vs");
    if steps.iter().any(|step| matches!(step, Step::LoadModule { .. })) {
        steps.push(Step::RestartEngine { node: host.name.clone().into() });
    }
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(modules, &module.source)).remedy(
        Remedy {
            title: "Install and load the ip_vs kernel module".into(),
            risk: Risk::Disruptive,
            impact: "All tasks on this node restart.".into(),
            steps,
        },
    );
    Ok(())
}

/// The engine logs this when the kernel has no IPVS after the engine tried to load the module.
const UNKNOWN_FAMILY: &str = "Could not get ipvs family information from the kernel";

/// A module that was not needed yet is not a problem. One that the engine failed to load is.
fn not_loaded(host: &Host, modules: &Seen<Modules>, module: &Module, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let Some(line) = since_start(log).iter().rev().find(|line| line.message.starts_with(UNKNOWN_FAMILY))
    else {
        return Ok(());
    };
    let summary = "Kernel module ip_vs is installed but not loaded, and dockerd failed to load it: service VIPs and \
                   published ports do not work on this node";
    let node = || host.name.clone();
    out.report(Subject::Node(node()), summary, Evidence::log(log, line))
        .severity(Severity::Error)
        .with(Evidence::value(modules, &module.source))
        .remedy(Remedy {
            title: "Load the ip_vs kernel module before dockerd starts".into(),
            risk: Risk::Disruptive,
            impact: "All tasks on this node restart: dockerd asks for IPVS only once after its start.".into(),
            steps: vec![
                Step::LoadModule { node: node().into(), module: "ip_vs".into() },
                Step::RestartEngine { node: node().into() },
            ],
        });
    Ok(())
}
