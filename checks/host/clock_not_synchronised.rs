use super::packages::PackageManager;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::{Gap, Host, Why};

check! {
    /// The system clock of this node is not synchronised.
    ///
    /// ## Why it matters
    /// Swarm certificates are backdated by one hour only. A node whose clock is more than one hour behind its manager
    /// cannot join. A node whose clock is ahead treats its certificate as expired too early. Log files of several nodes
    /// cannot be compared.
    ///
    /// ## How to fix it
    /// Install and start a time service such as chrony, and verify that it reaches its time servers.
    ///
    /// ## When it is wrong
    /// When something outside the kernel's knowledge sets the clock, such as a hypervisor. Inside a container the check
    /// does not apply, because a container uses the clock of its host.
    ///
    /// Source: adjtimex(2), `STA_UNSYNC`; moby#25112.
    "host/clock-not-synchronised": Warning, "the system clock is not synchronised";
    healthy "the system clock is synchronised";
    needs Clock, OsRelease;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let clock = host.clock.get()?;
    if clock.synchronised {
        return Ok(());
    }
    let os = host.os.get()?;
    // The time service of the host is not visible inside a container, and a container cannot set the clock.
    if os.in_container && clock.service.is_none() {
        let reason = "a container uses the clock of its host".to_owned();
        return Err(Gap { source: clock.source.clone(), why: Why::NotApplicable { reason } });
    }
    let summary = match &clock.service {
        Some(service) => format!("the system clock is not synchronised, although {service} is running"),
        None => "the system clock is not synchronised: no time service is running".to_owned(),
    };
    let shown = format!("adjtimex: STA_UNSYNC is set, maximum error {} ms", clock.max_error_us / 1000);
    let (text, commands) = match &clock.service {
        Some(service) if service == "chronyd" => (
            "check that chronyd reaches its time servers".to_owned(),
            vec!["chronyc tracking".into(), "chronyc sources".into()],
        ),
        Some(service) => {
            (format!("check that {service} reaches its time servers"), vec!["timedatectl status".into()])
        }
        None => {
            let packages = PackageManager::of(os);
            let unit = if packages == PackageManager::Apt { "chrony" } else { "chronyd" };
            let install = packages.install(&["chrony"]);
            (
                "install and start a time service".to_owned(),
                install.into_iter().chain([format!("systemctl enable --now {unit}")]).collect(),
            )
        }
    };
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(clock, shown)).remedy(Remedy {
        title: format!("Synchronise the clock of {}", host.name).into(),
        risk: Risk::Safe,
        impact: "Running tasks are not affected, unless the clock is far off and jumps.".into(),
        steps: vec![Step::Manual { node: host.name.clone().into(), text, commands }],
    });
    Ok(())
}
