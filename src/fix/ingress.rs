//! The network that published ports live on, made anew: nothing may publish through it while it is gone.

use super::Ground;
use super::act::Act;
use super::service::{ServiceEdit, text};
use super::swarm::{Api, plain};
use hyper::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a network that was removed may take to be gone everywhere.
const GONE: Duration = Duration::from_secs(40);

/// The acts that give the network another subnet, each with its own way back.
pub(super) async fn anew(subnet: &str, ground: &Ground) -> Result<Vec<Act>, String> {
    let api = Api::of(ground).await?;
    let old = present(&api).await?.ok_or("there is no ingress network any more")?;
    let mut new = wanted(&old);
    new["IPAM"]["Config"] = json!([{"Subnet": subnet}]);
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for service in api.get("/services").await?.as_array().into_iter().flatten() {
        let Some(edit) = unpublished(service) else { continue };
        on.push(Act::Service(ServiceEdit {
            before: edit.after.clone(),
            after: edit.before.clone(),
            ..edit.clone()
        }));
        off.push(Act::Service(edit));
    }
    off.extend([Act::IngressGone(wanted(&old)), Act::IngressMade(new)]);
    Ok(off.into_iter().chain(on).collect())
}

/// Removes it, where it is there.
pub(super) async fn remove(ground: &Ground) -> Result<(), String> {
    let api = Api::of(ground).await?;
    let Some(ingress) = present(&api).await? else { return Ok(()) };
    let path = format!("/networks/{}", plain(text(&ingress["Id"]))?);
    let deadline = Instant::now() + GONE;
    loop {
        match api.change(Method::DELETE, &path, &Value::Null).await {
            // The manager counts a service in until its last task is gone.
            Err(why) if why.contains("depends on it") && Instant::now() < deadline => {}
            removed => break removed?,
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    while present(&api).await?.is_some() {
        if Instant::now() >= deadline {
            return Err("the ingress network was removed and is still there".into());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

/// Makes it, where there is none.
pub(super) async fn make(network: &Value, ground: &Ground) -> Result<(), String> {
    let api = Api::of(ground).await?;
    if present(&api).await?.is_some() {
        return Ok(());
    }
    let deadline = Instant::now() + GONE;
    loop {
        match api.change(Method::POST, "/networks/create", network).await {
            // What an engine still has of the one before goes a moment later.
            Err(why) if why.contains("already") && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            made => return made,
        }
    }
}

async fn present(api: &Api) -> Result<Option<Value>, String> {
    let all = api.get("/networks").await?;
    let ingress = all.as_array().into_iter().flatten().find(|network| network["Ingress"] == true);
    Ok(ingress.cloned())
}

/// What has to be asked for to get such a network.
fn wanted(network: &Value) -> Value {
    let mut options = network["Options"].as_object().cloned().unwrap_or_default();
    // Its number is the managers' to give.
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

/// The service without the ports that it publishes through the mesh, where it has some.
fn unpublished(service: &Value) -> Option<ServiceEdit> {
    let before = service["Spec"].clone();
    let mut after = before.clone();
    let mut ports = before["EndpointSpec"]["Ports"].as_array().cloned().unwrap_or_default();
    let count = ports.len();
    ports.retain(|port| port["PublishMode"] == "host");
    if ports.len() == count {
        return None;
    }
    // The engine leaves an empty list out.
    match ports.is_empty() {
        true => drop(after["EndpointSpec"].as_object_mut()?.remove("Ports")),
        false => after["EndpointSpec"]["Ports"] = ports.into(),
    }
    Some(ServiceEdit {
        id: text(&service["ID"]).to_owned(),
        name: text(&before["Name"]).to_owned(),
        before,
        after,
    })
}
