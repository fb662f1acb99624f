//! Changing the specification of a service, and nothing besides.

use super::saved::Saved;
use super::{Change, Operation, Planned, path_segment, text};
use crate::fix::error::{FixError, Result};
use crate::fix::journal::Receipt;
use crate::fix::{FixContext, Level};
use checks::ServiceChange;
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long the new tasks may take to run. A longer update continues without swarm-doctor.
const ROLLOUT: Duration = Duration::from_secs(120);

/// A new specification of a service. Specifications can hold secrets, so that the journal has only their digests and the
/// copies are readable for root alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct ServiceEdit {
    id: String,
    name: String,
    before: Saved,
    after: Saved,
    /// The published ports change.
    ports: bool,
}

pub(super) async fn plan(
    planned: &mut Planned,
    name: &str,
    changes: &[ServiceChange],
    context: &FixContext<'_>,
) -> Result<()> {
    let service = context.get(&format!("/services/{}", path_segment(name)?)).await?;
    let mut after = service["Spec"].clone();
    for change in changes {
        make(change, &mut after)?;
    }
    planned.push(Operation::Service(ServiceEdit::new(&service, after)));
    Ok(())
}

impl ServiceEdit {
    pub(super) fn new(service: &Value, after: Value) -> Self {
        let before = &service["Spec"];
        Self {
            id: text(&service["ID"]).to_owned(),
            name: text(&before["Name"]).to_owned(),
            ports: before["EndpointSpec"] != after["EndpointSpec"],
            before: Saved::of(Some(before.to_string().into_bytes())),
            after: Saved::of(Some(after.to_string().into_bytes())),
        }
    }

    /// The same the other way.
    pub(super) fn inverse(&self) -> Self {
        Self { before: self.after.clone(), after: self.before.clone(), ..self.clone() }
    }

    async fn now(&self, context: &FixContext<'_>) -> Result<Value> {
        context.get(&format!("/services/{}", path_segment(&self.id)?)).await
    }

    async fn set(&self, from: &Saved, to: &Saved, saved: &Path, context: &FixContext<'_>) -> Result<bool> {
        let service = self.now(context).await?;
        let spec = service["Spec"].to_string();
        if to.is(Some(spec.as_bytes())) {
            return Ok(false);
        }
        if !from.is(Some(spec.as_bytes())) {
            return Err(FixError::Changed { what: format!("service {}", self.name) });
        }
        let body = to.load(saved, context)?.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).map_err(|error| {
            FixError::Failed(format!("the saved service {} is damaged: {error}", self.name))
        })?;
        // The version is that of what was compared: the manager refuses after any change in between.
        let path =
            format!("/services/{}/update?version={}", path_segment(&self.id)?, service["Version"]["Index"]);
        context.change(Method::POST, &path, &body).await?;
        Ok(true)
    }

    /// Waits until the tasks are replaced; an update that was paused has failed.
    async fn rolled_out(&self, context: &FixContext<'_>) -> Result<()> {
        let deadline = context.system.uptime() + ROLLOUT;
        loop {
            let service = self.now(context).await?;
            let update = &service["UpdateStatus"];
            match text(&update["State"]) {
                "completed" => return Ok(()),
                "paused" | "rollback_started" | "rollback_paused" | "rollback_completed" => {
                    let why = text(&update["Message"]);
                    return Err(FixError::Failed(format!("the new tasks of {} fail: {why}", self.name)));
                }
                // The manager drops the status of the last update when it accepts a new one, and a service without
                // tasks has none.
                _ if context.system.uptime() >= deadline => return Ok(()),
                _ => context.system.sleep(Duration::from_millis(500)).await,
            }
        }
    }
}

impl Change for ServiceEdit {
    fn describe(&self) -> String {
        format!("POST /services/{}/update (service {})", self.id, self.name)
    }

    fn describe_revert(&self) -> String {
        format!("restore the specification of the service {}", self.name)
    }

    fn level(&self) -> Level {
        Level::Disruptive
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(90)
    }

    fn needs_engine(&self) -> bool {
        true
    }

    fn save(&mut self, receipt: &Receipt<'_>, _context: &FixContext<'_>) -> Result<()> {
        self.before.store(receipt)?;
        self.after.store(receipt)
    }

    async fn apply(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
        if self.set(&self.before, &self.after, saved, context).await? {
            self.rolled_out(context).await?;
        }
        Ok(())
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(self.after.is(Some(self.now(context).await?["Spec"].to_string().as_bytes())))
    }

    async fn revert(&self, saved: &Path, context: &FixContext<'_>) -> Result<()> {
        let changed = self.set(&self.after, &self.before, saved, context).await?;
        // Old tasks hold the network of their published ports. How the others fare is not judged: what is rolled back
        // may be what did not work.
        if changed && self.ports {
            drop(self.rolled_out(context).await);
        }
        Ok(())
    }
}

/// A list of the specification, which is left out where it is empty.
fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn make(change: &ServiceChange, spec: &mut Value) -> Result<()> {
    match change {
        ServiceChange::Hostname(name) => {
            spec["TaskTemplate"]["ContainerSpec"]["Hostname"] = name.as_str().into();
        }
        ServiceChange::Environment { name, value } => {
            let pair = json!(format!("{name}={value}"));
            let mut list = list(&spec["TaskTemplate"]["ContainerSpec"]["Env"]);
            let old = list.iter().position(|old| text(old).split('=').next() == Some(name));
            match old {
                Some(at) => list[at] = pair,
                None => list.push(pair),
            }
            spec["TaskTemplate"]["ContainerSpec"]["Env"] = list.into();
        }
        ServiceChange::HostEntryGone { name, addr } => {
            let mut list = list(&spec["TaskTemplate"]["ContainerSpec"]["Hosts"]);
            let count = list.len();
            // As in a hosts file: the address, followed by its names.
            list.retain(|line| {
                let mut words = text(line).split_whitespace();
                words.next() != Some(addr) || !words.any(|word| word == name)
            });
            if list.len() == count {
                return Err(FixError::Refused(format!(
                    "the service does not have the host entry {name}:{addr}"
                )));
            }
            let container = spec["TaskTemplate"]["ContainerSpec"].as_object_mut();
            // The engine leaves an empty list out.
            container.and_then(|container| {
                if list.is_empty() {
                    container.remove("Hosts")
                } else {
                    container.insert("Hosts".into(), list.into())
                }
            });
        }
        ServiceChange::Port { published, from, to } => {
            let mut ports = list(&spec["EndpointSpec"]["Ports"]);
            let mut matching = ports
                .iter_mut()
                .filter(|port| port["PublishedPort"] == *published && port["TargetPort"] == *from);
            match (matching.next(), matching.next()) {
                (Some(port), None) => port["TargetPort"] = (*to).into(),
                _ => {
                    let why = format!(
                        "the published port {published} does not have exactly one target port {from}"
                    );
                    return Err(FixError::Refused(why));
                }
            }
            spec["EndpointSpec"]["Ports"] = ports.into();
        }
    }
    Ok(())
}
#[cfg(test)]
mod tests {
    use super::make;
    use checks::ServiceChange;
    use serde_json::json;

    #[test]
    fn nothing_changes_besides() {
        let mut spec = json!({
            "Name": "nifi",
            "TaskTemplate": {
                "ContainerSpec": {"Env": ["A=1", "AB=2"], "Hosts": ["192.0.2.1 db", "192.0.2.2 web"]},
                "ForceUpdate": 3,
            },
            "EndpointSpec": {"Ports": [{"PublishedPort": 80, "TargetPort": 8080, "PublishMode": "host"}]},
        });
        let env =
            |name: &str, value: &str| ServiceChange::Environment { name: name.into(), value: value.into() };
        for change in [
            ServiceChange::Hostname("nifi-{{.Task.Slot}}".into()),
            env("A", "x=y"),
            env("C", ""),
            ServiceChange::HostEntryGone { name: "db".into(), addr: "192.0.2.1".into() },
            ServiceChange::Port { published: 80, from: 8080, to: 8443 },
        ] {
            make(&change, &mut spec).unwrap();
        }
        let after = json!({
            "Name": "nifi",
            "TaskTemplate": {
                "ContainerSpec": {
                    "Env": ["A=x=y", "AB=2", "C="], "Hosts": ["192.0.2.2 web"], "Hostname": "nifi-{{.Task.Slot}}"
                },
                "ForceUpdate": 3,
            },
            "EndpointSpec": {"Ports": [{"PublishedPort": 80, "TargetPort": 8443, "PublishMode": "host"}]},
        });
        assert_eq!(spec, after);
    }

    #[test]
    fn what_is_not_there_is_not_changed() {
        let spec = json!({"Name": "nifi"});
        for change in [
            ServiceChange::HostEntryGone { name: "db".into(), addr: "192.0.2.1".into() },
            ServiceChange::Port { published: 80, from: 8080, to: 8443 },
        ] {
            assert!(make(&change, &mut spec.clone()).is_err());
        }
    }
}
