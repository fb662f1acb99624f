use crate::remedies::join_token::name_a_manager;
use crate::{Evidence, Findings, Judged, View};
use facts::Host;
use facts::join::Greeting;

/// The gossip port, fixed in libnetwork.
const GOSSIP: u16 = 7946;

check! {
    /// The program that listens on the given port is not a swarm manager.
    ///
    /// ## Why it matters
    /// The join fails after 10 s: with "first record does not look like a TLS handshake" if the port does not use TLS, or with
    /// "certificate is not valid for any names, but wanted to match swarm-manager" if it has another certificate.
    ///
    /// ## How to fix it
    /// Give the address of a manager and its port, by default 2377 (`--listen-addr`). 7946 is the gossip port and 4789 the
    /// VXLAN port. A proxy on the path has to forward the port without changes.
    ///
    /// ## When it is wrong
    /// When the manager is too slow to answer within seconds.
    ///
    /// Source: swarmkit `ca/certificates.go`, moby#38967.
    "join/not-a-manager": Error, "the endpoint is not a swarm manager";
    healthy "the endpoint is a swarm manager";
    needs Join;
    caused_by "join/own-address", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let manager = super::manager(join)?;
    let endpoint = manager.addr;
    let (summary, shown) = match &manager.greeting {
        None if endpoint.port() == GOSSIP => (
            format!("{endpoint} is the gossip port; the manager port is 2377"),
            format!("given port: {GOSSIP}"),
        ),
        None => return Ok(()),
        Some(Greeting::NoTls { what }) => (
            format!("{endpoint} accepts connections and does not use TLS, so it is not a manager"),
            format!("TLS: {what}"),
        ),
        Some(Greeting::Tls(answer)) => match &answer.certificate {
            None => (
                format!("{endpoint} uses TLS with a certificate that cannot be parsed"),
                "no certificate that can be parsed".to_owned(),
            ),
            Some(certificate) if certificate.unit == "swarm-manager" => return Ok(()),
            Some(certificate) => (
                format!(
                    "{endpoint} uses TLS with a certificate that is not a manager certificate: CN={}",
                    certificate.common_name
                ),
                format!(
                    "its certificate: CN={}, O={}, OU={}; expected OU=swarm-manager",
                    certificate.common_name, certificate.organisation, certificate.unit
                ),
            ),
        },
    };
    out.report(super::link(host, join), summary, Evidence::value(join, shown)).remedy(name_a_manager());
    Ok(())
}
