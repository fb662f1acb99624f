use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Target, View};
use facts::Host;

/// The first engine version that requires TLS ALPN of a manager.
const REQUIRES_ALPN: u32 = 28;

check! {
    /// The manager selects no TLS ALPN protocol, and this engine requires one.
    ///
    /// ## Why it matters
    /// Managers up to engine 27 lose their list of ALPN protocols when their certificate is renewed or rotated while they run.
    /// Engines from 28 on then refuse to join through them: "cannot check peer: missing selected ALPN property". Members are
    /// not affected.
    ///
    /// ## How to fix it
    /// Restart the engine of that manager, or join through a manager that was started after its certificate was renewed.
    ///
    /// ## When it is wrong
    /// When a TLS-intercepting proxy is on the path.
    ///
    /// Source: swarmkit#3189, grpc-go 1.67.
    "join/not-a-swarm-manager-port": Error, "the manager selects no TLS ALPN protocol, and this engine requires one";
    healthy "the manager selects a TLS ALPN protocol";
    needs Join, Version;
    caused_by "join/not-a-manager", "join/already-a-member";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let join = host.join.get()?;
    if super::tls_answer(join)?.protocol.is_some() {
        return Ok(());
    }
    let version = host.version.get()?;
    let major = version.engine.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < REQUIRES_ALPN) {
        return Ok(());
    }
    let summary = format!(
        "the manager at {} selects no TLS ALPN protocol, and engine {} does not join without one",
        join.target, version.engine
    );
    let address = super::manager(join)?.addr.ip().to_string();
    let first = Evidence::absent(join, "an ALPN protocol in the manager's answer; h2 was offered");
    out.report(super::link(host, join), summary, first)
        .with(Evidence::value(version, format!("engine {}", version.engine)))
        .remedy(Remedy {
            title: format!("Restart dockerd on {}, or join through another manager", join.target).into(),
            risk: Risk::Disruptive,
            impact: "All tasks on that manager restart, and it is missing from the quorum meanwhile.".into(),
            steps: vec![Step::RestartEngine { node: Target::Peer(address) }],
        });
    Ok(())
}
