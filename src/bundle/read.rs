//! Reading a bundle from an untrusted source. Nothing is unpacked to disk, so no name in it can traverse directories. At most
//! the artifacts of one host are in memory at a time.

use super::{
    FOLDER, MANIFEST, MERGED, MOST_ARTIFACTS, MOST_OF_ARTIFACT, MOST_OF_MACHINE, Merged, NODES, SUMS, sums,
    upgrade,
};
use crate::error::ExpectedError;
use facts::bundle::{Bundle, Manifest, SCHEMA};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

/// The most a bundle may unpack to, machines and all.
const MOST_BYTES: u64 = 8 << 30;
/// The most machines in a bundle.
const MOST_MACHINES: usize = 10_000;
/// The most a manifest may have.
const MOST_OF_MANIFEST: u64 = 4 << 20;
/// How many times its size a file may unpack to. What is collected is at best a fiftieth when packed.
const MOST_RATIO: u64 = 1_000;
/// From how many unpacked bytes on the ratio counts: a small bundle may well be all alike.
const RATIO_COUNTS: u64 = 64 << 20;

/// Reads the bundle of one machine.
pub fn read(path: &Path) -> Result<Bundle, ExpectedError> {
    one(|each_of| each(path, each_of)).map_err(|error| match error {
        Single::Broken(error) => error,
        Single::Number(number) => ExpectedError::bundle(path, &several(number)),
    })
}

/// Reads the bundle of one machine from wherever its bytes are.
pub fn read_from(bytes: impl Read) -> Result<Bundle, String> {
    one(|each_of| each_from(bytes, each_of)).map_err(|error| match error {
        Single::Broken(error) => error,
        Single::Number(number) => several(number),
    })
}

/// Reads a bundle that is part of the program.
pub fn embedded(bytes: &[u8]) -> Result<Bundle, ExpectedError> {
    read_from(bytes)
        .map_err(|what| ExpectedError::usage(format!("failed to read the embedded bundle: {what}")))
}

fn several(number: usize) -> String {
    format!("it is of {number} machines, and one is wanted")
}

enum Single<E> {
    Broken(E),
    Number(usize),
}

fn one<E>(read: impl FnOnce(&mut dyn FnMut(Bundle)) -> Result<(), E>) -> Result<Bundle, Single<E>> {
    let (mut first, mut number) = (None, 0);
    read(&mut |bundle| {
        number += 1;
        first.get_or_insert(bundle);
    })
    .map_err(Single::Broken)?;
    first.filter(|_| number == 1).ok_or(Single::Number(number))
}

/// Reads a bundle, one machine after the other.
pub fn each(path: &Path, each: &mut dyn FnMut(Bundle)) -> Result<(), ExpectedError> {
    let file = File::open(path).map_err(|error| ExpectedError::file("read the bundle", path, &error))?;
    let regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if !regular {
        return Err(ExpectedError::bundle(path, "it is not a regular file"));
    }
    each_from(file, each).map_err(|what| ExpectedError::bundle(path, &what))
}

/// Reads a bundle from wherever its bytes are, one machine after the other.
pub fn each_from(bytes: impl Read, each: &mut dyn FnMut(Bundle)) -> Result<(), String> {
    let packed = Cell::new(0);
    let bytes = zstd::Decoder::new(Packed { bytes, read: &packed }).map_err(words)?;
    let mut archive = tar::Archive::new(Unpacked { bytes, packed: &packed, read: 0 });
    let mut reading = Reading::default();
    // Raw: what would have to be read into memory to know an entry's name is no name of ours.
    for entry in archive.entries().map_err(words)?.raw(true) {
        let mut entry = entry.map_err(words)?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            return Err("it holds something other than plain files".into());
        }
        let (machine, name) = place(&entry.path().map_err(words)?)?;
        reading.turn_to(machine, each)?;
        let most = if name == MANIFEST { MOST_OF_MANIFEST } else { MOST_OF_ARTIFACT };
        let size = entry.header().entry_size().map_err(words)?;
        if size > most {
            return Err(format!("{name} has {size} bytes, and {} MiB are the most", most >> 20));
        }
        let mut content = Vec::new();
        entry.by_ref().take(most).read_to_end(&mut content).map_err(words)?;
        if content.len() as u64 != size {
            return Err("it is not a whole .tar.zst: it ends too early".into());
        }
        reading.take(name, content)?;
    }
    // After the end of the archive, read to the end of the compressed file to verify its checksum.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(words)?;
    reading.end(each)
}

fn words(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::FileTooLarge => error.to_string(),
        _ => format!("it is not a whole .tar.zst: {error}"),
    }
}

/// Packed bytes, counted.
struct Packed<'a, R> {
    bytes: R,
    read: &'a Cell<u64>,
}

impl<R: Read> Read for Packed<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(into)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

/// Unpacked bytes, as many as may be.
struct Unpacked<'a, R> {
    bytes: R,
    packed: &'a Cell<u64>,
    read: u64,
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(into)?;
        self.read += read as u64;
        let too_large = |what: String| Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        if self.read > MOST_BYTES {
            return too_large(format!("it unpacks to more than {} GiB", MOST_BYTES >> 30));
        }
        if self.read > RATIO_COUNTS && self.read / MOST_RATIO > self.packed.get() {
            return too_large(format!("it unpacks to more than {MOST_RATIO} times its size: it is a bomb"));
        }
        Ok(read)
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    /// The folder of the machine that is being read; empty at the top.
    machine: String,
    files: BTreeMap<String, Vec<u8>>,
    bytes: u64,
    /// The hosts whose folders are complete.
    over: BTreeSet<String>,
    /// The manifest at the top is one of several machines.
    merged: bool,
}

impl Reading {
    /// The files of a machine stand together; with the next folder the last one is over.
    fn turn_to(&mut self, machine: String, each: &mut dyn FnMut(Bundle)) -> Result<(), String> {
        if machine == self.machine {
            return Ok(());
        }
        self.machine_over(each)?;
        if !self.over.insert(std::mem::replace(&mut self.machine, machine)) {
            return Err("it holds a machine in two places".into());
        }
        if self.over.contains(&self.machine) {
            return Err(format!("it holds {} in two places", self.machine));
        }
        if self.over.len() > MOST_MACHINES {
            return Err(format!("it holds more than {MOST_MACHINES} machines"));
        }
        Ok(())
    }

    fn take(&mut self, name: String, content: Vec<u8>) -> Result<(), String> {
        self.bytes += content.len() as u64;
        if self.bytes > MOST_OF_MACHINE {
            return Err(format!("a machine's artifacts have more than {} MiB", MOST_OF_MACHINE >> 20));
        }
        if self.files.len() >= MOST_ARTIFACTS {
            return Err(format!("it holds more than {MOST_ARTIFACTS} artifacts"));
        }
        if self.files.contains_key(&name) {
            return Err(format!("it holds {name} twice"));
        }
        self.files.insert(name, content);
        Ok(())
    }

    fn machine_over(&mut self, each: &mut dyn FnMut(Bundle)) -> Result<(), String> {
        self.bytes = 0;
        let mut files = std::mem::take(&mut self.files);
        if let Some(listed) = files.remove(SUMS) {
            sums::hold(&listed, &files)?;
        }
        let manifest = files.remove(MANIFEST).ok_or(format!("it has no {MANIFEST}"))?;
        let mut value: serde_json::Value = serde_json::from_slice(&manifest).map_err(malformed)?;
        upgrade(&mut value, &mut files);
        // The schema comes first: a manifest of another version is not malformed, only unknown.
        match value.get("schema").and_then(|schema| schema.as_str()) {
            Some(SCHEMA) if self.machine.is_empty() || self.merged => {
                let manifest: Manifest = serde_json::from_value(value).map_err(malformed)?;
                each(Bundle { manifest, artifacts: files });
                Ok(())
            }
            Some(MERGED) if self.machine.is_empty() && files.is_empty() => {
                self.merged = true;
                serde_json::from_value::<Merged>(value).map(drop).map_err(malformed)
            }
            Some(SCHEMA | MERGED) => Err("its manifests and its folders disagree".into()),
            Some(other) => Err(format!("it is {other}, and this version reads {SCHEMA} and {MERGED}")),
            None => Err(format!("its {MANIFEST} names no schema")),
        }
    }

    fn end(mut self, each: &mut dyn FnMut(Bundle)) -> Result<(), String> {
        self.machine_over(each)
    }
}

fn malformed(error: serde_json::Error) -> String {
    format!("its {MANIFEST} is malformed: {error}")
}

/// The machine's folder, empty where there is none, and the name of an artifact: a relative path below the bundle's
/// folder, with no way up.
fn place(path: &Path) -> Result<(String, String), String> {
    let inside = path.strip_prefix(FOLDER).map_err(|_| format!("{} is outside {FOLDER}/", path.display()))?;
    let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
    let name = inside.to_str().filter(|name| plain && !name.is_empty());
    let name = name.ok_or_else(|| format!("{} is not a plain relative path", path.display()))?;
    let Some(below) = name.strip_prefix(NODES).and_then(|name| name.strip_prefix('/')) else {
        return Ok((String::new(), name.to_owned()));
    };
    match below.split_once('/') {
        Some((machine, name)) => Ok((machine.to_owned(), name.to_owned())),
        None => Err(format!("{} is no machine's folder", path.display())),
    }
}
