//! How far the raft log of a manager goes. Terms and numbers stand there in the clear; what the entries hold is
//! encrypted, and not read.

use super::{Artifact, Place, Session, apart, files, millis, why};
use facts::swarm::RaftLog;
use facts::{Need, Why};
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::Path;
use std::time::Duration;

/// Where the log is, below the swarm's state.
const PLACE: &str = "raft/wal-v3-encrypted";
/// The most that the log may take to read: what else is kept beside it does not wait.
const DEADLINE: Duration = Duration::from_secs(1);
/// Where the length of a record ends, and that of what fills it up begins.
const LENGTH: u64 = (1 << 56) - 1;
/// What is read of a record: the numbers stand in front.
const HEAD: u64 = 64;
/// The record types that determine the end of the log.
const ENTRY: u64 = 2;
const SNAPSHOT: u64 = 5;

/// The end of the log of the machine that is looked at.
pub(super) async fn log_end(session: &Session) -> Artifact {
    let swarm = files::data_root(session).await.join("swarm");
    let place = Place::new(Need::SwarmState, "host/raft-log.json", swarm.join(PLACE).display().to_string());
    if let Some(why) = session.remote() {
        return place.missed(why);
    }
    let (path, doing) = (session.path(&swarm), format!("read {}", place.origin));
    let read = apart(move || raft_log(&path).map_err(|error| why(&error, &doing)));
    match tokio::time::timeout(DEADLINE, read).await {
        Ok(Ok(Some(log))) => place.kept_as_json(&log),
        Ok(Ok(None)) => place.absent(),
        Ok(Err(why)) => place.missed(why),
        Err(_) => place.missed(Why::TimedOut { after_ms: millis(DEADLINE) }),
    }
}

/// The end of the raft log below a swarm's state; nothing where there is none, as on a worker.
pub(crate) fn raft_log(swarm: &Path) -> io::Result<Option<RaftLog>> {
    let listed = match fs::read_dir(swarm.join(PLACE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        listed => listed?,
    };
    let mut paths = listed.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    // Their names count up.
    paths.sort();
    paths.iter().try_fold(None, |end, path| end_of(BufReader::new(File::open(path)?), end))
}

/// Where the log ends after one more of its files (etcd `wal/decoder.go`). A later entry takes the place of earlier ones
/// with its number and above.
fn end_of(mut file: BufReader<File>, mut end: Option<RaftLog>) -> io::Result<Option<RaftLog>> {
    loop {
        let mut frame = [0; 8];
        match file.read_exact(&mut frame) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(end),
            read => read?,
        }
        let frame = u64::from_le_bytes(frame);
        // The file is as long from the beginning as it will be, and zero where nothing is written yet.
        if frame == 0 {
            return Ok(end);
        }
        let (length, filling) = (frame & LENGTH, if frame >> 63 == 1 { (frame >> 56) & 7 } else { 0 });
        let mut head = Vec::new();
        (&mut file).take(length.min(HEAD)).read_to_end(&mut head)?;
        if (head.len() as u64) < length.min(HEAD) {
            return Ok(end);
        }
        let rest = (length + filling).saturating_sub(head.len() as u64);
        file.seek_relative(i64::try_from(rest).map_err(io::Error::other)?)?;
        let ([_, kind, ..], data) = numbers(&head);
        match (kind, numbers(data).0) {
            (ENTRY, [_, _, term, index]) => end = Some(RaftLog { term, index }),
            (SNAPSHOT, [_, index, term, _]) if end.is_none_or(|end| end.index < index) => {
                end = Some(RaftLog { term, index });
            }
            _ => {}
        }
    }
}

/// The first numbers of a message of protocol buffers by their fields, and what the first field holds that is none.
fn numbers(mut bytes: &[u8]) -> ([u64; 4], &[u8]) {
    let mut numbers = [0; 4];
    while let Some(key) = number(&mut bytes) {
        let Some(value) = number(&mut bytes) else { break };
        match (key & 7, usize::try_from(key >> 3).ok().and_then(|field| numbers.get_mut(field))) {
            (0, Some(number)) => *number = value,
            (0, None) => {}
            _ => return (numbers, bytes),
        }
    }
    (numbers, &[])
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{PLACE, raft_log};
    use facts::swarm::RaftLog;
    use std::fs;

    /// A record as etcd frames it: its kind, a checksum, and its data.
    fn record(kind: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![8, kind, 16, 0x92, 0x8f, 0xa7, 0x0b, 26, data.len() as u8];
        bytes.extend(data);
        let filling = (8 - bytes.len() % 8) % 8;
        let mut frame = bytes.len() as u64;
        if filling > 0 {
            frame |= (0x80 | filling as u64) << 56;
        }
        bytes.resize(bytes.len() + filling, 0);
        [&frame.to_le_bytes()[..], &bytes].concat()
    }

    fn entry(term: u8, index: u8) -> Vec<u8> {
        let data = [&[8, 0, 16, term, 24, index, 34, 100][..], &[7; 100]].concat();
        record(2, &data)
    }

    #[test]
    fn the_last_entry_counts_and_a_snapshot_beyond_it() {
        let swarm = tempfile::tempdir().unwrap();
        assert_eq!(raft_log(swarm.path()).unwrap(), None);
        let place = swarm.path().join(PLACE);
        fs::create_dir_all(&place).unwrap();
        let file = |name: &str, records: &[Vec<u8>]| {
            fs::write(place.join(name), [records.concat(), vec![0; 64]].concat()).unwrap();
        };
        let end = || raft_log(swarm.path()).unwrap();
        file("0-0.wal", &[record(4, &[]), entry(2, 7), entry(2, 8), record(3, &[8, 2, 24, 8]), entry(3, 7)]);
        assert_eq!(end(), Some(RaftLog { term: 3, index: 7 }));
        file("1-8.wal", &[record(4, &[]), record(5, &[8, 5, 16, 2])]);
        assert_eq!(end(), Some(RaftLog { term: 3, index: 7 }));
        file("2-8.wal", &[record(5, &[8, 90, 16, 4])]);
        assert_eq!(end(), Some(RaftLog { term: 4, index: 90 }));
        // Torn in the middle of a record.
        fs::write(place.join("3-9.wal"), &entry(9, 91)[..40]).unwrap();
        assert_eq!(end(), Some(RaftLog { term: 4, index: 90 }));
        assert!(RaftLog { term: 4, index: 1 } > RaftLog { term: 3, index: 9 });
    }
}
