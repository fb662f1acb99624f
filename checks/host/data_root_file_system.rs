use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// The data root of the engine is on a network file system or in memory.
    ///
    /// ## Why it matters
    /// On NFS, CIFS or another network file system the engine cannot use its storage driver, locks do not work as it expects, and each
    /// raft write of a manager waits for the network. In memory (tmpfs) the state of the node is lost at reboot: it leaves the
    /// swarm without a trace, and a manager is lost from the quorum.
    ///
    /// ## How to fix it
    /// Move the data root to a local disk: stop the engine, copy the directory with all attributes, set `data-root`, start it.
    ///
    /// ## When it is wrong
    /// On a node that is created again at each boot and joins as a worker.
    ///
    /// Source: Docker docs "Docker storage drivers", section "Supported backing filesystems".
    "host/data-root-file-system": Warning, "the engine's data root is on a network file system or in memory";
    healthy "the engine's data root is on a local disk";
    needs Disk, Info;
    for each Host: run
}

const NETWORK: [&str; 9] =
    ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.glusterfs", "fuse.sshfs", "ceph", "afs"];
const MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let disk = host.disk.get()?;
    let Some(kind) = disk.file_system.as_deref() else { return Ok(()) };
    let network = NETWORK.contains(&kind);
    if !network && !MEMORY.contains(&kind) {
        return Ok(());
    }
    let info = host.info.get()?;
    if info.swarm.state == LocalState::Inactive {
        return Ok(());
    }
    let manager = info.swarm.control_available;
    let effect = match (network, manager) {
        (true, true) => "raft writes wait for the network, and locks may fail",
        (true, false) => "the storage driver and locks may fail",
        (false, true) => "this manager and its raft log are lost at reboot",
        (false, false) => "this node loses its swarm membership at reboot",
    };
    let summary = format!("the data root {} is on {kind}: {effect}", disk.path);
    let path = shell_quote(&disk.path);
    let finding = out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(disk, format!("{}: file system {kind}", disk.path)),
    );
    finding.severity(if network && manager { Severity::Error } else { Severity::Warning }).remedy(Remedy {
        title: "Move the data root to a local disk".into(),
        risk: Risk::Manual,
        impact: "All tasks on this node stop while the data is copied.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "stop the engine, copy the data root to a local disk, set \"data-root\" in daemon.json, start the engine".into(),
            commands: vec![
                format!("findmnt --target {path}"),
                "systemctl stop docker docker.socket".into(),
                format!("cp -a {path} /LOCAL/DISK/docker"),
                "systemctl start docker".into(),
            ],
        }],
    });
    Ok(())
}
