//! A fix that is killed, at every step of its way and at any moment: what it changed is the old or the new, never
//! between, and the next fix ends in a clean state.

use crate::doctor::install;
use crate::needs_a_lab;
use lab::{Lab, Node};
use std::time::Duration;

/// What a fix does to files, to processes and to itself: it is killed on its way into each such call.
const CALLS: [&str; 11] = [
    "mkdir",
    "flock",
    "fsync",
    "fdatasync",
    "fchmod",
    "link",
    "linkat",
    "rename",
    "unlink",
    "unlinkat",
    "kill",
];
/// More kills at any moment; `SWARM_DOCTOR_KILLS` asks for more.
const AT_ANY_MOMENT: u64 = 20;

const OLD: &str = "{\n\t\"debug\": false,\n\t\"live-restore\": true\n}\n";
const NEW: &str = "{\n\t\"debug\": false,\n\t\"live-restore\": false\n}\n";

fn kills() -> u64 {
    std::env::var("SWARM_DOCTOR_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(AT_ANY_MOMENT)
}

/// Fixes until it is killed; whether it was.
fn killed(node: &Node, how: &[&str]) -> bool {
    let fix = ["swarm-doctor", "run", "--fix=safe", "--yes"];
    let output =
        node.command(&[how, &fix].concat()).unwrap().timeout(Duration::from_secs(120)).run().unwrap();
    !output.stdout.contains(" healthy · ") && !output.stdout.contains(" healthy | ")
}

/// Makes it ill, kills the fix, looks, and lets a second one end what the first began.
fn each_kill(node: &Node, ill: &dyn Fn(), well: &dyn Fn(&str)) -> (u64, u64) {
    let (mut boundaries, mut moments) = (0, 0);
    let kill = |how: &[&str], name: &str| {
        node.remove_file("/var/lib/swarm-doctor").unwrap();
        ill();
        let was = killed(node, how);
        well(&format!("{name}, before"));
        let second = node.exec(&["swarm-doctor", "run", "--fix=safe", "--yes"]).unwrap();
        assert_eq!(second.status.code(), Some(0), "{name}: {}{}", second.stdout, second.stderr);
        well(name);
        let history = node.exec(&["swarm-doctor", "history"]).unwrap().stdout;
        assert!(!history.contains("interrupted") && !history.contains("not all"), "{name}: {history}");
        let left = node.shell("find / -xdev -name '.*.swarm-doctor'", &[]).unwrap();
        assert_eq!(left, "", "{name}");
        was
    };
    for call in CALLS {
        for number in 1.. {
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let how = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
            if !kill(&how, &format!("{call} {number}")) {
                break;
            }
            boundaries += 1;
        }
    }
    for number in 0..kills() {
        let seconds = format!("{:.3}", 0.02 + 0.013 * ((number * 37) % 61) as f64);
        moments += u64::from(kill(&["timeout", "-s", "KILL", &seconds], &format!("after {seconds} s")));
    }
    (boundaries, moments)
}

#[test]
fn a_killed_fix_leaves_the_old_or_the_new_and_the_next_one_ends_clean() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    if node.exec(&["strace", "-V"]).is_ok_and(|output| !output.success()) {
        println!("skipped: no strace");
        return;
    }
    let file = "/etc/docker/daemon.json";
    let ill = || node.write_file(file, OLD).unwrap();
    let well = |name: &str| {
        let now = String::from_utf8(node.read_file(file).unwrap()).unwrap();
        assert!(now == OLD || now == NEW, "{name}: {now}");
        assert!(name.ends_with("before") || now == NEW, "{name}: {now}");
    };
    let (boundaries, moments) = each_kill(node, &ill, &well);
    println!("daemon.json: {boundaries} kills at a boundary, {moments} at any moment");
    assert!(boundaries > 10);

    let ingress = || node.docker(&["network", "ls", "-q", "--filter", "name=ingress"]).unwrap();
    let ill = || {
        drop(node.shell("docker network rm ingress <<END\ny\nEND\nuntil ! docker network ls | grep -qw ingress; do sleep 0.1; done", &[]))
    };
    let well = |name: &str| assert!(name.ends_with("before") || !ingress().is_empty(), "{name}");
    let (boundaries, moments) = each_kill(node, &ill, &well);
    println!("ingress: {boundaries} kills at a boundary, {moments} at any moment");
}
