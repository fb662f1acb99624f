//! A run changes nothing on the host.

use crate::doctor::{install, run, run_as};
use crate::needs_a_lab;
use lab::Lab;

/// What could betray a change: every file with its size and time, the namespaces, the rules, the containers, the
/// networks, the settings, the links. What the engine itself writes all the time, raft and logs, is left out.
const SNAPSHOT: &str = r#"
    find / -xdev \( -path /proc -o -path /sys -o -path /run/lab -o -path '/var/log' \) -prune -o \
        -printf '%p %y %m %U:%G %s %T@\n' 2>/dev/null | sort
    find /var/lib/docker /etc/docker /root /tmp \( -path '*/raft' -o -path '*/worker' -o -path '*/rootfs' \) -prune -o \
        -printf '%p %y %m %U:%G %s %T@\n' 2>/dev/null | sort
    ls /run/docker/netns
    nft list ruleset
    docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'
    docker network ls --no-trunc
    docker volume ls
    ip -o address
    ip -o link
    ip route show table all
    cat /proc/sys/net/ipv4/ip_forward /proc/mounts
"#;

#[test]
fn a_run_leaves_files_namespaces_rules_and_containers_as_they_were() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let node = lab.node("node1");
    let create = ["service", "create", "-q", "--no-resolve-image", "--name", "web", "--publish", "8080:80"];
    node.docker(&[&create[..], &["--mode", "global", lab::IMAGE, "sleep", "100000"]].concat()).unwrap();
    install(node);
    // The first run may find pages and caches of the engine still being written.
    run(node);
    let before = node.shell(SNAPSHOT, &[]).unwrap();
    assert!(
        before.contains("web") && before.contains("ingress_sbox") && before.contains("chain"),
        "{before}"
    );
    for _ in 0..3 {
        assert_eq!(run(node).exit, 0);
    }
    assert_eq!(run_as(node, &["--listen", "2s"], None).exit, 0);
    assert!(node.exec(&["swarm-doctor", "matrix"]).unwrap().status.success());
    // A fix that is only shown, and one that nobody agrees to, change as little.
    assert!(node.exec(&["swarm-doctor", "run", "--fix=destructive", "--dry-run"]).unwrap().success());
    assert_eq!(node.exec(&["swarm-doctor", "run", "--fix"]).unwrap().status.code(), Some(5));
    let after = node.shell(SNAPSHOT, &[]).unwrap();
    let gone: Vec<_> = before.lines().filter(|line| !after.contains(line)).collect();
    let come: Vec<_> = after.lines().filter(|line| !before.contains(line)).collect();
    assert!(before == after, "gone: {gone:#?}\ncome: {come:#?}");
}
