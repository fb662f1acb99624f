use super::kernel_log::contains;
use super::packages::missing_module_steps;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::{Line, Program};

check! {
    /// dockerd cannot create its firewall rules because the kernel lacks a netfilter module.
    ///
    /// ## Why it matters
    /// Without its iptables rules dockerd exits during its start, or cannot create the bridge of a network. Distributions move
    /// modules into extra packages (`xt_addrtype` on RHEL 10), build kernels without the legacy `ip_tables`, or without
    /// `nf_tables`.
    ///
    /// ## How to fix it
    /// Install the package with the remaining kernel modules. When the kernel has only one of the two iptables backends, select
    /// the other one with `update-alternatives --config iptables`. Then start the engine.
    ///
    /// ## When it is wrong
    /// When the lines are from before a fix; lines before the last successful start of the engine are ignored.
    ///
    /// Source: docker/docker-ce-packaging#1340, docker/for-linux#1559; iptables `libxtables/xtables.c`.
    "host/netfilter-modules-missing": Error, "dockerd cannot create firewall rules: a netfilter module is missing";
    healthy "the kernel has the netfilter modules that dockerd needs";
    needs EngineLog, EngineProcess, OsRelease;
    caused_by "host/kernel-updated-no-reboot";
    for each Host: run
}

/// The backends of iptables: the text when the kernel lacks one, and the program of the other.
const BACKENDS: [(&str, &str, &str); 3] = [
    ("can't initialize iptables table", "ip_tables", "/usr/sbin/iptables-nft"),
    ("Module ip_tables not found", "ip_tables", "/usr/sbin/iptables-nft"),
    ("Failed to initialize nft: Protocol not supported", "nf_tables", "/usr/sbin/iptables-legacy"),
];

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let engine = host.engine.get()?;
    // An engine that has started since has its rules.
    let start =
        log.lines.iter().rposition(|line| line.message.starts_with("Daemon has completed initialization"));
    let lines = log.lines.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
    let found = lines.iter().rev().filter(|line| line.program != Program::Kernel).find_map(|line| {
        let backend = BACKENDS.into_iter().find(|(text, ..)| contains(line, text));
        let module = backend.map(|(_, module, _)| module.to_owned()).or_else(|| extension(line))?;
        Some((line, module, backend.map(|(.., program)| program)))
    });
    let Some((line, module, other)) = found else { return Ok(()) };
    let effect = if engine.running().is_some() {
        "dockerd cannot create firewall rules for its networks"
    } else {
        "dockerd exits when it creates its firewall rules"
    };
    let summary = format!("kernel module {module} is not available: {effect}");
    let node = || host.name.clone();
    host.os.get()?;
    let mut steps = missing_module_steps(host, &module);
    if let Some(program) = other {
        steps.push(Step::Manual {
            node: node().into(),
            text: "if no package has the module, select the other iptables backend".into(),
            commands: vec![format!("update-alternatives --set iptables {program}")],
        });
    }
    steps.push(Step::StartEngine { node: node().into() });
    out.report(Subject::Node(node()), summary, Evidence::log(log, line)).remedy(Remedy {
        title: format!("Install the {module} kernel module").into(),
        risk: Risk::Disruptive,
        impact: "The engine of this node starts again.".into(),
        steps,
    });
    Ok(())
}

/// The module of an iptables extension that the kernel does not have:
/// `Extension addrtype revision 0 not supported, missing kernel module?`
fn extension(line: &Line) -> Option<String> {
    let texts = std::iter::once(&line.message).chain(line.fields.get("error"));
    texts.into_iter().find_map(|text| {
        let (before, _) = text.split_once(" revision 0 not supported, missing kernel module")?;
        let name = before.rsplit("Extension ").next()?.trim();
        let plain = !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric());
        plain.then(|| format!("xt_{name}"))
    })
}
