use super::*;
use facts::bundle::ArtifactStatus;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A machine whose file system begins in a directory of its own.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(machine.path("var/log/upstart")).unwrap();
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Writes a file that is so many hours old.
    fn file(&self, path: &str, hours: u64, content: &[u8]) {
        let mut file = File::create(self.path(path)).unwrap();
        file.write_all(content).unwrap();
        let now: SystemTime = NOW.parse::<Timestamp>().unwrap().into();
        file.set_modified(now - Duration::from_secs(hours * 3600)).unwrap();
    }

    fn collected(&self) -> Vec<Artifact> {
        collected(&Root(self.0.path().to_owned()), &span())
    }
}

const NOW: &str = "2026-08-02T12:00:00Z";

fn span() -> Span {
    let until = Instant::now() + Duration::from_secs(600);
    Span { since: "2026-08-01T12:00:00Z".parse().unwrap(), offset_seconds: 0, until }
}

const OLD: &str = "Aug  1 11:59:59 m1 dockerd[812]: time=\"2026-08-01T11:59:59.5Z\" level=info msg=old\n";
const NEW: &str = "Aug  2 10:11:12 m1 dockerd[812]: time=\"2026-08-02T10:11:12.5Z\" level=info msg=new\n";
const OTHER: &str = "Aug  2 10:11:13 m1 sshd[77]: Accepted publickey for root\n";
const KERNEL: &str = "Aug  2 10:11:14 m1 kernel: [12345.678901] IPVS: [rr] scheduler registered.\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The path of each artifact, and its content or what is wrong with it.
fn shown(artifacts: &[Artifact]) -> Vec<(&str, String)> {
    let one = |artifact: &Artifact| match (&artifact.entry.status, &artifact.content) {
        (ArtifactStatus::Collected, Some(content)) => String::from_utf8(content.clone()).unwrap(),
        (ArtifactStatus::Failed { why }, None) => why.to_string(),
        other => panic!("{other:?}"),
    };
    artifacts.iter().map(|artifact| (artifact.entry.artifact.as_str(), one(artifact))).collect()
}

#[test]
fn keeps_the_lines_of_use_of_every_file_the_newest_first() {
    let machine = Machine::new();
    machine.file("var/log/messages", 1, [OLD, NEW, OTHER, KERNEL].concat().as_bytes());
    machine.file("var/log/syslog.1", 2, [OTHER, NEW].concat().as_bytes());
    machine.file("var/log/syslog.2.gz", 3, &gzip(&[OLD, NEW, OTHER].concat()));
    machine.file("var/log/daemon.log-20260802.zst", 4, &zstd::encode_all(NEW.as_bytes(), 0).unwrap());
    machine.file("var/log/upstart/docker.log", 5, b"time=\"2026-08-02T10:11:12Z\" level=info msg=new");
    machine.file("var/log/messages-20260731", 25, NEW.as_bytes());
    machine.file("var/log/auth.log", 1, NEW.as_bytes());
    std::fs::create_dir(machine.path("var/log/docker")).unwrap();
    let artifacts = machine.collected();
    let expected = [
        ("log/messages", [NEW, KERNEL].concat()),
        ("log/syslog.1", NEW.to_owned()),
        ("log/syslog.2.gz", NEW.to_owned()),
        ("log/daemon.log-20260802.zst", NEW.to_owned()),
        ("log/upstart/docker.log", "time=\"2026-08-02T10:11:12Z\" level=info msg=new\n".to_owned()),
    ];
    assert_eq!(shown(&artifacts), expected);
    assert_eq!(artifacts[0].entry.origin, "/var/log/messages (engine lines only)");
    assert_eq!(artifacts[1].entry.written, "2026-08-02T10:00:00Z".parse().ok());
}

#[test]
fn says_what_it_could_not_read_beside_what_it_kept() {
    let machine = Machine::new();
    machine.file("var/log/messages", 1, NEW.as_bytes());
    machine.file("var/log/messages-20260802.xz", 2, b"x");
    let torn = gzip(&[NEW; 9].concat());
    machine.file("var/log/syslog.2.gz", 3, &torn[..torn.len() - 4]);
    machine.file("var/log/syslog.3.gz", 4, b"no gzip at all");
    machine.file("var/log/syslog.4.zst", 5, b"no zstd at all");
    nix::unistd::mkfifo(&machine.path("var/log/syslog"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let artifacts = machine.collected();
    let expected = [
        ("unseen/log/syslog", "malformed: /var/log/syslog: it is not a regular file"),
        ("log/messages", NEW),
        (
            "unseen/log/messages-20260802.xz",
            "unreachable: /var/log/messages-20260802.xz is packed in a way that this program does not read",
        ),
        ("log/syslog.2.gz", &[NEW; 9].concat()),
        ("unseen/log/syslog.2.gz", "malformed: /var/log/syslog.2.gz: unexpected end of file"),
        ("unseen/log/syslog.3.gz", "malformed: /var/log/syslog.3.gz: invalid gzip header"),
        ("unseen/log/syslog.4.zst", "malformed: /var/log/syslog.4.zst: Unknown frame descriptor"),
    ];
    assert_eq!(shown(&artifacts), expected.map(|(path, text)| (path, text.to_owned())));
}

#[test]
fn gives_one_reason_where_there_is_no_log() {
    let machine = Machine::new();
    let expected = "unreachable: no log file and no journal has a line of the engine that is recent enough: looked at \
                    messages, syslog, docker.log, daemon.log and kern.log in /var/log and /var/log/upstart and in \
                    /var/log/journal and /run/log/journal";
    assert_eq!(shown(&machine.collected()), [("unseen/log", expected.to_owned())]);
    machine.file("var/log/syslog", 1, OTHER.as_bytes());
    machine.file("var/log/messages", 25, NEW.as_bytes());
    assert_eq!(shown(&machine.collected()), [("unseen/log", expected.to_owned())]);
    machine.file("var/log/kern.log", 1, KERNEL.as_bytes());
    assert_eq!(
        shown(&machine.collected()),
        [("unseen/log", expected.to_owned()), ("log/kern.log", KERNEL.to_owned())]
    );
    std::fs::remove_dir_all(machine.path("var")).unwrap();
    assert_eq!(shown(&machine.collected()), [("unseen/log", expected.to_owned())]);
}

#[test]
fn puts_what_is_forbidden_before_what_is_not_there() {
    if nix::unistd::geteuid().is_root() {
        return;
    }
    let machine = Machine::new();
    machine.file("var/log/syslog", 1, NEW.as_bytes());
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(machine.path("var/log/syslog"), closed).unwrap();
    let artifacts = machine.collected();
    assert_eq!(
        shown(&artifacts)[0],
        ("unseen/log/syslog", "permission denied: read /var/log/syslog".to_owned())
    );
}

#[test]
fn looks_into_the_journal_where_the_files_hold_nothing_of_the_engine() {
    let machine = Machine::new();
    let home = "var/log/journal/0123456789abcdef0123456789abcdef";
    std::fs::create_dir_all(machine.path(home)).unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/journal/compact-zstd.journal.gz");
    let mut journal = File::create(machine.path(&format!("{home}/system.journal"))).unwrap();
    std::io::copy(&mut flate2::read::GzDecoder::new(File::open(fixture).unwrap()), &mut journal).unwrap();
    machine.file("var/log/kern.log", 1, KERNEL.as_bytes());
    let paths = |artifacts: Vec<Artifact>| {
        artifacts.into_iter().map(|artifact| artifact.entry.artifact).collect::<Vec<_>>()
    };
    assert_eq!(paths(machine.collected()), ["log/kern.log", "log/journal"]);
    machine.file("var/log/syslog", 1, [NEW, KERNEL].concat().as_bytes());
    assert_eq!(paths(machine.collected()), ["log/kern.log", "log/syslog"]);
}

#[test]
fn follows_links_as_the_machine_would() {
    let machine = Machine::new();
    std::fs::create_dir_all(machine.path("data/log")).unwrap();
    std::fs::remove_dir_all(machine.path("var/log")).unwrap();
    std::os::unix::fs::symlink("/data/log", machine.path("var/log")).unwrap();
    std::os::unix::fs::symlink("/data/today", machine.path("data/log/messages")).unwrap();
    machine.file("data/today", 1, NEW.as_bytes());
    assert_eq!(shown(&machine.collected()), [("log/messages", NEW.to_owned())]);
}
