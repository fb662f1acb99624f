//! The outer layer: the prefix of syslog and `journalctl`.

use super::stamp;

/// The parts of a line, by its syntax only.
#[derive(Debug, PartialEq)]
pub(super) struct Outer<'a> {
    /// The unparsed stamp, for [`stamp::Stamp::parse`].
    pub(super) stamp: &'a str,
    pub(super) host: Option<&'a str>,
    /// The program's name, empty where there is none.
    pub(super) tag: &'a str,
    pub(super) pid: Option<u32>,
    pub(super) text: &'a str,
}

/// The line without byte order mark and line end.
pub(super) fn trimmed(line: &str) -> &str {
    line.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n'])
}

/// `-- Boot 0123… --`, `-- Reboot --`, `-- Logs begin at … --`, `-- No entries --`.
pub(super) fn is_separator(line: &str) -> bool {
    line.starts_with("-- ")
}

/// Whether the line only reports repetitions of the line before it.
pub(super) fn repeats_last(line: &str) -> bool {
    Outer::open(trimmed(line)).is_some_and(|outer| outer.repeats().is_some())
}

impl<'a> Outer<'a> {
    /// Parses a line in any format of syslog or `journalctl -o short*`.
    pub(super) fn open(line: &'a str) -> Option<Self> {
        if let Some(line) = line.strip_prefix('[') {
            return Self::ring_buffer(line);
        }
        let line = match line.strip_prefix('<') {
            Some(line) => {
                let (priority, line) = line.split_once('>')?;
                if priority.is_empty() || priority.len() > 3 {
                    return None;
                }
                match line.strip_prefix("1 ") {
                    Some(line) => return Self::rfc5424(line),
                    None => line,
                }
            }
            None => line,
        };
        let (stamp, rest) = stamp::split(line)?;
        let end = rest.find(' ').unwrap_or(rest.len());
        // `journalctl --no-hostname` omits the host, and no host ends in a colon.
        if rest[..end].ends_with(':') {
            return Some(Self::tagged(stamp, None, rest));
        }
        Some(Self::tagged(stamp, Some(&rest[..end]), rest[end..].trim_start_matches(' ')))
    }

    /// `dockerd[1234]: text` or `dockerd: text`.
    fn tagged(stamp: &'a str, host: Option<&'a str>, rest: &'a str) -> Self {
        let untagged = Self { stamp, host, tag: "", pid: None, text: rest };
        let Some(end) = rest.bytes().position(|b| matches!(b, b'[' | b':' | b' ')) else { return untagged };
        let (tag, after) = rest.split_at(end);
        let (pid, text) = match after.as_bytes()[0] {
            b':' => (None, &after[1..]),
            b'[' => {
                let Some((pid, text)) = after[1..].split_once(']') else { return untagged };
                (pid.parse().ok(), text.strip_prefix(':').unwrap_or(text))
            }
            _ => return untagged,
        };
        Self { tag, pid, text: text.strip_prefix(' ').unwrap_or(text), ..untagged }
    }

    /// `2026-08-02T10:11:12.123456+02:00 host dockerd 1234 - - text`, after the version.
    fn rfc5424(line: &'a str) -> Option<Self> {
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next();
        let (stamp, host, tag, pid, _id, rest) = (word()?, word()?, word()?, word()?, word()?, word()?);
        let text = structured_data_end(rest).and_then(|end| rest.get(end..))?;
        Some(Self {
            stamp,
            host: (host != "-").then_some(host),
            tag,
            pid: pid.parse().ok(),
            text: text.strip_prefix(' ').unwrap_or(text).trim_start_matches('\u{feff}'),
        })
    }

    /// `12345.678901] text` or `Sun Aug  2 10:11:12 2026] text`: the format of `dmesg`, after the bracket.
    fn ring_buffer(line: &'a str) -> Option<Self> {
        let (stamp, text) = line.split_once("] ")?;
        let since_boot = !stamp.is_empty() && stamp.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b' '));
        let stamp =
            if since_boot { "" } else { stamp::split(stamp.get(4..)?).map(|(stamp, _year)| stamp)? };
        Some(Self { stamp, host: None, tag: "kernel", pid: None, text })
    }

    /// The repetitions of the line before, where this line reports nothing else.
    pub(super) fn repeats(&self) -> Option<u32> {
        if !self.tag.is_empty() {
            return None;
        }
        let times = self.text.strip_prefix("last message repeated ")?;
        times.split(' ').next()?.parse().ok()
    }
}

/// `-` or `[id name="value"]…`, in which `\]` closes nothing (RFC 5424, 6.3).
fn structured_data_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'-') {
        return Some(1);
    }
    let mut at = 0;
    let mut quoted = false;
    while bytes.get(at) == Some(&b'[') {
        loop {
            at += 1;
            match bytes.get(at)? {
                b'\\' => at += 1,
                b'"' => quoted = !quoted,
                b']' if !quoted => break,
                _ => {}
            }
        }
        at += 1;
    }
    (at > 0).then_some(at)
}

/// Unfolds rsyslog's `message repeated 5 times: [ text]`.
pub(super) fn unfolded(text: &str) -> (u32, &str) {
    let folded = || {
        let (times, text) = text.trim_start().strip_prefix("message repeated ")?.split_once(" times: [")?;
        Some((times.parse().ok()?, text.strip_suffix(']').unwrap_or(text).trim_start()))
    };
    folded().unwrap_or((1, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> (Option<&str>, &str, Option<u32>, &str) {
        let outer = Outer::open(line).unwrap();
        (outer.host, outer.tag, outer.pid, outer.text)
    }

    #[test]
    fn opens_syslog_with_and_without_a_pid() {
        assert_eq!(parts("Aug  2 10:11:12 h dockerd[12]: a: b"), (Some("h"), "dockerd", Some(12), "a: b"));
        assert_eq!(parts("Aug  2 10:11:12 h dockerd: a: b"), (Some("h"), "dockerd", None, "a: b"));
        assert_eq!(
            parts("Aug  2 10:11:12 h docker.dockerd[1]: a"),
            (Some("h"), "docker.dockerd", Some(1), "a")
        );
        assert_eq!(parts("<30>Aug  2 10:11:12 h dockerd: a"), (Some("h"), "dockerd", None, "a"));
        assert_eq!(parts("Aug  2 10:11:12 dockerd[12]: a"), (None, "dockerd", Some(12), "a"));
    }

    #[test]
    fn opens_rfc_5424_with_its_structured_data() {
        let line = r#"<30>1 2026-08-02T10:11:12.1+02:00 h dockerd 12 - - a"#;
        assert_eq!(parts(line), (Some("h"), "dockerd", Some(12), "a"));
        let line = "<30>1 2026-08-02T10:11:12.1+02:00 - dockerd - ID47 [a@1 b=\"x\\]]\\\"\"][c d=\"\"] \u{feff}a [b]";
        assert_eq!(parts(line), (None, "dockerd", None, "a [b]"));
        assert_eq!(Outer::open(r#"<30>1 2026-08-02T10:11:12.1+02:00 h dockerd 12 - [a b="x] a"#), None);
    }

    #[test]
    fn opens_the_ring_buffer() {
        assert_eq!(parts("[12345.678901] IPVS: x"), (None, "kernel", None, "IPVS: x"));
        assert_eq!(parts("[    5.678901] IPVS: x"), (None, "kernel", None, "IPVS: x"));
        assert_eq!(parts("[Sun Aug  2 10:11:12 2026] IPVS: x"), (None, "kernel", None, "IPVS: x"));
        assert_eq!(Outer::open("[signal SIGSEGV: segmentation violation code=0x1] x"), None);
    }

    #[test]
    fn finds_no_outer_layer_where_there_is_none() {
        for line in
            ["", "<", "<30>", "time=\"2026-08-02T10:11:12Z\" level=info", "INFO[0001] x", "goroutine 1 [x]:"]
        {
            assert_eq!(Outer::open(line), None, "{line}");
        }
    }

    #[test]
    fn recognises_repetitions_in_both_formats() {
        assert!(repeats_last("Aug  2 10:11:12 h last message repeated 5 times"));
        assert!(!repeats_last("Aug  2 10:11:12 h dockerd: last message repeated 5 times"));
        assert_eq!(unfolded("message repeated 5 times: [ a [b]]"), (5, "a [b]"));
        assert_eq!(unfolded("message repeated x times: [ a]"), (1, "message repeated x times: [ a]"));
    }
}
