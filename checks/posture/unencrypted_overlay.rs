use super::advice;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// An overlay network is not encrypted while the nodes have public addresses.
    ///
    /// ## Why it matters
    /// Packets between tasks on two nodes cross the network of the provider, or the Internet, in clear text.
    ///
    /// ## How to fix it
    /// Create the network again with `--opt encrypted`, or use a private network or VPN between the nodes.
    ///
    /// ## When it is wrong
    /// If the programs encrypt their traffic with TLS.
    ///
    /// Source: Docker docs "Overlay network driver", section "Encrypt traffic on an overlay network".
    "posture/unencrypted-overlay": Info, "containers talk in clear text between the nodes";
    healthy "overlay networks with databases are encrypted";
    needs Networks, Nodes, Services;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let nodes = view.snapshot.nodes.get()?;
    let services = view.snapshot.services.get()?;
    let public = nodes.iter().find(|node| node.addr.is_some_and(super::public_address::is_public));
    for host in &view.snapshot.hosts {
        let networks = host.networks.get()?;
        let Some(public) = public else { continue };
        for network in networks.iter().filter(|it| it.driver == "overlay" && !it.ingress && !it.encrypted) {
            let used = |service: &&facts::service::Service| {
                service.networks.iter().any(|one| *one == network.id.as_str() || *one == network.name)
            };
            let users: Vec<&str> = services.iter().filter(used).take(8).map(|it| it.name.as_str()).collect();
            if users.is_empty() {
                continue;
            }
            let summary =
                format!("{} is not encrypted, and {} has a public address", network.name, public.name);
            let name = shell_quote(&network.name);
            out.report(
                Subject::Network(network.name.clone()),
                summary,
                Evidence::value(networks, format!("{}: no option encrypted", network.name)),
            )
            .with(Evidence::value(services, format!("services on it: {}", users.join(", "))))
            .remedy(advice(
                Target::AnyManager,
                "Encrypt the network",
                "remove the services from the network, create it again with encryption, and deploy again",
                vec![
                    format!("docker network rm {name}"),
                    format!("docker network create --driver overlay --opt encrypted {name}"),
                ],
            ));
        }
    }
    Ok(())
}
