use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::{Gap, Host, Why};

check! {
    /// Nothing keeps the clock of this machine in step.
    ///
    /// ## Why it matters
    /// Certificates are issued with one hour to spare. A node whose clock is more than an hour behind its
    /// manager's cannot join, one that runs ahead throws its certificate away early, and logs of several nodes
    /// cannot be read side by side.
    ///
    /// ## How to fix it
    /// Install and start a time service, such as chrony, and see that it reaches its servers.
    ///
    /// ## When it is wrong
    /// Where something outside sets the clock: the doctor says nothing inside a container, whose clock is the
    /// machine's. A virtual machine kept in step by its hypervisor without the kernel's knowledge is the rest.
    ///
    /// Source: adjtimex(2), `STA_UNSYNC`; moby#25112.
    "host/clock-not-synchronised": Warning, "nothing keeps the clock in step";
    needs Clock, OsRelease;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let clock = host.clock.get()?;
    if clock.synchronised {
        return Ok(());
    }
    let os = host.os.get()?;
    // Inside a container the time service cannot be seen, and the clock is not this container's to keep.
    if os.in_container && clock.service.is_none() {
        let reason = "the clock is kept outside this container".to_owned();
        return Err(Gap { source: clock.source.clone(), why: Why::NotApplicable { reason } });
    }
    let summary = match &clock.service {
        Some(service) => format!("{service} runs, and the kernel's clock is not in step"),
        None => "no time service runs, and the kernel's clock is not in step".to_owned(),
    };
    let shown = format!("STA_UNSYNC is set; the error may be up to {} ms", clock.max_error_us / 1000);
    let commands = match &clock.service {
        Some(service) if service == "chronyd" => vec!["chronyc tracking".into(), "chronyc sources".into()],
        Some(_) => vec!["timedatectl status".into()],
        None => vec![
            "apt-get install chrony || dnf install chrony".into(),
            "systemctl enable --now chronyd".into(),
        ],
    };
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(clock, shown)).remedy(Remedy {
        title: "Keep the clock in step".into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched, unless the clock is far off and jumps".into(),
        steps: vec![Step::Manual {
            node: host.name.clone(),
            text: "see that a time service runs and reaches its servers".into(),
            commands,
        }],
    });
    Ok(())
}
