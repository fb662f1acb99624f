use super::member::members;
use crate::remedy::word;
use crate::service_change::update;
use crate::{Findings, Judged, Remedy, Risk, ServiceChange, Step, View};
use facts::app::Origin;

check! {
    /// A setting of a clustered application has a value that cannot be meant.
    ///
    /// ## Why it matters
    /// `nifi.remote.input.host==nifi1` sets the host to `=nifi1`: nothing complains, and the name never resolves. The
    /// same goes for a blank or a scheme in a host and for letters in a port.
    ///
    /// ## How to fix it
    /// Write the setting as `name=value`, and restart the task.
    ///
    /// ## When it is wrong
    /// No host and no port has such a value.
    ///
    /// Source: `java.util.Properties.load`, which takes everything after the first `=`.
    "apps/setting-malformed": Error, "a setting of a clustered application has a value that cannot be meant";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let mut told = Vec::new();
    for member in &members(view, out) {
        for said in &member.config.malformed {
            let key = (member.service, said.name.clone());
            if told.contains(&key) {
                continue;
            }
            told.push(key);
            let (title, name, value) = (member.program.title, &said.name, &said.value);
            let summary = format!("{title} in {} takes {value:?} for {name} ({said})", member.name());
            let meant = value.trim_matches(['=', ' ', '/']).rsplit("//").next().unwrap_or_default();
            let pair = format!("{name}={meant}");
            let step = match &said.origin {
                Origin::File { path, line } => Step::ByHand {
                    node: view.manager().unwrap_or_else(|| "a manager".into()),
                    text: format!("in {path}, line {line}, write {pair}, and restart the task"),
                    commands: vec![format!("docker service update --force {}", word(member.service))],
                },
                Origin::Environment => {
                    let change = ServiceChange::Environment { name: name.clone(), value: meant.to_owned() };
                    update(view, member.service, format!("write {pair}"), vec![change])
                }
                Origin::Argument | Origin::Unsaid => Step::ByHand {
                    node: "a manager".into(),
                    text: format!("write {pair} in the arguments of {}", member.service),
                    commands: vec![format!("docker service inspect --pretty {}", word(member.service))],
                },
            };
            out.report(member.subject(), summary, member.evidence(said)).remedy(Remedy {
                title: format!("Correct {name}").into(),
                risk: Risk::RestartsTasks,
                impact: "the tasks of the service restart".into(),
                steps: vec![step],
            });
        }
    }
    Ok(())
}
