use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// The engine runs on a platform on which overlay networks do not reach other nodes.
    ///
    /// ## Why it matters
    /// Docker Desktop runs its engine in a virtual machine whose address other nodes cannot reach, and a rootless engine
    /// runs in a network namespace of its user. Such a node joins a swarm and looks Ready, but its tasks reach no task on
    /// another node, and published ports do not work across nodes.
    ///
    /// ## How to fix it
    /// Use a Linux host or virtual machine with a rootful engine as the node.
    ///
    /// ## When it is wrong
    /// In a swarm of one node there is no traffic between nodes, and no finding.
    ///
    /// Source: Docker docs "Rootless mode" (known limitations) and "Getting started with swarm mode".
    "engine/unsupported-platform": Error, "the engine runs on a platform without overlay traffic between nodes";
    healthy "the platform of the engine supports overlay networks";
    needs Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let swarm = &info.swarm;
    // A worker has a manager beside it.
    let alone = swarm.control_available && swarm.node_count <= 1;
    if swarm.state != LocalState::Active || alone {
        return Ok(());
    }
    let rootless = info.security_options.iter().any(|option| option.contains("name=rootless"));
    let (platform, shown) = if info.operating_system == "Docker Desktop" {
        ("Docker Desktop", "OperatingSystem: Docker Desktop")
    } else if rootless {
        ("a rootless engine", "SecurityOptions: name=rootless")
    } else {
        return Ok(());
    };
    let summary =
        format!("this node is {platform}: overlay networks do not connect its tasks with other nodes");
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(info, shown)).remedy(Remedy {
        title: "Replace this node by a Linux host with a rootful engine".into(),
        risk: Risk::Manual,
        impact: "The tasks of this node move to other nodes.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "join another host, then drain this node and let it leave the swarm".into(),
            commands: vec![
                "docker node update --availability drain NODE".into(),
                "docker swarm leave".into(),
            ],
        }],
    });
    Ok(())
}
