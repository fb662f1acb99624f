use super::kernel_log::recent_kernel;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, View};
use facts::Host;
use facts::log::Line;

check! {
    /// The kernel reports disk errors, or processes that wait for a disk for minutes.
    ///
    /// ## Why it matters
    /// A manager writes each change to its raft log and waits for the disk. On a disk that fails or stalls it loses the leader
    /// role or drops out of the quorum. dockerd and tasks that wait for the disk do not answer. A file system with errors becomes
    /// read-only.
    ///
    /// ## How to fix it
    /// Check the disk and its connection: SMART values, the storage network, the limits of the cloud volume. Drain the node, and
    /// replace the disk if it fails.
    ///
    /// ## When it is wrong
    /// When the errors are of a device that the engine does not use, such as a removable medium. Errors of floppy and optical
    /// drives and of loop and network block devices are ignored.
    ///
    /// Source: Linux `block/blk-core.c`, `fs/ext4/super.c`, `kernel/hung_task.c`; swarmkit#2939.
    "host/disk-errors": Error, "the kernel reports disk errors";
    healthy "the kernel reports no disk errors";
    needs EngineLog, Disk;
    for each Host: run
}

/// How long a kernel log line counts as current, in minutes.
const RECENT_MINUTES: i64 = 24 * 60;
/// Devices that are often broken or empty, and that the engine does not store data on.
const IGNORED: [&str; 5] = ["dev fd", "dev sr", "dev loop", "dev nbd", "dev ram"];

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let failed = |line: &&Line| {
        let message = line.message.as_str();
        (message.contains("I/O error") && message.contains("dev ") || message.contains("EXT4-fs error"))
            && !IGNORED.iter().any(|device| message.contains(device))
    };
    let errors: Vec<_> = recent_kernel(log, view, RECENT_MINUTES).filter(failed).collect();
    let hung: Vec<_> = recent_kernel(log, view, RECENT_MINUTES)
        .filter(|line| line.message.contains("blocked for more than"))
        .collect();
    let device = |line: &Line| -> Option<String> {
        let at = line
            .message
            .find("dev ")
            .map(|at| at + 4)
            .or_else(|| line.message.find("(device ").map(|at| at + 8))?;
        let rest = line.message.get(at..)?;
        let end = rest.find(|char: char| !char.is_ascii_alphanumeric() && char != '-').unwrap_or(rest.len());
        rest.get(..end).filter(|name| !name.is_empty()).map(str::to_owned)
    };
    if let Some(first) = errors.first() {
        let on = device(first).map(|device| format!(" on {device}")).unwrap_or_default();
        let summary = format!(
            "the kernel of {} logged {} disk errors{on} in the last 24 hours",
            host.name,
            errors.len()
        );
        let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, first));
        for line in errors.iter().skip(1).chain(&hung).take(3) {
            finding.with(Evidence::log(log, line));
        }
        if let Ok(disk) = host.disk.get() {
            let kind = disk.file_system.as_deref().unwrap_or("unknown file system");
            finding.with(Evidence::value(disk, format!("data root {} ({kind})", disk.path)));
        }
        finding.remedy(remedy(host));
    } else if let Some(first) = hung.first() {
        let process = first
            .message
            .split("task ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or("a process");
        let summary = format!(
            "{process} and {} other processes on {} were blocked for minutes, which is usually a stalled disk",
            hung.len().saturating_sub(1),
            host.name
        );
        let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, first));
        for line in hung.iter().skip(1).take(3) {
            finding.with(Evidence::log(log, line));
        }
        finding.severity(Severity::Warning).confidence(Confidence::Medium).remedy(remedy(host));
    }
    Ok(())
}

fn remedy(host: &Host) -> Remedy {
    Remedy {
        title: format!("Check the disks of {}", host.name).into(),
        risk: Risk::Manual,
        impact: "Reading the disk state does not affect running tasks.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "check the state of the disk; drain the node before the disk is replaced".into(),
            commands: vec![
                "dmesg --level=err,warn | tail -50".into(),
                "lsblk -o NAME,SIZE,FSTYPE,MOUNTPOINTS".into(),
                "smartctl -a /dev/DEVICE".into(),
            ],
        }],
    }
}
