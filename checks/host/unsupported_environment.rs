use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// The engine of this swarm node runs in an environment that does not support overlay networks, or only in part.
    ///
    /// ## Why it matters
    /// - Rootless mode does not support overlay networks.
    /// - Docker Desktop and WSL 2 run the engine in a hidden VM: other nodes cannot reach its address, so gossip and overlay traffic
    ///   fail.
    /// - With `userns-remap` the engine cannot set up overlay networks of some versions between nodes.
    /// - In an LXC or OpenVZ container the engine needs kernel modules and settings of the outer host.
    ///
    /// The node joins and is Ready in each of them.
    ///
    /// ## How to fix it
    /// Run the engine as root on a Linux host or in a VM. For LXC: load `ip_vs`, `ip_vs_rr`, `vxlan`, `overlay`, `br_netfilter` and
    /// `xt_ipvs` on the outer host, and enable nesting.
    ///
    /// ## When it is wrong
    /// On a single node that is used for development. An LXC container with all modules loaded can work; the severity is info.
    ///
    /// Source: Docker docs "Rootless mode", section "Known limitations", and "Getting started with Swarm mode"; moby#26106, lxc#4278.
    "host/unsupported-environment": Warning, "the engine runs in an environment that does not support swarm fully";
    healthy "the engine runs in an environment that supports swarm";
    needs Info, OsRelease;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Active {
        return Ok(());
    }
    // A swarm of one node needs nothing between nodes.
    let alone = info.swarm.control_available && info.swarm.node_count == 1;
    let has = |option: &str| {
        info.security_options.iter().any(|one| one == option || one.starts_with(&format!("{option},")))
    };
    let subject = || Subject::Node(host.name.clone());
    let manual = |text: &str, commands: &[&str]| Step::Manual {
        node: host.name.clone().into(),
        text: text.into(),
        commands: commands.iter().map(|command| (*command).to_owned()).collect(),
    };
    let move_engine = || Remedy {
        title: "Run the engine as root on a Linux host or VM".into(),
        risk: Risk::Manual,
        impact: "The node has to leave the swarm and join again from the new engine.".into(),
        steps: vec![manual("drain the node, and join the swarm with an engine on a Linux host or VM", &[])],
    };
    if has("name=rootless") {
        let summary = format!(
            "dockerd on {} runs in rootless mode, which does not support overlay networks",
            host.name
        );
        let finding = out.report(subject(), summary, Evidence::value(info, "SecurityOptions: name=rootless"));
        finding.severity(if alone { Severity::Warning } else { Severity::Error }).remedy(move_engine());
        return Ok(());
    }
    let os = host.os.get()?;
    let desktop = info.operating_system == "Docker Desktop";
    if !alone && (desktop || os.kernel.contains("microsoft")) {
        let name = if desktop { "Docker Desktop" } else { "WSL 2" };
        let summary = format!(
            "dockerd on {} runs in the VM of {name}: other nodes cannot reach its address, so overlay networks do not work \
             between nodes",
            host.name
        );
        let first = if desktop {
            Evidence::value(info, "OperatingSystem: Docker Desktop")
        } else {
            Evidence::value(os, format!("kernel {}", os.kernel))
        };
        let severity = if desktop { Severity::Error } else { Severity::Warning };
        out.report(subject(), summary, first).severity(severity).remedy(move_engine());
    } else if !alone && has("name=userns") {
        let summary = format!(
            "dockerd on {} runs with userns-remap: overlay networks may not work between nodes",
            host.name
        );
        out.report(subject(), summary, Evidence::value(info, "SecurityOptions: name=userns"))
            .severity(Severity::Info)
            .confidence(Confidence::Low)
            .remedy(Remedy {
                title: "Test overlay networks, or disable userns-remap".into(),
                risk: Risk::Manual,
                impact: "Without userns-remap the engine uses another data root: images and volumes have to be moved.".into(),
                steps: vec![manual(
                    "ping a task on another node; if that fails, remove userns-remap from daemon.json",
                    &["docker info --format '{{.SecurityOptions}}'"],
                )],
            });
    } else if let Some(kind) =
        os.container.as_deref().filter(|kind| ["lxc", "lxc-libvirt", "openvz"].contains(kind))
    {
        let summary = format!(
            "dockerd on {} runs in an {kind} container: kernel modules and settings have to be provided by its host",
            host.name
        );
        out.report(subject(), summary, Evidence::value(os, format!("container={kind}")))
            .severity(Severity::Info)
            .remedy(Remedy {
                title: "Provide kernel modules and nesting on the outer host".into(),
                risk: Risk::Manual,
                impact: "Loading modules does not affect running tasks.".into(),
                steps: vec![manual(
                    "on the host of the container, load the modules at boot and enable forwarding and nesting",
                    &[
                        "modprobe -a ip_vs ip_vs_rr vxlan overlay br_netfilter xt_ipvs",
                        "sysctl -w net.ipv4.ip_forward=1",
                    ],
                )],
            });
    }
    Ok(())
}
