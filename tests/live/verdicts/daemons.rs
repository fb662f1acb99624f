//! Random configurations of firewalld and ufw.

use super::dice::Dice;
use super::wire::{Machine, Wire};
use super::{OWN, PEERS, Tally, addresses, compare};
use lab::{Lab, Node};

const PORT: &[&str] = &[
    "22/tcp",
    "2377/tcp",
    "7946/tcp",
    "7946/udp",
    "4789/udp",
    "2376-2378/tcp",
    "7000-8000/udp",
    "1-65535/udp",
];
const SOURCE: &[&str] = &["192.0.2.2", "192.0.2.66", "192.0.2.64/27", "203.0.113.0/24", "192.0.2.0/24"];

/// Two nodes without engines; the firewall is on the first one.
fn nodes() -> (Lab, Wire) {
    let lab = Lab::builder().nodes(2).no_engine().up().unwrap();
    let machine = |node: &Node| Machine::of(node.pid1().unwrap()).unwrap();
    let wire = Wire::between(
        machine(lab.node("node1")),
        machine(lab.node("node2")),
        &addresses(&OWN),
        &addresses(&PEERS),
    );
    (lab, wire)
}

/// Runs firewalld and loads one random set of zones after the other.
pub(super) fn firewalld(seeds: &[u64], tally: &mut Tally) {
    let (lab, mut wire) = nodes();
    let node = lab.node("node1");
    node.shell("lab-firewalld", &[]).unwrap();
    for seed in seeds {
        let (zones, panic) = zones(&mut Dice::new(*seed));
        for (name, text) in &zones {
            node.write_file(&format!("/etc/firewalld/zones/{name}.xml"), text.as_bytes()).unwrap();
        }
        node.shell("firewall-cmd -q --reload", &[]).unwrap();
        if panic {
            node.shell("firewall-cmd -q --panic-on", &[]).unwrap();
        }
        compare(&mut wire, &format!("firewalld {seed}: {zones:?} panic {panic}"), tally);
        node.shell(
            "rm -rf /etc/firewalld/zones; if [ $1 = true ]; then firewall-cmd -q --panic-off; fi",
            &[&panic.to_string()],
        )
        .unwrap();
    }
    node.shell("lab-firewalld stop", &[]).unwrap();
}

/// Zones as firewalld stores them, and whether panic mode is on.
fn zones(dice: &mut Dice) -> (Vec<(&'static str, String)>, bool) {
    let zone = |dice: &mut Dice, bound: String| {
        let target =
            dice.one(&["", "", "", " target=\"DROP\"", " target=\"ACCEPT\"", " target=\"%%REJECT%%\""]);
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<zone{target}>\n<short>lab</short>\n{bound}"
        );
        let mut said: Vec<&str> = Vec::new();
        for _ in 0..dice.below(5) {
            let port = dice.one(PORT);
            if said.contains(&port) {
                continue;
            }
            said.push(port);
            let (number, protocol) = port.split_once('/').unwrap();
            text += &format!("<port port=\"{number}\" protocol=\"{protocol}\"/>\n");
        }
        for service in ["ssh", "docker-swarm", "dns"] {
            if dice.percent(30) {
                text += &format!("<service name=\"{service}\"/>\n");
            }
        }
        for _ in 0..dice.below(4) {
            let (number, protocol) = dice.one(PORT).split_once('/').unwrap();
            let source = match dice.below(3) {
                0 => String::new(),
                1 => format!("<source address=\"{}\"/>", dice.one(SOURCE)),
                _ => format!("<source address=\"{}\" invert=\"True\"/>", dice.one(SOURCE)),
            };
            let family = if source.is_empty() && dice.percent(50) { "" } else { " family=\"ipv4\"" };
            let first = if dice.percent(30) { " priority=\"-10\"" } else { "" };
            let done = dice.one(&[
                "<accept/>",
                "<drop/>",
                "<reject/>",
                "<reject type=\"icmp-admin-prohibited\"/>",
                "<log prefix=\"x\"/><accept/>",
            ]);
            let done = if family.is_empty() {
                done.replace(" type=\"icmp-admin-prohibited\"", "")
            } else {
                done.to_owned()
            };
            text += &format!(
                "<rule{family}{first}>{source}<port port=\"{number}\" protocol=\"{protocol}\"/>{done}</rule>\n"
            );
        }
        text + "</zone>\n"
    };
    let mut zones = vec![("public", zone(dice, String::new()))];
    if dice.percent(50) {
        let source = format!("<source address=\"{}\"/>\n", dice.one(SOURCE));
        zones.push(("internal", zone(dice, source)));
    }
    if dice.percent(30) {
        zones.push(("work", zone(dice, "<interface name=\"eth0\"/>\n".into())));
    }
    (zones, dice.percent(10))
}

/// Loads one random set of ufw rules after the other.
pub(super) fn ufw(seeds: &[u64], tally: &mut Tally) {
    let (lab, mut wire) = nodes();
    let node = lab.node("node1");
    for seed in seeds {
        let script = rules(&mut Dice::new(*seed));
        node.shell(&script, &[]).unwrap();
        compare(&mut wire, &format!("ufw {seed}: {script}"), tally);
        node.shell("ufw --force reset", &[]).unwrap();
    }
}

fn rules(dice: &mut Dice) -> String {
    let mut script = String::new();
    for way in ["incoming", "outgoing"] {
        if dice.percent(40) {
            script += &format!("ufw default {} {way}\n", dice.one(&["allow", "deny", "reject"]));
        }
    }
    for _ in 0..=dice.below(4) {
        let (number, protocol) = dice.one(PORT).split_once('/').unwrap();
        let number = number.replace('-', ":");
        let deed = dice.one(&["allow", "allow", "deny", "reject", "limit", "allow in on eth0", "deny out"]);
        let from = match dice.below(2) {
            0 => "any",
            _ => dice.one(SOURCE),
        };
        let from = if deed == "deny out" { "any" } else { from };
        script += &format!("ufw {deed} proto {protocol} from {from} to any port {number}\n");
    }
    script + "ufw --force enable\n"
}
