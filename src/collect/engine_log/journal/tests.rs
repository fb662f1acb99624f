//! Against journals that journald's own code wrote, and what `journalctl` reads from them.

use super::*;
use facts::bundle::ArtifactStatus;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/journal");

const KINDS: [&str; 4] = ["compact-zstd", "keyed-zstd", "plain-lz4", "plain-xz"];

fn journal(kind: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packed = File::open(format!("{FIXTURES}/{kind}.journal.gz")).unwrap();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

/// A machine with these files below `/`.
fn machine(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let root = Root(directory.path().to_owned());
    (directory, root)
}

fn span(since: &str) -> Span {
    let until = Instant::now() + Duration::from_secs(600);
    Span { since: since.parse().unwrap(), offset_seconds: 0, until }
}

const LONG_AGO: &str = "2026-01-01T00:00:00Z";
const PATH: &str = "var/log/journal/0123456789abcdef0123456789abcdef/system.journal";

fn text(artifact: &Artifact) -> &str {
    std::str::from_utf8(artifact.content.as_deref().unwrap()).unwrap()
}

fn gaps(artifacts: &[Artifact]) -> Vec<String> {
    let words = |artifact: &Artifact| match &artifact.entry.status {
        ArtifactStatus::Failed { why } => Some(why.to_string()),
        _ => None,
    };
    artifacts.iter().filter_map(words).collect()
}

/// What `journalctl` reads, as far as it is wanted.
fn wanted() -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{FIXTURES}/journalctl.json")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let wanted = records.filter(|record| {
        let is = |field: &str, value: &str| record[field] == value;
        let says = |word: &str| record["MESSAGE"].as_str().is_some_and(|message| message.contains(word));
        let program = is("SYSLOG_IDENTIFIER", "dockerd") || is("SYSLOG_IDENTIFIER", "containerd");
        let beside = is("UNIT", "docker.service") || says("IPVS") || says("Suppressed");
        (program || beside) && record.get("CONTAINER_ID").is_none()
    });
    let fields = |record: Value| {
        let known = |name: &String| name == "__REALTIME_TIMESTAMP" || record::WANTED.contains(&name.as_str());
        let Value::Object(fields) = record else { panic!("{record}") };
        fields.into_iter().filter(|(name, _)| known(name)).collect()
    };
    wanted.map(fields).collect()
}

fn records(artifact: &Artifact) -> Vec<Value> {
    text(artifact).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn reads_what_journalctl_reads() {
    let wanted = wanted();
    assert_eq!(wanted.len(), 41);
    for kind in &KINDS[..3] {
        let (_directory, root) = machine(&[(PATH, &journal(kind))]);
        let artifacts = logs(&root, &span(LONG_AGO));
        assert_eq!(artifacts.len(), 1, "{kind}: {:?}", gaps(&artifacts));
        assert_eq!(records(&artifacts[0]), wanted, "{kind}");
        let origin = &artifacts[0].entry.origin;
        let expected = "journal of /var/log/journal/0123456789abcdef0123456789abcdef (engine lines only)";
        assert_eq!((artifacts[0].entry.artifact.as_str(), origin.as_str()), ("log/journal", expected));
    }
}

#[test]
fn says_what_it_cannot_unpack() {
    let (_directory, root) = machine(&[(PATH, &journal("plain-xz"))]);
    let artifacts = logs(&root, &span(LONG_AGO));
    let is_short = |record: &Value| record["MESSAGE"].as_str().is_none_or(|message| message.len() < 512);
    assert_eq!(records(&artifacts[0]), wanted().into_iter().filter(is_short).collect::<Vec<_>>());
    let words = "malformed: 2 times something in /var/log/journal/0123456789abcdef0123456789abcdef/system.journal \
                 could not be read, at first because a value is packed with xz, which this program does not read";
    assert_eq!(gaps(&artifacts), [words]);
}

#[test]
fn reads_as_a_log() {
    let (_directory, root) = machine(&[(PATH, &journal("compact-zstd"))]);
    let artifacts = logs(&root, &span(LONG_AGO));
    let reading = Reading { written: Timestamp::UNIX_EPOCH, offset_seconds: 0, since: None };
    let log = read("journal", text(&artifacts[0]), &reading);
    assert_eq!((log.lines.len(), log.lost.len()), (40, 1));
    assert!(log.lines.iter().any(|line| line.truncated && line.message == "cut"));
}

#[test]
fn leaves_out_what_is_too_old() {
    let (_directory, root) = machine(&[(PATH, &journal("compact-zstd"))]);
    let late = logs(&root, &span("2026-08-02T08:11:50Z"));
    assert_eq!(records(&late[0]), wanted()[wanted().len() - 7..]);
    // That the engine has not written of late is a fact, as long as it writes to the journal at all.
    let quiet = logs(&root, &span("2026-09-01T00:00:00Z"));
    assert_eq!((quiet.len(), quiet[0].content.as_deref()), (1, Some(&b""[..])));
}

#[test]
fn joins_files_in_the_order_of_time_and_reads_none_twice() {
    let (one, two) = (journal("compact-zstd"), journal("plain-lz4"));
    let rotated =
        "run/log/journal/0123456789abcdef0123456789abcdef/system@0005ebbfd42fc981-39a8842ec948769a.journal~";
    let again = "run/log/journal/0123456789abcdef0123456789abcdef/system.journal";
    let of_a_user = "var/log/journal/0123456789abcdef0123456789abcdef/user-1000.journal";
    let of_another = "var/log/journal/remote/system.journal";
    let files: [(&str, &[u8]); 5] =
        [(PATH, &one), (rotated, &two), (again, &one), (of_a_user, &two), (of_another, b"no journal")];
    let (_directory, root) = machine(&files);
    let artifacts = logs(&root, &span(LONG_AGO));
    let twice: Vec<_> = wanted().into_iter().flat_map(|record| [record.clone(), record]).collect();
    assert_eq!((records(&artifacts[0]), artifacts.len()), (twice, 1));
    assert!(
        artifacts[0].entry.origin.contains(" and /run/log/journal/0123"),
        "{}",
        artifacts[0].entry.origin
    );
}

#[test]
fn says_what_is_no_journal() {
    let (directory, root) =
        machine(&[(PATH, b"LPKSHHRH"), (&PATH.replace("system", "system@1"), &[b'x'; 300])]);
    let home = directory.path().join(PATH);
    nix::unistd::mkfifo(&home.with_file_name("system@2.journal"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let gaps = gaps(&logs(&root, &span(LONG_AGO)));
    let ends = ["failed to fill whole buffer", "it is no journal, at byte 0", "it is not a regular file"];
    assert_eq!(gaps.len(), ends.len());
    for (gap, end) in gaps.iter().zip(ends) {
        assert!(gap.starts_with("malformed: /var/log/journal/0123") && gap.ends_with(end), "{gap}");
    }
    assert!(logs(&Root(directory.path().join("nowhere")), &span(LONG_AGO)).is_empty());
}

#[test]
fn reads_what_is_left_of_a_journal_that_was_cut_off() {
    let whole = journal("keyed-zstd");
    let end = whole.iter().rposition(|b| *b != 0).unwrap();
    let (directory, root) = machine(&[(PATH, &whole[..end - 6_000])]);
    let artifacts = logs(&root, &span(LONG_AGO));
    let records = records(&artifacts[0]);
    assert!((10..41).contains(&records.len()) && records.iter().all(|record| wanted().contains(record)));
    assert_eq!(artifacts.len(), 2, "{:?}", gaps(&artifacts));
    drop(directory);
}

/// How often each journal is damaged. Set it to 5000 after a change of the reader.
const ROUNDS: usize = 50;

/// A sequence that is the same on every run (xorshift64*).
fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
}

#[test]
fn survives_any_damage() {
    for kind in KINDS {
        let whole = journal(kind);
        let places: Vec<_> = whole.iter().enumerate().filter(|(_, b)| **b != 0).map(|(at, _)| at).collect();
        let (directory, root) = machine(&[(PATH, &whole)]);
        let file = OpenOptions::new().write(true).open(directory.path().join(PATH)).unwrap();
        let mut state = 42;
        for _ in 0..ROUNDS {
            let damaged: Vec<_> =
                (0..=random(&mut state, 12)).map(|_| places[random(&mut state, places.len())]).collect();
            for at in &damaged {
                file.write_all_at(&[random(&mut state, 256) as u8], *at as u64).unwrap();
            }
            for artifact in logs(&root, &span(LONG_AGO)) {
                assert!(artifact.content.is_none_or(|content| content.len() < 100_000));
            }
            for at in damaged {
                file.write_all_at(&whole[at..=at], at as u64).unwrap();
            }
        }
        assert!(!logs(&root, &span(LONG_AGO))[0].content.as_deref().unwrap().is_empty());
    }
}
