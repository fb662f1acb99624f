//! A run changes nothing on the host.

use crate::live::doctor::{install, run, run_as};
use crate::live::needs_a_lab;
use lab::Lab;

/// Prints everything that a run could change: files with size and time, namespaces, firewall rules, containers, networks,
/// sysctls, links. Files that the engine writes continuously (raft, logs) are left out.
const SNAPSHOT: &str = r#"
    find / -xdev \( -path /proc -o -path /sys -o -path /run/lab -o -path '/var/log' \) -prune -o \
        -printf '%p %y %m %U:%G %s %T@\n' 2>/dev/null | sort
    find /var/lib/docker /etc/docker /root /tmp \( -path '*/raft' -o -path '*/worker' -o -path '*/rootfs' \) -prune -o \
        -printf '%p %y %m %U:%G %s %T@\n' 2>/dev/null | sort
    ls /run/docker/netns
    # How many packets a rule has seen is no change.
    nft --stateless list ruleset
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
    // A dry run and a declined fix change nothing either.
    assert!(node.exec(&["swarm-doctor", "run", "--fix=destructive", "--dry-run"]).unwrap().success());
    assert_eq!(node.exec(&["swarm-doctor", "run", "--fix"]).unwrap().status.code(), Some(5));
    same(&before, &node.shell(SNAPSHOT, &[]).unwrap());

    // The same with several findings.
    let ill = r#"echo '{ "live-restore": true }' > /etc/docker/daemon.json
        echo 0 > /proc/sys/net/ipv4/ip_forward
        nft add table inet own; nft add chain inet own in '{ type filter hook input priority 0; }'
        nft add rule inet own in udp dport 7946 drop"#;
    node.shell(ill, &[]).unwrap();
    let causes = || run(node).causes().iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert!(causes().len() >= 2, "{:?}", causes());
    let before = node.shell(SNAPSHOT, &[]).unwrap();
    for flags in [
        vec![],
        vec!["--dry-run"],
        vec!["--fix=destructive", "--dry-run"],
        vec!["--emit-script", "/run/lab/plan"],
    ] {
        let output = node.exec(&[&["swarm-doctor", "run"][..], &flags].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {}{}", output.stdout, output.stderr);
    }
    same(&before, &node.shell(SNAPSHOT, &[]).unwrap());
}

#[test]
fn a_script_from_bundles_fixes_only_the_nodes_on_which_it_runs() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let (manager, worker) = (lab.node("node1"), lab.node("node2"));
    install(manager);
    install(worker);
    worker.shell("echo 0 > /proc/sys/net/ipv4/ip_forward", &[]).unwrap();
    let bundle = |node: &lab::Node| {
        node.exec(&["swarm-doctor", "run", "--save", "/run/own.tar.zst"]).unwrap();
        node.read_file("/run/own.tar.zst").unwrap()
    };
    let (one, other) = (bundle(manager), bundle(worker));
    manager.write_file("/run/1.tar.zst", one).unwrap();
    manager.write_file("/run/2.tar.zst", other).unwrap();
    let emit = [
        "host/ip-forward-off",
        "--bundle",
        "/run/1.tar.zst",
        "--bundle",
        "/run/2.tar.zst",
        "--emit-script",
        "/run/plan.sh",
    ];
    let output = manager.exec(&[&["swarm-doctor", "run"][..], &emit].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}{}", output.stdout, output.stderr);
    let script = manager.read_file("/run/plan.sh").unwrap();
    assert!(manager.shell("sh /run/plan.sh", &[]).unwrap().contains("nothing to do on node1"));
    assert_eq!(run(worker).causes(), ["host/ip-forward-off"]);
    worker.write_file("/run/plan.sh", script).unwrap();
    worker.shell("sh /run/plan.sh", &[]).unwrap();
    assert_eq!(run(worker).causes(), Vec::<&str>::new());
}

fn same(before: &str, after: &str) {
    let gone: Vec<_> = before.lines().filter(|line| !after.contains(line)).collect();
    let come: Vec<_> = after.lines().filter(|line| !before.contains(line)).collect();
    assert!(before == after, "gone: {gone:#?}\ncome: {come:#?}");
}
