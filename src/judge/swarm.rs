//! Judging several hosts as one swarm. Checks of a host run on the facts of that host alone, as they do there, with the
//! hostnames of all; checks of the swarm run once over all hosts. A host's checks do not see the node list of a manager: for
//! a node that is cut off, the list is out of date.

use super::gather::{Gathered, Member};
use super::{Diagnosis, Header, Map, concluded, header, looked};
use crate::policy::Policy;
use checks::{Check, Confidence, Finding, Findings, Severity, Subject, View};
use facts::{Need, NodeName, Snapshot, Source};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Runs the checks over several hosts, and returns their common snapshot as well; `None` without any host.
pub fn judge_swarm<'a>(
    checks: impl IntoIterator<Item = &'a dyn Check>,
    members: Vec<Member>,
    policy: &Policy,
) -> Option<(Snapshot, Diagnosis)> {
    let Gathered { members, lead, notes, names } = Gathered::of(members);
    let speaker = members.get(lead)?;
    let judges = |check: &&dyn Check| policy.selection.judges(check.meta());
    let checks: Vec<&dyn Check> = checks.into_iter().filter(judges).collect();
    let mut took = vec![Duration::ZERO; checks.len()];
    let mut outs: Vec<Vec<(usize, Findings<'_>)>> = checks.iter().map(|_| Vec::new()).collect();
    let mut whole = cluster_of(&speaker.snapshot);
    let manifest = speaker.manifest.clone();
    let hosts: Vec<NodeName> = members.iter().map(|member| member.manifest.host.clone()).collect();
    let mut seen = Vec::new();
    for (at, mut member) in members.into_iter().enumerate() {
        let view = View { names: Some(&names), thresholds: policy.thresholds, ..View::of(&member.snapshot) };
        let mut found = Vec::new();
        for remaining in [false, true] {
            for ((check, outs), took) in checks.iter().zip(&mut outs).zip(&mut took) {
                if !check.each_host() || check.meta().remaining != remaining {
                    continue;
                }
                let began = Instant::now();
                let mut out = looked(*check, &view, &found);
                *took += began.elapsed();
                let host = &member.manifest.host;
                locate(&mut out, |source| source.origin = format!("{host}: {}", source.origin));
                outs.push((at, out));
            }
            let of_member = outs.iter().flatten().filter(|(by, _)| *by == at);
            found = of_member.flat_map(|(_, out)| out.found.iter().cloned()).collect();
        }
        seen.append(&mut member.snapshot.hosts);
    }
    // The host with the best view of the swarm comes first.
    if lead < seen.len() {
        let first = seen.remove(lead);
        seen.insert(0, first);
    }
    whole.hosts = seen;
    let view = View { names: Some(&names), thresholds: policy.thresholds, ..View::of(&whole) };
    for ((check, outs), took) in checks.iter().zip(&mut outs).zip(&mut took) {
        if check.each_host() {
            continue;
        }
        let began = Instant::now();
        let mut out = looked(*check, &view, &[]);
        *took += began.elapsed();
        locate(&mut out, |source| {
            if of_cluster(source.need) {
                source.origin = format!("{}: {}", manifest.host, source.origin);
            }
        });
        outs.push((usize::MAX, out));
    }
    let looked = outs.into_iter().zip(took).filter_map(|(outs, took)| Some((united(outs, &hosts)?, took)));
    let looked = looked.collect();
    let header = Header { members: hosts, peers: Vec::new(), ..header::header(&whole, &manifest) };
    let mut diagnosis = concluded(looked, &whole, header, Map::of(&whole), &manifest, policy, true);
    diagnosis.notes.splice(0..0, notes);
    Some((whole, diagnosis))
}

/// The facts about the swarm from the host with the best view of it.
fn cluster_of(snapshot: &Snapshot) -> Snapshot {
    Snapshot {
        taken: snapshot.taken,
        hosts: Vec::new(),
        cluster: snapshot.cluster.clone(),
        nodes: snapshot.nodes.clone(),
        services: snapshot.services.clone(),
        tasks: snapshot.tasks.clone(),
        stack: snapshot.stack.clone(),
    }
}

/// Whether an artifact is about the swarm, and not about one host.
fn of_cluster(need: Need) -> bool {
    matches!(need, Need::Swarm | Need::Nodes | Need::Services | Need::Tasks)
}

/// Adds the host to each source.
fn locate(out: &mut Findings<'_>, place: impl Fn(&mut Source)) {
    out.found.iter_mut().for_each(|finding| finding.sources(&place));
    out.unknown.iter_mut().for_each(|(_, gap)| place(&mut gap.source));
}

/// The findings of one check from all hosts, one for each subject: the gravest, the most confident, or the subject's own.
fn united<'c>(outs: Vec<(usize, Findings<'c>)>, hosts: &[NodeName]) -> Option<Findings<'c>> {
    let mut reported: BTreeMap<Subject, (usize, (Severity, Confidence, bool))> = BTreeMap::new();
    for (at, out) in &outs {
        for finding in &out.found {
            let own = hosts.get(*at).is_some_and(|host| finding.subject == Subject::Node(host.clone()));
            let rank = (finding.severity, finding.confidence, own);
            let best = reported.entry(finding.subject.clone()).or_insert((*at, rank));
            if rank > best.1 {
                *best = (*at, rank);
            }
        }
    }
    let mut whole: Option<Findings<'_>> = None;
    let mut healthy = false;
    for (at, mut out) in outs {
        healthy |= out.found.is_empty() && out.unknown.is_empty();
        let whole = whole.get_or_insert_with(|| Findings::of(out.meta));
        out.found.retain(|finding: &Finding| reported.get(&finding.subject).is_some_and(|best| best.0 == at));
        whole.found.append(&mut out.found);
        whole.unknown.append(&mut out.unknown);
    }
    let mut whole = whole?;
    // A question that does not apply to one host does not keep the check from passing.
    if healthy {
        whole.unknown.retain(|(_, gap)| gap.why.leaves_open());
    }
    Some(whole)
}
