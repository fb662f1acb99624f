use crate::model::task_slots::{lacks_image, listed, nodes_of, slots};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Seen;
use facts::service::{Service, Task};
use std::collections::BTreeMap;

check! {
    /// Nodes cannot start a container for the service.
    ///
    /// ## Why it matters
    /// The task is rejected or fails before its program runs. A mounted path does not exist on the node, another
    /// program holds the host port, a network has no free address, the log driver or a device does not answer, or the
    /// command is not in the image. Swarm tries again every few seconds, on this node and on others.
    ///
    /// ## How to fix it
    /// Fix on the nodes named what the error says.
    ///
    /// ## When it is wrong
    /// The cause was removed after the snapshot: the next attempt starts the task.
    ///
    /// Source: moby `daemon/cluster/executor/container/controller.go`, `adapter.go`.
    "service/task-rejected": Error, "nodes cannot start a container for the service";
    healthy "nodes can start a container for every task";
    needs Services, Tasks, Nodes;
    caused_by "host/kernel-updated-no-reboot", "host/vxlan-missing", "host/br-netfilter-missing", "host/ipsec-modules-missing", "service/unschedulable", "host/disk-full", "host/firewall-drops-swarm", "host/docker-chains-missing", "network/addresses-exhausted", "network/attachment-missing", "network/vxlan-conflict", "swarm/stale-advertise-addr", "network/port-taken", "network/gossip-port-blocked",
        "network/manager-port-blocked", "network/ingress-missing";
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    view.snapshot.nodes.get()?;
    for service in services.iter() {
        let slots = slots(service, tasks);
        let refused = slots.iter().flat_map(|slot| slot.refused(view)).filter(|task| !lacks_image(task));
        let mut by_reason: BTreeMap<Reason<'_>, Vec<&Task>> = BTreeMap::new();
        for task in refused {
            by_reason.entry(Reason::of(&task.error)).or_default().push(task);
        }
        // The most frequent reason makes the summary; the others are evidence.
        let Some((reason, most)) = by_reason.iter().max_by_key(|(_, tasks)| tasks.len()) else { continue };
        let others =
            by_reason.iter().filter(|(other, _)| *other != reason).filter_map(|(_, tasks)| tasks.first());
        report(service, reason, most, others.copied(), tasks, view, out);
    }
    Ok(())
}

fn report<'a>(
    service: &Service,
    reason: &Reason<'_>,
    refused: &[&Task],
    others: impl Iterator<Item = &'a Task>,
    tasks: &Seen<Vec<Task>>,
    view: &View<'_>,
    out: &mut Findings<'_>,
) {
    let nodes = nodes_of(refused.iter().copied(), view);
    let place = if nodes.is_empty() { "the nodes".to_owned() } else { listed(&nodes) };
    let summary = format!("{place} cannot start {}: {}", service.name, reason.text());
    let shown = |task: &Task| {
        Evidence::value(
            tasks,
            format!("task {}: {} while {}: {}", task.id, task.state, task.message, task.error),
        )
    };
    let Some(first) = refused.first() else { return };
    let finding = out.report(Subject::Service(service.name.clone()), summary, shown(first));
    for other in others {
        finding.with(shown(other));
    }
    finding.on_nodes(nodes.iter().cloned());
    let node = nodes.into_iter().next().map_or(Target::AnyManager, Target::Node);
    finding.remedy(reason.remedy(service, node));
}

/// Why a container could not be started.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason<'a> {
    /// A mounted path does not exist on the node.
    NoSource(&'a str),
    /// Another program holds the port on the node.
    PortHeld(&'a str),
    /// The network has no free address for the node or the task.
    NoAddress,
    /// The program is not in the image.
    NoProgram(&'a str),
    /// The log driver does not start.
    LogDriver(&'a str),
    /// The disk is full.
    DiskFull,
    /// The memory limit is lower than a container needs to start.
    MemoryLimit,
    /// A volume cannot be mounted: its name, and why.
    Volume(&'a str, &'a str),
    /// The user is not in the image.
    NoUser(&'a str),
    /// A file is mounted over a directory, or the other way round: source and target.
    OtherKind(&'a str, &'a str),
    /// The engine of the node has a network with this id or name that it did not remove.
    NetworkExists(&'a str),
    /// The network was removed while the service still refers to it.
    NetworkGone(&'a str),
    /// A container of another task has the name.
    NameInUse,
    /// The device driver, such as `nvidia`, is not on the node.
    DeviceDriver(&'a str),
    /// A device does not exist on the node.
    NoDevice(&'a str),
    /// The kernel or the engine rejects a kernel setting of the service.
    Sysctl(&'a str),
    /// The program is built for another architecture.
    Architecture,
    /// The engine could not create the mounted path: the path, and why.
    NotCreated(&'a str, &'a str),
    /// Another VXLAN device on the node has the VNI of the network.
    VxlanExists,
    /// The kernel of the node has no VXLAN.
    VxlanMissing,
    /// The kernel of the node has no IPsec, which encrypted networks use.
    IpsecMissing,
    /// The firewall rules of the engine on the node are missing.
    ChainsMissing,
    /// Another error of the engine.
    Other(&'a str),
}

/// The text between two parts of an error.
fn between<'a>(error: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = error.split_once(start)?;
    rest.split_once(end).map(|(middle, _)| middle)
}

/// The network in `network NAME exists`.
fn existing_network(error: &str) -> Option<&str> {
    let (_, rest) = error.rsplit_once("network ")?;
    rest.trim_end().strip_suffix(" exists").filter(|name| !name.contains(' '))
}

/// The network in `network NAME not found`.
fn missing_network(error: &str) -> Option<&str> {
    let (_, rest) = error.rsplit_once("network ")?;
    rest.trim_end().strip_suffix(" not found").filter(|name| !name.contains(' '))
}

impl<'a> Reason<'a> {
    fn of(error: &'a str) -> Self {
        let after = |words: &str| error.split_once(words).map(|(_, rest)| rest);
        if let Some(path) = after("bind source path does not exist: ") {
            Self::NoSource(path)
        } else if let Some((listen, _)) = error.split_once(": bind: address already in use") {
            Self::PortHeld(listen.rsplit_once(':').map_or(listen, |(_, port)| port))
        } else if let Some((listen, _)) = error.split_once(" failed: port is already allocated") {
            Self::PortHeld(listen.rsplit_once(':').map_or(listen, |(_, port)| port))
        } else if let Some((path, why)) =
            after("error while creating mount source path '").and_then(|it| it.split_once("': "))
        {
            Self::NotCreated(path, why)
        } else if error.contains("error creating vxlan interface: file exists") {
            Self::VxlanExists
        } else if error.contains("error creating vxlan interface: operation not supported") {
            Self::VxlanMissing
        } else if error.contains("required modules to install IPSEC rules are missing") {
            Self::IpsecMissing
        } else if error.contains("No chain/target/match by that name") {
            Self::ChainsMissing
        } else if error.contains("ip addresses may be exhausted")
            || error.contains("no available IPv4 addresses")
        {
            Self::NoAddress
        } else if let Some(rest) = after("unable to start container process: exec: \"") {
            Self::NoProgram(rest.split('"').next().unwrap_or(rest))
        } else if let Some(rest) = after("failed to initialize logging driver: ") {
            Self::LogDriver(rest)
        } else if let Some((path, rest)) =
            after("error while mounting volume '").and_then(|it| it.split_once("': "))
        {
            let volume = path.trim_end_matches("/_data").rsplit('/').next().unwrap_or(path);
            Self::Volume(volume, rest.trim_start_matches("failed to mount local volume: "))
        } else if let Some(rest) = after("unable to find user ") {
            Self::NoUser(rest.split(':').next().unwrap_or(rest))
        } else if let Some(rest) = after("error mounting \"")
            .filter(|_| error.contains("Are you trying to mount a directory onto a file"))
        {
            let mut parts = rest.split('"');
            Self::OtherKind(parts.next().unwrap_or(rest), parts.nth(1).unwrap_or_default())
        } else if error.contains("no space left on device") {
            Self::DiskFull
        } else if error.contains("unable to set memory limit") {
            Self::MemoryLimit
        } else if let Some(network) = existing_network(error) {
            Self::NetworkExists(network)
        } else if let Some(network) = missing_network(error) {
            Self::NetworkGone(network)
        } else if error.contains("The container name \"") && error.contains("is already in use") {
            Self::NameInUse
        } else if let Some(driver) = between(error, "could not select device driver \"", "\"") {
            Self::DeviceDriver(driver)
        } else if let Some(rest) = after("error gathering device information while adding custom device \"") {
            Self::NoDevice(rest.split('"').next().unwrap_or(rest))
        } else if let Some(key) = between(error, "sysctl \"", "\"") {
            Self::Sysctl(key)
        } else if error.contains("exec format error") {
            Self::Architecture
        } else {
            Self::Other(after("starting container failed: ").unwrap_or(error))
        }
    }

    fn text(&self) -> String {
        match self {
            Self::NoSource(path) => format!("the mounted path {path} does not exist there"),
            Self::PortHeld(port) => format!("another program holds host port {port} there"),
            Self::NoAddress => "one of its networks has no free address".to_owned(),
            Self::NoProgram(program) => format!("its image has no executable {program}"),
            Self::LogDriver(error) => format!("its log driver does not start: {error}"),
            Self::DiskFull => "the disk is full".to_owned(),
            Self::MemoryLimit => "its memory limit is lower than a container needs to start".to_owned(),
            Self::Volume(volume, error) => format!("its volume {volume} cannot be mounted: {error}"),
            Self::NoUser(user) => format!("its image has no user {user}"),
            Self::OtherKind(source, target) => {
                format!("one of {source} and its mount target {target} is a file and the other a directory")
            }
            Self::NetworkExists(network) => {
                format!("the engine there did not remove its copy of the network {network}")
            }
            Self::NetworkGone(network) => format!("its network {network} does not exist any more"),
            Self::NameInUse => "a container with the name of the task exists there already".to_owned(),
            Self::DeviceDriver(driver) => format!("the engine there has no device driver {driver}"),
            Self::NoDevice(device) => format!("the device {device} does not exist there"),
            Self::Sysctl(key) => format!("the kernel setting {key} is not allowed in a container there"),
            Self::Architecture => "its program is built for another processor architecture".to_owned(),
            Self::NotCreated(path, why) => format!("the engine there cannot create the mounted path {path}: {why}"),
            Self::VxlanExists => {
                "another VXLAN device there has the VNI of its network (error creating vxlan interface: file exists)"
                    .to_owned()
            }
            Self::VxlanMissing => "the kernel there has no VXLAN (module vxlan)".to_owned(),
            Self::IpsecMissing => "the kernel there has no IPsec, which its encrypted network needs".to_owned(),
            Self::ChainsMissing => "the firewall rules of the engine are missing there".to_owned(),
            Self::Other(error) => (*error).to_owned(),
        }
    }

    fn remedy(&self, service: &Service, node: Target) -> Remedy {
        let name = shell_quote(&service.name);
        let manual = |text: &str, commands: Vec<String>| (text.to_owned(), commands);
        let (text, commands) = match self {
            Self::NoSource(path) => manual(
                "create the path on each node that may run it, or constrain the service to the nodes that have it",
                vec![format!("mkdir -p {}", shell_quote(path))],
            ),
            Self::PortHeld(port) => manual(
                "find the program that holds the port; stop it, or publish another port",
                vec![format!("ss -lnptu 'sport = :{port}'")],
            ),
            Self::NoAddress => manual(
                "compare the subnet with its use: each node, each task and each VIP takes one address; create another \
                 network with a larger subnet, and move the service to it",
                service
                    .networks
                    .iter()
                    .map(|id| format!("docker network inspect --verbose {}", shell_quote(id)))
                    .collect(),
            ),
            Self::NoProgram(_) => manual(
                "list the files of the image, and correct the command",
                vec![format!("docker run --rm --entrypoint ls {} -l /", shell_quote(&service.image))],
            ),
            Self::LogDriver(_) => manual(
                "restore the server that the log driver sends to, or set another log driver",
                vec![format!("docker service update --log-driver json-file {name}")],
            ),
            Self::DiskFull => manual("free disk space", vec!["df -h".into(), "docker system df".into()]),
            Self::MemoryLimit => {
                manual("raise the limit", vec![format!("docker service update --limit-memory SIZE {name}")])
            }
            Self::Volume(volume, _) => manual(
                "check that the server answers and exports it; if its address or options are wrong, remove the volume on \
                 each node that created it, and correct them in the service",
                vec![
                    format!("docker volume inspect {}", shell_quote(volume)),
                    format!("docker volume rm {}", shell_quote(volume)),
                ],
            ),
            Self::NoUser(_) => manual(
                "set a user that the image has, or a numeric id",
                vec![format!("docker service update --user 0 {name}")],
            ),
            Self::OtherKind(source, _) => manual(
                "check what it is on that node; if the engine created a directory in place of a missing file, put the \
                 file there",
                vec![format!("ls -ld {}", shell_quote(source))],
            ),
            Self::NetworkExists(_) => manual(
                "restart the engine of the node, which forgets networks without endpoints; the tasks of the node restart",
                vec!["systemctl restart docker".into()],
            ),
            Self::NetworkGone(_) => manual(
                "the network was removed and created again while the stack was deployed: wait until `docker network ls` does \
                 not list the old one, and deploy again",
                vec![
                    "docker network ls --filter scope=swarm".into(),
                    format!("docker service update --force {name}"),
                ],
            ),
            Self::NameInUse => manual(
                "remove the stopped container of the old task on the node",
                vec![
                    "docker ps --all --filter status=exited --filter label=com.docker.swarm.task.id".into(),
                    "docker rm CONTAINER".into(),
                ],
            ),
            Self::DeviceDriver(_) => manual(
                "install the runtime of the device (for NVIDIA: nvidia-container-toolkit) on the node and restart its engine, \
                 or constrain the service to the nodes that have it",
                vec!["docker info --format '{{json .Runtimes}}'".into()],
            ),
            Self::NoDevice(device) => manual(
                "load the driver of the device on the node, or constrain the service to the nodes that have it",
                vec![format!("ls -l {}", shell_quote(device))],
            ),
            Self::Sysctl(_) => manual(
                "remove the setting from the service, and set it on the nodes instead",
                vec![format!(
                    "docker service inspect --format '{{{{json .Spec.TaskTemplate.ContainerSpec.Sysctls}}}}' {name}"
                )],
            ),
            Self::Architecture => manual(
                "build the image for the architecture of the node, or constrain the service to nodes that fit",
                vec![
                    format!("docker service update --constraint-add node.platform.arch==x86_64 {name}"),
                    "docker node ls --format '{{.Hostname}}'".into(),
                ],
            ),
            Self::NotCreated(path, _) => manual(
                "create the path on the node, or mount its file system again; on a read-only root, or with Docker from a snap, use \
                 another path",
                vec![format!("mkdir -p {}", shell_quote(path))],
            ),
            Self::VxlanExists => manual(
                "run swarm-doctor on the node: it names the device and the namespace; delete the device",
                vec![
                    "sudo swarm-doctor run".into(),
                    "ip -d link show type vxlan".into(),
                    "ip link delete DEVICE".into(),
                ],
            ),
            Self::VxlanMissing => manual(
                "install the package with the remaining kernel modules of the distribution, and load the module",
                vec!["modprobe vxlan".into(), "sudo swarm-doctor run".into()],
            ),
            Self::IpsecMissing => manual(
                "load the modules, or use a kernel that has them",
                vec!["modprobe -a esp4 xfrm_user xt_policy xt_mark".into(), "sudo swarm-doctor run".into()],
            ),
            Self::ChainsMissing => manual(
                "restart the engine, which writes its rules again; the tasks of the node restart. Then find what flushed \
                 them: a firewalld reload, an iptables restore",
                vec!["systemctl restart docker".into()],
            ),
            Self::Other(_) => manual(
                "read the engine's error about the task on that node",
                vec![format!("docker service ps --no-trunc {name}"), "journalctl -u docker -n 100".into()],
            ),
        };
        Remedy {
            title: format!("Fix the reason why {} cannot start", service.name).into(),
            risk: Risk::Manual,
            impact: "Running tasks are not affected. The next attempt, some seconds later, starts the task."
                .into(),
            steps: vec![Step::Manual { node, text, commands }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn reads_the_errors_of_engines_old_and_new() {
        let port = "starting container failed: driver failed programming external connectivity on endpoint w.x \
                    (9c87): Error starting userland proxy: listen tcp4 0.0.0.0:7946: bind: address already in use";
        assert_eq!(Reason::of(port), Reason::PortHeld("7946"));
        let source = "invalid mount config for type \"bind\": bind source path does not exist: /no/such";
        assert_eq!(Reason::of(source), Reason::NoSource("/no/such"));
        let program = "starting container failed: failed to create task for container: failed to create shim task: OCI \
                       runtime create failed: runc create failed: unable to start container process: exec: \
                       \"/nosuchcmd\": stat /nosuchcmd: no such file or directory: unknown";
        assert_eq!(Reason::of(program), Reason::NoProgram("/nosuchcmd"));
        assert_eq!(Reason::of("starting container failed: x"), Reason::Other("x"));
        assert_eq!(
            Reason::of("network q2vdtc7m0q9yx3rkbs2h6nn1f exists"),
            Reason::NetworkExists("q2vdtc7m0q9yx3rkbs2h6nn1f")
        );
        assert_eq!(
            Reason::of(
                "Could not attach to network shop_default: rpc error: code = NotFound desc = network shop_default not found"
            ),
            Reason::NetworkGone("shop_default")
        );
        let name = "Conflict. The container name \"/web.1.x\" is already in use by container \"9c87\". You have to remove";
        assert_eq!(Reason::of(name), Reason::NameInUse);
        let driver = "could not select device driver \"nvidia\" with capabilities: [[gpu]]";
        assert_eq!(Reason::of(driver), Reason::DeviceDriver("nvidia"));
        let device = "error gathering device information while adding custom device \"/dev/ttyUSB0\": no such file or directory";
        assert_eq!(Reason::of(device), Reason::NoDevice("/dev/ttyUSB0"));
        let sysctl =
            "OCI runtime create failed: sysctl \"vm.max_map_count\" is not in a separate kernel namespace";
        assert_eq!(Reason::of(sysctl), Reason::Sysctl("vm.max_map_count"));
        assert_eq!(Reason::of("exec /app: exec format error"), Reason::Architecture);
        let allocated = "driver failed programming external connectivity on endpoint web.1.x (9c87): Bind for 0.0.0.0:8080 \
                         failed: port is already allocated";
        assert_eq!(Reason::of(allocated), Reason::PortHeld("8080"));
        let path = "error while creating mount source path '/srv/data': mkdir /srv: read-only file system";
        assert_eq!(Reason::of(path), Reason::NotCreated("/srv/data", "mkdir /srv: read-only file system"));
        let vxlan = "network sandbox join failed: subnet sandbox join failed for \"10.0.2.0/24\": error creating vxlan \
                     interface: ";
        assert_eq!(Reason::of(&format!("{vxlan}file exists")), Reason::VxlanExists);
        assert_eq!(Reason::of(&format!("{vxlan}operation not supported")), Reason::VxlanMissing);
        let chain = "driver failed programming external connectivity on endpoint web.1.x (9c87):  (iptables failed: iptables \
                     --wait -t nat -A DOCKER -p tcp -d 0/0 --dport 8080 -j DNAT --to-destination 172.18.0.3:80 ! -i \
                     docker_gwbridge: iptables: No chain/target/match by that name.";
        assert_eq!(Reason::of(chain), Reason::ChainsMissing);
    }
}
