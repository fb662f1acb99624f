//! Fixes that cannot be applied: the reason is reported, and files stay unchanged.

use crate::live::doctor::install;
use crate::live::needs_a_lab;
use lab::{Lab, Node};

const OLD: &str = "{\n  \"live-restore\": true\n}\n";
const FILE: &str = "/etc/docker/daemon.json";

fn fix(node: &Node, flags: &[&str]) -> (i32, String) {
    let output = node.exec(&[&["swarm-doctor", "run", "--fix=safe", "--yes"], flags].concat()).unwrap();
    (output.status.code().unwrap_or(-1), format!("{}{}", output.stdout, output.stderr).replace("\n  ", " "))
}

#[test]
fn a_file_that_cannot_be_replaced_is_reported_and_stays_unchanged() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    // Setup, expected message, cleanup.
    let cases = [
        (
            "mv $F /etc/docker/real; ln -s real $F",
            "it is a symbolic link to real",
            "rm $F; mv /etc/docker/real $F",
        ),
        ("chown 4242 $F", "it belongs to the user 4242", "chown 0 $F"),
        ("ln $F /etc/docker/twin", "it has 2 hard links", "rm /etc/docker/twin"),
        (
            "mv /etc/docker /srv/docker; ln -s /srv/docker /etc/docker",
            "leads to /srv/docker",
            "rm /etc/docker; mv /srv/docker /etc/docker",
        ),
        (
            "mount --bind /etc/docker /etc/docker; mount -o remount,bind,ro /etc/docker",
            "Read-only file system",
            "umount /etc/docker",
        ),
        (
            "cp $F /run/kept; mount -t tmpfs -o size=4k,nr_inodes=3 tmpfs /etc/docker; cp /run/kept $F; : > /etc/docker/more",
            "No space left on device",
            "umount /etc/docker",
        ),
        (
            "mkdir -p /var/lib/swarm-doctor; mount -t tmpfs -o size=4k,mode=700,nr_inodes=2 tmpfs /var/lib/swarm-doctor",
            "Nothing is changed without a journal",
            "umount /var/lib/swarm-doctor",
        ),
        (
            "mkdir -p /var/lib/swarm-doctor; mount -t tmpfs -o size=4k,mode=700,nr_inodes=4 tmpfs /var/lib/swarm-doctor",
            "No space left on device",
            "umount /var/lib/swarm-doctor",
        ),
        (
            "mkdir -p /var/lib/swarm-doctor; chmod 777 /var/lib/swarm-doctor",
            "other users can write to it",
            "chmod 700 /var/lib/swarm-doctor",
        ),
        (
            "mkdir -p /var/lib/swarm-doctor; chmod 700 /var/lib/swarm-doctor; : > /var/lib/swarm-doctor/lock
             setsid --fork sh -c 'echo $$ > /run/holder; exec flock /var/lib/swarm-doctor/lock sleep 300' > /dev/null 2>&1
             until ! flock -n /var/lib/swarm-doctor/lock true; do sleep 0.1; done",
            "is changing this node",
            "kill -- -$(cat /run/holder); until flock -n /var/lib/swarm-doctor/lock true; do sleep 0.1; done",
        ),
    ];
    for (make, words, unmake) in cases {
        node.write_file(FILE, OLD).unwrap();
        node.shell(&format!("F={FILE}; {make}"), &[]).unwrap();
        let (exit, said) = fix(node, &[]);
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{make}: no {words:?} in {said}");
        assert!(exit == 1 || exit == 5, "{make}: {exit}: {said}");
        assert_eq!(String::from_utf8(node.read_file(FILE).unwrap()).unwrap(), OLD, "{make}");
        node.shell(&format!("F={FILE}; {unmake}"), &[]).unwrap();
        assert_eq!(node.shell("find /etc -name '.*.swarm-doctor'", &[]).unwrap(), "", "{make}");
    }
    // A directory instead of the file.
    node.shell(&format!("rm {FILE}; mkdir {FILE}"), &[]).unwrap();
    let (exit, said) = fix(node, &[]);
    assert!(exit != 0 && said.contains("it is a directory"), "{exit}: {said}");
    node.shell(&format!("rmdir {FILE}"), &[]).unwrap();
    // Owner and mode stay.
    node.write_file(FILE, OLD).unwrap();
    node.shell(&format!("chown 0:4242 {FILE}; chmod 640 {FILE}"), &[]).unwrap();
    let (exit, said) = fix(node, &[]);
    assert_eq!(exit, 0, "{said}");
    let mode = || node.shell(&format!("stat -c '%a %u:%g' {FILE}"), &[]).unwrap();
    assert_eq!(mode().trim(), "640 0:4242");
    let history = node.exec(&["swarm-doctor", "history"]).unwrap().stdout;
    assert!(!history.contains("interrupted"), "{history}");
    let receipt = history.lines().rfind(|line| line.contains("  fixed")).unwrap();
    let undo = ["swarm-doctor", "undo", receipt.split_whitespace().next().unwrap(), "--yes"];
    assert!(node.exec(&undo).unwrap().success());
    assert_eq!(mode().trim(), "640 0:4242");
    assert_eq!(String::from_utf8(node.read_file(FILE).unwrap()).unwrap(), OLD);
}

#[test]
fn without_a_terminal_and_yes_nothing_is_applied() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    node.write_file(FILE, OLD).unwrap();
    let output = node.exec(&["swarm-doctor", "run", "--fix"]).unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(output.stderr.contains("--fix=safe --yes"), "{}", output.stderr);
    for flags in [vec!["--dry-run"], vec!["--fix", "--emit-script", "/root/plan.sh"]] {
        let output = node.exec(&[&["swarm-doctor", "run"][..], &flags].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", output.stderr);
    }
    assert!(
        node.shell("sh -n /root/plan.sh; cat /root/plan.sh", &[])
            .unwrap()
            .contains("fix engine/live-restore safe")
    );
    assert_eq!(String::from_utf8(node.read_file(FILE).unwrap()).unwrap(), OLD);
    assert!(!node.exec(&["test", "-e", "/var/lib/swarm-doctor"]).unwrap().success());
    // Without a running engine there is nothing to reload; the file is changed all the same.
    node.kill_engine().unwrap();
    let output = node.exec(&["swarm-doctor", "fix", "engine/live-restore", "--yes"]).unwrap();
    assert!(output.stdout.contains("Fixed 1"), "{}{}", output.stdout, output.stderr);
}
