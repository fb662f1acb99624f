//! A person at a terminal: yes, no, show more, quit, and an interrupt.

use crate::doctor::install;
use crate::needs_a_lab;
use lab::{Lab, Node};
use std::io::Write as _;
use std::process::{Child, ChildStdin, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const FILE: &str = "/etc/docker/daemon.json";
const OLD: &str = "{\n  \"live-restore\": true\n}\n";
const QUESTION: &str = "Do it? [y]es, [n]o, [s]how more, [q]uit:";

/// A fix at a terminal of its own.
struct Session<'a> {
    node: &'a Node,
    child: Child,
    keys: ChildStdin,
    seen: usize,
}

impl<'a> Session<'a> {
    fn begin(node: &'a Node) -> Self {
        node.remove_file("/var/lib/swarm-doctor").unwrap();
        node.write_file(FILE, OLD).unwrap();
        node.write_file("/run/screen", "").unwrap();
        let words = ["script", "-qefc", "swarm-doctor fix engine/live-restore", "/run/screen"];
        let mut command = node.command(&words).unwrap().into_std();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let keys = child.stdin.take().unwrap();
        Self { node, child, keys, seen: 0 }
    }

    /// Waits until these words come after all that were waited for before.
    fn sees(&mut self, words: &str) {
        let began = Instant::now();
        loop {
            let screen = String::from_utf8_lossy(&self.node.read_file("/run/screen").unwrap()).into_owned();
            let rest = screen.get(self.seen..).unwrap_or_default();
            if let Some(at) = rest.find(words) {
                self.seen += at + words.len();
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no {words:?} in {rest}");
            sleep(Duration::from_millis(100));
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// The exit code, and what the file holds then.
    fn ends(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, String::from_utf8(self.node.read_file(FILE).unwrap()).unwrap())
    }
}

#[test]
fn a_person_is_asked_shown_more_obeyed_and_can_leave_at_any_time() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    if !node.exec(&["script", "--version"]).is_ok_and(|output| output.success()) {
        println!("skipped: no script, which opens a terminal");
        return;
    }
    let history = || node.exec(&["swarm-doctor", "history"]).unwrap().stdout;

    let mut no = Session::begin(node);
    no.sees(QUESTION);
    no.types("what?\n");
    no.sees(QUESTION);
    no.types("s\n");
    no.sees("What is done, in order");
    no.sees(FILE);
    no.sees(QUESTION);
    no.types("n\n");
    assert_eq!(no.ends(), (Some(1), OLD.to_owned()));

    let mut quits = Session::begin(node);
    quits.sees(QUESTION);
    quits.types("q\n");
    assert_eq!(quits.ends(), (Some(1), OLD.to_owned()));

    let mut interrupts = Session::begin(node);
    interrupts.sees(QUESTION);
    interrupts.types("\u{3}");
    assert_eq!(interrupts.ends(), (Some(130), OLD.to_owned()));
    assert_eq!(history(), "");

    let mut yes = Session::begin(node);
    yes.sees(QUESTION);
    yes.types("yes\n");
    yes.sees("Healed");
    let (code, now) = yes.ends();
    assert_eq!(code, Some(0));
    assert!(!now.contains("true"), "{now}");
    assert!(history().contains("  healed  "), "{}", history());
}
