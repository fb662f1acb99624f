//! A bundle as lines of text, numbered and with a digest each, so that a log carries it whole or the reader knows what is
//! missing. The engine splits lines over 16 KiB; these have less than 12.

use crate::sha256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, Write};

/// What each line begins with. Others in the same log are messages.
const BEGIN: &str = "swarm-doctor-bundle";
/// The bytes in one line.
const PIECE: usize = 8 << 10;
/// How many characters of the digest are in a line.
const DIGEST: usize = 16;

fn short(piece: &[u8]) -> String {
    sha256::of(piece).chars().take(DIGEST).collect()
}

/// Writes the bytes as lines.
pub(super) fn write(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let mut count = 0;
    for piece in bytes.chunks(PIECE) {
        writeln!(out, "{BEGIN} {count} {} {}", short(piece), STANDARD.encode(piece))?;
        count += 1;
    }
    writeln!(out, "{BEGIN} end {count} {}", sha256::of(bytes))?;
    out.flush()
}

/// The bytes in a log, or what is wrong with its lines. The last message in it says more, if there is one.
pub(super) fn read(log: &str) -> Result<Vec<u8>, String> {
    let (mut bytes, mut count) = (Vec::new(), 0);
    for line in log.lines().filter_map(|line| line.strip_prefix(BEGIN)?.strip_prefix(' ')) {
        let words: Vec<&str> = line.split(' ').collect();
        let [number, sum, rest] = words.as_slice() else { return Err("a line of it is cut".into()) };
        if *number == "end" {
            let whole = *sum == count.to_string() && *rest == sha256::of(&bytes);
            return if whole { Ok(bytes) } else { Err("its digest does not match".into()) };
        }
        if *number != count.to_string() {
            return Err(format!("line {count} of it is missing"));
        }
        let piece =
            STANDARD.decode(rest).map_err(|error| format!("line {count} of it is damaged: {error}"))?;
        if short(&piece) != *sum {
            return Err(format!("line {count} of it is damaged"));
        }
        bytes.extend(piece);
        count += 1;
    }
    Err(if count == 0 { "it is empty".into() } else { "its end is missing".into() })
}

/// The last message among the lines.
pub(super) fn last_message(log: &str) -> Option<&str> {
    log.lines().rev().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(BEGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write(bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bytes_pass_through_a_log_with_messages_between_the_lines() {
        let bytes: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8).collect();
        let log = written(&bytes).replace('\n', "\nsomething else\n");
        assert_eq!(read(&log), Ok(bytes));
        assert_eq!(last_message(&log), Some("something else"));
        assert!(log.lines().all(|line| line.len() < 12 << 10));
        assert_eq!(read(&written(b"")), Ok(Vec::new()));
    }

    #[test]
    fn a_log_that_is_not_whole_is_refused() {
        let log = written(&[7; 20_000]);
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(read(""), Err("it is empty".into()));
        assert_eq!(read(&lines[..2].join("\n")), Err("its end is missing".into()));
        assert_eq!(read(&[lines[0], lines[2], lines[3]].join("\n")), Err("line 1 of it is missing".into()));
        assert!(read(&log.replacen("BwcH", "BwcI", 1)).unwrap_err().contains("line 0 of it is damaged"));
        assert!(read(&log.replace("end 3", "end 2")).unwrap_err().contains("digest"));
    }
}
