use super::advice;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// The swarm asks an external CA for node certificates, by plain HTTP or without the root certificate of its server.
    ///
    /// ## Why it matters
    /// A host on the path can answer the request and decide which nodes get a certificate.
    ///
    /// ## How to fix it
    /// Give the CA an https address, and its root certificate with `cacert=`.
    ///
    /// ## When it is wrong
    /// If the certificate of the CA is from a public CA that the managers trust.
    ///
    /// Source: Docker docs "docker swarm ca", option `--external-ca`.
    "posture/external-ca-unpinned": Warning, "the TLS certificate of the external CA is not checked";
    healthy "the external CA is authenticated";
    needs Swarm;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let cluster = view.snapshot.cluster.get()?;
    for ca in cluster.external_cas.iter().filter(|ca| !ca.pinned || !ca.url.starts_with("https://")) {
        let why =
            if ca.url.starts_with("https://") { "without its root certificate" } else { "by plain HTTP" };
        let summary = format!("the swarm uses the external CA {} {why}", ca.url);
        let shown = format!("ExternalCAs: {}, CACert {}", ca.url, if ca.pinned { "set" } else { "not set" });
        out.report(Subject::Cluster, summary, Evidence::value(cluster, shown)).remedy(advice(
            Target::AnyManager,
            "Authenticate the external CA",
            "set its https address and its root certificate",
            vec!["docker swarm ca --rotate --external-ca protocol=cfssl,url=https://CA,cacert=ca.pem".into()],
        ));
    }
    Ok(())
}
