//! The packet filter, through the program that keeps its rules.

use super::act::Undo;
use super::file::{self, FileChange};
use super::journal::{self, Receipt};
use super::program;
use checks::FirewallChange;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most that one program may take; firewalld writes and loads its rules before it answers.
const DEADLINE: Duration = Duration::from_secs(30);

/// A rule of nft, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NftRule {
    /// Family, table and chain.
    chain: [String; 3],
    /// The rule, as nft lists it.
    rule: String,
    /// The rule behind it, where there is one.
    next: Option<u64>,
}

/// The files in which a program keeps its rules, and what it makes of them. A program that takes a change back writes the
/// same meaning in other words; where the meaning is the old one, the old words can come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Each with its copy beside the journal; none where there was no file.
    files: Vec<(PathBuf, Option<String>)>,
    /// What the program is asked for the meaning.
    asked: Vec<String>,
    /// What it answered.
    answer: String,
}

impl Kept {
    /// The files of ufw's own rules.
    fn of_ufw(receipt: &Receipt) -> Result<Self, String> {
        let files = ["user.rules", "user6.rules"].map(|name| Path::new("/etc/ufw").join(name));
        Self::of(files, added(), receipt)
    }

    /// The files of a zone of firewalld.
    fn of_zone(zone: Option<&str>, receipt: &Receipt) -> Result<Self, String> {
        let asked = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
        let zone = match zone {
            Some(zone) => zone.to_owned(),
            None => run(&asked(&["firewall-cmd", "--get-default-zone"]))?.trim().to_owned(),
        };
        let asked = asked(&["firewall-cmd", "--permanent", &format!("--zone={zone}"), "--list-all"]);
        let file = |end| Path::new("/etc/firewalld/zones").join(format!("{zone}.{end}"));
        Self::of(["xml", "xml.old"].map(file), asked, receipt)
    }

    fn of(paths: [PathBuf; 2], asked: Vec<String>, receipt: &Receipt) -> Result<Self, String> {
        let answer = run(&asked)?;
        let mut files = Vec::new();
        for path in paths {
            let copy = file::content(&path)?.map(|content| receipt.keep(&content)).transpose()?;
            files.push((path, copy));
        }
        Ok(Self { files, asked, answer })
    }

    /// Puts the old words back, where the meaning is the old one.
    pub(super) fn restore(&self, kept: &Path) -> Result<(), String> {
        if run(&self.asked)? != self.answer {
            return Ok(());
        }
        for (path, copy) in &self.files {
            let after = copy.as_ref().map(|name| journal::kept(kept, name)).transpose()?;
            FileChange { path: path.clone(), before: file::content(path)?, after }.make()?;
        }
        Ok(())
    }
}

/// Runs a program of a packet filter.
pub(super) fn run(argv: &[String]) -> Result<String, String> {
    program::run(argv, DEADLINE)
}

/// Does it.
pub(super) fn open(opening: &FirewallChange) -> Result<(), String> {
    run(&opening.argv()).map(drop)
}

/// Whether it is so already, and there is nothing to do and nothing to take back.
pub(super) fn is_open(opening: &FirewallChange) -> bool {
    let argv = opening.argv();
    match opening {
        FirewallChange::FirewalldPort { .. } => {
            let query =
                argv.iter().map(|word| word.replacen("--add-port=", "--query-port=", 1)).collect::<Vec<_>>();
            run(&query).is_ok()
        }
        FirewallChange::FirewalldRichRule { .. } => {
            let query = |word: &String| word.replacen("--remove-rich-rule=", "--query-rich-rule=", 1);
            // firewalld answers with the one word; where it cannot be asked, the attempt tells.
            run(&argv.iter().map(query).collect::<Vec<_>>()).is_err_and(|why| why.ends_with(": no"))
        }
        FirewallChange::FirewalldInterface { .. } => {
            let query = |word: &String| word.replacen("--change-interface=", "--query-interface=", 1);
            run(&argv.iter().map(query).collect::<Vec<_>>()).is_ok()
        }
        FirewallChange::UfwRoute { .. } | FirewallChange::UfwAllow { first: false, .. } => is_added(opening),
        FirewallChange::UfwDelete { .. } => !is_added(opening),
        _ => false,
    }
}

/// The opening, with the rule that it takes out in the words of iptables: they hold comments, and an order that counts.
pub(super) fn verbatim(opening: &FirewallChange) -> FirewallChange {
    let FirewallChange::IptablesDelete { program, table, chain, rule, number } = opening else {
        return opening.clone();
    };
    let number_word = number.to_string();
    let argv = [*program, "-t", table, "-S", chain, &number_word].map(str::to_owned);
    let listed = run(&argv).map(|text| split(text.trim())).unwrap_or_default();
    let words = listed.get(2..).unwrap_or_default();
    let rule = if essence(words) == essence(rule) { words.to_vec() } else { rule.clone() };
    FirewallChange::IptablesDelete {
        program,
        table: table.clone(),
        chain: chain.clone(),
        rule,
        number: *number,
    }
}

/// What a rule does, without comments, the names of the parts that do it, and what goes without saying.
fn essence(rule: &[String]) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    let mut rest = rule.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "-m" | "--comment" => drop(rest.next()),
            "--reject-with" => words.extend(rest.next().filter(|kind| !kind.ends_with("port-unreachable"))),
            _ => words.push(word.strip_suffix("/32").unwrap_or(word)),
        }
    }
    words.sort_unstable();
    words
}

/// The words of a line as iptables writes it, where quotes hold some together and a backslash stands before others.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' => word.extend(chars.next()),
            ' ' if !quoted => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            char => word.push(char),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

/// What lists ufw's rules as the commands that make them.
fn added() -> Vec<String> {
    ["ufw", "show", "added"].map(str::to_owned).to_vec()
}

/// Whether ufw has the rule that an opening adds or deletes.
fn is_added(opening: &FirewallChange) -> bool {
    let argv = opening.argv();
    let rule = argv
        .iter()
        .filter(|word| !["delete", "insert", "1"].contains(&word.as_str()))
        .cloned()
        .collect::<Vec<_>>();
    run(&added()).is_ok_and(|rules| rules.lines().any(|line| line == rule.join(" ")))
}

/// How it will be taken back.
pub(super) fn undo(opening: &FirewallChange, receipt: &Receipt) -> Result<Undo, String> {
    let asked = |program: &str, table: &str, chain: &str, rule: &[String]| {
        let mut argv: Vec<String> = [program, "-t", table, "-C", chain].map(str::to_owned).to_vec();
        argv.extend(rule.iter().cloned());
        Some(argv)
    };
    let argv = opening.inverse().unwrap_or_default();
    Ok(match opening {
        FirewallChange::IptablesDelete { program, table, chain, rule, .. } => {
            let unneeded = asked(program, table, chain, rule);
            run(unneeded.as_deref().unwrap_or_default()).map_err(|_| gone(opening))?;
            Undo::Run { argv, needed: None, unneeded, kept: None }
        }
        FirewallChange::IptablesInsert { program, table, chain, rule } => {
            Undo::Run { argv, needed: asked(program, table, chain, rule), unneeded: None, kept: None }
        }
        FirewallChange::NftDelete { chain, handle } => {
            let rules = listed(chain)?;
            let at = rules.iter().position(|(_, number)| number == handle).ok_or_else(|| gone(opening))?;
            let next = rules.get(at + 1).map(|(_, number)| *number);
            Undo::NftPut(NftRule { chain: chain.clone(), rule: rules[at].0.clone(), next })
        }
        FirewallChange::NftInsert { chain, rule, .. } => {
            Undo::NftTake(NftRule { chain: chain.clone(), rule: rule.join(" "), next: None })
        }
        FirewallChange::FirewalldPort { zone, permanent: true, .. }
        | FirewallChange::FirewalldRichRule { zone, permanent: true, .. } => {
            let kept = Some(Kept::of_zone(zone.as_deref(), receipt)?);
            Undo::Run { argv, needed: None, unneeded: None, kept }
        }
        FirewallChange::FirewalldInterface { zone, interface, permanent } => {
            let permanently = permanent.then(|| "--permanent".to_owned());
            let mut asked = vec!["firewall-cmd".to_owned()];
            asked.extend(permanently.clone());
            asked.push(format!("--get-zone-of-interface={interface}"));
            // It goes back to the zone that it is taken from, or to none.
            let argv = match run(&asked) {
                Ok(before) => {
                    let mut back = vec!["firewall-cmd".to_owned()];
                    back.extend(permanently);
                    back.extend([
                        format!("--zone={}", before.trim()),
                        format!("--change-interface={interface}"),
                    ]);
                    back
                }
                Err(_) => argv,
            };
            let kept = permanent.then(|| Kept::of_zone(Some(zone), receipt)).transpose()?;
            Undo::Run { argv, needed: None, unneeded: None, kept }
        }
        FirewallChange::UfwAllow { first: true, .. } if is_added(opening) => {
            return Err(
                "ufw has that rule already, behind the one that forbids: see `ufw status numbered`".into()
            );
        }
        FirewallChange::UfwRoute { .. }
        | FirewallChange::UfwAllow { .. }
        | FirewallChange::UfwDelete { .. } => {
            let kept = Some(Kept::of_ufw(receipt)?);
            Undo::Run { argv, needed: None, unneeded: None, kept }
        }
        _ => Undo::Run { argv, needed: None, unneeded: None, kept: None },
    })
}

impl NftRule {
    /// Puts it back where it stood, unless it is there.
    pub(super) fn put(&self) -> Result<(), String> {
        let rules = listed(&self.chain)?;
        if rules.iter().any(|(rule, _)| *rule == self.rule) {
            return Ok(());
        }
        let [family, table, chain] = self.chain.clone();
        let mut argv = vec!["nft".to_owned()];
        let there = |next: &u64| rules.iter().any(|(_, number)| number == next);
        match self.next.filter(there) {
            Some(next) => {
                argv.extend([
                    "insert".into(),
                    "rule".into(),
                    family,
                    table,
                    chain,
                    "handle".into(),
                    next.to_string(),
                ]);
            }
            None => argv.extend(["add".into(), "rule".into(), family, table, chain]),
        }
        argv.push(self.rule.clone());
        run(&argv).map(drop)
    }

    /// Takes it out, where it is there.
    pub(super) fn take(&self) -> Result<(), String> {
        let rules = listed(&self.chain)?;
        // nft lists names in quotes, however they were given.
        let plain = |rule: &str| rule.replace('"', "");
        let Some((_, handle)) = rules.iter().find(|(rule, _)| plain(rule) == plain(&self.rule)) else {
            return Ok(());
        };
        open(&FirewallChange::NftDelete { chain: self.chain.clone(), handle: *handle })
    }
}

/// The rules of a chain, as nft lists them, with their handles.
fn listed(chain: &[String; 3]) -> Result<Vec<(String, u64)>, String> {
    let mut argv: Vec<String> =
        ["nft", "--handle", "--stateless", "list", "chain"].map(str::to_owned).to_vec();
    argv.extend(chain.iter().cloned());
    let text = run(&argv)?;
    let rule = |line: &str| {
        let (rule, handle) = line.trim().rsplit_once(" # handle ")?;
        let inside = !rule.ends_with('{');
        inside.then_some((rule.to_owned(), handle.parse().ok()?))
    };
    Ok(text.lines().filter_map(rule).collect())
}

fn gone(opening: &FirewallChange) -> String {
    format!("the rule is not there any more, so that `{}` would do nothing", opening.command())
}

#[cfg(test)]
mod tests {
    use super::{essence, split};

    #[test]
    fn a_rule_is_known_by_what_it_does() {
        let listed = split(
            r#"-p tcp -m comment --comment "see \"7\", then" -m tcp --dport 2377 -s 192.0.2.1/32 -j REJECT --reject-with icmp-port-unreachable"#,
        );
        assert_eq!(listed[5], "see \"7\", then");
        assert_eq!(essence(&listed), essence(&split("-s 192.0.2.1 -p tcp --dport 2377 -j REJECT")));
        assert_ne!(essence(&listed), essence(&split("-s 192.0.2.2 -p tcp --dport 2377 -j REJECT")));
        assert_ne!(essence(&listed), essence(&split("-p tcp --dport 2377 -j REJECT")));
    }
}
