use crate::model::app_member::members;
use crate::model::app_naming;
use crate::service_change::update;
use crate::{Findings, Judged, Remedy, Risk, ServiceChange, View};
use facts::app::Requirement;

check! {
    /// RabbitMQ uses long node names, and its hostname has no domain.
    ///
    /// ## Why it matters
    /// With `RABBITMQ_USE_LONGNAME=true` the node name contains the full hostname. A container's default hostname is its
    /// short id, without a domain: RabbitMQ does not start, or its peers do not resolve it.
    ///
    /// ## How to fix it
    /// Use short node names with a unique hostname for each task, or set a hostname with a domain that peers resolve.
    ///
    /// ## When it is wrong
    /// The image's start script sets a node name with a domain.
    ///
    /// Source: rabbitmq/rabbitmq-server#1454; RabbitMQ docs, "Clustering Guide", node names.
    "apps/short-hostname": Error, "long node names of RabbitMQ lack a full hostname";
    healthy "every RabbitMQ node with a long name has a full hostname";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let mut reported = Vec::new();
    for member in &members(view, out) {
        let long = member.config.requirements.iter().find_map(|requirement| match requirement {
            Requirement::FullHostname { setting } => Some(setting),
            _ => None,
        });
        let Some(setting) = long else { continue };
        let full = member.hostname().is_some_and(|hostname| hostname.contains('.'));
        if full || reported.contains(&member.service) {
            continue;
        }
        reported.push(member.service);
        let own = match member.hostname() {
            Some(hostname) => format!("its hostname {hostname} has no domain"),
            None => "its hostname is the container id, without a domain".to_owned(),
        };
        let summary = format!("RabbitMQ in {} uses long node names ({setting}), and {own}", member.name());
        let short = ServiceChange::Environment { name: setting.name.clone(), value: "false".into() };
        let hostname = ServiceChange::Hostname(app_naming::name(member));
        out.report(member.subject(), summary, member.evidence(setting)).remedy(Remedy {
            title: format!("Use short node names in {}", member.service).into(),
            risk: Risk::Disruptive,
            impact: "The tasks of the service restart.".into(),
            steps: vec![update(
                view,
                member.service,
                "use short node names with a unique hostname for each task".into(),
                vec![hostname, short],
            )],
        });
    }
    Ok(())
}
