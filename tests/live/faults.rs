//! One real fault at a time in a real swarm: the first thing the doctor says has to name it, and nothing may be
//! said once it is healed.

use crate::doctor::{install, run};
use crate::needs_a_lab;
use lab::{Lab, Node};
use std::time::Duration;

/// A fault: where it is made and healed, where the doctor stands, and what it has to say first.
struct Fault {
    name: &'static str,
    /// Made and healed by shell scripts on this node.
    on: &'static str,
    make: &'static str,
    heal: &'static str,
    /// Where the doctor runs.
    from: &'static str,
    /// The check that has to be first, and a word that its finding has to hold.
    expect: (&'static str, &'static str),
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "the manager drops 2377/tcp",
        on: "node1",
        make: "iptables -I INPUT -i eth0 -p tcp --dport 2377 -j DROP",
        heal: "iptables -D INPUT -i eth0 -p tcp --dport 2377 -j DROP",
        from: "node2",
        expect: ("network/manager-port-blocked", "dropped"),
    },
    Fault {
        name: "the manager rejects 2377/tcp as firewalld does",
        on: "node1",
        make: "iptables -I INPUT -i eth0 -p tcp --dport 2377 -j REJECT --reject-with icmp-host-prohibited",
        heal: "iptables -D INPUT -i eth0 -p tcp --dport 2377 -j REJECT --reject-with icmp-host-prohibited",
        from: "node3",
        expect: ("network/manager-port-blocked", "rejected"),
    },
    Fault {
        name: "a worker drops 7946/tcp",
        on: "node2",
        make: "iptables -I INPUT -i eth0 -p tcp --dport 7946 -j DROP",
        heal: "iptables -D INPUT -i eth0 -p tcp --dport 7946 -j DROP",
        from: "node1",
        expect: ("network/gossip-port-blocked", "7946/tcp from node1 to node2"),
    },
    Fault {
        name: "a worker lets no 7946/tcp out",
        on: "node3",
        make: "iptables -I OUTPUT -o eth0 -p tcp --dport 7946 -j DROP",
        heal: "iptables -D OUTPUT -o eth0 -p tcp --dport 7946 -j DROP",
        from: "node3",
        expect: ("network/gossip-port-blocked", "this machine's own firewall"),
    },
    Fault {
        name: "a worker resets 7946/tcp, seen from another worker",
        on: "node2",
        make: "iptables -I INPUT -i eth0 -p tcp --dport 7946 -j REJECT --reject-with tcp-reset",
        heal: "iptables -D INPUT -i eth0 -p tcp --dport 7946 -j REJECT --reject-with tcp-reset",
        from: "node3",
        expect: ("network/gossip-port-blocked", "refused"),
    },
    Fault {
        name: "a worker drops 7946/udp",
        on: "node2",
        make: "iptables -I INPUT -i eth0 -p udp --dport 7946 -j DROP",
        heal: "iptables -D INPUT -i eth0 -p udp --dport 7946 -j DROP",
        from: "node1",
        expect: ("network/gossip-port-blocked", "7946/udp between node1 and node2"),
    },
    Fault {
        name: "forwarding is turned off",
        on: "node2",
        make: "echo 0 > /proc/sys/net/ipv4/ip_forward",
        heal: "echo 1 > /proc/sys/net/ipv4/ip_forward",
        from: "node2",
        expect: ("host/ip-forward-off", "ip_forward is 0"),
    },
    Fault {
        name: "live restore is reloaded into a running engine",
        on: "node2",
        make: r#"echo '{"live-restore": true}' > /etc/docker/daemon.json; kill -HUP "$(cat /run/docker.pid)""#,
        heal: r#"echo '{"live-restore": false}' > /etc/docker/daemon.json; kill -HUP "$(cat /run/docker.pid)""#,
        from: "node2",
        expect: ("engine/live-restore", "will not survive its next start"),
    },
    Fault {
        name: "daemon.json has a comma too many",
        on: "node3",
        make: r#"printf '{\n  "debug": false,\n}\n' > /etc/docker/daemon.json"#,
        heal: "rm /etc/docker/daemon.json",
        from: "node3",
        expect: ("engine/daemon-json-malformed", "line 3, column 1"),
    },
    Fault {
        name: "the ingress network is removed",
        on: "node1",
        make: "echo y | docker network rm ingress",
        heal: "docker network create --driver overlay --ingress ingress",
        from: "node1",
        expect: ("network/ingress-missing", "no ingress network"),
    },
    Fault {
        name: "a service's hostname is its own name, with two replicas",
        on: "node1",
        make: "docker network create -d overlay app; docker service create -q --no-resolve-image --network app \
               --name nifi --hostname nifi --mode global lab/busybox:1 sleep 100000",
        heal: "docker service rm nifi; while ! docker network rm app; do sleep 0.2; done",
        from: "node2",
        expect: ("dns/vip-pinned-in-hosts", "for everyone else"),
    },
    Fault {
        name: "a second manager is promoted",
        on: "node1",
        make: "docker node promote node2",
        heal: "docker node demote node2",
        from: "node1",
        expect: ("swarm/even-managers", "2 managers bear the loss of 0"),
    },
    Fault {
        name: "a worker's engine is killed",
        on: "node3",
        make: r#"kill -9 "$(cat /run/docker.pid)""#,
        heal: "true",
        from: "node1",
        expect: ("swarm/node-down", "node3"),
    },
];

#[test]
fn each_fault_is_named_first_and_health_is_silent_after_it() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(2).up().unwrap();
    for node in lab.nodes() {
        install(node);
    }
    for fault in FAULTS {
        let (on, from) = (lab.node(fault.on), lab.node(fault.from));
        println!("{}", fault.name);
        on.shell(fault.make, &[]).unwrap_or_else(|error| panic!("{}: {error:#}", fault.name));
        named_first(&lab, from, fault.name, fault.expect);
        on.shell(fault.heal, &[]).unwrap_or_else(|error| panic!("{}: {error:#}", fault.name));
        if !on.engine_answers() {
            on.start_engine(&[]).unwrap();
        }
        for node in lab.nodes() {
            healthy_again(&lab, node, fault.name);
        }
    }
}

#[test]
fn a_worker_whose_address_changed() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let worker = lab.node("node2");
    install(worker);
    worker.stop_engine().unwrap();
    worker.shell("ip addr flush dev eth0; ip addr add 192.0.2.44/24 dev eth0", &[]).unwrap();
    worker.start_engine(&[]).unwrap();
    named_first(&lab, worker, "stale address", ("swarm/stale-advertise-addr", "advertises 192.0.2.2"));
    // With the engine off, the files tell.
    worker.stop_engine().unwrap();
    let report = run(worker);
    assert!(report.causes().contains(&"swarm/stale-advertise-addr"), "{:?}", report.causes());
}

#[test]
fn a_manager_that_restarts_locked() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let manager = lab.node("node1");
    install(manager);
    manager.docker(&["swarm", "update", "--autolock=true"]).unwrap();
    manager.stop_engine().unwrap();
    manager.start_engine(&[]).unwrap();
    named_first(&lab, manager, "locked", ("swarm/locked", "locked"));
}

#[test]
fn an_engine_that_dies_of_live_restore_and_a_port_that_is_taken() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    node.stop_engine().unwrap();
    node.write_file("/etc/docker/daemon.json", "{\n  \"live-restore\": true\n}\n").unwrap();
    assert!(node.start_engine(&[]).is_err(), "the engine started with live restore");
    named_first(&lab, node, "dead of live restore", ("engine/live-restore", "cannot start"));
    node.remove_file("/etc/docker/daemon.json").unwrap();
    // Somebody else is quicker to 7946.
    let listen = "use IO::Socket::INET; my $held = IO::Socket::INET->new(LocalPort => 7946, Listen => 1) or die; sleep 300";
    let taker = node.command(&["perl", "-e", listen]).unwrap();
    let mut taker = taker.into_std().spawn().unwrap();
    let taken = || Ok(node.shell("cat /proc/net/tcp", &[])?.contains(":1F0A "));
    lab.wait("taken port", Duration::from_secs(10), taken).unwrap();
    node.start_engine(&[]).unwrap();
    named_first(&lab, node, "port taken", ("network/port-taken", "7946/tcp"));
    taker.kill().unwrap();
    taker.wait().unwrap();
}

#[test]
fn a_manager_that_is_cut_off_is_not_told_to_found_a_new_cluster() {
    needs_a_lab!();
    let lab = Lab::builder().managers(3).up().unwrap();
    let (leader, cut) = (lab.node("node1"), lab.node("node2"));
    install(leader);
    install(cut);
    cut.shell("iptables -I INPUT -i eth0 -p tcp --dport 2377 -j DROP", &[]).unwrap();
    // The leader names the port, before raft gives the manager up and after.
    let port = ("network/manager-port-blocked", "2377/tcp from node1 to manager node2");
    named_first(&lab, leader, "manager cut off", port);
    let statuses = || leader.docker(&["node", "ls", "--format", "{{.ManagerStatus}}"]);
    lab.wait("unreachable manager", Duration::from_secs(90), || Ok(statuses()?.contains("Unreachable")))
        .unwrap();
    named_first(&lab, leader, "manager cut off and unreachable", port);
    // The one that is cut off sees no leader. There is one, and a second would split the swarm.
    named_first(&lab, cut, "no leader in sight", ("swarm/lost-quorum", "this manager sees no leader"));
    let report = run(cut);
    assert!(!report.json.to_string().contains("--force-new-cluster"), "{:#}", report.json["findings"]);
}

#[test]
fn a_quorum_that_is_lost() {
    needs_a_lab!();
    let lab = Lab::builder().managers(3).workers(1).up().unwrap();
    let (left, worker) = (lab.node("node1"), lab.node("node4"));
    install(left);
    install(worker);
    lab.node("node2").power_off().unwrap();
    lab.node("node3").power_off().unwrap();
    named_first(&lab, left, "lost quorum", ("swarm/lost-quorum", "1 of 3 answer and 2 are needed"));
    // A worker's engine does not say it, and it shows from there all the same.
    named_first(&lab, worker, "lost quorum", ("swarm/lost-quorum", "1 of 3 answer and 2 are needed"));
}

/// Waits until the doctor says it first; faults take their time to show.
fn named_first(lab: &Lab, node: &Node, name: &str, (check, word): (&str, &str)) {
    let mut last = String::new();
    let named = lab.wait(name, Duration::from_secs(75), || {
        let report = run(node);
        last = report.first();
        Ok(report.causes().first() == Some(&check) && last.contains(word))
    });
    assert!(named.is_ok(), "{name}: {check} with {word:?} was to be first, and the doctor says {last:?}");
}

fn healthy_again(lab: &Lab, node: &Node, name: &str) {
    let mut last = String::new();
    let healthy = lab.wait(name, Duration::from_secs(90), || {
        let report = run(node);
        last = report.first();
        Ok(report.causes().is_empty() && report.exit == 0)
    });
    assert!(healthy.is_ok(), "{name} was healed, and {} still says {last:?}", node.name());
}
