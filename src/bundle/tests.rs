use super::{read_from, write};
use facts::bundle::{Bundle, Entry, Look, Manifest, SCHEMA};
use facts::{Need, Timestamp, Why};

fn bundle() -> Bundle {
    let entry = |need, artifact: &str, look| Entry {
        need,
        artifact: artifact.into(),
        origin: "somewhere".into(),
        look,
        written: Some(Timestamp::UNIX_EPOCH),
        took_us: 7,
    };
    let why = Why::TimedOut { after_ms: 1000 };
    let manifest = Manifest {
        schema: SCHEMA.into(),
        tool: "0.1.0".into(),
        host: "node1".into(),
        taken: Timestamp::UNIX_EPOCH,
        took_ms: 12,
        utc_offset_seconds: 3600,
        unprivileged: false,
        root: None,
        entries: vec![
            entry(Need::Info, "engine/info.json", Look::Kept),
            entry(Need::DaemonJson, "files/daemon.json", Look::Absent),
            entry(Need::Nodes, "engine/nodes.json", Look::Missed { why }),
        ],
    };
    Bundle { manifest, artifacts: [("engine/info.json".to_owned(), b"{}".to_vec())].into() }
}

/// An archive with these entries, whatever they are.
fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(zstd::Encoder::new(Vec::new(), 0).unwrap());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_entry_type(*kind);
        // Written past `set_path`, which would refuse what a hostile archive holds.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn reads_back_what_it_wrote() {
    let path = std::env::temp_dir().join(format!("swarm-doctor-{}.tar.zst", std::process::id()));
    write(&bundle(), &path).unwrap();
    let read = super::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read, bundle());
}

#[test]
fn refuses_paths_that_lead_out() {
    for name in ["../etc/passwd", "swarm-doctor/../../x", "/etc/passwd", "other/x"] {
        let error = read_from(&archive(&[(name, tar::EntryType::Regular, b"x")])[..]).unwrap_err();
        assert!(error.contains("outside") || error.contains("plain relative"), "{name}: {error}");
    }
}

#[test]
fn refuses_links_and_devices() {
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Char] {
        let error = read_from(&archive(&[("swarm-doctor/x", kind, b"")])[..]).unwrap_err();
        assert!(error.contains("other than plain files"), "{error}");
    }
}

#[test]
fn refuses_what_is_cut_short_or_no_archive() {
    let whole = archive(&[("swarm-doctor/manifest.json", tar::EntryType::Regular, &[b' '; 4096])]);
    for length in [0, 3, whole.len() / 2, whole.len() - 3] {
        assert!(read_from(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
    }
    assert!(read_from(&b"no archive at all"[..]).is_err());
}

#[test]
fn refuses_a_bomb() {
    let path = "swarm-doctor/bomb";
    let bomb = archive(&[(path, tar::EntryType::Regular, &vec![0; (512 << 20) + 1])]);
    assert!(bomb.len() < 100_000);
    assert!(read_from(&bomb[..]).is_err());
}

#[test]
fn says_which_schema_it_does_not_know() {
    let manifest = br#"{"schema":"swarm-doctor.bundle/v9","more":1}"#;
    let error = read_from(&archive(&[("swarm-doctor/manifest.json", tar::EntryType::Regular, manifest)])[..]);
    assert!(error.unwrap_err().contains("v9"));
}

#[test]
fn refuses_a_name_that_comes_twice() {
    let twice = ("swarm-doctor/x", tar::EntryType::Regular, &b"1"[..]);
    assert!(read_from(&archive(&[twice, twice])[..]).unwrap_err().contains("twice"));
}
