use crate::remedies::join_token::print_token;
use crate::{Evidence, Findings, Judged, Subject, View};
use facts::Host;
use facts::join::{RootCa, Token};

check! {
    /// The join token belongs to another swarm than the manager, or is older than the present root CA.
    ///
    /// ## Why it matters
    /// A token contains the SHA-256 digest of the root CA certificate, so that no host joins the wrong swarm. The engine fails
    /// with "remote CA does not match fingerprint".
    ///
    /// ## How to fix it
    /// Print the token on the manager to join. If it was printed there, the root CA was changed since, by
    /// `docker swarm ca --rotate` or because the swarm was re-created: print it again.
    ///
    /// ## When it is wrong
    /// Never, while the digests differ. Only the manager knows whether the secret at the end of the token is valid, and only
    /// the join shows it.
    ///
    /// Source: swarmkit `ca/certificates.go` (`GetRemoteCA`).
    "join/token-of-another-swarm": Error, "the join token belongs to another swarm";
    healthy "the join token belongs to the swarm of the manager";
    needs Join;
    caused_by "join/already-a-member", "join/not-a-manager";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let Some(token) = &join.token else { return Err(super::not_applicable(join, "no token was given")) };
    let Token::Valid { root_ca: expected, .. } = token else { return Ok(()) };
    let answer = super::tls_answer(join)?;
    let RootCa::Returned { digest, .. } = &answer.root_ca else {
        return Err(super::not_applicable(join, "its root CA is not known"));
    };
    if digest == expected {
        return Ok(());
    }
    let swarm = answer
        .certificate
        .as_ref()
        .map(|certificate| format!(", which is in swarm {}", certificate.organisation))
        .unwrap_or_default();
    let summary =
        format!("the join token belongs to another swarm than the manager at {}{swarm}", join.target);
    let shown = format!("root CA digest in the token: sha256:{expected}; of the manager: sha256:{digest}");
    let mut remedy = print_token();
    remedy.title = format!("Print the join token on the manager {}", join.target).into();
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(join, shown)).remedy(remedy);
    Ok(())
}
