use super::crossing::{Asked, Crossing, ON_THE_WAY, by_node, gaps, is_up, newcomers};
use super::reach::by_peer;
use crate::{Confidence, Evidence, Finding, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::{Line, Log};
use facts::overlay::Course;
use facts::{Host, NodeName};

check! {
    /// Packets of an encrypted overlay do not get from this node to another and back, and those of others do.
    ///
    /// ## Why it matters
    /// An overlay made with `--opt encrypted` travels as ESP, IP protocol 50, which has no ports: a firewall opened for
    /// 4789/udp alone drops it, and so do many clouds and all NAT. The kernel needs ESP with AES-GCM for it. The tasks
    /// on that overlay are cut off from those on other nodes, and everything else works.
    ///
    /// ## How to fix it
    /// Let IP protocol 50 pass between all nodes. Where the engine's log says that it could not add its keys, load the
    /// kernel's module `esp4`. Where both are in order, an engine has missed a change of the keys: restart it. Engines
    /// before 23.0.7 and 24.0.3 encrypt nothing in a swarm with a data-path port of its own, and 29.0 to 29.2.0
    /// understand no other version.
    ///
    /// ## When it is wrong
    /// Where an endpoint of the other node does not answer for a reason of its own.
    ///
    /// Source: Docker docs "Overlay network driver, encrypt traffic"; moby `libnetwork/drivers/overlay/encryption.go`;
    /// moby#45635, moby#51798.
    "network/esp-blocked": Error, "an encrypted overlay's packets do not pass between nodes";
    needs Overlays, Probes, Nodes, EngineLog;
    caused_by "network/no-route", "network/permanent-neighbour-entry", "network/duplicate-mac", "network/duplicate-ip", "host/firewall-drops-swarm", "network/asymmetric", "network/vxlan-blocked", "network/fdb-stale", "swarm/node-down", "network/gossip-port-blocked", "network/peer-unreachable";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    gaps(overlays).for_each(|gap| out.inconclusive(Subject::Node(host.name.clone()), gap));
    let crossings = by_node(overlays);
    // Over an overlay in clear the node answers, and that UDP passes is what tells ESP from it.
    let comparable: Vec<&Crossing<'_>> = crossings
        .iter()
        .filter(|crossing| crossing.answers(false) && crossing.of(true).next().is_some())
        .collect();
    if comparable.iter().all(|crossing| crossing.answers(true)) {
        return Ok(());
    }
    let probes = host.probes.get()?;
    let log = host.log.get();
    let keyless = log.as_ref().ok().and_then(|log| keyless(log));
    let reaches = by_peer(probes);
    let reach = |crossing: &Crossing<'_>| {
        reaches.iter().find(|reach| reach.peer.addr == crossing.node).filter(|reach| is_up(reach))
    };
    let newcomers =
        log.as_ref().map(|log| newcomers(log, view.snapshot.taken, ON_THE_WAY)).unwrap_or_default();
    let cut: Vec<_> = comparable
        .iter()
        .filter(|crossing| !crossing.answers(true) && !newcomers.contains_key(&crossing.node))
        .filter_map(|crossing| Some((crossing, reach(crossing)?)))
        .collect();
    let all = cut.len() == comparable.len() && (cut.len() > 1 || keyless.is_some());
    let mut courses = cut.iter().map(|(crossing, _)| crossing.course(true));
    let common = courses.next().flatten().filter(|first| courses.all(|other| other == Some(*first)));
    let mut told: Option<&mut Finding> = None;
    for (crossing, reach) in cut {
        let Some(first) = crossing.of(true).next() else { continue };
        let shown = crossing.asked.iter().map(|asked| Evidence::value(overlays, asked.shown()));
        match told.take().filter(|_| all) {
            Some(finding) => told = Some(shown.fold(finding, Finding::with)),
            None => {
                let to = view.name_of_peer(reach.peer);
                let first_shown = Evidence::value(overlays, first.shown());
                let whose = Cut {
                    to,
                    all,
                    keyless: keyless.is_some(),
                    course: if all { common } else { crossing.course(true) },
                };
                let finding = report(host, first, whose, first_shown, out);
                let others = crossing.asked.iter().filter(|asked| !std::ptr::eq(*asked, first));
                let finding = others
                    .fold(finding, |finding, asked| finding.with(Evidence::value(overlays, asked.shown())));
                if let (Ok(log), Some(line)) = (&log, keyless) {
                    finding.with(Evidence::log(log, line));
                }
                told = Some(finding);
            }
        }
    }
    // Without the log a finding is true and says less.
    if let (Some(_), Err(gap)) = (told, log) {
        out.inconclusive(Subject::Node(host.name.clone()), gap);
    }
    Ok(())
}

/// The last line in which the engine says that the kernel did not take its keys (`overlay/encryption.go`).
fn keyless(log: &Log) -> Option<&Line> {
    let start = log.lines.iter().rposition(|line| line.message.starts_with("Starting up")).unwrap_or(0);
    let failed = |line: &&Line| {
        ["Failed Adding rSA", "Failed Adding fSA"].iter().any(|words| line.message.starts_with(words))
    };
    log.lines.get(start..)?.iter().rev().find(failed)
}

/// To whom nothing passes, and what is known of why.
struct Cut {
    to: NodeName,
    /// To no other either.
    all: bool,
    /// The kernel does not take the engine's keys.
    keyless: bool,
    course: Option<Course>,
}

/// Says that nothing passes to one node, or to any.
fn report<'f>(
    host: &Host,
    asked: &Asked<'_>,
    Cut { to, all, keyless, course }: Cut,
    first: Evidence,
    out: &'f mut Findings<'_>,
) -> &'f mut Finding {
    let here = host.name.clone();
    let network = &asked.overlay.name;
    let (whom, subject) = match all {
        true => ("any other node".to_owned(), Subject::Node(here.clone())),
        false => (to.to_string(), Subject::Link { from: here.clone(), to: to.clone() }),
    };
    let story = match course {
        _ if keyless => "this node's kernel does not take the engine's keys for ESP".to_owned(),
        Some(Course::HeldBack) => format!("no ESP, IP protocol 50, leaves {here} for there"),
        Some(Course::NotTaken | Course::OneWay) => format!(
            "ESP, IP protocol 50, comes to {here} from there; {here} does not take it, or its own does not get there"
        ),
        Some(Course::Lost) => format!("ESP, IP protocol 50, leaves {here}, and none comes from there"),
        None => "ESP, IP protocol 50, does not pass".to_owned(),
    };
    let summary = format!(
        "nothing passes over the encrypted network {network} between {here} and {whom}, while overlays in clear do: {story}"
    );
    let step = |node: &NodeName| {
        match keyless {
        true => Step::Manual {
            node: node.clone(),
            text: "give the kernel ESP with AES-GCM, then restart the engine".into(),
            commands: vec!["modprobe esp4".into(), "systemctl restart docker".into()],
        },
        false => Step::Manual {
            node: node.clone(),
            text: "let IP protocol 50 in and out, in the cloud's firewall too; then see that both ends hold keys"
                .into(),
            commands: vec![
                "firewall-cmd --add-protocol=esp --permanent && firewall-cmd --reload".into(),
                "nft list ruleset".into(),
                "ip xfrm state count".into(),
            ],
        },
    }
    };
    let mut steps = vec![step(&here)];
    if !all {
        steps.push(step(&to));
    }
    let title = if keyless { "Give the kernel ESP" } else { "Let ESP pass" };
    let (risk, impact) = match keyless {
        true => (Risk::Disruptive, "the tasks of this node restart"),
        false => (Risk::Safe, "nothing that runs is touched"),
    };
    out.report(subject, summary, first)
        .confidence(if keyless { Confidence::High } else { Confidence::Medium })
        .remedy(Remedy { title: title.into(), risk, impact: impact.into(), steps })
}
