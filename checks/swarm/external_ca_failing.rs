use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;
use facts::log::{Line, Program};

check! {
    /// The external CA of the swarm does not sign certificates.
    ///
    /// ## Why it matters
    /// With an external CA the managers cannot sign certificates themselves. No node can join, and the nodes drop out of the
    /// swarm one by one when their certificates expire.
    ///
    /// ## How to fix it
    /// Check the external CA server (cfssl): whether it runs, whether the managers reach its URL, and whether its certificate
    /// is valid. `docker swarm ca --rotate` without `--external-ca` returns to a CA in the managers.
    ///
    /// ## When it is wrong
    /// When the CA server was restarted in the last hour and answers again.
    ///
    /// Source: swarmkit `ca/external.go`, `ca/server.go`, `manager/controlapi/ca_rotation.go`.
    "swarm/external-ca-failing": Error, "the external CA does not sign certificates";
    healthy "no request to an external CA failed in the last hour";
    needs Info, EngineLog;
    caused_by "network/no-route";
    for each Host: run
}

/// The age in seconds up to which a failed request is reported.
const RECENT_SECONDS: i64 = 60 * 60;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if !info.swarm.control_available {
        return Ok(());
    }
    let log = host.log.get()?;
    let now = view.snapshot.taken;
    let failed: Vec<(&Line, &str)> = log
        .lines
        .iter()
        .filter(|line| line.program == Program::Engine)
        .filter(|line| line.at.is_some_and(|at| now.duration_since(at).as_secs() <= RECENT_SECONDS))
        .filter_map(|line| Some((line, failed_request(line)?)))
        .collect();
    let Some((last, error)) = failed.last() else { return Ok(()) };
    let times = failed.len();
    let requests = if times == 1 { "1 request".to_owned() } else { format!("{times} requests") };
    let summary = format!("{requests} to the external CA failed in the last hour: {}", cause(error));
    out.report(Subject::Cluster, summary, Evidence::log(log, last)).with(Evidence::value(log, error)).remedy(
        Remedy {
            title: "Restore the external CA server".into(),
            risk: Risk::Manual,
            impact: "Running tasks are not affected.".into(),
            steps: vec![Step::Manual {
                node: host.name.clone().into(),
                text: "print the URL of the external CA, and check that this manager reaches it".into(),
                commands: vec![
                    "docker info --format '{{json .Swarm.Cluster.Spec.CAConfig.ExternalCAs}}'".into(),
                ],
            }],
        },
    );
    Ok(())
}

/// The error of a failed request: `failed to sign CSR` with the error of the external signer, or `external CA # 1 is
/// unreachable or invalid`.
fn failed_request(line: &Line) -> Option<&str> {
    let error = line.fields.get("error").map(String::as_str)?;
    let signing = line.message == "failed to sign CSR"
        && error.contains("unable to perform certificate signing request");
    let checking =
        line.message.starts_with("external CA # ") && line.message.ends_with(" is unreachable or invalid");
    (signing || checking).then_some(error)
}

/// The part of the error after the name of the operation.
fn cause(error: &str) -> &str {
    error.split_once("unable to perform certificate signing request: ").map_or(error, |(_, cause)| cause)
}
