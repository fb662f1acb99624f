use super::kernel_log::contains;
use super::packages::missing_module_steps;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Subject, View};
use facts::host::ModuleState;
use facts::join_progress::since_start;
use facts::swarm::LocalState;
use facts::{Gap, Host, Why};

check! {
    /// The kernel has no VXLAN support (module `vxlan`).
    ///
    /// ## Why it matters
    /// Overlay networks and the ingress network use VXLAN interfaces. Without the module every task on an overlay network is
    /// rejected on this node with "error creating vxlan interface: operation not supported", and published ports do not work.
    ///
    /// ## How to fix it
    /// Install the package with the remaining kernel modules and load `vxlan`. On Ubuntu for Raspberry Pi the package is
    /// linux-modules-extra-raspi. Minimal cloud kernels need the standard kernel and a reboot.
    ///
    /// ## When it is wrong
    /// On a node that runs no task on an overlay network.
    ///
    /// Source: moby `contrib/check-config.sh`, section "overlay"; libnetwork#1166, canonical/microcloud#143.
    "host/vxlan-missing": Error, "the kernel has no VXLAN support, so overlay networks do not work";
    healthy "the kernel has VXLAN support";
    needs Modules, EngineLog, Info, OsRelease;
    caused_by "host/kernel-updated-no-reboot";
    for each Host: run
}

/// The engine's text when the kernel refuses a VXLAN interface.
const UNSUPPORTED: &str = "error creating vxlan interface: operation not supported";

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let modules = host.modules.get()?;
    let module = modules.0.get("vxlan");
    let missing = module.filter(|module| module.state == ModuleState::Missing);
    let log = host.log.get();
    let refused = log
        .as_ref()
        .ok()
        .and_then(|log| since_start(log).iter().rev().find(|line| contains(line, UNSUPPORTED)));
    // A module that was loaded after the refusal ended it.
    let loaded =
        module.is_some_and(|module| matches!(module.state, ModuleState::Loaded | ModuleState::BuiltIn));
    if loaded || missing.is_none() && refused.is_none() {
        return match (module, &log) {
            (Some(module), _) if module.state != ModuleState::Unknown => Ok(()),
            (_, Err(gap)) => Err(gap.clone()),
            (Some(module), _) => {
                let what = format!("cannot determine whether vxlan is installed: {}", module.source);
                Err(Gap { source: modules.source.clone(), why: Why::Unreachable { what } })
            }
            (None, _) => Ok(()),
        };
    }
    if host.info.get().is_ok_and(|info| info.swarm.state == LocalState::Inactive) {
        return Ok(());
    }
    let summary = match (missing, refused) {
        (Some(_), _) => {
            "Kernel module vxlan is not loaded and not installed: overlay networks do not work on this node"
        }
        _ => "the kernel refuses VXLAN interfaces: overlay networks do not work on this node",
    };
    let subject = Subject::Node(host.name.clone());
    let finding = match (refused, &log, missing) {
        (Some(line), Ok(log), missing) => {
            let finding = out.report(subject, summary, Evidence::log(log, line));
            if let Some(module) = missing {
                finding.with(Evidence::value(modules, &module.source));
            }
            finding
        }
        (_, _, Some(module)) => {
            // Without a refused task nothing has failed yet.
            let finding = out.report(subject, summary, Evidence::value(modules, &module.source));
            finding.severity(Severity::Warning)
        }
        _ => return Ok(()),
    };
    finding.remedy(Remedy {
        title: "Install and load the vxlan kernel module".into(),
        risk: Risk::Disruptive,
        impact: "Running tasks are not affected, unless a reboot is needed. Rejected tasks start again."
            .into(),
        steps: missing_module_steps(host, "vxlan"),
    });
    Ok(())
}
