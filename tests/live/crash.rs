//! A fix that is killed at every system call and at arbitrary times: each file has the old or the new content, and the next
//! fix reaches a clean state.

use crate::live::doctor::install;
use crate::live::needs_a_lab;
use lab::{Lab, Node};
use std::time::{Duration, Instant};

/// System calls with which a fix changes files and processes: it is killed at the entry of each.
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
/// Default number of kills at arbitrary times; set with `SWARM_DOCTOR_KILLS`.
const KILLS: u64 = 20;

const OLD: &str = "{\n\t\"debug\": false,\n\t\"live-restore\": true\n}\n";
const NEW: &str = "{\n\t\"debug\": false,\n\t\"live-restore\": false\n}\n";

fn kills() -> u64 {
    std::env::var("SWARM_DOCTOR_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(KILLS)
}

/// Runs a fix under the program `how`, which kills it; whether it was killed.
fn killed(node: &Node, how: &[&str]) -> bool {
    let fix = ["swarm-doctor", "run", "--fix=safe", "--yes"];
    let output =
        node.command(&[how, &fix].concat()).unwrap().timeout(Duration::from_secs(120)).run().unwrap();
    !output.stdout.contains(" passed")
}

/// For each kill: injects the fault, kills the fix, verifies the state, and verifies it again after a second fix.
fn each_kill(node: &Node, inject: &dyn Fn(), verify: &dyn Fn(&str)) -> (u64, u64) {
    let (mut boundaries, mut moments) = (0, 0);
    inject();
    let began = Instant::now();
    killed(node, &[]);
    let whole = began.elapsed().as_secs_f64();
    let kill = |how: &[&str], name: &str| {
        node.remove_file("/var/lib/swarm-doctor").unwrap();
        inject();
        let was = killed(node, how);
        verify(&format!("{name}, before"));
        let second = node.exec(&["swarm-doctor", "run", "--fix=safe", "--yes"]).unwrap();
        assert_eq!(second.status.code(), Some(0), "{name}: {}{}", second.stdout, second.stderr);
        verify(name);
        let history = node.exec(&["swarm-doctor", "history"]).unwrap().stdout;
        assert!(!history.contains("interrupted") && !history.contains("partly"), "{name}: {history}");
        let left = node.shell("find / -xdev -name '.*.swarm-doctor'", &[]).unwrap();
        assert_eq!(left, "", "{name}");
        was
    };
    for call in CALLS {
        for number in 1.. {
            let option = format!("inject={call}:signal=KILL:when={number}");
            let how = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &option];
            if !kill(&how, &format!("{call} {number}")) {
                break;
            }
            boundaries += 1;
        }
    }
    for number in 0..kills() {
        let seconds = format!("{:.3}", whole * ((number * 37) % 61 + 1) as f64 / 64.0);
        moments += u64::from(kill(&["timeout", "-s", "KILL", &seconds], &format!("after {seconds} s")));
    }
    (boundaries, moments)
}

#[test]
fn a_killed_fix_leaves_old_or_new_content_and_the_next_fix_completes_it() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    if node.exec(&["strace", "-V"]).is_ok_and(|output| !output.success()) {
        println!("skipped: no strace");
        return;
    }
    let file = "/etc/docker/daemon.json";
    let inject = || node.write_file(file, OLD).unwrap();
    let verify = |name: &str| {
        let now = String::from_utf8(node.read_file(file).unwrap()).unwrap();
        assert!(now == OLD || now == NEW, "{name}: {now}");
        assert!(name.ends_with("before") || now == NEW, "{name}: {now}");
    };
    let (boundaries, moments) = each_kill(node, &inject, &verify);
    println!("daemon.json: {boundaries} kills at a boundary, {moments} at any moment");
    assert!(boundaries > 10);

    let ingress = || node.docker(&["network", "ls", "-q", "--filter", "name=ingress"]).unwrap();
    let inject = || {
        drop(node.shell("docker network rm ingress <<END\ny\nEND\nuntil ! docker network ls | grep -qw ingress; do sleep 0.1; done", &[]))
    };
    let verify = |name: &str| assert!(name.ends_with("before") || !ingress().is_empty(), "{name}");
    let (boundaries, moments) = each_kill(node, &inject, &verify);
    println!("ingress: {boundaries} kills at a boundary, {moments} at any moment");
}

#[test]
fn a_fix_killed_between_leave_and_join_is_completed_by_the_next_fix() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let (manager, node) = (lab.node("node1"), lab.node("node2"));
    install(node);
    let token = manager.docker(&["swarm", "join-token", "-q", "worker"]).unwrap();
    let check = "swarm/stale-advertise-addr";
    let fix = |limit: &str| {
        let fix = "swarm-doctor fix $2 --level destructive --yes --confirm $2=node2 --token-stdin";
        let script = format!("timeout -s KILL $1 {fix}");
        let command = node.command(&["sh", "-c", &script, "sh", limit, check]).unwrap();
        command.stdin(format!("{token}\n")).timeout(Duration::from_secs(300)).run().unwrap()
    };
    let reported =
        |what: &str| node.docker(&["info", "--format", &format!("{{{{.Swarm.{what}}}}}")]).unwrap();
    let inject = || {
        let join = "docker swarm leave --force; docker swarm join --advertise-addr 192.0.2.99 --token $1 192.0.2.1:2377";
        node.shell(join, &[&token]).unwrap();
        node.remove_file("/var/lib/swarm-doctor").unwrap();
    };
    inject();
    let began = Instant::now();
    let whole = fix("300");
    assert!(whole.stdout.contains("Fixed 1"), "{}{}", whole.stdout, whole.stderr);
    let whole = began.elapsed().as_secs_f64();
    let (mut cut, mut between) = (0, 0);
    for number in 0..kills() / 2 {
        inject();
        let seconds = format!("{:.3}", whole * ((number * 37) % 61 + 1) as f64 / 64.0);
        cut += u64::from(!fix(&seconds).stdout.contains("Fixed 1"));
        between += u64::from(reported("LocalNodeState") != "active");
        let second = fix("300");
        let said = format!("after {seconds} s: {}{}", second.stdout, second.stderr);
        assert_eq!(
            (reported("LocalNodeState").as_str(), reported("NodeAddr").as_str()),
            ("active", "192.0.2.2"),
            "{said}"
        );
        let history = node.exec(&["swarm-doctor", "history"]).unwrap().stdout;
        assert!(!history.contains("interrupted") && !history.contains("partly"), "{history} {said}");
        let left = node.shell("ls -d /var/lib/docker/swarm.* 2> /dev/null || true", &[]).unwrap();
        assert_eq!(left, "", "{said}");
    }
    println!("membership: {cut} kills, {between} of them between the two swarms");
    assert!(cut > 0);
}

#[test]
fn a_killed_force_new_cluster_is_completed_by_the_next_fix() {
    needs_a_lab!();
    // An engine that starts without a quorum needs 20 s to report it.
    let moments = usize::try_from(kills()).unwrap() / 50;
    if moments == 0 {
        println!("skipped: two minutes for each 50 of SWARM_DOCTOR_KILLS");
        return;
    }
    let lab = Lab::builder().managers(2).up().unwrap();
    let (node, other) = (lab.node("node1"), lab.node("node2"));
    install(node);
    let create = ["service", "create", "-q", "--detach", "--no-resolve-image", "--name", "kept", lab::IMAGE];
    node.docker(&[&create[..], &["sleep", "100000"]].concat()).unwrap();
    other.power_off().unwrap();
    let minute = Duration::from_secs(60);
    let services = || node.exec(&["docker", "service", "ls", "--format", "{{.Name}}"]);
    lab.wait("no leader", minute, || Ok(services()?.stderr.contains("leader"))).unwrap();
    node.stop_engine().unwrap();
    node.shell("cp -a /var/lib/docker/swarm /root/lost", &[]).unwrap();
    node.start_engine(&[]).unwrap();
    // Operations with the delay of the kill, in seconds after their journal record.
    let operations =
        [("new-cluster", 0.0), ("\"action\":\"start\"", 0.5), ("new-cluster", 0.3), ("state-copy", 0.0)];
    for (operation, seconds) in operations.iter().take(moments) {
        node.stop_engine().unwrap();
        node.shell("rm -rf /var/lib/docker/swarm; cp -a /root/lost /var/lib/docker/swarm", &[]).unwrap();
        node.remove_file("/var/lib/swarm-doctor").unwrap();
        node.start_engine(&[]).unwrap();
        lab.wait("no leader", minute, || Ok(services()?.stderr.contains("leader"))).unwrap();
        let confirm = "--level destructive --confirm swarm/lost-quorum=node1";
        let said = killed_at(node, &format!("swarm/lost-quorum {confirm}"), operation, *seconds);
        assert_eq!(services().unwrap().stdout, "kept\n", "{said}");
    }
}

/// Kills a fix `seconds` after the journal has recorded an operation, and completes it with a second fix; returns the
/// output.
fn killed_at(node: &Node, fix: &str, operation: &str, seconds: f64) -> String {
    let script = r#"swarm-doctor fix $1 --yes &
        until grep -qs "$2" /var/lib/swarm-doctor/receipts/*/journal; do sleep 0.01; done
        sleep $3; kill -KILL $!; swarm-doctor history; echo second
        swarm-doctor fix $1 --yes; echo history; swarm-doctor history"#;
    let command = node.command(&["sh", "-c", script, "sh", fix, operation, &seconds.to_string()]).unwrap();
    let output = command.timeout(Duration::from_secs(600)).run().unwrap();
    let said = format!("{operation} {seconds}: {}{}", output.stdout, output.stderr);
    let (first, rest) = output.stdout.split_once("second\n").unwrap();
    let (_, history) = rest.split_once("history\n").unwrap();
    assert!(first.contains("interrupted"), "{said}");
    assert!(history.contains("fixed"), "{said}");
    assert!(!history.contains("interrupted") && !history.contains("partly"), "{said}");
    said
}

#[test]
fn a_killed_node_removal_is_completed_by_the_next_fix() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let (node, worker) = (lab.node("node1"), lab.node("node2"));
    install(node);
    let token = node.docker(&["swarm", "join-token", "-q", "worker"]).unwrap();
    worker.shell("docker swarm leave; docker swarm join --token $1 192.0.2.1:2377", &[&token]).unwrap();
    let listed = || node.docker(&["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
    lab.wait("an old entry", Duration::from_secs(60), || Ok(listed()?.contains("node2 Down"))).unwrap();
    let said = killed_at(node, "swarm/node-down --level disruptive", "node-remove", 0.0);
    assert_eq!(listed().unwrap().lines().count(), 2, "{said}");
}
