use super::*;
use std::io::Write as _;

const DATES: &str = "2026-08-01T12:00:00Z";

fn dates() -> Dates {
    let written = "2026-08-02T12:00:00Z".parse().unwrap();
    Dates { since: DATES.parse().unwrap(), written, offset_seconds: 0 }
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

/// A sequence that is the same on every run (xorshift64*).
fn random(state: &mut u64, below: u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
}

/// A log of some lines, of which the engine wrote about half, from before the span into it or not that far.
fn log(state: &mut u64) -> String {
    let mut at: Timestamp = DATES.parse().unwrap();
    at -= jiff::SignedDuration::from_secs(random(state, 400) as i64);
    let mut log = String::new();
    for number in 0..random(state, 60) {
        at += jiff::SignedDuration::from_secs(random(state, 20) as i64);
        let more = "é".repeat(random(state, 30) as usize);
        log += &match random(state, 6) {
            0 => format!("{} m1 sshd[7]: {number} {more}\n", at.strftime("%b %e %H:%M:%S")),
            1 => format!("{} m1 kernel: IPVS: {number} {more}\n", at.strftime("%b %e %H:%M:%S")),
            2 => format!("{} m1 last message repeated 2 times\n", at.strftime("%b %e %H:%M:%S")),
            3 => format!("\tgoroutine {number} {more}\n"),
            _ => format!("{at} m1 dockerd[8]: time=\"{at}\" level=info msg=\"{number} {more}\"\n"),
        };
    }
    if random(state, 3) == 0 {
        log.pop();
    }
    log
}

#[test]
fn finds_from_the_end_what_is_found_from_the_beginning() {
    let mut state = 42;
    let mut skipped = 0;
    for round in 0..300 {
        let log = log(&mut state);
        let all = taken(log.as_bytes(), Age::Unknown, &dates(), usize::MAX).lines;
        let file = file(log.as_bytes());
        for block in [1, 7, 64, 65, 300, 100_000] {
            let start = beginning(&file, log.len() as u64, 0, block, &dates()).unwrap();
            let age = start.map_or(Age::Unknown, |_| Age::Old);
            let start = start.unwrap_or(0) as usize;
            skipped += usize::from(start > 0);
            let some = taken(&log.as_bytes()[start..], age, &dates(), usize::MAX).lines;
            let words = String::from_utf8_lossy;
            assert_eq!(words(&some), words(&all), "round {round}, blocks of {block}, from {start} of\n{log}");
        }
    }
    assert!(skipped > 200, "{skipped}");
}

fn line(number: u32) -> String {
    format!("time=\"2026-08-02T10:00:00Z\" level=info msg=\"{number:05}\"\n")
}

#[test]
fn keeps_the_last_lines_where_there_is_no_room_for_all() {
    let log: String = (0..1000).map(line).collect();
    let size = line(0).len();
    for (most, lines) in [(size * 10, 10), (size * 10 + 1, 10), (size * 11 - 1, 10), (size - 1, 0), (0, 0)] {
        let kept = taken(log.as_bytes(), Age::Unknown, &dates(), most);
        let expected: String = (1000 - lines..1000).map(line).collect();
        assert_eq!(String::from_utf8(kept.lines).unwrap(), expected, "{most}");
        assert_eq!(kept.left_out, Some(LeftOut::OlderLines));
    }
    let kept = taken(log.as_bytes(), Age::Unknown, &dates(), log.len());
    assert_eq!((kept.lines.len(), kept.left_out), (log.len(), None));
}

#[test]
fn reads_no_more_of_a_file_than_its_end() {
    let mut file = tempfile::tempfile().unwrap();
    file.set_len(3 << 30).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all([line(1), line(2), line(3)].concat().as_bytes()).unwrap();
    let kept = end_of(&file, &dates(), usize::MAX).unwrap();
    assert_eq!(String::from_utf8(kept.lines).unwrap(), [line(2), line(3)].concat());
    assert_eq!(kept.left_out, Some(LeftOut::Beginning));
    let words = LeftOut::Beginning.of(Path::new("/var/log/messages"), 0);
    assert_eq!(words, "only the last 64 MiB of /var/log/messages were read");
}

#[test]
fn keeps_the_line_behind_zeros_of_a_crash() {
    let log = [line(1).as_bytes(), &[0; 9000], line(2).as_bytes(), b"\0\0"].concat();
    let kept = end_of(&file(&log), &dates(), usize::MAX).unwrap();
    assert_eq!(String::from_utf8(kept.lines).unwrap(), [line(1), line(2)].concat());
}

#[test]
fn does_not_take_a_boot_without_a_clock_for_the_past() {
    let early = "time=\"1970-01-01T00:00:09Z\" level=info msg=early\n";
    let log = [&line(1), early, early, &line(2)].concat();
    let kept = end_of(&file(log.as_bytes()), &dates(), usize::MAX).unwrap();
    assert_eq!(String::from_utf8(kept.lines).unwrap(), log);
}
