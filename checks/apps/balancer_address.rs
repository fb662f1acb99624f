use crate::model::app_member::members;
use crate::remedies::app_address::configure;
use crate::{Findings, Judged, View};
use facts::app::Requirement;

check! {
    /// Redis replicas connect to their primary through a VIP, so that Sentinel learns the balancer's address.
    ///
    /// ## Why it matters
    /// The primary takes the address of a replica from its connection. Behind a VIP that is an address of the load
    /// balancer. Sentinel reports it to clients and reconfigures replicas with it, so that a failover fails.
    ///
    /// ## How to fix it
    /// Let each replica announce its own name with `replica-announce-ip` (`REDIS_REPLICA_IP` in bitnami's image), or
    /// connect to `tasks.NAME` of the primary.
    ///
    /// ## When it is wrong
    /// No Sentinel monitors the primary. Then nothing is reported.
    ///
    /// Source: redis/redis#6218; bitnami/bitnami-docker-redis-sentinel#13.
    "apps/balancer-address": Error, "replicas are known by the address of the load balancer";
    healthy "no Redis replica is known by the address of the load balancer";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    let Some(sentinel) = all.iter().find(|member| member.config.is_sentinel) else { return Ok(()) };
    let mut reported = Vec::new();
    for member in all.iter().filter(|member| member.service != sentinel.service) {
        for requirement in &member.config.requirements {
            let Requirement::DirectConnection { setting, host, fix } = requirement else { continue };
            let Some(spec) = member.spec.filter(|_| !reported.contains(&member.service)) else { continue };
            let services = view.snapshot.services.get()?;
            let primary = services.iter().find(|other| {
                other.stack() == spec.stack()
                    && !other.dnsrr
                    && !other.vips.is_empty()
                    && other.is_called(host)
            });
            let Some(primary) = primary else { continue };
            reported.push(member.service);
            let summary = format!(
                "{} connects to {} through its VIP ({setting}), and {} reports the load balancer's address to clients",
                member.service, primary.name, sentinel.service
            );
            let finding = out.report(member.subject(), summary, member.evidence(setting));
            let vips: Vec<String> = primary.vips.iter().map(|(_, vip)| vip.to_string()).collect();
            finding.with(member.shown(format!("{}: VIP {}", primary.name, vips.join(", "))));
            finding.remedy(configure(member, "announces", fix, view));
        }
    }
    Ok(())
}
