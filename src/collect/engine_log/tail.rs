//! The end of a log file: as many of its last lines as are wanted, at a cost that does not grow with the file.

use super::mebibytes;
use facts::Timestamp;
use facts::parse::log::{LineFilter, Reading, read};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The most that is kept of one file.
pub(super) const MOST_KEPT: usize = 8 << 20;

/// The most that is read of one file that can be read from its end.
const MOST_READ: u64 = 64 << 20;

/// Maximum uncompressed size of one compressed file, which can only be read from its beginning.
const MOST_UNPACKED: u64 = 256 << 20;

/// How much is read at a time on the way back.
const BLOCK: u64 = 256 << 10;

/// What is needed to decide whether a line of a file is too old.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dates {
    pub(super) since: Timestamp,
    pub(super) written: Timestamp,
    pub(super) offset_seconds: i32,
}

/// What was kept of a file.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The lines that can be used, as they stand in the file.
    pub(super) lines: Vec<u8>,
    /// What a limit left out.
    pub(super) left_out: Option<LeftOut>,
    /// What ended the reading early.
    pub(super) error: Option<io::Error>,
}

/// What a limit left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LeftOut {
    /// What stands before the part that was read.
    Beginning,
    /// What would stand behind the part that was unpacked.
    End,
    /// The older of the lines that can be used.
    OlderLines,
}

impl LeftOut {
    /// It in words.
    pub(super) fn of(self, path: &Path, most_kept: usize) -> String {
        let name = path.display();
        match self {
            Self::Beginning => format!("only the last {} of {name} were read", mebibytes(MOST_READ as usize)),
            Self::End => {
                format!("only the first {} of {name} were unpacked", mebibytes(MOST_UNPACKED as usize))
            }
            Self::OlderLines => {
                format!("only the last {} of engine lines in {name} were kept", mebibytes(most_kept))
            }
        }
    }
}

impl Kept {
    /// The timestamp of the last line that has one.
    pub(super) fn end(&self, dates: &Dates) -> Option<Timestamp> {
        dates.last(&self.lines)
    }

    /// Nothing, for an error.
    pub(super) fn failed(error: io::Error) -> Self {
        Self { error: Some(error), ..Self::default() }
    }
}

/// What is wanted of a file that can be read from anywhere.
pub(super) fn end_of(mut file: &File, dates: &Dates, most: usize) -> io::Result<Kept> {
    let size = file.metadata()?.len();
    let floor = size.saturating_sub(MOST_READ);
    let beginning = beginning(file, size, floor, BLOCK, dates)?;
    let start = beginning.unwrap_or(floor);
    file.seek(SeekFrom::Start(start))?;
    let mut from = BufReader::with_capacity(BLOCK as usize, file.take(size - start));
    if beginning.is_some() {
        return Ok(taken(from, Age::Old, dates, most));
    }
    if floor > 0 {
        from.skip_until(b'\n')?;
    }
    let mut kept = taken(from, Age::Unknown, dates, most);
    kept.left_out = kept.left_out.or((floor > 0).then_some(LeftOut::Beginning));
    Ok(kept)
}

/// What is wanted of a file that can only be read from its beginning.
pub(super) fn unpacked(file: impl Read, dates: &Dates, most: usize) -> Kept {
    let mut from = BufReader::with_capacity(BLOCK as usize, file.take(MOST_UNPACKED));
    let mut kept = taken(&mut from, Age::Unknown, dates, most);
    if from.into_inner().limit() == 0 {
        kept.left_out = Some(LeftOut::End);
    }
    kept
}

/// The timestamp of the last relevant line, within the last `MOST_READ` bytes.
pub(super) fn last_time(file: &File, dates: &Dates) -> io::Result<Option<Timestamp>> {
    let size = file.metadata()?.len();
    let floor = size.saturating_sub(MOST_READ);
    let mut end = size;
    // What of a block is the end of a line belongs to the block before.
    let mut rest = Vec::new();
    while end > floor {
        let start = end.saturating_sub(BLOCK).max(floor);
        let mut bytes = vec![0; (end - start) as usize];
        file.read_exact_at(&mut bytes, start)?;
        bytes.append(&mut rest);
        let from = match bytes.iter().position(|b| *b == b'\n') {
            Some(at) if start > 0 => at + 1,
            Some(_) => 0,
            None if start > 0 => bytes.len(),
            None => 0,
        };
        let whole = bytes.split_off(from);
        if let Some(at) = dates.last(&whole) {
            return Ok(Some(at));
        }
        // A line longer than this is none.
        if bytes.len() < BLOCK as usize {
            rest = bytes;
        }
        end = start;
    }
    Ok(None)
}

/// Where the lines end that are too old for certain, looking back from the end no further than the floor.
///
/// A block is before the span if both its first and its last timestamp are. One is not enough: a host without an RTC starts
/// each boot with a time in the past.
fn beginning(file: &File, size: u64, floor: u64, block: u64, dates: &Dates) -> io::Result<Option<u64>> {
    let mut bytes = Vec::new();
    let mut end = size;
    while end > floor {
        let start = end.saturating_sub(block).max(floor);
        bytes.resize((end - start) as usize, 0);
        file.read_exact_at(&mut bytes, start)?;
        // The first piece is the end of a line, unless the file begins here; the last one is the beginning of one.
        let mut pieces: Vec<_> = bytes.split(|b| *b == b'\n').collect();
        let last = pieces.pop().map_or(0, <[u8]>::len) as u64;
        let whole = pieces.get(usize::from(start > 0)..).unwrap_or_default();
        let is_old = |at: Timestamp| at < dates.since;
        let time = |line: &&[u8]| dates.of(&String::from_utf8_lossy(line));
        if whole.iter().find_map(time).is_some_and(is_old)
            && whole.iter().rev().find_map(time).is_some_and(is_old)
        {
            return Ok(Some(end - last));
        }
        end = start;
    }
    Ok(None)
}

/// The lines that can be used and are not too old, of which the last ones win.
fn taken(mut from: impl BufRead, mut age: Age, dates: &Dates, most: usize) -> Kept {
    let mut kept = Kept::default();
    let mut filter = LineFilter::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        match from.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                kept.error = Some(error);
                break;
            }
        }
        // A machine that lost power leaves zeros where the lines were that never reached the disk.
        let zeros = line.iter().take_while(|b| **b == 0).count();
        let text = String::from_utf8_lossy(&line[zeros..]);
        if !filter.takes(&text) {
            continue;
        }
        if age.after(&text, dates) == Age::Old {
            // Nor was anything before it younger.
            kept.lines.clear();
            continue;
        }
        kept.lines.extend_from_slice(&line[zeros..]);
        if line.last() != Some(&b'\n') {
            kept.lines.push(b'\n');
        }
        // Not at every line: each time moves all that is kept.
        if kept.lines.len() >= most.saturating_mul(2) {
            kept.keep_last(most);
        }
    }
    kept.keep_last(most);
    kept
}

impl Kept {
    /// Drops the oldest lines that there is no room for.
    fn keep_last(&mut self, most: usize) {
        let Some(excess) = self.lines.len().checked_sub(most).filter(|excess| *excess > 0) else { return };
        // A line that ends just where the excess does is all of the excess.
        let end = self.lines.iter().skip(excess - 1).position(|b| *b == b'\n');
        self.lines.drain(..end.map_or(self.lines.len(), |end| excess + end));
        self.left_out = Some(LeftOut::OlderLines);
    }
}

/// Whether the last line was too old. Once one was not, the order of the file decides and no clock.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Age {
    Unknown,
    Old,
    Wanted,
}

impl Age {
    /// The age of the next line. One without a time is as old as the one before.
    fn after(&mut self, line: &str, dates: &Dates) -> Self {
        if *self != Self::Wanted
            && let Some(at) = dates.of(line)
        {
            *self = if at < dates.since { Self::Old } else { Self::Wanted };
        }
        *self
    }
}

impl Dates {
    /// The timestamp of the last line that has one.
    fn last(&self, lines: &[u8]) -> Option<Timestamp> {
        lines.rsplit(|b| *b == b'\n').find_map(|line| self.of(&String::from_utf8_lossy(line)))
    }

    /// The timestamp of a line; `None` if the line is irrelevant or has none.
    fn of(&self, line: &str) -> Option<Timestamp> {
        let reading = Reading { written: self.written, offset_seconds: self.offset_seconds, since: None };
        let log = read("", line, &reading);
        log.lines.first().map(|line| line.at).or_else(|| log.lost.first().map(|lost| lost.at)).flatten()
    }
}

#[cfg(test)]
mod tests;
