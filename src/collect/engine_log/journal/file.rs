//! One file of the journal, as <https://systemd.io/JOURNAL_FILE_FORMAT> has it.
//!
//! Nothing in the file is relied on, for journald may be writing to it or may have died doing so. A number beyond
//! the end of its object reads as zero, which in this format stands for nothing. Objects are only ever appended,
//! so a chain that leads back is broken.

use super::hash;
use super::payload::unpacked;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The most one object may have; only the entry arrays of huge journals come near.
const MOST: u64 = 32 << 20;

/// Most objects are smaller than this, and then one read is enough.
const USUAL: usize = 512;

/// The types of objects.
const DATA: u8 = 1;
const ENTRY: u8 = 3;
const ENTRY_ARRAY: u8 = 6;

/// Flags of the header: what a reader has to know to read the file.
const KEYED_HASH: u32 = 1 << 2;
const COMPACT: u32 = 1 << 4;
const KNOWN: u32 = (1 << 5) - 1;

/// One file of the journal.
#[derive(Debug)]
pub(super) struct JournalFile {
    file: File,
    size: u64,
    /// What sets the file apart from all others.
    pub(super) id: [u8; 16],
    /// When its newest entry was written, in microseconds.
    pub(super) newest: u64,
    flags: u32,
    hash_table: u64,
    buckets: u64,
}

impl JournalFile {
    pub(super) fn open(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut header = [0; 208];
        file.read_exact_at(&mut header, 0)?;
        if !header.starts_with(b"LPKSHHRH") {
            return Err(flaw("it is no journal", 0));
        }
        let flags = number(&header, 8) >> 32;
        let flags = u32::try_from(flags).unwrap_or(u32::MAX);
        if flags & !KNOWN != 0 {
            return Err(flaw("it is of a kind that this program does not know", 12));
        }
        let mut id = [0; 16];
        id.copy_from_slice(&header[24..40]);
        let buckets = number(&header, 112) / 16;
        let newest = number(&header, 192);
        Ok(Self { file, size, id, newest, flags, hash_table: number(&header, 104), buckets })
    }

    /// Adds the entries that have the value, given as `FIELD=value`, from the oldest to the newest. They are added
    /// as far as they can be found.
    pub(super) fn entries_with(&self, value: &str, entries: &mut Vec<u64>) -> io::Result<()> {
        let Some(data) = self.find(value.as_bytes())? else { return Ok(()) };
        // The first entry has its place in the object itself.
        entries.push(number(&data, 40));
        let mut at = number(&data, 48);
        while at != 0 {
            let array = self.object(at, ENTRY_ARRAY)?;
            let width = if self.is(COMPACT) { 4 } else { 8 };
            let items = array.get(24..).unwrap_or_default().chunks_exact(width).map(|item| number(item, 0));
            entries.extend(items.take_while(|entry| *entry != 0));
            // An entry has 64 bytes at least.
            if entries.len() as u64 > self.size / 64 {
                return Err(flaw("more entries are listed than the file can hold", at));
            }
            at = onward(at, number(&array, 16))?;
        }
        Ok(())
    }

    /// The object that holds the value, where there is one.
    fn find(&self, value: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let hash = if self.is(KEYED_HASH) { hash::keyed(self.id, value) } else { hash::unkeyed(value) };
        let Some(bucket) = hash.checked_rem(self.buckets) else { return Ok(None) };
        let mut head = [0; 8];
        self.file.read_exact_at(&mut head, self.hash_table.saturating_add(bucket * 16))?;
        let mut at = u64::from_le_bytes(head);
        while at != 0 {
            let data = self.object(at, DATA)?;
            if number(&data, 16) == hash && *self.value(&data)? == *value {
                return Ok(Some(data));
            }
            at = onward(at, number(&data, 24))?;
        }
        Ok(None)
    }

    /// When the entry was written, in microseconds.
    pub(super) fn time(&self, entry: u64) -> io::Result<u64> {
        let mut object = [0; 64];
        self.file.read_exact_at(&mut object, entry)?;
        if object[0] != ENTRY {
            return Err(flaw("there is no entry where one should be", entry));
        }
        Ok(number(&object, 24))
    }

    /// Where the fields of the entry are.
    pub(super) fn fields(&self, entry: u64) -> io::Result<Vec<u64>> {
        let object = self.object(entry, ENTRY)?;
        let items = object.get(64..).unwrap_or_default();
        Ok(match self.is(COMPACT) {
            true => items.chunks_exact(4).map(|item| number(item, 0)).collect(),
            // Behind each stands its hash.
            false => items.chunks_exact(16).map(|item| number(item, 0)).collect(),
        })
    }

    /// Reads a field, as `FIELD=value`.
    pub(super) fn field(&self, at: u64) -> io::Result<Vec<u8>> {
        let object = self.object(at, DATA)?;
        Ok(self.value(&object)?.into_owned())
    }

    fn value<'a>(&self, data: &'a [u8]) -> io::Result<std::borrow::Cow<'a, [u8]>> {
        let start = if self.is(COMPACT) { 72 } else { 64 };
        unpacked(data.get(1).copied().unwrap_or_default(), data.get(start..).unwrap_or_default())
    }

    /// Reads a whole object, which has to be of this type.
    fn object(&self, at: u64, kind: u8) -> io::Result<Vec<u8>> {
        let mut object = vec![0; USUAL];
        let read = self.file.read_at(&mut object, at)?;
        let size = number(&object, 8);
        if !at.is_multiple_of(8) || object[0] != kind || read < 16 {
            return Err(flaw("there is no such object", at));
        }
        if !(16..=MOST).contains(&size) || at.checked_add(size).is_none_or(|end| end > self.size) {
            return Err(flaw("an object has an impossible size", at));
        }
        let size = size as usize;
        object.resize(size, 0);
        if size > read {
            self.file.read_exact_at(&mut object, at)?;
        }
        Ok(object)
    }

    fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// The next object of a chain.
fn onward(from: u64, to: u64) -> io::Result<u64> {
    if to != 0 && to <= from {
        return Err(flaw("a chain of objects leads back", from));
    }
    Ok(to)
}

/// A number of eight bytes, or of fewer where no more are left.
pub(super) fn number(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).unwrap_or_default();
    bytes.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn flaw(what: &str, at: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}, at byte {at}"))
}
