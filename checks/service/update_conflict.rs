use crate::model::refused_requests::{refused_requests, within_minutes};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Host;
use std::collections::BTreeMap;

check! {
    /// The managers refused an update because the object had changed since it was read.
    ///
    /// ## Why it matters
    /// An update names the version that it is based on. When two programs, such as two CI jobs, or an autoscaler and a person,
    /// update a service at the same time, one of them is refused with `update out of sequence`, and its change is not made.
    ///
    /// ## How to fix it
    /// Repeat the command that failed, and let only one program at a time update a service.
    ///
    /// ## When it is wrong
    /// If the program repeats refused updates by itself. A refusal is reported for ten minutes.
    ///
    /// Source: swarmkit `manager/state/store/memory.go`, `ErrSequenceConflict`; moby#30084.
    "service/update-conflict": Info, "an update was refused because of another one at the same time";
    healthy "no update was refused because of another one";
    needs EngineLog;
    for each Host: run
}

/// For how many minutes a refusal is reported.
const MINUTES: i64 = 10;

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let log = host.log.get()?;
    let now = log.ends.unwrap_or(view.snapshot.taken);
    let mut refusals = BTreeMap::new();
    for refused in refused_requests(log).filter(|refused| within_minutes(refused.at, now, MINUTES)) {
        if refused.reason.contains("update out of sequence") {
            let (count, last) = refusals.entry(refused.request).or_insert((0_u32, refused.line));
            *count += refused.line.repeated;
            *last = refused.line;
        }
    }
    for (request, (count, line)) in refusals {
        let object = request.trim_start_matches("POST /").trim_end_matches("/update").to_owned();
        let summary = format!("{count} updates of {object} were refused: it had changed since it was read");
        let id = object.rsplit('/').next().unwrap_or_default();
        out.report(Subject::Node(host.name.clone()), summary, Evidence::log(log, line)).remedy(Remedy {
            title: "Repeat the update that was refused".into(),
            risk: Risk::Safe,
            impact: "Nothing is changed by a refused update.".into(),
            steps: vec![Step::Manual {
                node: Target::AnyManager,
                text: "find the programs that update it at the same time, and repeat the change".into(),
                commands: vec![format!(
                    "docker inspect --format '{{{{.Spec.Name}}}} {{{{.UpdatedAt}}}}' {}",
                    shell_quote(id)
                )],
            }],
        });
    }
    Ok(())
}
