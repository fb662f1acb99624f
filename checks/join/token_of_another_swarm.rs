use super::token_malformed::print_token;
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::join::{Authority, Token};

check! {
    /// The join token is for another swarm than the manager's, or older than the swarm's present authority.
    ///
    /// ## Why it matters
    /// A token begins with the SHA-256 of the certificate of the swarm's authority, so that nobody joins the wrong
    /// swarm. The engine gives up with "remote CA does not match fingerprint".
    ///
    /// ## How to fix it
    /// Take the token from the manager that is to be joined. Where it is from there, the authority was changed since,
    /// by `docker swarm ca --rotate` or because the swarm was made anew: take it again.
    ///
    /// ## When it is wrong
    /// Never while the two differ. Whether the secret at the end of the token still holds is known to the manager alone,
    /// and shows only in the join.
    ///
    /// Source: swarmkit `ca/certificates.go` (`GetRemoteCA`).
    "join/token-of-another-swarm": Error, "the join token is for another swarm";
    needs Join;
    caused_by "join/already-a-member", "join/not-a-manager";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let Some(token) = &join.token else { return Err(super::moot(join, "no token was given")) };
    let Token::Sound { authority: wanted, .. } = token else { return Ok(()) };
    let spoken = super::spoken(join)?;
    let Authority::Told { digest, .. } = &spoken.authority else {
        return Err(super::moot(join, "its authority is not known"));
    };
    if digest == wanted {
        return Ok(());
    }
    let swarm = spoken
        .certificate
        .as_ref()
        .map(|certificate| format!(" {}", certificate.organisation))
        .unwrap_or_default();
    let summary = format!("the join token is not for the swarm{swarm} of {}", join.target);
    let shown = format!("the token names the authority sha256:{wanted}, and the manager has sha256:{digest}");
    let mut remedy = print_token();
    remedy.title = "Take the token from the manager that is to be joined".into();
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(join, shown)).remedy(remedy);
    Ok(())
}
