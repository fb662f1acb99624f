use super::advice;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// A variable of a service has the name of a secret and a value.
    ///
    /// ## Why it matters
    /// `docker service inspect` shows the value to everyone with access to a manager, `docker inspect` on the node shows it
    /// too, and it is in the raft log and in crash reports.
    ///
    /// ## How to fix it
    /// Create a secret, and give the program its file: most images read `NAME_FILE`.
    ///
    /// ## When it is wrong
    /// If the value is public, or a placeholder.
    ///
    /// Source: Docker docs "Manage sensitive data with Docker secrets".
    "posture/secrets-in-environment": Warning, "a service has a password in its environment";
    healthy "no service has a password in its environment";
    needs Services;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for (service, variable) in services.iter().filter_map(|service| Some((service, variable(service)?))) {
        let name = shell_quote(&service.name);
        let summary = format!("{} has the variable {variable} in its environment", service.name);
        let shown = format!("Env: {variable}");
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown)).remedy(advice(
            Target::AnyManager,
            "Move the value into a secret",
            "create a secret, and configure the program with its file",
            vec![format!("docker service update --env-rm VARIABLE --secret-add NAME --env-add VARIABLE_FILE=/run/secrets/NAME {name}")],
        ));
    }
    Ok(())
}

/// A variable with the name of a secret and a value that is not a path.
fn variable(service: &facts::service::Service) -> Option<&str> {
    let secret = |name: &str| {
        let name = name.to_ascii_uppercase();
        let words = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY"];
        words.iter().any(|word| name.ends_with(word))
    };
    let set = |value: &str| !value.is_empty() && !value.starts_with('/');
    service.env.iter().find(|(name, value)| secret(name) && set(value)).map(|(name, _)| name.as_str())
}
