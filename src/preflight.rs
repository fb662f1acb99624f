//! Preflight: what would fail when a node joins or a stack is deployed, and otherwise the command to run.

use crate::cli::{self, Preflight};
use crate::collect::{Secret, StackFile, Target};
use crate::error::ExpectedError;
use crate::examine::{Asked, live};
use crate::judge::Diagnosis;
use crate::policy::Policy;
use checks::{Severity, Step, shell_quote};
use facts::join::Found;
use facts::{Host, Snapshot};
use std::io::Read as _;

/// What is printed in place of a token.
const MASKED: &str = "SWMTKN-1-***";

/// The largest stack file that is read, in bytes.
const MOST_OF_STACK: u64 = 1 << 20;

/// Examines this host for a join or a deployment.
pub async fn preflight(preflight: &Preflight, policy: &Policy) -> Result<Diagnosis, ExpectedError> {
    let join = target(&preflight.join)?;
    let stack = stack(&preflight.stack)?;
    let deploy = stack.as_ref().map(deploying);
    let asked = Asked { join: join.clone(), stack, matrix: false };
    let save = preflight.save.as_deref();
    let (snapshot, mut diagnosis) = live(&preflight.source, save, policy, asked).await?;
    if diagnosis.all_findings().all(|finding| finding.severity < Severity::Error) {
        let token = join.and_then(|join| join.token).filter(|_| preflight.join.show_token);
        let token = token.as_ref().map_or(MASKED, |token| token.0.trim());
        diagnosis.next = deploy.map_or_else(|| next(&snapshot, token), |step| vec![step]);
    }
    Ok(diagnosis)
}

/// The swarm to join, with its token from the option, the file or the environment.
fn target(join: &cli::Join) -> Result<Option<Target>, ExpectedError> {
    let Some(manager) = join.manager.clone() else { return Ok(None) };
    let token = match (&join.token, &join.token_file) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(file)) => {
            let read = std::fs::read_to_string(file);
            Some(read.map_err(|error| ExpectedError::file("read", file, &error))?)
        }
        (None, None) => std::env::var("SWARM_JOIN_TOKEN").ok(),
    };
    Ok(Some(Target { manager, token: token.map(Secret) }))
}

/// The stack to deploy, read from its file.
fn stack(stack: &cli::Stack) -> Result<Option<StackFile>, ExpectedError> {
    let Some(file) = &stack.file else { return Ok(None) };
    let failed = |error: &std::io::Error| ExpectedError::file("read", file, error);
    let path = std::path::absolute(file).map_err(|error| failed(&error))?;
    let mut content = Vec::new();
    let read =
        std::fs::File::open(&path).and_then(|file| file.take(MOST_OF_STACK + 1).read_to_end(&mut content));
    read.map_err(|error| failed(&error))?;
    if content.len() as u64 > MOST_OF_STACK {
        return Err(failed(&std::io::Error::other("it is larger than 1 MiB")));
    }
    Ok(Some(StackFile { path, content, name: stack.name.clone() }))
}

/// The command that deploys the stack.
fn deploying(stack: &StackFile) -> Step {
    let name = stack.name.as_deref().map_or_else(|| "NAME".to_owned(), shell_quote);
    let file = shell_quote(&stack.path.to_string_lossy());
    Step::Manual {
        node: checks::Target::AnyManager,
        text: "deploy the stack, and send the registry login to the nodes".into(),
        commands: vec![format!("docker stack deploy --with-registry-auth -c {file} {name}")],
    }
}

/// The commands to run when nothing was found.
fn next(snapshot: &Snapshot, token: &str) -> Vec<Step> {
    let Some(host) = snapshot.hosts.first() else { return Vec::new() };
    match host.join.get() {
        Ok(join) => match &join.found {
            Found::Resolved(manager) => {
                let from = manager.from.map(|from| format!("--advertise-addr {from} ")).unwrap_or_default();
                let command = format!(
                    "docker swarm join --token {} {from}{}",
                    shell_quote(token),
                    shell_quote(&join.target)
                );
                joining(host, command, join.token.is_some())
            }
            Found::Unresolved { .. } => Vec::new(),
        },
        Err(_) => inviting(host),
    }
}

/// On the host that joins.
fn joining(host: &Host, command: String, token: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if !token {
        steps.push(Step::Manual {
            node: checks::Target::AnyManager,
            text: "print the join token for the role of this host".into(),
            commands: join_tokens(),
        });
    }
    steps.push(Step::Manual {
        node: checks::Target::from(&host.name),
        text: "join; only the join itself shows whether the secret in the token is valid, and whether it makes a worker or a \
               manager"
            .into(),
        commands: vec![command],
    });
    steps
}

/// On a manager that others join.
fn inviting(host: &Host) -> Vec<Step> {
    let Ok(info) = host.info.get() else { return Vec::new() };
    let Some(addr) = info.swarm.node_addr.filter(|_| info.swarm.control_available) else { return Vec::new() };
    let manual = |node: checks::Target, text: &str, commands: Vec<String>| Step::Manual {
        node,
        text: text.into(),
        commands,
    };
    vec![
        manual(
            checks::Target::from(&host.name),
            "print the join token for a worker or a manager",
            join_tokens(),
        ),
        manual(
            checks::Target::Described("the joining host"),
            "check whether the host can join with that token",
            vec![format!("swarm-doctor preflight --join {addr} --token TOKEN")],
        ),
    ]
}

fn join_tokens() -> Vec<String> {
    ["worker", "manager"].map(|role| format!("docker swarm join-token {role}")).into()
}
