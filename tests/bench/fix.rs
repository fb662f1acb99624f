//! A fault that the doctor heals : it is fixed, stays fixed when checked again, and what was done can be taken
//! back to the byte, or it was said before that it cannot.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::Node;
use serde::Serialize;

use crate::fault::{Expect, Fix};
use crate::report::Report;
use crate::scene::Scene;
use crate::words::Words;

/// How long the last traces of a fault may take to go.
const CLEAN: Duration = Duration::from_secs(90);
/// How long a fix may take.
const FIXING: Duration = Duration::from_secs(300);

/// What a fix could have changed: each file of the configuration, the rules and the settings.
const STATE: &str = r#"
    find /etc -xdev -type f ! -name '*.swarm-doctor' ! -path '/etc/docker/key.json' -exec sha256sum {} + | sort -k2
    find /etc -xdev -name '*.swarm-doctor'
    # An engine that starts puts its own rules elsewhere in the list, and some of them twice; with each network that it makes
    # it takes the way to the user's rules out and puts it first again.
    iptables-save | grep -v '^[#:]\|docker_gwbridge\|FORWARD -j DOCKER-USER$' | sort -u
    # firewalld keeps the chains of a zone that it once had a use for, and nothing leads there any more.
    idle='^$'
    if active=$(firewall-cmd --get-active-zones 2> /dev/null); then
        for zone in $(firewall-cmd --get-zones); do
            echo "$active" | grep -q "^$zone\b" || idle="$idle|_$zone(_| |;|$)"
        done
    fi
    nft --stateless list ruleset | grep -v docker_gwbridge | grep -vE "$idle" | sort -u
    cat /proc/sys/net/ipv4/ip_forward
    ip -brief -4 addr show dev eth0
    # A worker that is asked for services notes the refusal in its log.
    if [ "$(docker info --format '{{.Swarm.ControlAvailable}}' 2> /dev/null)" = true ]; then
        docker service ls -q | xargs -r docker service inspect --format '{{json .Spec}}'
    fi
"#;

/// What became of fixing a fault.
#[derive(Clone, Debug, Serialize)]
pub struct Fixed {
    /// The level that it took.
    pub level: String,
    /// How it was taken back.
    pub undone: Undone,
    /// How long the fix took.
    pub seconds: f64,
}

/// How a fix was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undone {
    /// To the byte.
    ToTheByte,
    /// It was said before that it cannot be.
    Final,
    /// What was done stays, as an engine that runs again does.
    Stays,
    /// Nothing was done, and rightly so.
    Refused,
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let undone = match self.undone {
            Undone::ToTheByte => "fixed, undone to the byte",
            Undone::Final => "fixed, final as it said",
            Undone::Stays => "fixed, nothing to undo",
            Undone::Refused => "refused",
        };
        write!(f, "{} {undone} {:.0} s", self.level, self.seconds)
    }
}

impl Fix {
    /// Fixes, looks, and unfixes.
    pub(crate) fn prove(&self, scene: &Scene, expect: &Expect, words: &Words) -> Result<Fixed> {
        let node = scene.lab.node(&expect.from);
        node.remove_file("/var/lib/swarm-doctor")?;
        let before = state(node)?;
        let began = Instant::now();
        let said = self.run(node, words)?;
        let seconds = began.elapsed().as_secs_f64();
        let fixed = |undone| Fixed { level: self.level.clone(), undone, seconds };
        if let Some(wanted) = &self.refused {
            ensure!(said.contains(wanted.as_str()), "no {wanted:?} in {said}");
            same(&before, &state(node)?)?;
            return Ok(fixed(Undone::Refused));
        }
        let history = node.exec(&["swarm-doctor", "history"])?.stdout;
        let receipts: Vec<&str> = history.lines().filter(|line| line.contains("  fixed")).collect();
        ensure!(!receipts.is_empty(), "nothing was fixed: {said}; history: {history:?}");
        let mut left = Vec::new();
        let clean = scene.lab.wait("silence", CLEAN, || {
            let report = Report::of(node, &[])?;
            left = report.lines();
            let check = expect.check.as_deref().unwrap_or_default();
            left.retain(|line| !self.leaves.as_ref().is_some_and(|leaves| line.starts_with(leaves)));
            // What is given up for good stays away, and is still missed.
            Ok(!left.iter().any(|line| line.starts_with(check) || (line.contains("(error)") && !self.last)))
        });
        clean.with_context(|| format!("after the fix is said {left:?}; the fix said {said}"))?;
        if let Some(script) = &self.then {
            let mut command = node.command(&["sh", "-euc", script])?;
            for (name, value) in words.iter() {
                command = command.env(name, value);
            }
            let output = command.run()?;
            ensure!(output.success(), "`{script}` afterwards: {}{}", output.stdout, output.stderr);
        }
        if self.last {
            ensure!(
                receipts.iter().any(|line| line.contains("cannot be undone")),
                "undo is offered: {history}"
            );
            return Ok(fixed(Undone::Final));
        }
        if receipts.iter().all(|line| line.contains("nothing to undo")) {
            return Ok(fixed(Undone::Stays));
        }
        for line in receipts.iter().rev() {
            let receipt = line.split_whitespace().next().unwrap_or_default();
            let confirm = format!("{receipt}={}", node.name());
            let undo =
                ["swarm-doctor", "undo", receipt, "--yes", "--level", "destructive", "--confirm", &confirm];
            let output = node.command(&undo)?.timeout(FIXING).run()?;
            ensure!(output.success(), "undo {receipt}: {}{}", output.stdout, output.stderr);
        }
        same(&before, &state(node)?)?;
        Ok(fixed(Undone::ToTheByte))
    }

    fn run(&self, node: &Node, words: &Words) -> Result<String> {
        let level = format!("--fix={}", self.level);
        let mut command = vec!["swarm-doctor", "run", &level, "--yes"];
        let flags: Vec<String> = self.flags.iter().map(|flag| words.put_into(flag)).collect();
        command.extend(flags.iter().map(String::as_str));
        let mut command = node.command(&command)?.timeout(FIXING);
        if let Some(text) = &self.stdin {
            command = command.stdin(words.put_into(text).into_bytes());
        }
        let output = command.run()?;
        if output.status.code().is_none_or(|code| code > 5) {
            bail!("the fix ended with {}: {}{}", output.status, output.stdout, output.stderr);
        }
        let said = format!("{}{}", output.stdout, output.stderr);
        // Where nothing was done, the plans tell why.
        Ok(Some(fix_lines(&said)).filter(|lines| !lines.is_empty()).unwrap_or(said))
    }
}

/// What was said of what was done, without the plans and the report.
fn fix_lines(said: &str) -> String {
    let starts =
        ["Not applied", "Failed", "Rolling back", "Not rolled back", "Fixed", "... ", "swarm-doctor: "];
    let mut lines = Vec::new();
    let mut inside = false;
    for line in said.lines() {
        inside = starts.iter().any(|start| line.starts_with(start)) || (inside && line.starts_with("  "));
        lines.extend(inside.then(|| line.trim()));
    }
    lines.join(" ")
}

fn state(node: &Node) -> Result<String> {
    node.shell(STATE, &[])
}

fn same(before: &str, after: &str) -> Result<()> {
    let gone: Vec<_> = before.lines().filter(|line| !after.lines().any(|other| other == *line)).collect();
    let come: Vec<_> = after.lines().filter(|line| !before.lines().any(|other| other == *line)).collect();
    ensure!(gone.is_empty() && come.is_empty(), "not as it was before; gone: {gone:?}; come: {come:?}");
    Ok(())
}
