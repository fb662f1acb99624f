use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Thresholds, View};
use facts::Host;
use facts::host::Disk;
use facts::log::{Line, Log};

check! {
    /// The file system of the engine's data root has no free space, no free inodes, or is read-only. The file systems of
    /// /var/lib/containerd, /var/log and /run are checked as well.
    ///
    /// ## Why it matters
    /// Tasks are rejected because images and containers cannot be written. A manager cannot append to the raft log and
    /// drops out of the quorum. An engine that starts on a full disk may leave a truncated raft log.
    ///
    /// ## How to fix it
    /// Free space before the engine is started again: old images and build caches, container logs without a size limit,
    /// unused volumes. A file system that became read-only usually had a disk error: check the kernel log.
    ///
    /// ## When it is wrong
    /// On a disk where so little free space is planned and monitored. `--threshold host/disk-full=10%` warns earlier.
    ///
    /// Source: etcd `wal` preallocates segments of 64 MB; Docker docs "Prune unused Docker objects".
    "host/disk-full": Error, "the disk of the engine's data root is full or read-only";
    healthy "the engine's data root has free space and is writable";
    needs Disk, EngineLog;
    for each Host: run
}

/// The size of a new segment of the raft log, in bytes.
const SEGMENT: u64 = 64 << 20;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let disk = host.disk.get()?;
    others(host, view, out);
    let Some((severity, state)) = problem(disk, view.thresholds) else { return Ok(()) };
    let shown = format!(
        "{}: {} of {} free, {} of {} inodes free{}",
        disk.path,
        mebibytes(disk.available_bytes),
        mebibytes(disk.size_bytes),
        disk.inodes_free,
        disk.inodes,
        if disk.read_only { ", mounted read-only" } else { "" }
    );
    let summary = format!("the data root {} {state}", disk.path);
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::value(disk, shown));
    finding.severity(severity);
    if let Ok(log) = host.log.get()
        && let Some(line) = write_error(log)
    {
        finding.with(Evidence::log(log, line));
    }
    let path = shell_quote(&disk.path);
    let (title, text, commands) = if disk.read_only {
        (
            format!("Make the file system of {} writable again", disk.path),
            "find out why it is read-only: the kernel remounts a file system read-only after a disk error",
            vec!["dmesg --level=err,crit | tail".into(), format!("findmnt --target {path}")],
        )
    } else {
        (
            format!("Free disk space for {}", disk.path),
            "find out what fills it, and free space before the engine is started again",
            vec![
                format!("df -h {path}; df -i {path}"),
                "docker system df".into(),
                "docker image prune".into(),
            ],
        )
    };
    finding.remedy(Remedy {
        title: title.into(),
        risk: Risk::Manual,
        impact: "Pruned images, containers and volumes are deleted permanently.".into(),
        steps: vec![Step::Manual { node: host.name.clone().into(), text: text.into(), commands }],
    });
    Ok(())
}

/// The other file systems that the engine and the host write to. Nothing is judged of what is not visible.
fn others(host: &Host, view: &View<'_>, out: &mut Findings<'_>) {
    let Ok(disks) = host.other_disks.get() else { return };
    for disk in disks.iter() {
        let Some((severity, state)) = problem(disk, view.thresholds) else { continue };
        let (use_of, severity) = match disk.path.as_str() {
            "/var/lib/containerd" => ("containerd cannot store images and containers", severity),
            "/run" => ("the engine cannot start containers", severity),
            // A full log disk stops the log, and mostly nothing else.
            _ => ("log lines are lost", Severity::Warning),
        };
        // Small file systems in memory need no segment of the raft log.
        if disk.path == "/run" && !disk.read_only && disk.available_bytes > disk.size_bytes / 50 {
            continue;
        }
        let summary = format!("{} {state}: {use_of}", disk.path);
        let shown = format!(
            "{}: {} of {} free, {} of {} inodes free",
            disk.path,
            mebibytes(disk.available_bytes),
            mebibytes(disk.size_bytes),
            disk.inodes_free,
            disk.inodes
        );
        let path = shell_quote(&disk.path);
        out.report(Subject::Node(host.name.clone()), summary, Evidence::value(disks, shown))
            .severity(severity)
            .remedy(Remedy {
                title: format!("Free disk space for {}", disk.path).into(),
                risk: Risk::Manual,
                impact: "Deleted files are lost permanently.".into(),
                steps: vec![Step::Manual {
                    node: host.name.clone().into(),
                    text: "find out what fills it, and free space".into(),
                    commands: vec![
                        format!("df -h {path}; df -i {path}"),
                        format!("du -xsh {path}/* | sort -h | tail"),
                    ],
                }],
            });
    }
}

/// The severity and the state, as a phrase that follows the path.
fn problem(disk: &Disk, thresholds: Thresholds) -> Option<(Severity, String)> {
    let free = mebibytes(disk.available_bytes);
    let below = |part: u64, of: u64, whole: u64| whole > 0 && part < whole / of;
    if disk.read_only {
        return Some((Severity::Error, "is on a file system that is mounted read-only".to_owned()));
    }
    if disk.size_bytes > 0 && disk.available_bytes < SEGMENT {
        return Some((Severity::Error, format!("is full: {free} free")));
    }
    if below(disk.inodes_free, 100, disk.inodes) {
        return Some((
            Severity::Error,
            format!("has no free inodes: {} of {} free", disk.inodes_free, disk.inodes),
        ));
    }
    let low = match thresholds.disk_free_percent {
        Some(percent) => disk.available_bytes < disk.size_bytes / 100 * u64::from(percent),
        None => below(disk.available_bytes, 50, disk.size_bytes) && disk.available_bytes < 1 << 30,
    };
    if low {
        return Some((
            Severity::Warning,
            format!("is almost full: {free} of {} free", mebibytes(disk.size_bytes)),
        ));
    }
    None
}

fn write_error(log: &Log) -> Option<&Line> {
    let matches = |line: &&Line| {
        let failed =
            |text: &str| text.contains("no space left on device") || text.contains("read-only file system");
        failed(&line.message) || line.fields.get("error").is_some_and(|error| failed(error))
    };
    log.lines.iter().rev().find(matches)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(size_mib: u64, free_mib: u64, inodes_free: u64) -> Disk {
        Disk {
            path: "/var/lib/docker".into(),
            size_bytes: size_mib << 20,
            available_bytes: free_mib << 20,
            inodes: 1000,
            inodes_free,
            read_only: false,
            file_system: None,
        }
    }

    #[test]
    fn the_severity_follows_the_free_space() {
        let severity = |disk: &Disk| problem(disk, Thresholds::default()).map(|(severity, _)| severity);
        assert_eq!(severity(&disk(100_000, 63, 500)), Some(Severity::Error));
        assert_eq!(severity(&disk(100_000, 900, 500)), Some(Severity::Warning));
        assert_eq!(severity(&disk(20_000, 900, 500)), None);
        assert_eq!(severity(&disk(100_000, 50_000, 9)), Some(Severity::Error));
        assert_eq!(severity(&Disk { inodes: 0, ..disk(100_000, 50_000, 0) }), None);
        assert_eq!(severity(&Disk { read_only: true, ..disk(100_000, 50_000, 500) }), Some(Severity::Error));
        let early = Thresholds { disk_free_percent: Some(10), ..Thresholds::default() };
        let severity = |free| problem(&disk(100_000, free, 500), early).map(|(severity, _)| severity);
        assert_eq!(
            [severity(9_999), severity(10_001), severity(63)],
            [Some(Severity::Warning), None, Some(Severity::Error)]
        );
    }
}
