use super::kernel_log::contains;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::host::ModuleState;
use facts::join_progress::since_start;
use facts::swarm::LocalState;

check! {
    /// Bridged packets do not pass the iptables rules: `br_netfilter` is not loaded, or `bridge-nf-call-iptables` is 0.
    ///
    /// ## Why it matters
    /// The engine disables communication between containers on docker_gwbridge with iptables rules, which needs
    /// `br_netfilter`. When the module cannot be loaded the bridge is not created, and each task on an overlay network fails
    /// with "error creating external connectivity network". With `bridge-nf-call-iptables=0`, tasks of different stacks on one
    /// node reach one another over docker_gwbridge.
    ///
    /// ## How to fix it
    /// Load the module, and set the sysctl to 1. Find the file in /etc/sysctl.d that sets it to 0; libvirt and OpenStack guides
    /// recommend that.
    ///
    /// ## When it is wrong
    /// When isolation between tasks on one node is not needed; then a sysctl of 0 is harmless.
    ///
    /// Source: moby `libnetwork/drivers/bridge/setup_bridgenetfiltering.go`.
    "host/br-netfilter-missing": Error, "bridged packets do not pass iptables (br_netfilter)";
    healthy "bridged packets pass iptables";
    needs Sysctls, Modules, EngineLog, Info;
    caused_by "host/kernel-updated-no-reboot";
    for each Host: run
}

const KEY: &str = "net.bridge.bridge-nf-call-iptables";
/// The end of the engine's error when the module is not loaded.
const REFUSED: &str = "ensure that br_netfilter kernel module is loaded";

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let sysctls = host.sysctls.get()?;
    let modules = host.modules.get()?;
    let log = host.log.get()?;
    let info = host.info.get()?;
    if info.swarm.state == LocalState::Inactive {
        return Ok(());
    }
    let node = || host.name.clone();
    let active = modules
        .0
        .get("br_netfilter")
        .is_some_and(|module| matches!(module.state, ModuleState::Loaded | ModuleState::BuiltIn));
    let load = Step::LoadModule { node: node().into(), module: "br_netfilter".into() };
    let set = Step::SetSysctl { node: node().into(), key: KEY.into(), to: "1".into() };
    if !active && let Some(line) = since_start(log).iter().rev().find(|line| contains(line, REFUSED)) {
        let summary = "dockerd cannot create docker_gwbridge because kernel module br_netfilter is not loaded: tasks on \
                       overlay networks fail on this node";
        out.report(Subject::Node(node()), summary, Evidence::log(log, line)).remedy(Remedy {
            title: "Load the br_netfilter kernel module".into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected. Rejected tasks start again.".into(),
            steps: vec![load],
        });
    } else if sysctls.value(KEY) == Some("0") {
        let summary =
            format!("{KEY} is 0: tasks on this node are not isolated from one another on docker_gwbridge");
        let finding =
            out.report(Subject::Node(node()), summary, Evidence::value(sysctls, format!("{KEY} = 0")));
        finding.severity(Severity::Warning);
        if let Some(warning) = info.warnings.iter().find(|text| text.contains("bridge-nf-call-iptables")) {
            finding.with(Evidence::value(info, warning));
        }
        finding.remedy(Remedy {
            title: format!("Set {KEY} to 1 on {}", host.name).into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected, unless they communicate over docker_gwbridge.".into(),
            steps: vec![set],
        });
    }
    Ok(())
}
