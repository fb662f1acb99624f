use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::host::{Module, ModuleState, Modules};
use facts::way_in::life;
use facts::{Gap, Host, Seen, Why};

check! {
    /// The kernel has no IPVS.
    ///
    /// ## Why it matters
    /// Swarm's virtual addresses and its routing mesh are IPVS. Without it a service name resolves to an address
    /// that nobody answers, and published ports are dead, while `tasks.NAME` and `endpoint_mode: dnsrr` work.
    ///
    /// ## How to fix it
    /// Install the distribution's package of extra kernel modules, load `ip_vs`, and restart the engine; or run a
    /// kernel that has it. Where the module is there and the engine could not load it, which hardened machines forbid,
    /// load it before the engine starts.
    ///
    /// ## When it is wrong
    /// Where no service uses a virtual address or publishes a port through the mesh. Inside a container that
    /// does not see the machine's modules the doctor cannot tell, and says so.
    ///
    /// Source: moby#24005, moby `contrib/check-config.sh`, `libnetwork/internal/ipvs` (asked for once in an engine's life).
    "host/ipvs-missing": Warning, "the kernel has no IPVS, so virtual addresses cannot work";
    needs Modules, EngineLog;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let modules = host.modules.get()?;
    let gap =
        |what: &str| Gap { source: modules.source.clone(), why: Why::Unreachable { what: what.to_owned() } };
    let Some(module) = modules.0.get("ip_vs") else { return Err(gap("ip_vs was not looked for")) };
    match module.state {
        ModuleState::Loaded | ModuleState::BuiltIn => return Ok(()),
        ModuleState::Loadable => return asleep(host, modules, module, out),
        ModuleState::Unknown => {
            return Err(gap(&format!("nothing tells whether ip_vs is there: {}", module.source)));
        }
        ModuleState::Missing => {}
    }
    let summary =
        "ip_vs is neither loaded nor to be had: virtual addresses and the routing mesh are dead on this node";
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(modules, &module.source)).remedy(
        Remedy {
            title: "Give the kernel IPVS".into(),
            risk: Risk::Disruptive,
            impact: "loading a module touches nothing; the engine has to be restarted to use it".into(),
            steps: vec![
                Step::Manual {
                    node: host.name.clone(),
                    text:
                        "install the distribution's extra modules for this kernel, or a kernel that has them"
                            .into(),
                    commands: vec![
                        "dnf install kernel-modules-extra".into(),
                        "apt-get install linux-modules-extra-$(uname -r)".into(),
                    ],
                },
                Step::LoadModule { node: host.name.clone(), module: "ip_vs".into() },
                Step::RestartEngine { node: host.name.clone() },
            ],
        },
    );
    Ok(())
}

/// What the engine says when it asked the kernel for IPVS, after it tried to load it, and was told that there is none.
const UNKNOWN_FAMILY: &str = "Could not get ipvs family information from the kernel";

/// A module that nobody has asked for yet is no ailment; one that the engine asked for in vain is.
fn asleep(host: &Host, modules: &Seen<Modules>, module: &Module, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let Some(line) = life(log).iter().rev().find(|line| line.message.starts_with(UNKNOWN_FAMILY)) else {
        return Ok(());
    };
    let summary = "ip_vs is not loaded, though it is at hand: the engine asked for it in vain, and virtual addresses and the \
                   routing mesh are dead on this node";
    let node = || host.name.clone();
    out.report(Subject::Node(node()), summary, Evidence::log(log, line))
        .severity(Severity::Error)
        .with(Evidence::value(modules, &module.source))
        .remedy(Remedy {
            title: "Load IPVS, which the engine may not".into(),
            risk: Risk::Disruptive,
            impact: "loading a module touches nothing; the engine asks for it once in its life, and has to be restarted"
                .into(),
            steps: vec![
                Step::LoadModule { node: node(), module: "ip_vs".into() },
                Step::RestartEngine { node: node() },
            ],
        });
    Ok(())
}
