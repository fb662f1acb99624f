//! Which machines are judged together, who of them speaks for the swarm, and what is odd about the company.

use facts::bundle::Manifest;
use facts::{NodeName, Snapshot, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// From how many seconds between two bundles on it is worth a word: the cluster may have changed in between.
const APART: i64 = 15 * 60;
/// How many machines are named.
const NAMED: usize = 5;

/// One machine of several.
#[derive(Clone, Debug)]
pub struct Member {
    /// What is known of it.
    pub snapshot: Snapshot,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Member {
    /// A machine's bundle, read; the bytes are not needed any more.
    pub fn of(bundle: facts::bundle::Bundle) -> Self {
        let snapshot = facts::parse::snapshot(&bundle);
        Self { snapshot, manifest: bundle.manifest }
    }

    /// The swarm it is in, as its engine says, else as its certificate does.
    pub(super) fn cluster(&self) -> Option<String> {
        let host = self.snapshot.hosts.first()?;
        let reported = host.info.get().ok().and_then(|info| info.swarm.cluster_id.clone());
        let certified = || Some(host.certificate.get().ok()?.as_ref()?.organisation.clone());
        reported.or_else(certified).filter(|id| !id.is_empty())
    }

    /// The node it is, as its engine says, else as its certificate does.
    fn node_id(&self) -> Option<String> {
        let host = self.snapshot.hosts.first()?;
        let reported = host.info.get().ok().map(|info| info.swarm.node_id.to_string());
        let certified = || Some(host.certificate.get().ok()?.as_ref()?.common_name.clone());
        reported.filter(|id| !id.is_empty()).or_else(certified).filter(|id| !id.is_empty())
    }

    /// How complete its view of the swarm is; the greatest wins.
    fn authority(&self) -> (bool, bool, Timestamp) {
        let nodes = self.snapshot.nodes.get().map(|nodes| nodes.value.as_slice()).unwrap_or_default();
        let id = self.node_id();
        let leads = nodes.iter().any(|node| {
            Some(node.id.as_str()) == id.as_deref() && node.manager.as_ref().is_some_and(|it| it.leader)
        });
        (leads, !nodes.is_empty(), self.manifest.taken)
    }

    /// The link-layer addresses of its plain interfaces, which no two machines share.
    fn machine(&self) -> Vec<String> {
        let interfaces = self.snapshot.hosts.first().and_then(|host| host.interfaces.get().ok());
        let plain = interfaces.iter().flat_map(|it| it.iter()).filter(|it| it.kind.is_empty());
        let mut macs: Vec<String> = plain.map(|it| it.mac.clone()).filter(|mac| !mac.is_empty()).collect();
        macs.sort();
        macs
    }
}

/// Machines to be judged together.
pub(super) struct Gathered {
    /// Each once, by name.
    pub(super) members: Vec<Member>,
    /// Which of them speaks for the swarm.
    pub(super) lead: usize,
    /// What is odd about the company.
    pub(super) notes: Vec<String>,
    /// The names of nodes by their address.
    pub(super) names: BTreeMap<IpAddr, NodeName>,
}

impl Gathered {
    pub(super) fn of(mut members: Vec<Member>) -> Self {
        let mut notes = Vec::new();
        members
            .sort_by(|a, b| (&a.manifest.host, a.manifest.taken).cmp(&(&b.manifest.host, b.manifest.taken)));
        once(&mut members, &mut notes);
        twins(&members, &mut notes);
        distinct(&mut members);
        let swarm = of_one_swarm(&members, &mut notes);
        apart(&members, &mut notes);
        notes.extend(super::config_drift::note(members.iter().flat_map(|member| &member.snapshot.hosts)));
        let lead = (0..members.len()).max_by_key(|at| {
            let member = &members[*at];
            (member.cluster() == swarm, member.authority(), std::cmp::Reverse(*at))
        });
        if let Some(lead) = lead
            && members.len() > 1
            && members[lead].snapshot.nodes.get().is_err()
        {
            notes.push(
                "no manager that knows the swarm is among them: what only a manager knows stays unknown"
                    .into(),
            );
        }
        let names = names(&members);
        Self { lead: lead.unwrap_or(0), notes, names, members }
    }
}

/// The names of nodes by address: each host knows its own name, managers know all.
pub fn names(members: &[Member]) -> BTreeMap<IpAddr, NodeName> {
    let mut names = BTreeMap::new();
    for member in members {
        for node in member.snapshot.nodes.get().iter().flat_map(|nodes| nodes.iter()) {
            let manager = node.manager.as_ref().and_then(|manager| manager.addr).map(|addr| addr.ip());
            for addr in node.addr.into_iter().chain(manager).filter(|addr| !addr.is_unspecified()) {
                names.entry(addr).or_insert_with(|| node.name.clone());
            }
        }
    }
    // Who says that an address is its own knows it best, unless it does not have it any more.
    for host in members.iter().flat_map(|member| &member.snapshot.hosts) {
        let Ok(info) = host.info.get() else { continue };
        let Some(addr) = info.swarm.node_addr else { continue };
        let holds = host.interfaces.get().is_ok_and(|all| all.iter().any(|interface| interface.holds(addr)));
        if holds {
            names.insert(addr, host.name.clone());
        } else {
            names.entry(addr).or_insert_with(|| host.name.clone());
        }
    }
    names
}

/// Of two looks at one machine the later one counts.
fn once(members: &mut Vec<Member>, notes: &mut Vec<String>) {
    let mut kept: Vec<Member> = Vec::new();
    for member in members.drain(..) {
        let same = kept.iter_mut().find(|other| {
            other.manifest.host == member.manifest.host
                && other.node_id() == member.node_id()
                && other.machine() == member.machine()
        });
        match same {
            Some(other) => {
                notes.push(format!(
                    "{} is there twice, taken at {} and at {}: the later one counts",
                    member.manifest.host,
                    clock(other.manifest.taken),
                    clock(member.manifest.taken)
                ));
                // They are in the order of time.
                *other = member;
            }
            None => kept.push(member),
        }
    }
    *members = kept;
}

/// Machines that pass for the same node.
fn twins(members: &[Member], notes: &mut Vec<String>) {
    let mut nodes: BTreeMap<String, Vec<&Member>> = BTreeMap::new();
    for member in members {
        if let Some(id) = member.node_id() {
            nodes.entry(id).or_default().push(member);
        }
    }
    for (id, members) in nodes.iter().filter(|(_, members)| members.len() > 1) {
        let names: Vec<_> = members.iter().map(|member| member.manifest.host.as_str()).collect();
        let machines: std::collections::BTreeSet<_> = members.iter().map(|member| member.machine()).collect();
        notes.push(if machines.len() > 1 {
            format!("{} are different machines and all pass for node {id}", listed(&names))
        } else {
            format!("{} are one node, {id}, under several names", listed(&names))
        });
    }
}

/// Names stand for machines, so no two have the same.
fn distinct(members: &mut [Member]) {
    let mut seen = BTreeMap::new();
    for member in members {
        let number = seen.entry(member.manifest.host.clone()).and_modify(|n| *n += 1).or_insert(1);
        if *number > 1 {
            let name = NodeName(format!("{} ({number})", member.manifest.host));
            member.manifest.host.clone_from(&name);
            member.snapshot.hosts.iter_mut().for_each(|host| host.name.clone_from(&name));
        }
    }
}

/// The swarm that most of them are in; those of another are named.
fn of_one_swarm(members: &[Member], notes: &mut Vec<String>) -> Option<String> {
    let mut swarms: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for member in members {
        if let Some(id) = member.cluster() {
            swarms.entry(id).or_default().push(member.manifest.host.as_str());
        }
    }
    let most = swarms.iter().max_by_key(|(_, names)| names.len()).map(|(id, _)| id.clone());
    for (id, names) in swarms.iter().filter(|(id, _)| Some(*id) != most.as_ref()) {
        let (are, be) = if names.len() == 1 { ("is", "it is") } else { ("are", "they are") };
        notes.push(format!(
            "{} {are} in another swarm, {id}, than the others, {}: {be} judged with no more than what was seen there",
            listed(names),
            most.as_deref().unwrap_or_default()
        ));
    }
    most
}

/// What was seen at different times may disagree for no other reason.
fn apart(members: &[Member], notes: &mut Vec<String>) {
    let by_time = |member: &&Member| member.manifest.taken;
    let (Some(first), Some(last)) = (members.iter().min_by_key(by_time), members.iter().max_by_key(by_time))
    else {
        return;
    };
    let seconds = last.manifest.taken.duration_since(first.manifest.taken).as_secs();
    if seconds > APART {
        notes.push(format!(
            "they were taken {} apart, {} at {} and {} at {}: what changed in between looks like a contradiction",
            span(seconds),
            first.manifest.host,
            clock(first.manifest.taken),
            last.manifest.host,
            clock(last.manifest.taken)
        ));
    }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn span(seconds: i64) -> String {
    match seconds {
        ..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn listed(names: &[&str]) -> String {
    let mut shown: Vec<String> = names.iter().take(NAMED).map(ToString::to_string).collect();
    if let more @ 1.. = names.len().saturating_sub(NAMED) {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}
