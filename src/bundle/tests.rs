use super::{read_from, write};
use facts::bundle::{ArtifactStatus, Bundle, Entry, Manifest, SCHEMA};
use facts::{Need, Timestamp, Why};

fn bundle() -> Bundle {
    let entry = |need, artifact: &str, status| Entry {
        need,
        artifact: artifact.into(),
        origin: "somewhere".into(),
        status,
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
            entry(Need::Info, "engine/info.json", ArtifactStatus::Collected),
            entry(Need::DaemonJson, "files/daemon.json", ArtifactStatus::Absent),
            entry(Need::Nodes, "engine/nodes.json", ArtifactStatus::Failed { why }),
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
fn leaves_out_what_is_too_large_and_says_so() {
    let mut large = bundle();
    large.artifacts.insert("engine/info.json".into(), vec![b' '; 100]);
    super::fit::fit_into(&mut large, 99, 1000);
    assert!(large.artifacts.is_empty());
    let ArtifactStatus::Failed { why } = &large.manifest.entries[0].status else { unreachable!() };
    assert!(why.to_string().contains("100 bytes were left out"), "{why}");
    let mut whole = bundle();
    whole.artifacts.insert("log/messages".into(), vec![b' '; 10]);
    whole.artifacts.insert("engine/info.json".into(), vec![b' '; 100]);
    whole.manifest.entries[1].artifact = "log/messages".into();
    whole.manifest.entries[1].need = Need::EngineLog;
    super::fit::fit_into(&mut whole, 1000, 105);
    assert_eq!(whole.artifacts.keys().collect::<Vec<_>>(), ["engine/info.json"]);
}

#[test]
fn several_machines_stand_in_one_bundle() {
    let path = std::env::temp_dir().join(format!("swarm-doctor-merged-{}.tar.zst", std::process::id()));
    let mut writer = super::Writer::of_several(&path).unwrap();
    let mut second = bundle();
    // A name that leads nowhere, and one that is there already.
    second.manifest.host = "../node1".into();
    for machine in [&bundle(), &second, &bundle()] {
        writer.machine(machine).unwrap();
    }
    writer.end().unwrap();
    let mut read = Vec::new();
    super::each(&path, &mut |bundle| read.push(bundle)).unwrap();
    let one = super::read(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read, [bundle(), second, bundle()]);
    assert!(one.contains("of 3 machines"), "{one}");
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

#[test]
fn the_last_lines_of_a_log_stay() {
    let shortened = |text: &str, lines| {
        let mut bundle = bundle();
        bundle.manifest.entries[0].need = Need::EngineLog;
        bundle.artifacts.insert("engine/info.json".into(), text.into());
        super::shorten_logs(&mut bundle, lines);
        String::from_utf8(bundle.artifacts["engine/info.json"].clone()).unwrap()
    };
    assert_eq!(shortened("a\nb\nc\n", 2), "b\nc\n");
    assert_eq!(shortened("a\nb\nc", 2), "b\nc");
    assert_eq!(shortened("a\nb\n", 2), "a\nb\n");
    assert_eq!(shortened("a\nb\n", 9), "a\nb\n");
    assert_eq!(shortened("a\nb", 0), "");
    assert_eq!(shortened("", 1), "");
}

/// The one bundle of format 1 that is kept: what `demo` showed before the keys were renamed.
#[test]
fn a_bundle_of_format_1_gives_the_report_of_today() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let report = |file: &str| {
        let bundle = super::read(&fixtures.join(file)).unwrap();
        let mut out = Vec::new();
        let diagnosis = crate::examine::diagnose(&bundle);
        crate::report::Format::render(&crate::report::Json, &diagnosis, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(report("format-1/demo.tar.zst"), report("demo.tar.zst"));
}
