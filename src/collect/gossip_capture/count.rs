//! What the datagrams between two nodes come to.

use super::packet::Content;
use facts::gossip_capture::PeerCapture;
use std::net::IpAddr;
use std::time::Duration;

/// The largest answer. Encrypted, an answer of gossip has 47 to 52 bytes, the word that a third node did not answer has
/// 38 to 43, and a question at least 56: in what it holds the node's name is one thing more.
const ANSWER: u16 = 55;
/// How long gossip waits for an answer (memberlist's `ProbeTimeout`).
const PATIENCE: Duration = Duration::from_millis(500);
/// How long an engine that is well takes to answer, with some time to spare.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Where an interface is part of another, the same datagram is heard twice.
const TWICE: Duration = Duration::from_millis(2);

/// What was overheard between this node and another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listened {
    received: Vec<Datagram>,
    sent: Vec<Datagram>,
    refused: bool,
    esp_received: u32,
    esp_sent: u32,
}

/// A datagram of gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Datagram {
    at: Duration,
    bytes: u16,
}

impl Datagram {
    fn answers(&self) -> bool {
        self.bytes <= ANSWER
    }
}

impl Listened {
    /// A packet came from the other.
    pub(super) fn received(&mut self, content: Content, at: Duration) {
        match content {
            Content::Gossip(bytes) => put(&mut self.received, Datagram { at, bytes }),
            Content::Esp => self.esp_received += 1,
            Content::Refused => self.refused = true,
        }
    }

    /// A packet went to it. That this node refuses something is no news from the other.
    pub(super) fn sent(&mut self, content: Content, at: Duration) {
        match content {
            Content::Gossip(bytes) => put(&mut self.sent, Datagram { at, bytes }),
            Content::Esp => self.esp_sent += 1,
            Content::Refused => {}
        }
    }

    /// Whether there is nothing more to be learnt.
    pub(super) fn proven(&self) -> bool {
        self.refused || [&self.received, &self.sent].iter().all(|heard| heard.iter().any(Datagram::answers))
    }
}

fn put(heard: &mut Vec<Datagram>, datagram: Datagram) {
    let again = |last: &Datagram| last.bytes == datagram.bytes && datagram.at - last.at < TWICE;
    if !heard.last().is_some_and(again) {
        heard.push(datagram);
    }
}

/// What it comes to.
pub(super) fn count(addr: IpAddr, listened: &Listened, until: Duration) -> PeerCapture {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let answers = |heard: &[Datagram]| number(heard.iter().filter(|one| one.answers()).count());
    let (received, sent) = (listened.received.as_slice(), listened.sent.as_slice());
    PeerCapture {
        received: number(received.len()),
        sent: number(sent.len()),
        answers: answers(received),
        answered: answers(sent),
        unanswered: number(left_open(sent, received, until)),
        ignored: number(left_open(received, sent, until)),
        refused: listened.refused,
        esp_received: listened.esp_received,
        esp_sent: listened.esp_sent,
        ..PeerCapture::nothing(addr)
    }
}

/// How many of the questions have nothing behind them that could be an answer.
fn left_open(asked: &[Datagram], back: &[Datagram], until: Duration) -> usize {
    let within =
        |from: Duration, time: Duration| move |one: &&Datagram| one.at > from && one.at <= from + time;
    // What is answered in turn was a question itself.
    let is_question = |one: &Datagram| {
        !one.answers() && asked.iter().filter(within(one.at, AT_ONCE)).any(Datagram::answers)
    };
    let open = |question: &&Datagram| {
        !question.answers()
            && question.at + PATIENCE <= until
            && back.iter().filter(within(question.at, PATIENCE)).all(is_question)
    };
    asked.iter().filter(open).count()
}
