use crate::model::refused_requests::{refused_requests, within_minutes};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use std::collections::BTreeSet;

check! {
    /// A container outside of a service was refused on an overlay that is not attachable.
    ///
    /// ## Why it matters
    /// `docker run --network` and Compose on a single node cannot use an overlay that was created without `--attachable`,
    /// such as the networks of a stack. The container does not start. Services are not affected.
    ///
    /// ## How to fix it
    /// Run the container as a service, or re-create the network with `--attachable` (in a stack file: `attachable: true`).
    ///
    /// ## When it is wrong
    /// If the command was a mistake and was not repeated. A refusal is reported for ten minutes.
    ///
    /// Source: swarmkit `manager/resourceapi/allocator.go` (`AttachNetwork`); Docker docs "Overlay network driver".
    "network/not-attachable": Warning, "a container was refused on an overlay that is not attachable";
    healthy "no container was refused on an overlay";
    needs EngineLog;
    for each Host: run
}

/// For how many minutes a refusal is reported.
const MINUTES: i64 = 10;
/// The words of the manager around the name of the network.
const REFUSAL: (&str, &str) = ("desc = network ", " not manually attachable");

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let now = log.ends.unwrap_or(view.snapshot.taken);
    let mut seen = BTreeSet::new();
    for refused in refused_requests(log).rev().filter(|refused| within_minutes(refused.at, now, MINUTES)) {
        let Some(network) = network_of(refused.reason) else { continue };
        if !seen.insert(network) {
            continue;
        }
        let name = shell_quote(network);
        let summary = format!(
            "a container on {} was refused on the network {network}, which is not attachable",
            host.name
        );
        out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, refused.line))
            .also_affects(Subject::Network(network.to_owned()))
            .remedy(Remedy {
                title: format!("Re-create {network} as attachable, or run the container as a service").into(),
                risk: Risk::Manual,
                impact: "re-creating the network interrupts its services".into(),
                steps: vec![Step::Manual {
                    node: host.name.clone().into(),
                    text: "on a manager: remove the services on the network, re-create it with --attachable, and deploy again \
                           (in a stack file: `attachable: true`)"
                        .into(),
                    commands: vec![
                        format!("docker network rm {name}"),
                        format!("docker network create --driver overlay --attachable {name}"),
                    ],
                }],
            });
    }
    Ok(())
}

/// The network in the reason: `Could not attach to network app: ... desc = network app not manually attachable`.
fn network_of(reason: &str) -> Option<&str> {
    let (start, end) = REFUSAL;
    let (_, rest) = reason.split_once(start)?;
    rest.split_once(end).map(|(name, _)| name)
}
