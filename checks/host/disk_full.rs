use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Thresholds, View};
use facts::Host;
use facts::host::Disk;
use facts::log::{Line, Log};

check! {
    /// The file system of the engine's data root has no room, no inodes, or takes no writes.
    ///
    /// ## Why it matters
    /// Tasks are rejected because images and containers cannot be written, and a manager cannot append to raft's log:
    /// it drops out of the quorum, and an engine that is started on a full disk may leave a log cut short.
    ///
    /// ## How to fix it
    /// Make room before the engine is started again: old images and build caches, logs of containers without a limit,
    /// volumes nobody uses. A file system that went read-only has mostly met an error of its disk: see the kernel's log.
    ///
    /// ## When it is wrong
    /// On a disk where that little is planned and watched. `--threshold host/disk-full=10%` warns sooner.
    ///
    /// Source: etcd `wal` preallocates segments of 64 MB; Docker docs "Prune unused Docker objects".
    "host/disk-full": Error, "the engine's disk is full";
    needs Disk, EngineLog;
    for each Host: run
}

/// What raft's log takes when it begins a new segment.
const SEGMENT: u64 = 64 << 20;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let disk = host.disk.get()?;
    let Some((severity, what)) = ailment(disk, view.thresholds) else { return Ok(()) };
    let shown = format!(
        "{}: {} of {} left, {} of {} inodes free{}",
        disk.path,
        mebibytes(disk.available_bytes),
        mebibytes(disk.size_bytes),
        disk.inodes_free,
        disk.inodes,
        if disk.read_only { ", mounted read-only" } else { "" }
    );
    let summary = format!("the data root {} {what}", disk.path);
    let finding = out.report(Subject::Node(host.name.clone()), summary, Evidence::value(disk, shown));
    finding.severity(severity);
    if let Ok(log) = host.log.get()
        && let Some(line) = complaint(log)
    {
        finding.with(Evidence::log(log, line));
    }
    let path = shell_quote(&disk.path);
    let (text, commands) = if disk.read_only {
        let text = "see why it is read-only; the kernel turns a file system so when its disk fails";
        (text, vec!["dmesg --level=err,crit | tail".into(), format!("findmnt --target {path}")])
    } else {
        let text = "see what fills it and make room, before the engine is next started";
        (
            text,
            vec![
                format!("df -h {path}; df -i {path}"),
                "docker system df".into(),
                "docker image prune".into(),
            ],
        )
    };
    finding.remedy(Remedy {
        title: "Make room on the engine's disk".into(),
        risk: Risk::Manual,
        impact: "looking changes nothing; what is pruned is gone".into(),
        steps: vec![Step::Manual { node: host.name.clone(), text: text.into(), commands }],
    });
    Ok(())
}

/// How grave it is, and what it is.
fn ailment(disk: &Disk, thresholds: Thresholds) -> Option<(Severity, String)> {
    let left = mebibytes(disk.available_bytes);
    let below = |part: u64, of: u64, whole: u64| whole > 0 && part < whole / of;
    if disk.read_only {
        return Some((Severity::Error, "is on a file system that is mounted read-only".to_owned()));
    }
    if disk.size_bytes > 0 && disk.available_bytes < SEGMENT {
        return Some((Severity::Error, format!("has no room: {left} are left")));
    }
    if below(disk.inodes_free, 100, disk.inodes) {
        return Some((
            Severity::Error,
            format!("has no inodes: {} of {} are free", disk.inodes_free, disk.inodes),
        ));
    }
    let little = match thresholds.disk_free_percent {
        Some(percent) => disk.available_bytes < disk.size_bytes / 100 * u64::from(percent),
        None => below(disk.available_bytes, 50, disk.size_bytes) && disk.available_bytes < 1 << 30,
    };
    if little {
        return Some((
            Severity::Warning,
            format!("has little room: {left} of {} are left", mebibytes(disk.size_bytes)),
        ));
    }
    None
}

fn complaint(log: &Log) -> Option<&Line> {
    let says = |line: &&Line| {
        let words =
            |text: &str| text.contains("no space left on device") || text.contains("read-only file system");
        words(&line.message) || line.fields.get("error").is_some_and(|error| words(error))
    };
    log.lines.iter().rev().find(says)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(size_mib: u64, left_mib: u64, inodes_free: u64) -> Disk {
        Disk {
            path: "/var/lib/docker".into(),
            size_bytes: size_mib << 20,
            available_bytes: left_mib << 20,
            inodes: 1000,
            inodes_free,
            read_only: false,
        }
    }

    #[test]
    fn weighs_what_is_left() {
        let weight = |disk: &Disk| ailment(disk, Thresholds::default()).map(|(severity, _)| severity);
        assert_eq!(weight(&disk(100_000, 63, 500)), Some(Severity::Error));
        assert_eq!(weight(&disk(100_000, 900, 500)), Some(Severity::Warning));
        assert_eq!(weight(&disk(20_000, 900, 500)), None);
        assert_eq!(weight(&disk(100_000, 50_000, 9)), Some(Severity::Error));
        assert_eq!(weight(&Disk { inodes: 0, ..disk(100_000, 50_000, 0) }), None);
        assert_eq!(weight(&Disk { read_only: true, ..disk(100_000, 50_000, 500) }), Some(Severity::Error));
        let wary = Thresholds { disk_free_percent: Some(10), ..Thresholds::default() };
        let weight = |left| ailment(&disk(100_000, left, 500), wary).map(|(severity, _)| severity);
        assert_eq!(
            [weight(9_999), weight(10_001), weight(63)],
            [Some(Severity::Warning), None, Some(Severity::Error)]
        );
    }
}
