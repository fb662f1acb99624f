use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::{Gap, Host};
use std::collections::BTreeMap;

check! {
    /// The examined hosts are members of different swarms, or the state of one host mixes two swarms.
    ///
    /// ## Why it matters
    /// Every host on which `docker swarm init` was run has a swarm of one node: `docker node ls` shows only itself, and no
    /// network or service is shared. A host whose engine and certificate name different swarms has state from two of them,
    /// usually from a restored backup; the managers reject it.
    ///
    /// ## How to fix it
    /// Leave the swarm on the hosts that belong to the wrong one, and join them to the other.
    ///
    /// ## When it is wrong
    /// When bundles of two separate swarms were merged on purpose.
    ///
    /// Source: swarmkit `ca/certificates.go` (the organisation of a node certificate is the swarm ID).
    "swarm/different-swarms": Error, "the hosts are members of different swarms";
    healthy "the examined hosts are members of one swarm";
    needs Info, Certificates;
    for each Cluster: run
}

/// The swarm ID of one host, with the place where it was read.
struct Membership {
    swarm: String,
    evidence: Evidence,
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let mut by_swarm: BTreeMap<String, Vec<(&Host, Evidence)>> = BTreeMap::new();
    for host in &view.snapshot.hosts {
        let (by_engine, by_certificate) = (engine_swarm(host), certificate_swarm(host));
        if let (Ok(Some(engine)), Ok(Some(certificate))) = (&by_engine, &by_certificate)
            && engine.swarm != certificate.swarm
        {
            let summary = format!(
                "the engine of {} names swarm {}, and its certificate names swarm {}",
                host.name, engine.swarm, certificate.swarm
            );
            out.report(Subject::Node(host.name.clone()), summary, engine.evidence.clone())
                .with(certificate.evidence.clone())
                .remedy(rejoin(host));
            continue;
        }
        let mut known = None;
        for seen in [by_engine, by_certificate] {
            match seen {
                Ok(membership) => known = known.or(membership),
                Err(gap) if gap.why.leaves_open() => out.inconclusive(Subject::Node(host.name.clone()), gap),
                Err(_) => {}
            }
        }
        if let Some(one) = known {
            by_swarm.entry(one.swarm).or_default().push((host, one.evidence));
        }
    }
    // The larger group is taken as the intended swarm; of two equal groups the first.
    let Some(most) =
        by_swarm.iter().max_by_key(|(id, hosts)| (hosts.len(), std::cmp::Reverse((*id).clone())))
    else {
        return Ok(());
    };
    let (intended, names) = (most.0.clone(), names(most.1));
    for (swarm, hosts) in by_swarm.iter().filter(|(swarm, _)| **swarm != intended) {
        for (host, evidence) in hosts {
            let summary = format!("{} is a member of swarm {swarm}; {names} of swarm {intended}", host.name);
            out.report(Subject::Node(host.name.clone()), summary, evidence.clone()).remedy(rejoin(host));
        }
    }
    Ok(())
}

fn engine_swarm(host: &Host) -> Result<Option<Membership>, Gap> {
    let info = host.info.get()?;
    let id = info.swarm.cluster_id.clone().filter(|id| !id.is_empty());
    Ok(id.map(|swarm| Membership {
        evidence: Evidence::value(info, format!("Swarm.Cluster.ID: {swarm}")),
        swarm,
    }))
}

fn certificate_swarm(host: &Host) -> Result<Option<Membership>, Gap> {
    let seen = host.certificate.get()?;
    let id =
        seen.value.as_ref().map(|certificate| certificate.organisation.clone()).filter(|id| !id.is_empty());
    Ok(id.map(|swarm| Membership {
        evidence: Evidence::value(seen, format!("node certificate: O={swarm}")),
        swarm,
    }))
}

fn names(hosts: &[(&Host, Evidence)]) -> String {
    let list = hosts.iter().map(|(host, _)| host.name.as_str()).collect::<Vec<_>>().join(", ");
    if hosts.len() == 1 { format!("{list} is a member") } else { format!("{list} are members") }
}

fn rejoin(host: &Host) -> Remedy {
    Remedy {
        title: format!("Leave the wrong swarm on {}, and join the other", host.name).into(),
        risk: Risk::Manual,
        impact: format!(
            "The tasks on {} end. The last manager that leaves takes its swarm with it.",
            host.name
        )
        .into(),
        steps: vec![
            Step::Manual {
                node: Target::Described("a manager of the intended swarm"),
                text: "print the join command".into(),
                commands: vec!["docker swarm join-token worker".into()],
            },
            Step::Manual {
                node: host.name.clone().into(),
                text: "only if this host is in the wrong swarm: leave, then join with that command".into(),
                commands: vec!["docker swarm leave --force".into()],
            },
        ],
    }
}
