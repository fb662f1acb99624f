use super::regressions::{Condition, REGRESSIONS, Regression};
use crate::model::engine_version::EngineVersion;
use crate::{Evidence, Finding, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::engine::Info;
use facts::swarm::LocalState;
use facts::{Gap, Host, Snapshot};
use std::collections::{BTreeMap, BTreeSet};

check! {
    /// This version of the engine or of the kernel has a known regression that concerns this swarm.
    ///
    /// ## Why it matters
    /// Some releases broke a function of swarm mode that worked before and works again in a later release. Where another
    /// check finds the effect, its finding names the version; this one names what can still happen.
    ///
    /// ## How to fix it
    /// Upgrade to the version named, one node at a time and managers last.
    ///
    /// ## When it is wrong
    /// Where a distribution applied the fix to its own build of the version.
    ///
    /// Source: the address in each row of `checks/engine/regressions.rs`.
    "engine/known-regression": Info, "this engine or kernel version has a known regression";
    healthy "no known regression of this engine and kernel concerns this swarm";
    needs Version, Info, OsRelease, Networks, Services, Nodes, Swarm;
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Active {
        return Ok(());
    }
    for row in REGRESSIONS {
        let Some(evidence) = affected(row, host)? else { continue };
        match applies(row.condition, host, info, view) {
            Ok(false) => {}
            Ok(true) => report(row, host, evidence, out),
            Err(gap) => out.inconclusive(Subject::Node(host.name.clone()), gap),
        }
    }
    Ok(())
}

/// The version that has the regression, if this host runs it.
fn affected(row: &Regression, host: &Host) -> Result<Option<Evidence>, Gap> {
    let version = host.version.get()?;
    let os = host.os.get()?;
    let by_engine =
        EngineVersion::parse(&version.engine).is_some_and(|parsed| row.affected.has_engine(parsed));
    if by_engine {
        return Ok(Some(Evidence::value(version, format!("engine {}", version.engine))));
    }
    Ok(row.affected.has_kernel(&os.kernel).then(|| Evidence::value(os, format!("kernel {}", os.kernel))))
}

fn report(row: &Regression, host: &Host, evidence: Evidence, out: &mut Findings<'_>) {
    let version = match &evidence {
        Evidence::Value { shown, .. } => shown.clone(),
        Evidence::Line { text, .. } => text.clone(),
        Evidence::Absent { what, .. } => what.clone(),
    };
    let summary = format!("{version} has a known regression: {}", row.effect);
    let finding = out.report(Subject::Node(host.name.clone()), summary, evidence);
    // Here the effect is certain as soon as managers talk to each other.
    if row.condition == Condition::ProxyForManagers {
        finding.severity(Severity::Warning);
    }
    finding.remedy(Remedy {
        title: format!("Upgrade to {}", row.fixed_in).into(),
        risk: Risk::Disruptive,
        impact: "All tasks on the node restart during its upgrade.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: format!("upgrade one node at a time, managers last; see {}", row.source),
            commands: vec![
                "apt-cache madison docker-ce".into(),
                "docker node update --availability drain NODE".into(),
            ],
        }],
    });
}

/// Whether the condition of a regression holds here.
fn applies(condition: Condition, host: &Host, info: &Info, view: &View<'_>) -> Result<bool, Gap> {
    let encrypted =
        || -> Result<bool, Gap> { Ok(host.networks.get()?.iter().any(|network| network.encrypted)) };
    Ok(match condition {
        Condition::Always => true,
        Condition::SeveralNodes => !info.swarm.control_available || info.swarm.node_count > 1,
        Condition::PublishedPort => {
            let services = view.snapshot.services.get()?;
            services.iter().flat_map(|service| &service.ports).any(|port| port.ingress)
        }
        Condition::EncryptedOverlay => encrypted()?,
        Condition::EncryptedOverlayOfMixedVersions => {
            encrypted()? && {
                let nodes = view.snapshot.nodes.get()?;
                nodes.iter().map(|node| node.engine.as_str()).collect::<BTreeSet<_>>().len() > 1
            }
        }
        Condition::EncryptedOverlayOnCustomPort => {
            encrypted()? && !matches!(view.snapshot.cluster.get()?.data_path_port, 0 | 4789)
        }
        Condition::EqualSubnets => {
            let networks = host.networks.get()?;
            let overlays = networks.iter().filter(|network| network.driver == "overlay");
            let mut subnets: Vec<&String> = overlays.flat_map(|network| &network.subnets).collect();
            subnets.sort();
            subnets.windows(2).any(|pair| pair.first() == pair.last())
        }
        Condition::SharedAlias => {
            let services = view.snapshot.services.get()?;
            let mut owners: BTreeMap<&(String, String), usize> = BTreeMap::new();
            for alias in services.iter().flat_map(|service| &service.network_aliases) {
                *owners.entry(alias).or_default() += 1;
            }
            owners.values().any(|count| *count > 1)
        }
        Condition::RegistryImage => !view.snapshot.services.get()?.is_empty(),
        Condition::ProxyForManagers => {
            let proxy = &info.proxy;
            let set = !proxy.http.is_empty() || !proxy.https.is_empty();
            let bypassed = |addr: &str| proxy.bypass.split(',').any(|entry| entry.trim() == addr);
            let managers = info.swarm.managers.iter();
            set && managers.map(|manager| manager.addr.ip().to_string()).any(|addr| !bypassed(&addr))
        }
        // Only a crash shows it.
        Condition::Panic(_) => false,
    })
}

/// Names the known regressions in the findings that show their effect, and drops the findings that only announce them.
pub fn name_in_effects(found: &mut Vec<Finding>, snapshot: &Snapshot) {
    let mut announced = Vec::new();
    for host in &snapshot.hosts {
        for row in REGRESSIONS.iter().filter(|row| !matches!(row.condition, Condition::Panic(_))) {
            let announcement = |finding: &Finding| {
                finding.check == CHECK.meta.id
                    && finding.subject == Subject::Node(host.name.clone())
                    && finding.summary.ends_with(row.effect)
            };
            let Some(evidence) =
                found.iter().find(|finding| announcement(finding)).map(|finding| finding.evidence().to_vec())
            else {
                continue;
            };
            let shown = |finding: &&mut Finding| {
                row.seen_by.contains(&finding.check.as_ref())
                    && finding.affected_by(&Subject::Node(host.name.clone()))
            };
            let mut named = false;
            for effect in found.iter_mut().filter(shown) {
                for piece in &evidence {
                    effect.with(with_regression(piece.clone(), row));
                }
                named = true;
            }
            if named {
                announced.push((host.name.clone(), row.effect));
            }
        }
    }
    found.retain(|finding| {
        finding.check != CHECK.meta.id
            || !announced.iter().any(|(node, effect)| {
                finding.subject == Subject::Node(node.clone()) && finding.summary.ends_with(effect)
            })
    });
}

/// The evidence of a version, with its regression.
fn with_regression(mut evidence: Evidence, row: &Regression) -> Evidence {
    if let Evidence::Value { shown, .. } = &mut evidence {
        shown.push_str(&format!(
            ": known regression, fixed in {} ({}): {}",
            row.fixed_in, row.source, row.effect
        ));
    }
    evidence
}
