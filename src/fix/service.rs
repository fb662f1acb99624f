//! Changing what a service asks for, and nothing of it besides.

use super::Ground;
use super::swarm::{Api, plain};
use checks::ServiceChange;
use hyper::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the new tasks may take to come. What takes longer goes on by itself.
const ROLLED_OUT: Duration = Duration::from_secs(120);

/// A change of what a service asks for, from what it asked to what it will.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ServiceEdit {
    /// Its id.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// What it asks for.
    pub(super) before: Value,
    /// What it will ask for.
    pub(super) after: Value,
}

impl ServiceEdit {
    /// What these changes come to for the service as it is now.
    pub(super) async fn planned(
        name: &str,
        changes: &[ServiceChange],
        ground: &Ground,
    ) -> Result<Self, String> {
        let service = Api::of(ground).await?.get(&format!("/services/{}", plain(name)?)).await?;
        let before = service["Spec"].clone();
        let mut after = before.clone();
        for change in changes {
            make(change, &mut after)?;
        }
        Ok(Self { id: text(&service["ID"]).to_owned(), name: name.to_owned(), before, after })
    }

    /// Makes the change, if the service still asks for what it did, and waits for the new tasks.
    pub(super) async fn carry_out(&self, ground: &Ground) -> Result<(), String> {
        let api = Api::of(ground).await?;
        set(&self.id, &self.before, &self.after, &api).await?;
        rolled_out(&self.id, &self.name, &api).await
    }
}

/// Lets a service ask for what it did before, unless it does, or somebody else changed it since.
pub(super) async fn restore(id: &str, before: &Value, after: &Value, ground: &Ground) -> Result<(), String> {
    let api = Api::of(ground).await?;
    if listed(id, &api).await?["Spec"] == *before {
        return Ok(());
    }
    set(id, after, before, &api).await?;
    // Old tasks hold on to the network of the ports that they published. How the others fare is not judged: what is taken
    // back may be what did not work.
    if before["EndpointSpec"] != after["EndpointSpec"] {
        drop(rolled_out(id, id, &api).await);
    }
    Ok(())
}

async fn listed(id: &str, api: &Api) -> Result<Value, String> {
    api.get(&format!("/services/{}", plain(id)?)).await
}

async fn set(id: &str, from: &Value, to: &Value, api: &Api) -> Result<(), String> {
    let service = listed(id, api).await?;
    if service["Spec"] != *from {
        let name = text(&service["Spec"]["Name"]);
        return Err(format!("the service {name} was changed by somebody else meanwhile, and stays as it is"));
    }
    // The version is that of what was compared: whoever comes in between makes the manager refuse.
    let path = format!("/services/{}/update?version={}", plain(id)?, service["Version"]["Index"]);
    api.change(Method::POST, &path, to).await
}

/// Waits until the tasks are replaced; an update that was given up has failed.
async fn rolled_out(id: &str, name: &str, api: &Api) -> Result<(), String> {
    let deadline = Instant::now() + ROLLED_OUT;
    loop {
        let service = listed(id, api).await?;
        let update = &service["UpdateStatus"];
        match text(&update["State"]) {
            "completed" => return Ok(()),
            "paused" | "rollback_started" | "rollback_paused" | "rollback_completed" => {
                return Err(format!("the new tasks of {name} fail: {}", text(&update["Message"])));
            }
            // The manager forgets how the last update went when it takes a new one, and a service without tasks has none.
            _ if Instant::now() >= deadline => return Ok(()),
            _ => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// A word of an answer; nothing where it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A list of the specification, which is left out where it is empty.
fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn make(change: &ServiceChange, spec: &mut Value) -> Result<(), String> {
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
            // As in a hosts file: the address, and names behind it.
            list.retain(|line| {
                let mut words = text(line).split_whitespace();
                words.next() != Some(addr) || !words.any(|word| word == name)
            });
            if list.len() == count {
                return Err(format!("the service has no host entry {name}:{addr}"));
            }
            let container = spec["TaskTemplate"]["ContainerSpec"].as_object_mut();
            // The engine leaves an empty list out.
            container.and_then(|container| match list.is_empty() {
                true => container.remove("Hosts"),
                false => container.insert("Hosts".into(), list.into()),
            });
        }
        ServiceChange::Port { published, from, to } => {
            let mut ports = list(&spec["EndpointSpec"]["Ports"]);
            let mut leads = ports
                .iter_mut()
                .filter(|port| port["PublishedPort"] == *published && port["TargetPort"] == *from);
            match (leads.next(), leads.next()) {
                (Some(port), None) => port["TargetPort"] = (*to).into(),
                _ => return Err(format!("{published} does not lead to {from} alone")),
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
