use super::manager_unreachable::name_a_manager;
use crate::{Evidence, Findings, Judged, View};
use facts::Host;
use facts::join::Greeting;

/// The port of gossip, fixed in libnetwork.
const GOSSIP: u16 = 7946;

check! {
    /// Whoever listens on the port that was named is no manager of a swarm.
    ///
    /// ## Why it matters
    /// The join fails after 10 s, with "first record does not look like a TLS handshake" where no TLS is spoken, or
    /// with "certificate is not valid for any names, but wanted to match swarm-manager" where it is another's.
    ///
    /// ## How to fix it
    /// Name a manager and its port, which is 2377 unless `--listen-addr` said otherwise. 7946 and 4789 are the ports of
    /// gossip and of the overlays. A proxy between has to pass the port through untouched.
    ///
    /// ## When it is wrong
    /// Where the manager is so slow that it does not answer within seconds.
    ///
    /// Source: swarmkit `ca/certificates.go`, moby#38967.
    "join/not-a-manager": Error, "who answers on the port is no manager";
    needs Join;
    caused_by "join/own-address", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    let manager = super::manager(join)?;
    let place = manager.addr;
    let (summary, shown) = match &manager.greeting {
        None if place.port() == GOSSIP => (
            format!("{place} is the port of gossip: managers are joined on 2377"),
            format!("the port named is {GOSSIP}"),
        ),
        None => return Ok(()),
        Some(Greeting::Silent { what }) => (
            format!("{place} takes connections and speaks no TLS, as a manager would"),
            format!("TLS: {what}"),
        ),
        Some(Greeting::Tls(spoken)) => match &spoken.certificate {
            None => (
                format!("{place} speaks TLS with a certificate that cannot be read"),
                "no certificate that can be read".to_owned(),
            ),
            Some(certificate) if certificate.unit == "swarm-manager" => return Ok(()),
            Some(certificate) => (
                format!(
                    "{place} speaks TLS with a certificate that is not of a manager: CN={}",
                    certificate.common_name
                ),
                format!(
                    "its certificate: CN={}, O={}, OU={}; wanted OU=swarm-manager",
                    certificate.common_name, certificate.organisation, certificate.unit
                ),
            ),
        },
    };
    out.report(super::way(host, join), summary, Evidence::value(join, shown)).remedy(name_a_manager());
    Ok(())
}
