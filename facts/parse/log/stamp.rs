//! Stamps of the outer and inner layers; a year and a zone are added where they are missing.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::ops::Range;

/// A time with the precision that the log has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stamp {
    /// A point in time.
    Exact(Timestamp),
    /// The zone is missing, or is an abbreviation.
    Local(DateTime),
    /// The year is missing too; it is given as [`LEAP_YEAR`].
    Yearless(DateTime),
}

/// A year that has a 29 February.
const LEAP_YEAR: i16 = 2000;

const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
const WEEKDAYS: &[u8] = b"MonTueWedThuFriSatSun";

/// Splits a line after its leading stamp and the space that follows.
///
/// Only the shape of the stamp is checked, not its numbers: irrelevant lines must be cheap.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let bytes = line.as_bytes();
    let end = match bytes.first()? {
        b'0'..=b'9' if bytes.get(4) == Some(&b'-') => {
            shaped(bytes, b"0000-00-00 00:00:00", 10)?;
            word_end(bytes, 19)
        }
        b'0'..=b'9' => {
            let dot = bytes.iter().position(|b| !b.is_ascii_digit())?;
            let end = word_end(bytes, dot);
            let fraction = bytes.get(dot + 1..end)?;
            (dot >= 9 && bytes[dot] == b'.' && fraction.iter().all(u8::is_ascii_digit)).then_some(end)?
        }
        b'A'..=b'Z' if is_one_of(MONTHS, bytes) => {
            let day = skip_spaces(bytes, 3);
            let time = skip_spaces(bytes, word_end(bytes, day));
            shaped(bytes.get(time..)?, b"00:00:00", usize::MAX)?;
            word_end(bytes, time)
        }
        b'A'..=b'Z' if is_one_of(WEEKDAYS, bytes) => {
            shaped(bytes.get(4..)?, b"0000-00-00 00:00:00", 10)?;
            word_end(bytes, word_end(bytes, 23) + 1)
        }
        _ => return None,
    };
    Some((line.get(..end)?, line.get(end + 1..).unwrap_or("")))
}

impl Stamp {
    /// Parses the stamp from [`split`].
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        match bytes.first()? {
            b'0'..=b'9' if bytes.get(4) == Some(&b'-') => dated(text),
            b'0'..=b'9' => {
                let (seconds, fraction) = text.split_once('.')?;
                let nanos = i32::try_from(nanoseconds(fraction)?.0).ok()?;
                Timestamp::new(seconds.parse().ok()?, nanos).ok().map(Self::Exact)
            }
            _ if is_one_of(MONTHS, bytes) => {
                let month = 1 + MONTHS.chunks(3).position(|m| bytes.starts_with(m))?;
                let mut words = text.split(' ').skip(1).filter(|w| !w.is_empty());
                let day = words.next()?.parse().ok()?;
                let (time, _) = clock(words.next()?)?;
                Some(Self::Yearless(at(LEAP_YEAR, i8::try_from(month).ok()?, day, time)?))
            }
            _ => dated(text.get(4..)?),
        }
    }
}

/// The time of an engine's line, which is RFC 3339.
pub(super) fn rfc3339(text: &str) -> Option<Timestamp> {
    match dated(text)? {
        Stamp::Exact(at) => Some(at),
        _ => None,
    }
}

/// `2026-08-02T10:11:12.123456+02:00`, with or without its fraction and its zone.
fn dated(text: &str) -> Option<Stamp> {
    let number = |range: Range<usize>| text.get(range)?.parse::<i16>().ok();
    let small = |range| i8::try_from(number(range)?).ok();
    let (time, zone) = clock(text.get(11..)?)?;
    let civil = at(number(0..4)?, small(5..7)?, small(8..10)?, time)?;
    match offset(zone.trim_start()) {
        Some(offset) => offset.to_timestamp(civil).ok().map(Stamp::Exact),
        None => Some(Stamp::Local(civil)),
    }
}

/// Hour, minute, second and nanosecond.
type Time = (i8, i8, i8, i32);

/// `10:11:12.123456`, and what follows it.
fn clock(text: &str) -> Option<(Time, &str)> {
    let number = |range: Range<usize>| text.get(range)?.parse::<i8>().ok();
    let (nanos, rest) = match text.get(8..)?.strip_prefix(['.', ',']) {
        Some(fraction) => nanoseconds(fraction)?,
        None => (0, text.get(8..)?),
    };
    // A leap second is the 61st of its minute, for which jiff has no name.
    let second = number(6..8)?.min(59);
    Some(((number(0..2)?, number(3..5)?, second, i32::try_from(nanos).ok()?), rest))
}

/// The digits of a fraction as nanoseconds, and what follows them.
fn nanoseconds(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let nanos = (0..9).fold(0, |nanos, at| {
        let digit = if at < digits { text.as_bytes()[at] - b'0' } else { 0 };
        nanos * 10 + u32::from(digit)
    });
    Some((nanos, text.get(digits..)?))
}

/// `Z`, `+02:00`, `+0200`; of the abbreviations only the two that mean one thing everywhere.
fn offset(zone: &str) -> Option<Offset> {
    if matches!(zone, "Z" | "UTC" | "GMT") {
        return Some(Offset::UTC);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours: i32 = zone.get(1..3)?.parse().ok()?;
    let minutes: i32 = zone.get(3..)?.trim_start_matches(':').get(..2)?.parse().ok()?;
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

fn at(year: i16, month: i8, day: i8, (hour, minute, second, nanos): Time) -> Option<DateTime> {
    DateTime::new(year, month, day, hour, minute, second, nanos).ok()
}

/// Whether the text has the digits and marks of the pattern; at `free` a `T` may stand for the mark.
fn shaped(bytes: &[u8], pattern: &[u8], free: usize) -> Option<()> {
    let text = bytes.get(..pattern.len())?;
    let fits = text.iter().zip(pattern).enumerate().all(|(index, (byte, wanted))| match wanted {
        b'0' => byte.is_ascii_digit(),
        _ => byte == wanted || (index == free && *byte == b'T'),
    });
    fits.then_some(())
}

fn is_one_of(names: &[u8], bytes: &[u8]) -> bool {
    bytes.get(3) == Some(&b' ') && names.chunks(3).any(|name| bytes.starts_with(name))
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    bytes.iter().skip(from).position(|b| *b == b' ').map_or(bytes.len(), |at| from + at)
}

fn skip_spaces(bytes: &[u8], from: usize) -> usize {
    bytes.iter().skip(from).position(|b| *b != b' ').map_or(bytes.len(), |at| from + at)
}

/// Gives stamps their year and zone, taking a file's lines from the last to the first.
///
/// The file was written after its last line, and every line before the one that follows it: so each line
/// gets the latest year that does not put it after what follows. An engine's line tells the time twice,
/// once by the clock of the log and once with year and zone, and so sets both right for the lines before.
pub(super) struct Calendar {
    /// The time of the line that follows.
    next: Timestamp,
    /// The zone of the log's clock.
    offset: Offset,
}

/// How far a line may be later than the one that follows: clocks get set back, logs are not in strict order.
const DISORDER: i64 = 7 * 86_400;

impl Calendar {
    pub(super) fn new(written: Timestamp, offset_seconds: i32) -> Self {
        Self { next: written, offset: Offset::from_seconds(offset_seconds).unwrap_or(Offset::UTC) }
    }

    /// The time of a line from the stamps of its outer and inner layers.
    pub(super) fn settle(&mut self, outer: Option<Stamp>, inner: Option<Timestamp>) -> Option<Timestamp> {
        let at = match (inner, outer) {
            (Some(inner), outer) => {
                if let Some(offset) = outer.and_then(|outer| zone_between(outer, inner)) {
                    self.offset = offset;
                }
                inner
            }
            (None, Some(Stamp::Exact(at))) => at,
            (None, Some(Stamp::Local(civil))) => self.offset.to_timestamp(civil).ok()?,
            (None, Some(Stamp::Yearless(civil))) => self.latest(civil)?,
            (None, None) => return None,
        };
        self.next = at;
        Some(at)
    }

    fn latest(&self, civil: DateTime) -> Option<Timestamp> {
        let latest = self.next.as_second() + DISORDER;
        let year = self.offset.to_datetime(self.next).year() + 1;
        // A 29 February has to go back to a leap year, which can be eight years off.
        (year - 9..=year).rev().find_map(|year| {
            let at = self.offset.to_timestamp(with_year(civil, year)?).ok()?;
            (at.as_second() <= latest).then_some(at)
        })
    }
}

/// The zone of the log's clock, if it and the engine's clock agree.
fn zone_between(outer: Stamp, inner: Timestamp) -> Option<Offset> {
    const QUARTER: i64 = 900;
    let utc = Offset::UTC.to_datetime(inner);
    let civil = match outer {
        Stamp::Exact(_) => return None,
        Stamp::Local(civil) => civil,
        // The turn of the year may lie between the two clocks.
        Stamp::Yearless(civil) => with_year(
            civil,
            match (civil.month(), utc.month()) {
                (12, 1) => utc.year() - 1,
                (1, 12) => utc.year() + 1,
                _ => utc.year(),
            },
        )?,
    };
    let apart = Offset::UTC.to_timestamp(civil).ok()?.as_second() - inner.as_second();
    let rounded = (apart + QUARTER / 2).div_euclid(QUARTER) * QUARTER;
    // More than moments apart, the line was held up on its way and tells nothing about zones.
    if (apart - rounded).abs() > 5 || rounded.abs() > 14 * 3600 {
        return None;
    }
    Offset::from_seconds(i32::try_from(rounded).ok()?).ok()
}

fn with_year(civil: DateTime, year: i16) -> Option<DateTime> {
    civil.with().year(year).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Stamp {
        Stamp::Exact(text.parse().unwrap())
    }

    fn stamp_of(line: &str) -> Option<Stamp> {
        let (stamp, rest) = split(line)?;
        assert_eq!(rest, "host x");
        Stamp::parse(stamp)
    }

    #[test]
    fn reads_every_form_of_stamp() {
        let civil: DateTime = "2000-08-02T10:11:12".parse().unwrap();
        assert_eq!(stamp_of("Aug  2 10:11:12 host x"), Some(Stamp::Yearless(civil)));
        assert_eq!(stamp_of("Aug 02 10:11:12 host x"), Some(Stamp::Yearless(civil)));
        assert_eq!(stamp_of("Aug 2 10:11:12 host x"), Some(Stamp::Yearless(civil)));
        let precise = Stamp::Yearless("2000-08-02T10:11:12.123456".parse().unwrap());
        assert_eq!(stamp_of("Aug 02 10:11:12.123456 host x"), Some(precise));
        let utc = exact("2026-08-02T08:11:12.123456Z");
        for line in [
            "2026-08-02T10:11:12.123456+02:00 host x",
            "2026-08-02T10:11:12.123456+0200 host x",
            "2026-08-02T08:11:12.123456Z host x",
            "Sun 2026-08-02 08:11:12.123456 UTC host x",
            "1785658272.123456 host x",
        ] {
            assert_eq!(stamp_of(line), Some(utc), "{line}");
        }
        let local = Stamp::Local("2026-08-02T10:11:12".parse().unwrap());
        assert_eq!(stamp_of("Sun 2026-08-02 10:11:12 CEST host x"), Some(local));
        assert_eq!(stamp_of("2026-08-02T10:11:12 host x"), Some(local));
        assert_eq!(stamp_of("2026-08-02 10:11:12 host x"), Some(local));
    }

    #[test]
    fn takes_nothing_else_for_a_stamp() {
        for line in
            ["", "Aug", "Aug ", "Aug  2", "August 2 10:11:12 h", "12345", "1785658272 h", "2026-08-02"]
        {
            assert_eq!(split(line), None, "{line}");
        }
        assert_eq!(Stamp::parse("Aug 32 10:11:12"), None);
        assert_eq!(Stamp::parse("2026-13-02T10:11:12Z"), None);
    }

    #[test]
    fn takes_a_leap_second_for_the_second_before() {
        assert_eq!(Stamp::parse("2016-12-31T23:59:60Z"), Some(exact("2016-12-31T23:59:59Z")));
    }

    fn settled(written: &str, stamps: &[&str]) -> Vec<String> {
        let mut calendar = Calendar::new(written.parse().unwrap(), 0);
        let settle = |stamp: &&str| calendar.settle(Stamp::parse(stamp), None).unwrap().to_string();
        let mut settled: Vec<_> = stamps.iter().rev().map(settle).collect();
        settled.reverse();
        settled
    }

    #[test]
    fn steps_back_a_year_from_january_to_december() {
        let years =
            settled("2026-01-02T00:00:00Z", &["Dec 30 10:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01"]);
        assert_eq!(years, ["2025-12-30T10:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:01Z"]);
    }

    #[test]
    fn keeps_the_year_of_lines_out_of_order() {
        let years =
            settled("2026-01-02T00:00:00Z", &["Jan  1 00:00:01", "Dec 31 23:59:59", "Jan  1 00:00:02"]);
        assert_eq!(years, ["2026-01-01T00:00:01Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:02Z"]);
    }

    #[test]
    fn finds_the_leap_year_of_a_29_february() {
        assert_eq!(settled("2026-03-01T00:00:00Z", &["Feb 29 10:00:00"]), ["2024-02-29T10:00:00Z"]);
        assert_eq!(settled("1903-03-01T00:00:00Z", &["Feb 29 10:00:00"]), ["1896-02-29T10:00:00Z"]);
    }

    #[test]
    fn learns_year_and_zone_from_a_line_that_tells_both() {
        let mut calendar = Calendar::new("2026-08-02T00:00:00Z".parse().unwrap(), 0);
        calendar.settle(Stamp::parse("Mar 17 02:27:48"), "2017-03-17T06:27:48.6Z".parse().ok());
        let before = calendar.settle(Stamp::parse("Mar 17 02:27:47"), None);
        assert_eq!(before.unwrap().to_string(), "2017-03-17T06:27:47Z");
    }

    #[test]
    fn learns_no_zone_from_a_line_that_came_late() {
        let mut calendar = Calendar::new("2026-08-02T00:00:00Z".parse().unwrap(), 7200);
        calendar.settle(Stamp::parse("Aug  1 10:04:00"), "2026-08-01T08:00:00Z".parse().ok());
        assert_eq!(calendar.offset.seconds(), 7200);
    }
}
