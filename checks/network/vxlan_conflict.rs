use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Finding, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::join_progress::since_start;
use facts::log::{Line, Log};
use facts::network::Network;
use facts::overlay::{EngineNamespaces, VxlanDevice};
use facts::{Host, Seen};

check! {
    /// A VXLAN device that does not belong to the overlay has its VNI, so that the engine cannot create the overlay.
    ///
    /// ## Why it matters
    /// The kernel accepts a VNI once for each UDP port. If a stale device in the host's network namespace or in the namespace
    /// of a removed network has it, or if a device of another product (flannel, Calico, Proxmox SDN) has it on the same
    /// port, the engine logs `error creating vxlan interface: file exists` and every task on the network is rejected on this
    /// node. Tasks on other nodes run.
    ///
    /// ## How to fix it
    /// Delete a stale device, or the stale namespace that contains it; the next task creates the overlay. If the device
    /// belongs to another product, re-create the network, which gives it another VNI, or use another data-path port.
    ///
    /// ## When it is wrong
    /// If the device was deleted after the last failed task. The log alone then still shows the failure for ten minutes.
    ///
    /// Source: moby `libnetwork/drivers/overlay/ov_network.go`, `ov_utils.go`; moby/libnetwork#945; moby#42548.
    "network/vxlan-conflict": Error, "another VXLAN device has the VNI of an overlay";
    healthy "the VNI of every overlay is free for it";
    needs Overlays, Networks, EngineLog, EngineProcess, SwarmState;
    caused_by "host/vxlan-missing";
    for each Host: run
}

/// How many seconds a failed task counts. A rejected task is replaced every few seconds.
const FRESH_SECONDS: i64 = 600;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let log = host.log.get();
    let failed = log.as_ref().ok().and_then(|log| Some((*log, last_failure(log, view)?)));
    let overlays = host.overlays.get()?;
    let port = host.data_path_port();
    let namespaces = host.engine_namespaces.get().ok();
    let found: Vec<&VxlanDevice> =
        namespaces.iter().flat_map(|seen| &seen.vxlans).filter(|device| device.port == port).collect();
    let mut explained = false;
    for network in networks.iter().filter(|network| network.driver == "overlay") {
        for vni in &network.vnis {
            let foreign = found.iter().find(|device| device.vni == *vni && !belongs_to(device, network));
            let (Some(device), Some(namespaces)) = (foreign, namespaces) else { continue };
            let line = failed.filter(|(_, line)| names_subnet_of(line, network));
            if line.is_none() && may_be_on_its_way(device, network) {
                continue;
            }
            explained = true;
            let finding = report_device(host, device, Some(network), namespaces, out);
            match line {
                Some((log, line)) => drop(finding.with(evidence(log, line))),
                // Until a task needs the overlay on this node, nothing fails.
                None if overlays
                    .iter()
                    .any(|overlay| overlay.id == network.id && overlay.data_plane.is_ok()) =>
                {
                    finding.severity(Severity::Info).confidence(Confidence::Medium);
                }
                None => drop(finding.severity(Severity::Warning)),
            }
        }
    }
    if let Some((log, line)) = failed.filter(|_| !explained) {
        let network = network_of(line, networks).filter(|network| !network.vnis.is_empty());
        let stray = found.iter().find(|device| !networks.iter().any(|network| belongs_to(device, network)));
        match (namespaces, stray) {
            (None, _) => report_failure(host, line, networks, log, out),
            // A worker does not list a network that it failed to create.
            (Some(namespaces), Some(device)) if network.is_none() => {
                report_device(host, device, None, namespaces, out).with(evidence(log, line));
            }
            // The list of devices shows that the conflict is resolved.
            (Some(_), _) => {}
        }
    }
    log.map(drop)
}

/// Whether the device is in the namespace of the network, named after the first characters of its id.
fn belongs_to(device: &VxlanDevice, network: &Network) -> bool {
    let Some((_, id)) = device.namespace.as_deref().and_then(|namespace| namespace.split_once('-')) else {
        return false;
    };
    id.len() >= 8 && network.id.as_str().starts_with(id)
}

/// Whether the device may be one that the engine creates in the host's namespace, names `vx-VNI-ID` and moves to that of the
/// network (`libnetwork/drivers/overlay/ov_network.go`, `generateVxlanName`).
fn may_be_on_its_way(device: &VxlanDevice, network: &Network) -> bool {
    let id = device.name.strip_prefix("vx-").and_then(|rest| rest.split_once('-')).map(|(_, id)| id);
    device.namespace.is_none() && id.is_some_and(|id| id.len() >= 5 && network.id.as_str().starts_with(id))
}

/// The last task that failed because a VXLAN device exists, if that is recent.
fn last_failure<'a>(log: &'a Log, view: &View<'_>) -> Option<&'a Line> {
    let now = log.ends.unwrap_or(view.snapshot.taken).as_second();
    let failed = |line: &&Line| error_of(line).contains("error creating vxlan interface: ");
    let exists = |line: &&Line| error_of(line).contains("error creating vxlan interface: file exists");
    let fresh = |line: &&Line| line.at.is_none_or(|at| now - at.as_second() <= FRESH_SECONDS);
    // A later failure for another reason, such as a missing module, is the present one.
    since_start(log).iter().rev().find(failed).filter(exists).filter(fresh)
}

/// The line with its error, which is a field beside the message.
fn evidence(log: &Seen<Log>, line: &Line) -> Evidence {
    match Evidence::log(log, line) {
        Evidence::Line { source, line: number, at, text } if line.fields.contains_key("error") => {
            Evidence::Line { source, line: number, at, text: format!("{text}: {}", error_of(line)) }
        }
        other => other,
    }
}

fn error_of(line: &Line) -> &str {
    line.fields.get("error").map_or(line.message.as_str(), String::as_str)
}

/// Whether the error names a subnet of the network: `subnet sandbox join failed for "10.0.2.0/24"`.
fn names_subnet_of(line: &Line, network: &Network) -> bool {
    network.subnets.iter().any(|subnet| error_of(line).contains(&format!("\"{subnet}\"")))
}

fn network_of<'a>(line: &Line, networks: &'a [Network]) -> Option<&'a Network> {
    networks.iter().find(|network| network.driver == "overlay" && names_subnet_of(line, network))
}

fn report_device<'f>(
    host: &Host,
    device: &VxlanDevice,
    network: Option<&Network>,
    namespaces: &Seen<EngineNamespaces>,
    out: &'f mut Findings<'_>,
) -> &'f mut Finding {
    let VxlanDevice { namespace, name, vni, port, .. } = device;
    let place = match namespace {
        Some(namespace) => format!("the namespace {namespace}"),
        None => "the host's namespace".to_owned(),
    };
    let of = network.map(|network| format!(" of the network {}", network.name)).unwrap_or_default();
    let summary = format!(
        "VNI {vni}{of} is used by the VXLAN device {name} in {place}: {} cannot create the overlay",
        host.name
    );
    let shown = format!("{name} in {place}: vxlan id {vni} dstport {port}");
    let directory = exec_root(host);
    let commands = match namespace {
        Some(namespace) => {
            let path = shell_quote(&format!("{directory}/netns/{namespace}"));
            vec![
                format!("nsenter --net={path} ip -d link show type vxlan"),
                format!("nsenter --net={path} ip link delete {}", shell_quote(name)),
            ]
        }
        None => vec![
            format!("ip -d link show {}", shell_quote(name)),
            format!("ip link delete {}", shell_quote(name)),
        ],
    };
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::value(namespaces, shown));
    if let Some(network) = network {
        finding.also_affects(Subject::Network(network.name.clone()));
    }
    finding
        .remedy(Remedy {
            title: format!("Delete the VXLAN device {name} on {}", host.name).into(),
            risk: Risk::Manual,
            impact: "if the device belongs to another product (flannel, Calico, Proxmox SDN), its network stops".into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: "check that no other product uses the device, and delete it; otherwise re-create the Docker network, \
                       which gives it another VNI"
                    .into(),
                commands,
            }],
        })
}

/// The directory of the engine's namespaces.
fn exec_root(host: &Host) -> String {
    let engine = host.engine.get().ok();
    let flag = engine.and_then(|engine| engine.running()?.flag("exec-root").map(str::to_owned));
    flag.unwrap_or_else(|| "/run/docker".to_owned())
}

/// The conflict is in the log, and the device was not seen.
fn report_failure(
    host: &Host,
    line: &Line,
    networks: &Seen<Vec<Network>>,
    log: &Seen<Log>,
    out: &mut Findings<'_>,
) {
    let network = network_of(line, networks);
    let of = network.map(|network| format!(" of the network {}", network.name)).unwrap_or_default();
    let vni = network.and_then(|network| network.vnis.first());
    let vni = vni.map(|vni| format!("VNI {vni}")).unwrap_or_else(|| "the VNI".to_owned());
    let summary = format!(
        "{vni}{of} is used by another VXLAN device on {}: tasks on the network are rejected (file exists)",
        host.name
    );
    let directory = exec_root(host);
    let finding = out.report(Subject::Node(host.name.clone()), summary, evidence(log, line));
    if let Some(network) = network {
        finding.also_affects(Subject::Network(network.name.clone()));
    }
    finding.remedy(Remedy {
        title: format!("Delete the stale VXLAN device on {}", host.name).into(),
        risk: Risk::Manual,
        impact: "restarting the engine restarts all tasks on this node".into(),
        steps: vec![
            Step::Manual {
                node: host.name.clone().into(),
                text: "find the device in the host's namespace or in a namespace of the engine, and delete it".into(),
                commands: vec![
                    "ip -d link show type vxlan".into(),
                    format!(
                        "for ns in {directory}/netns/*; do echo $ns; nsenter --net=$ns ip -d link show type vxlan; done"
                    ),
                    "ip link delete NAME".into(),
                ],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "if no such device is visible, restart the engine, which deletes stale devices".into(),
                commands: vec!["systemctl restart docker".into()],
            },
        ],
    });
}
