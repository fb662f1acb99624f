use super::advice;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// daemon.json sets `default-address-pools`, and the swarm has the default pool.
    ///
    /// ## Why it matters
    /// The key applies to bridge networks. Overlay networks, the ingress network included, take their subnets from the pool
    /// that was given to `docker swarm init`, by default 10.0.0.0/8.
    ///
    /// ## How to fix it
    /// Give networks a subnet with `--subnet`, or create the swarm with `--default-addr-pool`.
    ///
    /// ## When it is wrong
    /// If the overlay subnets collide with nothing.
    ///
    /// Source: Docker docs "docker swarm init", option `--default-addr-pool`; for-linux#387.
    "posture/address-pools-not-applied": Info, "the address pools in daemon.json do not apply to overlays";
    healthy "no address pool in daemon.json is meant for overlays";
    needs DaemonJson, Swarm;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let cluster = view.snapshot.cluster.get()?;
    for host in &view.snapshot.hosts {
        let file = host.daemon_json.get()?;
        let pools = file.value.as_ref().and_then(|file| file.key("default-address-pools"));
        let Some(pools) = pools.filter(|_| cluster.address_pools == ["10.0.0.0/8"]) else { continue };
        let summary = format!(
            "overlay networks take their subnets from 10.0.0.0/8, not from daemon.json of {}",
            host.name
        );
        out.report(
            Subject::Node(host.name.clone()),
            summary,
            Evidence::value(file, format!("\"default-address-pools\": {pools}")),
        )
        .with(Evidence::value(cluster, "DefaultAddrPool: 10.0.0.0/8"))
        .remedy(advice(
            Target::AnyManager,
            "Choose the subnets of the overlay networks",
            "create networks with a subnet; a swarm gets another pool only when it is created",
            vec!["docker network create --driver overlay --subnet SUBNET NETWORK".into()],
        ));
    }
    Ok(())
}
