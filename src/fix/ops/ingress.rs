//! Removing and creating the ingress network. No service may publish through it while it is absent.

use super::service::ServiceEdit;
use super::{Change, Operation, Planned, items, path_segment, text};
use crate::fix::error::{FixError, Result};
use crate::fix::{FixContext, Level};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long a removed network may take to be gone on every node.
const REMOVAL: Duration = Duration::from_secs(40);

/// Plans to give the network another subnet.
pub(super) async fn plan(planned: &mut Planned, subnet: &str, context: &FixContext<'_>) -> Result<()> {
    let old = present(context).await?;
    let old = old.ok_or_else(|| FixError::Refused("the ingress network no longer exists".into()))?;
    let mut new = request(&old);
    new["IPAM"]["Config"] = json!([{"Subnet": subnet}]);
    let services = context.get("/services").await?;
    let unpublish: Vec<_> = items(&services).filter_map(unpublished).collect();
    planned.operations.extend(unpublish.iter().cloned().map(Operation::Service));
    planned.push(Operation::IngressRemove(IngressRemove { network: request(&old) }));
    planned.push(Operation::IngressCreate(IngressCreate { network: new }));
    planned.operations.extend(unpublish.iter().map(ServiceEdit::inverse).map(Operation::Service));
    Ok(())
}

/// The ingress network is removed; the request that creates it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct IngressRemove {
    network: Value,
}

/// The ingress network is created by this request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fix) struct IngressCreate {
    network: Value,
}

impl Default for IngressCreate {
    fn default() -> Self {
        let network =
            json!({"Name": "ingress", "Driver": "overlay", "Ingress": true, "CheckDuplicate": true});
        Self { network }
    }
}

impl Change for IngressRemove {
    fn describe(&self) -> String {
        format!("remove the network {}", text(&self.network["Name"]))
    }

    fn describe_revert(&self) -> String {
        format!("create the network {} again", text(&self.network["Name"]))
    }

    fn level(&self) -> Level {
        Level::Destructive
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(90)
    }

    fn needs_engine(&self) -> bool {
        true
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        remove(context).await
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(present(context).await?.is_none_or(|network| !same(&network, &self.network)))
    }

    async fn revert(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        create(&self.network, context).await
    }
}

impl Change for IngressCreate {
    fn describe(&self) -> String {
        let subnet = text(&self.network["IPAM"]["Config"][0]["Subnet"]);
        let subnet = if subnet.is_empty() { String::new() } else { format!(" with the subnet {subnet}") };
        format!("create the ingress network {}{subnet}", text(&self.network["Name"]))
    }

    fn describe_revert(&self) -> String {
        format!("remove the network {}", text(&self.network["Name"]))
    }

    fn level(&self) -> Level {
        Level::Safe
    }

    fn settles_within(&self) -> Duration {
        Duration::from_secs(90)
    }

    fn needs_engine(&self) -> bool {
        true
    }

    async fn apply(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        create(&self.network, context).await
    }

    async fn is_applied(&self, context: &FixContext<'_>) -> Result<bool> {
        Ok(present(context).await?.is_some_and(|network| same(&network, &self.network)))
    }

    async fn revert(&self, _saved: &Path, context: &FixContext<'_>) -> Result<()> {
        match present(context).await? {
            // Another one has been created since, and is not removed.
            Some(network) if !same(&network, &self.network) => Ok(()),
            Some(_) => remove(context).await,
            None => Ok(()),
        }
    }
}

/// Whether a network is the one that a request creates.
fn same(network: &Value, request: &Value) -> bool {
    let subnet = &request["IPAM"]["Config"][0]["Subnet"];
    network["Name"] == request["Name"]
        && (subnet.is_null() || network["IPAM"]["Config"][0]["Subnet"] == *subnet)
}

async fn remove(context: &FixContext<'_>) -> Result<()> {
    let Some(ingress) = present(context).await? else { return Ok(()) };
    let path = format!("/networks/{}", path_segment(text(&ingress["Id"]))?);
    let deadline = context.system.uptime() + REMOVAL;
    loop {
        match context.change(Method::DELETE, &path, &Value::Null).await {
            // The manager counts a service until its last task is gone.
            Err(error) if error.refused_by_engine() && context.system.uptime() < deadline => {}
            removed => break removed?,
        }
        context.system.sleep(Duration::from_millis(500)).await;
    }
    while present(context).await?.is_some() {
        if context.system.uptime() >= deadline {
            return Err(FixError::Failed("the ingress network was removed and is still listed".into()));
        }
        context.system.sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

async fn create(network: &Value, context: &FixContext<'_>) -> Result<()> {
    if present(context).await?.is_some() {
        return Ok(());
    }
    let deadline = context.system.uptime() + REMOVAL;
    loop {
        match context.change(Method::POST, "/networks/create", network).await {
            // The engine releases the previous network a moment later.
            Err(error) if error.refused_by_engine() && context.system.uptime() < deadline => {
                context.system.sleep(Duration::from_millis(500)).await;
            }
            created => return created,
        }
    }
}

async fn present(context: &FixContext<'_>) -> Result<Option<Value>> {
    let all = context.get("/networks").await?;
    let ingress = items(&all).find(|network| network["Ingress"] == true);
    Ok(ingress.cloned())
}

/// The request that creates such a network.
fn request(network: &Value) -> Value {
    let mut options = network["Options"].as_object().cloned().unwrap_or_default();
    // The managers assign the VXLAN id.
    options.remove("com.docker.network.driver.overlay.vxlanid_list");
    json!({
        "Name": network["Name"],
        "Driver": network["Driver"],
        "Ingress": true,
        "CheckDuplicate": true,
        "EnableIPv6": network["EnableIPv6"],
        "Labels": network["Labels"],
        "Options": options,
        "IPAM": {"Driver": network["IPAM"]["Driver"], "Config": network["IPAM"]["Config"]},
    })
}

/// The service without the ports that it publishes through the ingress network, where it has some.
fn unpublished(service: &Value) -> Option<ServiceEdit> {
    let mut after = service["Spec"].clone();
    let mut ports = after["EndpointSpec"]["Ports"].as_array().cloned().unwrap_or_default();
    let count = ports.len();
    ports.retain(|port| port["PublishMode"] == "host");
    if ports.len() == count {
        return None;
    }
    // The engine leaves an empty list out.
    if ports.is_empty() {
        after["EndpointSpec"].as_object_mut()?.remove("Ports");
    } else {
        after["EndpointSpec"]["Ports"] = ports.into();
    }
    Some(ServiceEdit::new(service, after))
}
