use super::member::{Member, members, one_a_service};
use super::naming::{number, own_name, own_number};
use super::place::{Place, inside};
use crate::{Findings, Judged, View};
use facts::app::{Claim, Endpoint};
use std::iter;

check! {
    /// A clustered application is told to listen at an address that its container does not hold.
    ///
    /// ## Why it matters
    /// A program can only bind an address of its own container. The virtual address of a service is held by none:
    /// the kernel of the node spreads what goes there over the tasks. An application that is told its service's
    /// name as the host to listen at, without a `hostname:` of that name, fails with `Cannot assign requested
    /// address`, and its task restarts for ever. The same goes for an address that was typed in when the task
    /// had another one, and for a name that does not resolve.
    ///
    /// ## How to fix it
    /// Give each task a hostname of its own, which is no service's name, and tell the application that name: inside
    /// the container it is the task's address, and for everyone on the overlay it is the same.
    ///
    /// ## When it is wrong
    /// With Docker before 17.06, containers held the virtual addresses of their services, and could bind them.
    ///
    /// Source: moby#30963; the bind of Jetty, ZooKeeper's `QuorumCnxManager.Listener`.
    "apps/binds-foreign-address": Error, "a clustered application is told to listen at an address that its container does not hold";
    needs Services, Apps, Info;
    caused_by "apps/setting-malformed";
    for each Cluster: run
}

/// What programs write when they cannot bind.
const UNBOUND: &[&str] =
    &["Failed to bind to", "annot assign requested address", "nresolved", "Exception while listening"];

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (endpoint, claim, reason), rest) in one_a_service(&all, |it| foreign(it, view)) {
        let summary = format!(
            "{} in {} is told to listen as its {} at {} ({}), and that is {reason}",
            member.program.title,
            member.name(),
            endpoint.what,
            super::at(&claim.host, endpoint.port),
            claim.said
        );
        let mut claims: Vec<&Claim> = Vec::new();
        for claim in
            iter::once(claim).chain(rest.map(|(_, claim, _)| claim)).chain(advertised_too(member, claim))
        {
            if claims.iter().all(|other| other.said != claim.said) {
                claims.push(claim);
            }
        }
        let finding = out.report(member.subject(), summary, member.evidence(&claim.said));
        if let Some(hostname) = member.hostname() {
            finding.with(member.shown(format!("{}: its hostname is {hostname}", member.name())));
        }
        let lines: Vec<_> = unbound(member).take(2).collect();
        for line in &lines {
            finding.with(member.shown(format!("its log: {line}")));
        }
        if let Some(app) = member.app.filter(|app| !app.running) {
            finding.with(member.shown(format!("{}: exited with {}", app.name, app.exit_code)));
        }
        finding.remedy(match number(member) {
            Some(number) => own_number(member, number, view),
            None => own_name(member, &claims, view),
        });
    }
    Ok(())
}

/// What a member is to bind and cannot, and why.
fn foreign<'m>(member: &'m Member<'_>, view: &View<'_>) -> Vec<(&'m Endpoint, &'m Claim, String)> {
    member.bound().filter_map(|(it, claim)| Some((it, claim, reason(claim, member, view)?))).collect()
}

/// Why the host cannot be bound, where it cannot.
fn reason(claim: &Claim, member: &Member<'_>, view: &View<'_>) -> Option<String> {
    match inside(&claim.host, member, view) {
        Place::Virtual { what, .. } | Place::Foreign { what, .. } => Some(what),
        // Where the name cannot be resolved from here, the program's own word counts.
        Place::Unknown => {
            let line = unbound(member).find(|line| line.contains(&claim.host))?;
            Some(match line.split_once(&format!("{}/", claim.host)) {
                Some((_, rest)) if rest.starts_with('<') => "a name that does not resolve".into(),
                Some((_, rest)) => {
                    format!("{}, which cannot be bound", rest.split([':', ' ']).next().unwrap_or_default())
                }
                None => "not an address that can be bound".into(),
            })
        }
        Place::Everywhere | Place::Loopback | Place::Own => None,
    }
}

/// The lines of its log that say that it cannot bind.
fn unbound<'a>(member: &Member<'a>) -> impl Iterator<Item = &'a String> {
    let lines = member.app.into_iter().flat_map(|app| &app.log);
    lines.filter(|line| UNBOUND.iter().any(|sign| line.contains(sign)))
}

/// Other settings that say the same host: whoever corrects one has to correct them all.
fn advertised_too<'m>(member: &'m Member<'_>, wrong: &'m Claim) -> impl Iterator<Item = &'m Claim> {
    let same = move |(_, claim): (&'m Endpoint, &'m Claim)| {
        (claim.host == wrong.host && claim.said.name != wrong.said.name).then_some(claim)
    };
    member.advertised().filter_map(same)
}
