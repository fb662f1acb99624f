use super::advice;
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::swarm::LocalState;

check! {
    /// The kernel of a swarm node is older than Linux 4.
    ///
    /// ## Why it matters
    /// VXLAN, IPVS in namespaces and overlay2 have bugs there that were fixed later: connections through VIPs stall,
    /// interfaces stay (`unregister_netdevice: waiting for lo to become free`), and containers leak memory of the kernel.
    ///
    /// ## How to fix it
    /// Upgrade the distribution, or install a newer kernel.
    ///
    /// ## When it is wrong
    /// If the distribution carries the fixes, as Red Hat does in part for 3.10.
    ///
    /// Source: moby `contrib/check-config.sh`; moby#5618, #35548.
    "posture/kernel-too-old": Info, "the kernel is too old for overlay networks";
    healthy "the kernel supports overlay networks";
    needs OsRelease, Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    if host.info.get()?.swarm.state != LocalState::Active {
        return Ok(());
    }
    let os = host.os.get()?;
    let major = os.kernel.split('.').next().and_then(|number| number.parse::<u32>().ok());
    if major.is_some_and(|major| major < 4) {
        let summary = format!("{} runs Linux {}", host.name, os.kernel);
        out.report(
            Subject::Node(host.name.clone()),
            summary,
            Evidence::value(os, format!("uname -r: {}", os.kernel)),
        )
        .remedy(advice(
            host.name.clone().into(),
            "Upgrade the kernel",
            "drain the node, upgrade the distribution or its kernel, and reboot",
            vec!["uname -r".into()],
        ));
    }
    Ok(())
}
