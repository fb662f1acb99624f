use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::join_progress::since_start;
use facts::log::{Line, Log};
use facts::network::Network;
use facts::{Host, Seen};

check! {
    /// This node has an endpoint on the ingress network, and the namespace of the ingress load balancer is missing.
    ///
    /// ## Why it matters
    /// Packets for a published port are balanced in the namespace `ingress_sbox`. Without it, published ports do not answer
    /// on this node, and this node forwards nothing to tasks on other nodes, while the node is Ready and the ingress network
    /// is listed.
    ///
    /// ## How to fix it
    /// Restart the engine of this node: it creates the namespace and its rules again.
    ///
    /// ## When it is wrong
    /// In the first seconds after the engine started.
    ///
    /// Source: moby `libnetwork/service_linux.go` (`findLBEndpointSandbox`), `daemon/network.go`; moby#36876.
    "network/ingress-sandbox-missing": Error, "the ingress load balancer of a node is missing";
    healthy "the ingress load balancer is present";
    needs Overlays, Networks, EngineLog;
    caused_by "network/ingress-missing", "network/bridge-down";
    for each Host: run
}

/// The namespace of the ingress load balancer.
const SANDBOX: &str = "ingress_sbox";
/// How many seconds a line counts if the namespaces were not listed.
const FRESH_SECONDS: i64 = 600;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let networks = host.networks.get()?;
    let Some(ingress) = networks.iter().find(|network| network.ingress) else { return Ok(()) };
    if ingress.endpoints.is_empty() {
        return Ok(());
    }
    let log = host.log.get();
    let now = view.snapshot.taken.as_second();
    let failed = log.as_ref().ok().and_then(|log| Some((*log, failed_balancer(log, ingress, now)?)));
    match host.engine_namespaces.get() {
        Ok(namespaces) => {
            if namespaces.names.is_empty() || namespaces.names.iter().any(|name| name == SANDBOX) {
                return Ok(());
            }
            let first = Evidence::absent(namespaces, format!("no namespace {SANDBOX}"));
            let finding = report(host, ingress, networks, first, out);
            if let Some((log, line)) = failed {
                finding.with(Evidence::log(log, line));
            }
        }
        // Bundles of older versions have no list of namespaces.
        Err(gap) if !gap.why.leaves_open() => {
            host.overlays.get()?;
            if let Some((log, line)) = failed {
                report(host, ingress, networks, Evidence::log(log, line), out).confidence(Confidence::Medium);
            }
            log?;
        }
        Err(gap) => return Err(gap),
    }
    Ok(())
}

/// The last line in which the engine cannot find the load balancer of the ingress network:
/// `addLBBackend ID/ingress: Unable to find load balancing endpoint for network ID`.
fn failed_balancer<'a>(log: &'a Log, ingress: &Network, now: i64) -> Option<&'a Line> {
    let of_ingress = |line: &&Line| {
        line.message.contains("Unable to find load balancing endpoint")
            && line.message.contains(ingress.id.as_str())
    };
    let fresh = |line: &&Line| line.at.is_none_or(|at| now - at.as_second() <= FRESH_SECONDS);
    since_start(log).iter().rev().find(of_ingress).filter(fresh)
}

fn report<'f>(
    host: &Host,
    ingress: &Network,
    networks: &Seen<Vec<Network>>,
    first: Evidence,
    out: &'f mut Findings<'_>,
) -> &'f mut crate::Finding {
    let summary = format!(
        "the namespace {SANDBOX} of the ingress load balancer is missing on {}: published ports do not answer there",
        host.name
    );
    let endpoints = ingress.endpoints.join(", ");
    out.report(Subject::Node(host.name.clone()), summary, first)
        .with(Evidence::value(networks, format!("{}: endpoints {endpoints}", ingress.name)))
        .remedy(Remedy {
            title: format!("Restart the engine of {}", host.name).into(),
            risk: Risk::Disruptive,
            impact: "all tasks on this node restart".into(),
            steps: vec![Step::RestartEngine { node: host.name.clone().into() }],
        })
}
