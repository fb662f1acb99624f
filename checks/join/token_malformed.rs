use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::join::{Flaw, Token};

check! {
    /// What was given for a join token is none.
    ///
    /// ## Why it matters
    /// The engine refuses it with "invalid join token" and does not say what is wrong with it. Mostly the end was
    /// lost when it was copied, or it is the key that unlocks managers.
    ///
    /// ## How to fix it
    /// Print it anew on a manager, with `-q`, and take the whole line.
    ///
    /// ## When it is wrong
    /// Never: this reads the token as the engine does.
    ///
    /// Source: swarmkit `ca/config.go` (`ParseJoinToken`).
    "join/token-malformed": Error, "the join token is no token";
    needs Join;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let Some(Token::Malformed { flaw }) = &join.token else { return Ok(()) };
    let (summary, shown) = match flaw {
        Flaw::Empty => ("the join token is empty".to_owned(), "no character".to_owned()),
        Flaw::UnlockKey => (
            "the join token is an unlock key, which unlocks managers and lets nobody join".to_owned(),
            "it begins with SWMKEY-".to_owned(),
        ),
        Flaw::Foreign => (
            "the join token is none: it does not begin as one".to_owned(),
            "it does not begin with SWMTKN-1- or SWMTKN-2-".to_owned(),
        ),
        Flaw::Parts { has, wants } => (
            format!("the join token has {has} parts instead of {wants}: it was not copied whole"),
            format!("{has} parts between hyphens"),
        ),
        Flaw::Length { part, has, wants } => (
            format!(
                "the {part} in the join token has {has} characters instead of {wants}: it was not copied whole"
            ),
            format!("{part}: {has} characters"),
        ),
        Flaw::NoDigest => (
            "the join token names no authority: what should be a number in base 36 is none".to_owned(),
            "its third part is no number of 256 bits in base 36".to_owned(),
        ),
    };
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(join, shown)).remedy(print_token());
    Ok(())
}

/// Where a token is to be had.
pub(super) fn print_token() -> Remedy {
    Remedy {
        title: "Take the token from a manager".into(),
        risk: Risk::Safe,
        impact: "nothing that runs is touched".into(),
        steps: vec![Step::Manual {
            node: "a manager of the swarm".into(),
            text: "print the token of the role that this machine is to have, and copy the whole line".into(),
            commands: ["worker", "manager"].map(|role| format!("docker swarm join-token -q {role}")).into(),
        }],
    }
}
