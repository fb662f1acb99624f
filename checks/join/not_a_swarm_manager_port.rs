use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, View};
use facts::Host;

/// The first engine that does not join a manager which agrees on no protocol.
const STRICT: u32 = 28;

check! {
    /// The manager agrees on no protocol when TLS begins, and this engine insists on one.
    ///
    /// ## Why it matters
    /// Managers up to engine 27 lose the list of protocols (ALPN) when their certificate is renewed, or rotated,
    /// while they run. Engines from 28 on then refuse to join through them: "cannot check peer: missing selected
    /// ALPN property". Members notice nothing.
    ///
    /// ## How to fix it
    /// Restart the engine of that manager, or join through one that was started since its certificate was renewed.
    ///
    /// ## When it is wrong
    /// Where something that breaks TLS open stands between.
    ///
    /// Source: swarmkit#3189, grpc-go 1.67.
    "join/not-a-swarm-manager-port": Error, "the manager agrees on no protocol, and this engine insists on one";
    needs Join, Version;
    caused_by "join/not-a-manager", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    if super::spoken(join)?.protocol.is_some() {
        return Ok(());
    }
    let version = host.version.get()?;
    let major = version.engine.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < STRICT) {
        return Ok(());
    }
    let summary = format!(
        "the manager at {} agrees on no protocol in TLS, without which engine {} does not join",
        join.target, version.engine
    );
    let first = Evidence::absent(join, "a protocol (ALPN) in the manager's answer; h2 was offered");
    out.report(super::way(host, join), summary, first)
        .with(Evidence::value(version, format!("engine {}", version.engine)))
        .remedy(Remedy {
            title: "Restart the engine of that manager, or join through another".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of that manager restart, and it misses from the quorum meanwhile".into(),
            steps: vec![Step::RestartEngine { node: "the manager that was named".into() }],
        });
    Ok(())
}
