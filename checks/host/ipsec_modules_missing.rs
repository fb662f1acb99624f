use super::kernel_log::contains;
use super::packages::missing_module_steps;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::join_progress::since_start;
use facts::log::Line;

check! {
    /// The kernel has no IPsec support, or iptables cannot match VXLAN packets, so encrypted overlay networks do not work.
    ///
    /// ## Why it matters
    /// An overlay network with `--opt encrypted` needs the modules `xfrm_user` and `esp4` with AES-GCM. The engine marks the
    /// packets to encrypt with an iptables rule that uses `u32` (before 24.0) or `bpf`. Without IPsec its tasks are rejected.
    /// Without the iptables match the packets of the network leave the node unencrypted.
    ///
    /// ## How to fix it
    /// Install the package with the remaining kernel modules, load the module that the log line needs, and restart the engine.
    /// Engines since 24.0 use `xt_bpf` in place of `xt_u32`, which RHEL 8 and 9 do not have.
    ///
    /// ## When it is wrong
    /// When no network is encrypted any more.
    ///
    /// Source: moby `libnetwork/drivers/overlay/joinleave.go`, `encryption.go`; moby#43382.
    "host/ipsec-modules-missing": Error, "the kernel cannot encrypt overlay networks";
    healthy "the kernel supports encrypted overlay networks";
    needs Networks, EngineLog, OsRelease;
    caused_by "host/kernel-updated-no-reboot", "network/encrypted-in-clear";
    for each Host: run
}

/// A text of the engine, the module that is missing, and the effect.
const FAILURES: [(&str, Option<&str>, &str); 4] = [
    (
        "required modules to install IPSEC rules are missing on host",
        Some("xfrm_user"),
        "tasks on encrypted networks are rejected",
    ),
    ("could not install mangle rule", None, "packets of encrypted networks leave this node unencrypted"),
    ("Failed Adding rSA", Some("esp4"), "encrypted networks do not work between nodes"),
    ("Failed Adding fSA", Some("esp4"), "encrypted networks do not work between nodes"),
];

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let encrypted: Vec<_> =
        networks.iter().filter(|network| network.encrypted).map(|network| network.name.as_str()).collect();
    let log = host.log.get()?;
    let failure = |line: &Line| {
        FAILURES.into_iter().find(|(text, _, _)| {
            // Other errors of these calls are not about missing modules.
            contains(line, text)
                && (!text.starts_with("Failed") || unsupported(line))
                && (!text.starts_with("could not") || no_match(line).is_some())
        })
    };
    let found = since_start(log).iter().rev().find_map(|line| Some((line, failure(line)?)));
    let Some((line, (text, module, effect))) = found else { return Ok(()) };
    // A network that was removed since is no problem; a rejected task leaves the network off the list.
    if encrypted.is_empty() && !text.starts_with("required") {
        return Ok(());
    }
    let module = module.or_else(|| no_match(line)).unwrap_or("xfrm_user");
    let of = if encrypted.is_empty() { String::new() } else { format!(" ({})", encrypted.join(", ")) };
    let summary = format!("kernel module {module} is not available: {effect}{of}");
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, line));
    if !encrypted.is_empty() {
        finding.with(Evidence::value(networks, format!("encrypted: {}", encrypted.join(", "))));
    }
    host.os.get()?;
    let mut steps = missing_module_steps(host, module);
    if !text.starts_with("required") {
        steps.push(Step::RestartEngine { node: host.name.clone().into() });
    }
    finding.remedy(Remedy {
        title: format!("Install and load the {module} kernel module").into(),
        risk: Risk::Disruptive,
        impact: "All tasks on this node restart if the engine is restarted.".into(),
        steps,
    });
    Ok(())
}

/// Whether the kernel does not know the protocol or the algorithm.
fn unsupported(line: &Line) -> bool {
    [
        "protocol not supported",
        "function not implemented",
        "operation not supported",
        "no such file or directory",
    ]
    .iter()
    .any(|text| contains(line, text))
}

/// The module of the iptables match that could not be loaded.
fn no_match(line: &Line) -> Option<&'static str> {
    let names = |name: &str| {
        ["`", "'", "extension ", "-m "].iter().any(|before| contains(line, &format!("{before}{name}")))
    };
    let failed = ["Couldn't load match", "No chain/target/match by that name", "missing kernel module"]
        .iter()
        .any(|text| contains(line, text));
    [("u32", "xt_u32"), ("bpf", "xt_bpf")]
        .into_iter()
        .find(|(name, _)| failed && names(name))
        .map(|(_, module)| module)
}
