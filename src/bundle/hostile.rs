//! Malicious and damaged bundles.

use super::{each_from, read_from};
use std::time::{Duration, Instant};

type File<'a> = (&'a str, &'a [u8]);

/// A packed archive of these plain files.
fn packed(files: &[File<'_>]) -> Vec<u8> {
    let mut archive = tar::Builder::new(zstd::Encoder::new(Vec::new(), 0).unwrap());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn refused(files: &[File<'_>]) -> String {
    let mut machines = 0;
    each_from(&packed(files)[..], &mut |_| machines += 1).expect_err("it was taken")
}

const ONE: &[u8] = br#"{"schema":"swarm-doctor.bundle/v1","tool":"0.1.0","host":"node1","taken":"2026-11-23T00:00:00Z","took_ms":1,"utc_offset_seconds":0,"unprivileged":false,"entries":[]}"#;
const SEVERAL: &[u8] = br#"{"schema":"swarm-doctor.merged/v1","tool":"0.1.0"}"#;

#[test]
fn a_digest_that_is_not_that_of_its_file_is_told() {
    let sums = super::sums::of([("manifest.json", ONE), ("x", b"1")].into_iter());
    let files = |x: &'static [u8]| {
        [
            ("swarm-doctor/manifest.json", ONE),
            ("swarm-doctor/SHA256SUMS", sums.as_bytes()),
            ("swarm-doctor/x", x),
        ]
    };
    assert!(read_from(&packed(&files(b"1"))[..]).is_ok());
    assert!(refused(&files(b"2")).contains("x is not what was written"));
    assert!(refused(&files(b"1")[..2]).contains("x was taken out"));
    let more = [&files(b"1")[..], &[("swarm-doctor/y", b"")]].concat();
    assert!(refused(&more).contains("y was put in later"));
}

#[test]
fn machines_stand_once_and_under_a_manifest_of_several() {
    let (top, a, b) = (
        "swarm-doctor/manifest.json",
        "swarm-doctor/nodes/a/manifest.json",
        "swarm-doctor/nodes/b/manifest.json",
    );
    let mut read = 0;
    each_from(&packed(&[(top, SEVERAL), (a, ONE), (b, ONE)])[..], &mut |_| read += 1).unwrap();
    assert_eq!(read, 2);
    assert!(
        refused(&[(top, SEVERAL), (a, ONE), (b, ONE), ("swarm-doctor/nodes/a/x", b"")])
            .contains("two places")
    );
    assert!(refused(&[(a, ONE), (b, ONE)]).contains("manifest"));
    assert!(refused(&[(top, ONE), (a, SEVERAL)]).contains("disagree"));
    assert!(refused(&[(top, SEVERAL), ("swarm-doctor/nodes/a/x", b"")]).contains("no manifest.json"));
    assert!(refused(&[(top, SEVERAL), ("swarm-doctor/x", b"")]).contains("disagree"));
}

#[test]
fn bottomless_json_is_only_malformed() {
    let deep = [b"{\"schema\":".as_slice(), &vec![b'['; 1 << 20]].concat();
    assert!(refused(&[("swarm-doctor/manifest.json", &deep)]).contains("malformed"));
    let mut bundle = read_from(&packed(&[("swarm-doctor/manifest.json", ONE)])[..]).unwrap();
    for entry in crate::demo::bundle().unwrap().manifest.entries {
        bundle.artifacts.insert(entry.artifact.clone(), vec![b'['; 1 << 20]);
        bundle.manifest.entries.push(entry);
    }
    crate::examine::diagnose(&bundle);
}

#[test]
fn a_manifest_is_never_large() {
    let large = vec![b' '; (4 << 20) + 1];
    assert!(refused(&[("swarm-doctor/manifest.json", &large)]).contains("4 MiB are the most"));
}

#[test]
fn a_name_that_needs_an_entry_of_its_own_is_refused() {
    let mut archive = tar::Builder::new(zstd::Encoder::new(Vec::new(), 0).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    archive.append_data(&mut header, format!("swarm-doctor/{}", "x".repeat(300)), &b""[..]).unwrap();
    let bytes = archive.into_inner().unwrap().finish().unwrap();
    assert!(read_from(&bytes[..]).unwrap_err().contains("other than plain files"));
}

#[test]
fn a_bomb_of_many_files_is_refused_early() {
    // Each is small enough; together they are the same zeros over and over.
    let zeros = vec![0; 8 << 20];
    let names: Vec<String> = (0..40).map(|n| format!("swarm-doctor/nodes/n{n}/manifest.json")).collect();
    let files: Vec<File<'_>> = names.iter().map(|name| (name.as_str(), &zeros[..4 << 20])).collect();
    let error = refused(&[&[("swarm-doctor/manifest.json", SEVERAL)], &files[..]].concat());
    assert!(error.contains("malformed"), "{error}");
    let files: Vec<_> = (0..40).map(|n| format!("swarm-doctor/{n}")).collect();
    let files: Vec<File<'_>> = files.iter().map(|name| (name.as_str(), zeros.as_slice())).collect();
    let error = refused(&[&[("swarm-doctor/manifest.json", ONE)], &files[..]].concat());
    assert!(error.contains("bomb") || error.contains("more than 256 MiB"), "{error}");
}

/// A small generator, so that a failure can be made again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most.max(1) as u64).unwrap()
    }
}

/// Whatever becomes of the bytes, reading ends in a bundle or in a sentence, and never in a panic. Half of the damage is
/// done to the unpacked archive, which most damage to the packed one never reaches.
#[test]
fn damage_of_any_kind_is_survived() {
    let whole = include_bytes!("../../fixtures/demo.tar.zst");
    let unpacked = zstd::decode_all(&whole[..]).unwrap();
    let began = Instant::now();
    let (mut taken, mut turned_down) = (0, 0);
    for seed in 1..=2000_u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let inside = seed % 4 == 0;
        let mut bytes = if inside { unpacked.clone() } else { whole.to_vec() };
        for _ in 0..=chance.below(4) {
            let at = chance.below(bytes.len());
            match chance.below(5) {
                0 => bytes[at] ^= 1 << chance.below(8),
                1 => bytes[at] = u8::try_from(chance.below(256)).unwrap(),
                2 => bytes.truncate(at.max(1)),
                3 => {
                    let end = (at + chance.below(2048)).min(bytes.len());
                    drop(bytes.drain(at..end));
                }
                _ => {
                    let end = (at + chance.below(2048)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    let to = chance.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        let bytes = if inside { zstd::encode_all(&bytes[..], 1).unwrap() } else { bytes };
        match read_from(&bytes[..]) {
            Ok(bundle) => {
                taken += 1;
                // A diagnosis of a damaged bundle ends as well. Only one in 20, because it is slow.
                if taken % 20 == 0 {
                    crate::examine::diagnose(&bundle);
                }
            }
            Err(what) => {
                turned_down += 1;
                assert!(!what.is_empty() && !what.contains("panicked"), "seed {seed}: {what}");
            }
        }
    }
    assert!(turned_down > 500, "{taken} were taken and {turned_down} turned down");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}
