use crate::model::app_member::members;
use crate::remedy::shell_quote;
use crate::service_change::update;
use crate::{Findings, Judged, Remedy, Risk, ServiceChange, Step, Target, View};
use facts::app::Origin;

check! {
    /// A setting of a clustered application has an invalid value.
    ///
    /// ## Why it matters
    /// `nifi.remote.input.host==nifi1` sets the host to `=nifi1`: no error is shown, and the name never resolves. The same
    /// holds for a blank or a scheme in a host, and for letters in a port.
    ///
    /// ## How to fix it
    /// Write the setting as `name=value`, and restart the task.
    ///
    /// ## When it is wrong
    /// No valid host and no valid port has such a value.
    ///
    /// Source: `java.util.Properties.load`, which takes everything after the first `=`.
    "apps/setting-malformed": Error, "a setting of a clustered application has an invalid value";
    healthy "the settings of the clustered applications have valid values";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let mut reported = Vec::new();
    for member in &members(view, out) {
        for wrong in &member.config.malformed {
            let setting = &wrong.setting;
            let key = (member.service, setting.name.clone());
            if reported.contains(&key) {
                continue;
            }
            reported.push(key);
            let name = &setting.name;
            let summary = format!("{} in {} {} ({setting})", member.program.title, member.name(), wrong.why);
            let step = match (&setting.origin, &wrong.meant) {
                (Origin::Environment, None) if name == "ZOO_SERVERS" => {
                    let whole = member.written(name).unwrap_or_else(|| setting.value.clone());
                    let with_port = |entry: &str| match entry.contains(';') {
                        true => entry.to_owned(),
                        false => format!("{entry};2181"),
                    };
                    let value = whole.split_whitespace().map(with_port).collect::<Vec<_>>().join(" ");
                    let change = ServiceChange::Environment { name: name.clone(), value };
                    update(view, member.service, wrong.advice.clone(), vec![change])
                }
                _ if member.program.name == "zookeeper" && wrong.meant.is_none() => Step::Manual {
                    node: view.manager().map_or(Target::AnyManager, Target::Node),
                    text: wrong.advice.clone(),
                    commands: vec![format!(
                        "docker service update --env-add {}=NUMBER {}",
                        shell_quote(name),
                        shell_quote(member.service)
                    )],
                },
                (Origin::File { path, line }, _) => Step::Manual {
                    node: view.manager().map_or(Target::AnyManager, Target::Node),
                    text: format!("in {path}, line {line}, {}, and restart the task", wrong.advice),
                    commands: vec![format!("docker service update --force {}", shell_quote(member.service))],
                },
                (Origin::Environment, Some(meant)) => {
                    let change = ServiceChange::Environment { name: name.clone(), value: meant.clone() };
                    update(view, member.service, wrong.advice.clone(), vec![change])
                }
                _ => Step::Manual {
                    node: Target::AnyManager,
                    text: format!("{} in the configuration of {}", wrong.advice, member.service),
                    commands: vec![format!(
                        "docker service inspect --pretty {}",
                        shell_quote(member.service)
                    )],
                },
            };
            out.report(member.subject(), summary, member.evidence(setting)).remedy(Remedy {
                title: format!("Correct {name}").into(),
                risk: Risk::Disruptive,
                impact: "The tasks of the service restart.".into(),
                steps: vec![step],
            });
        }
    }
    Ok(())
}
