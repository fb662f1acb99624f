//! The dialogue of `--fix` on a terminal: yes, no, show, quit, and Ctrl-C.

use crate::live::doctor::install;
use crate::live::needs_a_lab;
use lab::{Lab, Node};
use std::io::Write as _;
use std::process::{Child, ChildStdin, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const FILE: &str = "/etc/docker/daemon.json";
const OLD: &str = "{\n  \"live-restore\": true\n}\n";
const QUESTION: &str = "Apply this fix on node1? [y/n/s/q/?]";

/// A fix on a pseudo-terminal.
struct Session<'a> {
    node: &'a Node,
    child: Child,
    keys: ChildStdin,
    seen: usize,
}

impl<'a> Session<'a> {
    fn begin(node: &'a Node) -> Self {
        node.write_file(FILE, OLD).unwrap();
        Self::of(node, "engine/live-restore")
    }

    fn of(node: &'a Node, check: &str) -> Self {
        node.remove_file("/var/lib/swarm-doctor").unwrap();
        node.write_file("/run/screen", "").unwrap();
        let words = ["script", "-qefc", &format!("swarm-doctor fix {check}"), "/run/screen"];
        let mut command = node.command(&words).unwrap().into_std();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let keys = child.stdin.take().unwrap();
        Self { node, child, keys, seen: 0 }
    }

    /// Waits until this text appears after the previously awaited one.
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

    /// The exit code, and the content of the file afterwards.
    fn ends(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, String::from_utf8(self.node.read_file(FILE).unwrap()).unwrap())
    }
}

#[test]
fn each_answer_of_the_dialogue_has_its_effect() {
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
    no.sees("Operations, in order");
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
    assert!(history().contains("No fixes are recorded"), "{}", history());

    let mut yes = Session::begin(node);
    yes.sees(QUESTION);
    yes.types("yes\n");
    yes.sees("Fixed");
    let (code, now) = yes.ends();
    assert_eq!(code, Some(0));
    assert!(!now.contains("true"), "{now}");
    assert!(history().contains("  fixed  "), "{}", history());
}

#[test]
fn changes_between_the_plan_and_the_answer_lose_nothing() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    if !node.exec(&["script", "--version"]).is_ok_and(|output| output.success()) {
        println!("skipped: no script, which opens a terminal");
        return;
    }
    let history = || node.exec(&["swarm-doctor", "history"]).unwrap().stdout;

    // Another program changes the file.
    let mut late = Session::begin(node);
    late.sees(QUESTION);
    let other = OLD.replace('}', ", \"debug\": true }");
    node.write_file(FILE, other.as_str()).unwrap();
    late.types("y\n");
    late.sees("was changed by another program");
    // A started fix that failed has a separate exit code.
    assert_eq!(late.ends(), (Some(5), other));
    assert!(history().contains("  rolled back  "), "{}", history());

    // A second doctor runs at the same time.
    let mut first = Session::begin(node);
    first.sees(QUESTION);
    let second = node.exec(&["swarm-doctor", "run", "--fix=safe", "--yes"]).unwrap();
    assert_eq!(second.status.code(), Some(5), "{}{}", second.stdout, second.stderr);
    assert!(second.stderr.contains("is changing this node"), "{}", second.stderr);
    assert_eq!(String::from_utf8(node.read_file(FILE).unwrap()).unwrap(), OLD);
    first.types("y\n");
    first.sees("Fixed");
    assert_eq!(first.ends().0, Some(0));

    // The engine is killed before the fix sends its request.
    let ingress = "docker network rm ingress <<END\ny\nEND\nuntil ! docker network ls | grep -qw ingress; do sleep 0.1; done";
    node.shell(ingress, &[]).unwrap();
    let mut dies = Session::of(node, "network/ingress-missing");
    dies.sees(QUESTION);
    node.kill_engine().unwrap();
    dies.types("y\n");
    dies.sees("the engine does not answer");
    dies.child.kill().unwrap();
    dies.child.wait().unwrap();
    // Whether the request took effect is visible in the engine only.
    assert!(!history().contains("interrupted"), "{}", history());
    node.start_engine(&[]).unwrap();
    let after = node.exec(&["swarm-doctor", "run", "--fix=safe", "--yes"]).unwrap();
    assert_eq!(after.status.code(), Some(0), "{}{}", after.stdout, after.stderr);
    assert!(!node.docker(&["network", "ls", "-q", "--filter", "name=ingress"]).unwrap().is_empty());
}
