use crate::remedies::join_token::print_token;
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::join::{Flaw, Token};

check! {
    /// The join token is malformed.
    ///
    /// ## Why it matters
    /// The engine rejects it with "invalid join token" and does not name the mistake. Usually the end was lost while copying,
    /// or it is the unlock key of a manager.
    ///
    /// ## How to fix it
    /// Print the token on a manager with `-q`, and copy the whole line.
    ///
    /// ## When it is wrong
    /// Never: the check parses the token like the engine.
    ///
    /// Source: swarmkit `ca/config.go` (`ParseJoinToken`).
    "join/token-malformed": Error, "the join token is malformed";
    healthy "the join token is well-formed";
    needs Join;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let Some(Token::Malformed { flaw }) = &join.token else { return Ok(()) };
    let (summary, shown) = match flaw {
        Flaw::Empty => ("the join token is empty".to_owned(), "no character".to_owned()),
        Flaw::UnlockKey => (
            "the join token is an unlock key, which unlocks managers and is not valid for a join".to_owned(),
            "it starts with SWMKEY-".to_owned(),
        ),
        Flaw::Foreign => (
            "the join token is malformed: it does not start like a join token".to_owned(),
            "it does not start with SWMTKN-1- or SWMTKN-2-".to_owned(),
        ),
        Flaw::Parts { has, wants } => (
            format!("the join token has {has} parts instead of {wants}: it is incomplete"),
            format!("{has} parts between hyphens"),
        ),
        Flaw::Length { part, has, wants } => (
            format!("the {part} in the join token has {has} characters instead of {wants}: it is incomplete"),
            format!("{part}: {has} characters"),
        ),
        Flaw::NoDigest => (
            "the root CA digest in the join token is not a base-36 number".to_owned(),
            "its third part is not a base-36 number of 256 bits".to_owned(),
        ),
    };
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(join, shown)).remedy(print_token());
    Ok(())
}
