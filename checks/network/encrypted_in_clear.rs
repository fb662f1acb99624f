use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::firewall::{Expr, Hook, Ruleset};
use facts::join_progress::since_start;
use facts::log::{Line, Log};
use facts::overlay::Overlay;
use facts::{Host, Seen};

check! {
    /// The packets of an encrypted overlay leave this node without encryption.
    ///
    /// ## Why it matters
    /// For a network with `--opt encrypted` the engine adds an iptables rule that marks its VXLAN packets, and an IPsec
    /// policy that encrypts marked packets. If the rule cannot be added, the packets are sent in clear. Tasks connect as
    /// usual and nothing but one line in the log shows it: anyone who can read the network between the nodes reads the data.
    ///
    /// ## How to fix it
    /// Install the missing iptables match and restart the engine. Engines before 25 need `xt_u32`, which RHEL 8 and 9 ship
    /// in `kernel-modules-extra`; newer engines use `xt_bpf`.
    ///
    /// ## When it is wrong
    /// If the packets between the nodes are encrypted below Docker, for example by WireGuard.
    ///
    /// Source: moby `libnetwork/drivers/overlay/encryption.go` (`programMangle`); moby#43382; CVE-2023-28841.
    "network/encrypted-in-clear": Error, "packets of an encrypted overlay leave without encryption";
    healthy "packets of encrypted overlays leave encrypted";
    needs Overlays, Firewall, EngineLog;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let overlays = host.overlays.get()?;
    let encrypted: Vec<&Overlay> =
        overlays.iter().filter(|overlay| overlay.encrypted && passes_packets(overlay)).collect();
    if encrypted.is_empty() {
        return Ok(());
    }
    let firewall = host.firewall.get();
    let log = host.log.get();
    let unmarked = firewall.as_ref().ok().filter(|firewall| !marks(firewall)).copied();
    let refused = log.as_ref().ok().and_then(|log| Some((*log, refused_rule(log)?)));
    if unmarked.is_some() {
        report(host, overlays, &encrypted, unmarked, refused, out);
    }
    firewall?;
    log.map(drop)
}

/// Whether another node answers over the overlay.
fn passes_packets(overlay: &Overlay) -> bool {
    overlay.data_plane.as_ref().is_ok_and(|plane| plane.peers.iter().any(facts::overlay::Peer::answers))
}

/// Whether a rule for outgoing packets sets a mark. The value of the mark is not in the facts.
fn marks(firewall: &Ruleset) -> bool {
    let chains = firewall.tables.iter().flat_map(|table| &table.chains);
    let output = chains.filter(|chain| chain.base.as_ref().is_none_or(|base| base.hook == Hook::Output));
    let sets_mark = |expr: &Expr| matches!(expr, Expr::SetMark { .. });
    output.flat_map(|chain| &chain.rules).any(|rule| rule.exprs.iter().any(sets_mark))
}

/// The last line in which the engine logs that it could not add the rule.
fn refused_rule(log: &Log) -> Option<&Line> {
    let of_rule = |line: &&Line| {
        let text = &line.message;
        text.contains("could not install mangle rule") || text.contains("ailed to add mangle rule")
    };
    since_start(log).iter().rev().find(of_rule)
}

fn report(
    host: &Host,
    overlays: &Seen<Vec<Overlay>>,
    encrypted: &[&Overlay],
    firewall: Option<&Seen<Ruleset>>,
    refused: Option<(&Seen<Log>, &Line)>,
    out: &mut Findings<'_>,
) {
    let names: Vec<_> = encrypted.iter().map(|overlay| overlay.name.as_str()).collect();
    let Some(first) = encrypted.first() else { return };
    let vnis: Vec<_> = encrypted
        .iter()
        .filter_map(|overlay| Some(overlay.data_plane.as_ref().ok()?.vni.to_string()))
        .collect();
    let summary = format!(
        "packets of the encrypted network {} leave {} without encryption: no firewall rule marks its VXLAN packets",
        names.join(", "),
        host.name
    );
    let shown = format!("{}: encrypted, VNI {}, echo answered", names.join(", "), vnis.join(", "));
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::value(overlays, shown));
    finding.also_affects(Subject::Network(first.name.clone()));
    if let Some(firewall) = firewall {
        finding.with(Evidence::absent(firewall, "no rule for outgoing packets sets the mark 0xd0c4e3"));
    }
    match refused {
        Some((log, line)) => drop(finding.with(Evidence::log(log, line))),
        None => drop(finding.confidence(Confidence::Medium)),
    }
    let remedy = match refused {
        Some((_, line)) => {
            let module = if line.message.contains("bpf") { "xt_bpf" } else { "xt_u32" };
            Remedy {
                title: format!("Install the iptables match {module} on {}", host.name).into(),
                risk: Risk::Disruptive,
                impact: "all tasks on this node restart".into(),
                steps: vec![
                    Step::Manual {
                        node: host.name.clone().into(),
                        text: format!("install and load {module}, which the rules need"),
                        commands: vec![
                            "dnf install kernel-modules-extra-$(uname -r)".into(),
                            format!("modprobe {module}"),
                        ],
                    },
                    Step::RestartEngine { node: host.name.clone().into() },
                ],
            }
        }
        // The rules were deleted, as by a flush of the table.
        None => Remedy {
            title: format!("Restart the engine of {}, which adds the rules again", host.name).into(),
            risk: Risk::Disruptive,
            impact: "all tasks on this node restart".into(),
            steps: vec![Step::RestartEngine { node: host.name.clone().into() }],
        },
    };
    finding.remedy(remedy);
}
