//! Changing firewall rules through the program that manages them.

use super::saved::Saved;
use super::{Change, Operation, Planned};
use crate::fix::error::{FixError, Result};
use crate::fix::journal::Receipt;
use crate::fix::{FixContext, Level};
use checks::FirewallChange;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time limit of one program; firewalld writes and loads its rules before it answers.
const LIMIT: Duration = Duration::from_secs(30);

/// One change, as one program with its arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct FirewallEdit {
    argv: Vec<String>,
    /// The command that shows whether the change is in effect; `None` if no program does.
    applied: Option<Query>,
    inverse: Inverse,
    /// The files in which a firewall program stores its rules.
    store: Option<RuleStore>,
}

/// A command that shows whether a change is in effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Query {
    /// This program succeeds.
    Succeeds(Vec<String>),
    /// This program ends with status 1, which means no.
    EndsWithNo(Vec<String>),
    /// ufw lists, or does not list, this rule.
    Ufw { rule: String, listed: bool },
    /// nft lists, or does not list, this rule.
    Nft { rule: NftRule, listed: bool },
}

/// How a change is reverted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Inverse {
    /// By a program.
    Run(Vec<String>),
    /// By inserting a rule of nft.
    NftInsert(NftRule),
    /// By deleting a rule of nft.
    NftDelete(NftRule),
}

/// A rule of nft and its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NftRule {
    /// Family, table and chain.
    chain: [String; 3],
    /// The rule as nft lists it.
    rule: String,
    /// The handle of the next rule.
    next: Option<u64>,
}

/// The files in which a program stores its rules. A program that reverts a change writes the same rules in another form;
/// where the rules are the old ones, the old files come back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RuleStore {
    files: Vec<(PathBuf, Saved)>,
    /// What lists the rules.
    list: Vec<String>,
    /// What it lists before the change.
    rules: String,
}

pub(super) fn plan(
    planned: &mut Planned,
    changes: &[FirewallChange],
    context: &FixContext<'_>,
) -> Result<()> {
    for change in changes {
        let change = verbatim(change, context);
        let edit = FirewallEdit::of(&change, context)?;
        let in_effect = match &edit.applied {
            // An iptables rule that is inserted first must be first, wherever else it stands.
            Some(_)
                if matches!(
                    change,
                    FirewallChange::IptablesInsert { .. } | FirewallChange::NftInsert { .. }
                ) =>
            {
                false
            }
            Some(query) => query.answer(context)?,
            None => false,
        };
        if in_effect
            && matches!(change, FirewallChange::IptablesDelete { .. } | FirewallChange::NftDelete { .. })
        {
            let command = change.command();
            return Err(FixError::Refused(format!(
                "the rule no longer exists: `{command}` would have no effect"
            )));
        }
        if !in_effect {
            planned.push(Operation::Firewall(edit));
        }
    }
    Ok(())
}

fn run(argv: &[String], context: &FixContext<'_>) -> Result<String> {
    context.system.run(argv, LIMIT)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl FirewallEdit {
    fn of(change: &FirewallChange, context: &FixContext<'_>) -> Result<Self> {
        let argv = change.argv();
        let replaced = |from: &str, to: &str| -> Vec<String> {
            argv.iter().map(|word| word.replacen(from, to, 1)).collect()
        };
        let back = Inverse::Run(change.inverse().unwrap_or_default());
        let (applied, inverse, store) = match change {
            FirewallChange::IptablesDelete { program, table, chain, rule, .. } => {
                (Some(Query::EndsWithNo(exists(program, table, chain, rule))), back, None)
            }
            FirewallChange::IptablesInsert { program, table, chain, rule } => {
                (Some(Query::Succeeds(exists(program, table, chain, rule))), back, None)
            }
            FirewallChange::NftDelete { chain, handle } => {
                let rules = nft_rules(chain, context)?;
                let at = rules.iter().position(|(_, number)| number == handle).ok_or_else(|| {
                    let command = change.command();
                    FixError::Refused(format!("the rule no longer exists: `{command}` would have no effect"))
                })?;
                let next = rules.get(at + 1).map(|(_, number)| *number);
                let rule = NftRule { chain: chain.clone(), rule: rules[at].0.clone(), next };
                (Some(Query::Nft { rule: rule.clone(), listed: false }), Inverse::NftInsert(rule), None)
            }
            FirewallChange::NftInsert { chain, rule, .. } => {
                let rule = NftRule { chain: chain.clone(), rule: rule.join(" "), next: None };
                (Some(Query::Nft { rule: rule.clone(), listed: true }), Inverse::NftDelete(rule), None)
            }
            FirewallChange::FirewalldPort { zone, permanent, .. } => {
                let query = Query::Succeeds(replaced("--add-port=", "--query-port="));
                (Some(query), back, RuleStore::of_zone(*permanent, zone.as_deref(), context)?)
            }
            FirewallChange::FirewalldRichRule { zone, permanent, .. } => {
                let query = Query::EndsWithNo(replaced("--remove-rich-rule=", "--query-rich-rule="));
                (Some(query), back, RuleStore::of_zone(*permanent, zone.as_deref(), context)?)
            }
            FirewallChange::FirewalldInterface { zone, interface, permanent } => {
                let query = Query::Succeeds(replaced("--change-interface=", "--query-interface="));
                let back = zone_of(interface, *permanent, context).map_or(back, |before| {
                    let mut argv = words(&["firewall-cmd"]);
                    argv.extend(permanent.then(|| "--permanent".to_owned()));
                    argv.extend([format!("--zone={before}"), format!("--change-interface={interface}")]);
                    Inverse::Run(argv)
                });
                (Some(query), back, RuleStore::of_zone(*permanent, Some(zone), context)?)
            }
            FirewallChange::UfwAllow { first: true, .. } if ufw_lists(&ufw_rule(&argv), context)? => {
                let why =
                    "ufw already has this rule after the rule that denies it; see `ufw status numbered`";
                return Err(FixError::Refused(why.into()));
            }
            FirewallChange::UfwRoute { .. } | FirewallChange::UfwAllow { .. } => {
                let query = Query::Ufw { rule: ufw_rule(&argv), listed: true };
                (Some(query), back, Some(RuleStore::of_ufw(context)?))
            }
            FirewallChange::UfwDelete { .. } => {
                let query = Query::Ufw { rule: ufw_rule(&argv), listed: false };
                (Some(query), back, Some(RuleStore::of_ufw(context)?))
            }
        };
        Ok(Self { argv, applied, inverse, store })
    }

    /// Whether it is in effect; true if no program shows it.
    fn in_effect(&self, context: &FixContext<'_>) -> Result<bool> {
        self.applied.as_ref().map_or(Ok(true), |query| query.answer(context))
    }
}

impl Query {
    fn answer(&self, context: &FixContext<'_>) -> Result<bool> {
        match self {
            Self::Succeeds(argv) => match run(argv, context) {
                Ok(_) => Ok(true),
                Err(error) if error.exited_with(1) => Ok(false),
                Err(error) => Err(error),
            },
            Self::EndsWithNo(argv) => match run(argv, context) {
                Ok(_) => Ok(false),
                Err(error) if error.exited_with(1) => Ok(true),
                Err(error) => Err(error),
            },
            Self::Ufw { rule, listed } => Ok(ufw_lists(rule, context)? == *listed),
            Self::Nft { rule, listed } => Ok(rule.handle(context)?.is_some() == *listed),
        }
    }
}

impl Change for FirewallEdit {
    fn describe(&self) -> String {
        self.argv.iter().map(|word| checks::shell_quote(word)).collect::<Vec<_>>().join(" ")
    }

    fn describe_revert(&self) -> String {
        match &self.inverse {
            Inverse::Run(argv) => {
                argv.iter().map(|word| checks::shell_quote(word)).collect::<Vec<_>>().join(" ")
            }
            Inverse::NftInsert(rule) => format!("nft: insert again: {}", rule.rule),
            Inverse::NftDelete(rule) => format!("nft: delete: {}", rule.rule),
        }
    }

    fn level(&self) -> Level {
        Level::Safe
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn save(&mut self, receipt: &Receipt<'_>, _context: &FixContext<'_>) -> Result<()> {
        let files = self.store.iter_mut().flat_map(|store| &mut store.files);
        files.map(|(_, file)| file).try_for_each(|file| file.store(receipt))
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        run(&self.argv, context).map(drop)
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        self.in_effect(context)
    }

    async fn revert(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
        if self.in_effect(context)? {
            match &self.inverse {
                Inverse::Run(argv) => drop(run(argv, context)?),
                Inverse::NftInsert(rule) => rule.insert(context)?,
                Inverse::NftDelete(rule) => rule.delete(context)?,
            }
        }
        self.store.as_ref().map_or(Ok(()), |store| store.restore(saved, context))
    }
}

impl RuleStore {
    fn of_ufw(context: &FixContext<'_>) -> Result<Self> {
        let files = ["user.rules", "user6.rules"].map(|name| Path::new("/etc/ufw").join(name));
        Self::of(files, ufw_list(), context)
    }

    /// The files of a zone of firewalld, which only a permanent change writes.
    fn of_zone(permanent: bool, zone: Option<&str>, context: &FixContext<'_>) -> Result<Option<Self>> {
        if !permanent {
            return Ok(None);
        }
        let zone = match zone {
            Some(zone) => zone.to_owned(),
            None => run(&words(&["firewall-cmd", "--get-default-zone"]), context)?.trim().to_owned(),
        };
        let list = words(&["firewall-cmd", "--permanent", &format!("--zone={zone}"), "--list-all"]);
        let file = |end| Path::new("/etc/firewalld/zones").join(format!("{zone}.{end}"));
        Self::of(["xml", "xml.old"].map(file), list, context).map(Some)
    }

    fn of(paths: [PathBuf; 2], list: Vec<String>, context: &FixContext<'_>) -> Result<Self> {
        let rules = run(&list, context)?;
        let mut files = Vec::new();
        for path in paths {
            let content = Saved::of(context.system.config(&path)?);
            files.push((path, content));
        }
        Ok(Self { files, list, rules })
    }

    /// Puts the old files back where the rules are the old ones.
    fn restore(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
        if run(&self.list, context)? != self.rules {
            return Ok(());
        }
        for (path, content) in &self.files {
            let now = context.system.config(path)?;
            if !content.is(now.as_deref()) {
                context.system.replace(path, now.as_deref(), content.load(saved, context)?.as_deref())?;
            }
        }
        Ok(())
    }
}

/// The change with its iptables rule in the form that iptables lists, which holds comments and an order.
fn verbatim(change: &FirewallChange, context: &FixContext<'_>) -> FirewallChange {
    let FirewallChange::IptablesDelete { program, table, chain, rule, number } = change else {
        return change.clone();
    };
    let argv = words(&[program, "-t", table, "-S", chain, &number.to_string()]);
    let listed = run(&argv, context).map(|text| shlex::split(text.trim()).unwrap_or_default());
    let listed = listed.unwrap_or_default();
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

/// What a rule does: without comments, match modules and defaults.
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

/// What succeeds while iptables has a rule, and ends with status 1 while it does not.
fn exists(program: &str, table: &str, chain: &str, rule: &[String]) -> Vec<String> {
    let mut argv = words(&[program, "-t", table, "-C", chain]);
    argv.extend(rule.iter().cloned());
    argv
}

fn zone_of(interface: &str, permanent: bool, context: &FixContext<'_>) -> Option<String> {
    let mut argv = words(&["firewall-cmd"]);
    argv.extend(permanent.then(|| "--permanent".to_owned()));
    argv.push(format!("--get-zone-of-interface={interface}"));
    // It goes back to the zone that it is taken from, or to none.
    run(&argv, context).ok().map(|zone| zone.trim().to_owned())
}

/// What lists ufw's rules as the commands that make them.
fn ufw_list() -> Vec<String> {
    words(&["ufw", "show", "added"])
}

/// The rule that a command of ufw adds or deletes, as ufw lists it.
fn ufw_rule(argv: &[String]) -> String {
    let of_rule = |word: &&String| !["delete", "insert", "1"].contains(&word.as_str());
    argv.iter().filter(of_rule).cloned().collect::<Vec<_>>().join(" ")
}

fn ufw_lists(rule: &str, context: &FixContext<'_>) -> Result<bool> {
    Ok(run(&ufw_list(), context)?.lines().any(|line| line == rule))
}

impl NftRule {
    /// Inserts it where it stood, unless it is there.
    fn insert(&self, context: &FixContext<'_>) -> Result<()> {
        let rules = nft_rules(&self.chain, context)?;
        let [family, table, chain] = self.chain.clone();
        let listed = |next: &u64| rules.iter().any(|(_, number)| number == next);
        let mut argv = match self.next.filter(listed) {
            Some(next) => {
                words(&["nft", "insert", "rule", &family, &table, &chain, "handle", &next.to_string()])
            }
            None => words(&["nft", "add", "rule", &family, &table, &chain]),
        };
        argv.push(self.rule.clone());
        run(&argv, context).map(drop)
    }

    fn delete(&self, context: &FixContext<'_>) -> Result<()> {
        let Some(handle) = self.handle(context)? else { return Ok(()) };
        let [family, table, chain] = &self.chain;
        let argv = ["nft", "delete", "rule", family, table, chain, "handle", &handle.to_string()];
        run(&words(&argv), context).map(drop)
    }

    fn handle(&self, context: &FixContext<'_>) -> Result<Option<u64>> {
        // nft lists names in quotes, however they were given.
        let plain = |rule: &str| rule.replace('"', "");
        let rules = nft_rules(&self.chain, context)?;
        Ok(rules.iter().find(|(rule, _)| plain(rule) == plain(&self.rule)).map(|(_, handle)| *handle))
    }
}

/// The rules of a chain as nft lists them, with their handles.
fn nft_rules(chain: &[String; 3], context: &FixContext<'_>) -> Result<Vec<(String, u64)>> {
    let mut argv = words(&["nft", "--handle", "--stateless", "list", "chain"]);
    argv.extend(chain.iter().cloned());
    let text = run(&argv, context)?;
    let rule = |line: &str| {
        let (rule, handle) = line.trim().rsplit_once(" # handle ")?;
        let inside = !rule.ends_with('{');
        inside.then_some((rule.to_owned(), handle.parse().ok()?))
    };
    Ok(text.lines().filter_map(rule).collect())
}

#[cfg(test)]
mod tests {
    use super::essence;

    #[test]
    fn a_rule_is_identified_by_what_it_does() {
        let split = |text: &str| shlex::split(text).unwrap();
        let listed = split(
            r#"-p tcp -m comment --comment "see \"7\", then" -m tcp --dport 2377 -s 192.0.2.1/32 -j REJECT --reject-with icmp-port-unreachable"#,
        );
        assert_eq!(listed[5], "see \"7\", then");
        assert_eq!(essence(&listed), essence(&split("-s 192.0.2.1 -p tcp --dport 2377 -j REJECT")));
        assert_ne!(essence(&listed), essence(&split("-s 192.0.2.2 -p tcp --dport 2377 -j REJECT")));
        assert_ne!(essence(&listed), essence(&split("-p tcp --dport 2377 -j REJECT")));
    }
}
