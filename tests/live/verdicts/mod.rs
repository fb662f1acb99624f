//! The doctor's verdict on a firewall ruleset, compared with what the kernel does with real packets.
//!
//! Each ruleset is random, from a seed: `SWARM_DOCTOR_SEED=N SWARM_DOCTOR_RULESETS=COUNT` tries others.

mod daemons;
mod dice;
mod forwarded;
mod iptables;
mod nft;
mod wire;

use dice::Dice;
use facts::Need;
use facts::firewall::{Flow, Location, Outcome, Ruleset, evaluate};
use facts::host::Protocol;
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use swarm_doctor::collect::{Endpoint, Options, Session};
use wire::{Machine, Question, Seen, Wire};

const OWN: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const PEERS: [&str; 3] = ["192.0.2.2", "192.0.2.66", "2001:db8::2"];
/// Number of rulesets in CI, without those of daemons.
const RULESETS: u64 = 320;
/// Number of rulesets for forwarded packets.
const FORWARDED: u64 = 120;
/// Rulesets per pair of hosts; more would run out of source ports.
const ON_ONE_WIRE: usize = 100;

/// The tool that loads the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tool {
    Nft,
    IptablesNft,
    IptablesLegacy,
    /// iptables-legacy together with nftables.
    Both,
    Firewalld,
    Ufw,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nft => "nft",
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
            Self::Both => "iptables-legacy and nft",
            Self::Firewalld => "firewalld",
            Self::Ufw => "ufw",
        })
    }
}

/// The results of the rulesets of one tool.
#[derive(Default)]
struct Tally {
    rulesets: usize,
    /// Rulesets that the tool refused.
    refused: usize,
    questions: usize,
    open: usize,
    /// Undecided verdicts by reason, with their number.
    on: BTreeMap<String, usize>,
    notified: usize,
    /// Rules that were reported as decisive and counted the packets.
    named: usize,
    contradictions: Vec<String>,
}

/// A daemon, its test function, and its minimum number of rulesets.
type Daemon = (Tool, fn(&[u64], &mut Tally), usize);

/// The family, the table, and the handle of a rule of nftables.
type RuleName = (String, String, u64);

/// The verdict on a connection or a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Comes,
    /// It is blocked; the sender is notified or not, if known.
    Ends {
        notified: Option<bool>,
        by: String,
        rule: Option<RuleName>,
    },
    Open(String),
}

#[test]
fn the_kernel_does_what_the_doctor_says() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    let number = |name: &str| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let (first, count) = (number("SWARM_DOCTOR_SEED").unwrap_or(1), number("SWARM_DOCTOR_RULESETS"));
    let mut of_tool: BTreeMap<Tool, Vec<u64>> = BTreeMap::new();
    for seed in first..first + count.unwrap_or(RULESETS) {
        let tool =
            [Tool::Nft, Tool::IptablesNft, Tool::Nft, Tool::IptablesLegacy, Tool::Both][(seed % 5) as usize];
        of_tool.entry(tool).or_default().push(seed);
    }
    let began = Instant::now();
    let mut tallies: BTreeMap<Tool, Tally> = BTreeMap::new();
    let made_by_chance = |seeds: &BTreeMap<Tool, Vec<u64>>| {
        let mut tallies = BTreeMap::new();
        for (tool, seeds) in seeds {
            let tally: &mut Tally = tallies.entry(*tool).or_default();
            for seeds in seeds.chunks(ON_ONE_WIRE) {
                let mut wire = Wire::new(&addresses(&OWN), &addresses(&PEERS)).unwrap();
                for seed in seeds {
                    let name = format!("SWARM_DOCTOR_SEED={seed} SWARM_DOCTOR_RULESETS=1 ({tool})");
                    match load(&wire.here, *tool, *seed) {
                        Ok(text) => compare(&mut wire, &format!("{name}\n{text}"), tally),
                        Err((text, why)) => {
                            tally.refused += 1;
                            println!("{name} is refused: {why}\n{text}");
                        }
                    }
                }
            }
        }
        tallies
    };
    let daemons: [Daemon; 2] = [(Tool::Firewalld, daemons::firewalld, 10), (Tool::Ufw, daemons::ufw, 8)];
    let missing = lab::missing();
    if !missing.is_empty() {
        println!("skipped: firewalld and ufw: {}", missing.join(", "));
    }
    std::thread::scope(|scope| {
        let of_daemons =
            daemons.iter().filter(|_| missing.is_empty() && count != Some(1)).map(|(tool, run, few)| {
                let seeds: Vec<u64> =
                    (first..).take((count.unwrap_or(RULESETS) as usize / 32).max(*few)).collect();
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    run(&seeds, &mut tally);
                    (*tool, tally)
                })
            });
        let of_daemons: Vec<_> = of_daemons.collect();
        tallies.extend(made_by_chance(&of_tool));
        tallies.extend(of_daemons.into_iter().map(|one| one.join().unwrap()));
    });
    print_table(&tallies);
    println!("{} s", began.elapsed().as_secs());
    hold(&tallies);
}

#[test]
fn the_kernel_forwards_what_the_doctor_says() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    let number = |name: &str| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let (first, count) = (number("SWARM_DOCTOR_SEED").unwrap_or(1), number("SWARM_DOCTOR_RULESETS"));
    let mut tallies: BTreeMap<Tool, Tally> = BTreeMap::new();
    for (at, tool) in [Tool::Nft, Tool::IptablesNft, Tool::IptablesLegacy].into_iter().enumerate() {
        let tally = tallies.entry(tool).or_default();
        let wire = || Wire::new(&addresses(&OWN[..1]), &addresses(&PEERS[..2]))?.with_one_behind();
        let mut wire = wire().unwrap();
        let seeds = first..first + count.unwrap_or(FORWARDED);
        for seed in seeds.filter(|seed| seed % 3 == at as u64) {
            let name = format!("SWARM_DOCTOR_SEED={seed} SWARM_DOCTOR_RULESETS=1 ({tool}, forwarded)");
            match forwarded::load(&wire.here, tool, seed) {
                Ok(text) => compare(&mut wire, &format!("{name}\n{text}"), tally),
                Err((text, why)) => {
                    tally.refused += 1;
                    println!("{name} is refused: {why}\n{text}");
                }
            }
        }
    }
    print_table(&tallies);
    hold(&tallies);
}

/// Prints the results.
fn print_table(tallies: &BTreeMap<Tool, Tally>) {
    println!(
        "{:24} {:>8} {:>7} {:>9} {:>6} {:>6} {:>11}",
        "tool", "rulesets", "refused", "questions", "notified", "named", "cannot tell"
    );
    for (tool, tally) in tallies {
        let share = 100.0 * tally.open as f64 / tally.questions.max(1) as f64;
        println!(
            "{:24} {:>8} {:>7} {:>9} {:>6} {:>6} {share:>10.1}%",
            tool.to_string(),
            tally.rulesets,
            tally.refused,
            tally.questions,
            tally.notified,
            tally.named
        );
        for (on, times) in &tally.on {
            println!("    {times:>6} {on}");
        }
    }
}

/// Fails if a verdict was wrong or too many rulesets were refused.
fn hold(tallies: &BTreeMap<Tool, Tally>) {
    let wrong: Vec<_> = tallies.values().flat_map(|tally| &tally.contradictions).collect();
    for one in wrong.iter().take(5) {
        println!("{one}\n");
    }
    assert!(wrong.is_empty(), "{} contradictions", wrong.len());
    for (tool, tally) in tallies {
        assert!(tally.refused * 20 <= tally.rulesets, "{tool} takes too few rulesets");
    }
}

fn addresses(written: &[&str]) -> Vec<IpAddr> {
    written.iter().map(|addr| addr.parse().unwrap()).collect()
}

/// Loads the ruleset of a seed with a tool; returns the ruleset, and the error if it was refused.
fn load(machine: &Machine, tool: Tool, seed: u64) -> Result<String, (String, String)> {
    let mut dice = Dice::new(seed);
    let mut text = String::new();
    let mut run = |words: &'static [&'static str], input: String| {
        let (input, done) = without_what_is_refused(machine, words, input);
        text += &format!("# {}\n{input}", words.join(" "));
        done.map_err(|why| (text.clone(), why))
    };
    if tool != Tool::Nft {
        // Without ipset, rules that match a set are refused and left out.
        drop(machine.run(&["ipset", "restore"], iptables::SETS.into()));
    }
    if matches!(tool, Tool::IptablesLegacy | Tool::Both) {
        // Flush tables that the ruleset does not contain.
        let whole = |given: String| {
            ["raw", "mangle", "nat", "filter"].iter().fold(given.clone(), |text, table| {
                match given.contains(&format!("*{table}\n")) {
                    true => text,
                    false => format!("{text}*{table}\n{}COMMIT\n", accepting(table)),
                }
            })
        };
        run(&["iptables-legacy-restore"], whole(iptables::ruleset(&mut dice, false)))?;
        run(&["ip6tables-legacy-restore"], whole(iptables::ruleset(&mut dice, true)))?;
    }
    match tool {
        Tool::Nft | Tool::Both => run(&["nft", "-f", "-"], nft::ruleset(&mut dice))?,
        Tool::IptablesNft => {
            machine.run(&["nft", "-f", "-"], "flush ruleset\n".into()).unwrap();
            run(&["iptables-nft-restore"], iptables::ruleset(&mut dice, false))?;
            run(&["ip6tables-nft-restore"], iptables::ruleset(&mut dice, true))?;
        }
        Tool::IptablesLegacy | Tool::Firewalld | Tool::Ufw => {}
    }
    Ok(text)
}

/// Feeds a text to a program, and again without the lines that it refuses.
fn without_what_is_refused(
    machine: &Machine,
    words: &'static [&'static str],
    text: String,
) -> (String, Result<(), String>) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    loop {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let why = match machine.run(words, text.clone()) {
            Ok(_) => return (text, Ok(())),
            Err(why) => why,
        };
        let number = ["/dev/stdin:", "at line: ", "line "].iter().find_map(|before| {
            let digits = why.split_once(before)?.1.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse::<usize>().ok()
        });
        match number.and_then(|number| lines.get_mut(number - 1)) {
            Some(line) if line.starts_with("-A") || words[0] == "nft" && !line.contains("chain") => {
                println!("left out: {line}: {}", why.lines().next().unwrap_or_default());
                line.clear();
            }
            _ => return (text, Err(why)),
        }
    }
}

fn accepting(table: &str) -> String {
    let chains: &[&str] = match table {
        "raw" => &["PREROUTING", "OUTPUT"],
        "filter" => &["INPUT", "FORWARD", "OUTPUT"],
        "nat" => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        _ => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
    };
    chains.iter().map(|chain| format!(":{chain} ACCEPT [0:0]\n")).collect()
}

/// The rules as the doctor collects them.
fn collected(machine: &Machine) -> Ruleset {
    machine.run_in(|| {
        let options = Options {
            endpoint: Endpoint::resolve(Some("unix:///run/docker.sock"), None, &|_| None).unwrap(),
            engine_named: false,
            root: PathBuf::from("/"),
            daemon_json: None,
            since: Duration::ZERO,
            request_deadline: Duration::from_secs(1),
            probe_deadline: Duration::from_secs(1),
            deadline: Duration::from_secs(20),
            join: None,
            apps: BTreeMap::new(),
            stack: None,
            listen: Duration::ZERO,
            needs: vec![Need::Firewall],
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let session = Session::new(options);
        let artifact = &runtime.block_on(session.artifacts(Need::Firewall))[0];
        let content = artifact.content.as_ref().unwrap_or_else(|| panic!("{:?}", artifact.entry));
        serde_json::from_slice(content).unwrap()
    })
}

/// Compares the doctor's verdict and the kernel for every packet.
fn compare(wire: &mut Wire, name: &str, tally: &mut Tally) {
    let rules = collected(&wire.here);
    let questions = wire.questions();
    let said: Vec<_> = questions.iter().map(|asked| said(&rules, wire, asked)).collect();
    let comes: Vec<_> = said.iter().map(|said| *said == Said::Comes).collect();
    let seen = wire.send(&questions, &comes);
    tally.rulesets += 1;
    let counted = counted(&wire.here);
    let mut named: BTreeMap<&RuleName, u64> = BTreeMap::new();
    for said in &said {
        if let Said::Ends { rule: Some(rule), .. } = said {
            *named.entry(rule).or_default() += 1;
        }
    }
    for (rule, times) in named {
        if let Some(packets) = counted.get(rule) {
            tally.named += 1;
            if packets < &times {
                tally
                    .contradictions
                    .push(format!("{rule:?} is named {times} times and counted {packets}: {name}"));
            }
        }
    }
    for ((asked, said), seen) in questions.iter().zip(&said).zip(seen) {
        tally.questions += 1;
        let holds = match said {
            Said::Comes => seen == Seen::Came,
            Said::Ends { notified: Some(false), .. } => seen == Seen::Lost,
            // The ICMP error or RST may be dropped as well.
            Said::Ends { .. } => seen != Seen::Came,
            Said::Open(on) => {
                tally.open += 1;
                *tally.on.entry(on.clone()).or_default() += 1;
                true
            }
        };
        tally.notified +=
            usize::from(matches!(said, Said::Ends { notified: Some(true), .. }) && seen == Seen::Notified);
        if !holds {
            tally.contradictions.push(format!("{asked:?}: said {said:?}, seen {seen:?}: {name}"));
        }
    }
}

/// The packet counter of each nftables rule that has one.
fn counted(machine: &Machine) -> BTreeMap<RuleName, u64> {
    let listed = machine.run(&["nft", "-j", "list", "ruleset"], String::new()).unwrap_or_default();
    let listed: Value = serde_json::from_str(&listed).unwrap_or_default();
    let rules = listed["nftables"].as_array().into_iter().flatten().filter_map(|one| one.get("rule"));
    let counter = |rule: &Value| {
        let packets =
            rule["expr"].as_array()?.iter().rev().find_map(|expr| expr["counter"]["packets"].as_u64())?;
        let text = |key: &str| rule[key].as_str().map(str::to_owned);
        Some(((text("family")?, text("table")?, rule["handle"].as_u64()?), packets))
    };
    rules.filter_map(counter).collect()
}

fn said(rules: &Ruleset, wire: &Wire, asked: &Question) -> Said {
    let by = |place: &Location<'_>| {
        let rule = place.rule.map_or_else(|| "policy".to_owned(), |(_, rule)| rule.as_nft(place.table));
        format!("{} {} {}: {rule}", place.table.family, place.table.name, place.chain.name)
    };
    match evaluate(rules, &wire.packet(asked, Flow::New)) {
        Outcome::Blocked { location: place, rejected, maybe_dropped_earlier } => {
            let rule = place.rule.filter(|_| !maybe_dropped_earlier && !place.table.legacy);
            let rule =
                rule.map(|(_, rule)| (place.table.family.to_string(), place.table.name.clone(), rule.handle));
            Said::Ends {
                notified: (!maybe_dropped_earlier).then_some(rejected.is_some()),
                by: by(&place),
                rule,
            }
        }
        Outcome::Undetermined { depends_on: on, .. } => Said::Open(on),
        Outcome::Redirected { how, .. } => Said::Open(how.to_owned()),
        // A connection needs more than its first packet, and the client does not see which of them was dropped.
        Outcome::Passes if asked.protocol == Protocol::Tcp => {
            let mut said = Said::Comes;
            for flow in [Flow::Answer, Flow::Further] {
                match evaluate(rules, &wire.packet(asked, flow)) {
                    Outcome::Passes => {}
                    Outcome::Blocked { location: place, .. } => {
                        return Said::Ends { notified: None, by: by(&place), rule: None };
                    }
                    Outcome::Undetermined { depends_on: on, .. } => said = Said::Open(on),
                    Outcome::Redirected { how, .. } => said = Said::Open(how.to_owned()),
                }
            }
            said
        }
        Outcome::Passes => Said::Comes,
    }
}
