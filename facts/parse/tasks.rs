//! `GET /tasks`.

use super::or_default;
use super::services::{bare, digest, stamp};
use crate::service::{Task, TaskAttachment};
use crate::{NetworkId, NodeId, ServiceId, TaskId};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TaskAnswer {
    #[serde(rename = "ID")]
    id: TaskId,
    #[serde(rename = "ServiceID", default, deserialize_with = "or_default")]
    service: ServiceId,
    #[serde(rename = "NodeID", default, deserialize_with = "or_default")]
    node: NodeId,
    #[serde(default, deserialize_with = "or_default")]
    slot: u64,
    #[serde(default, deserialize_with = "or_default")]
    created_at: String,
    #[serde(default)]
    spec: Value,
    #[serde(default, deserialize_with = "or_default")]
    status: TaskStatus,
    #[serde(default, deserialize_with = "or_default")]
    desired_state: String,
    #[serde(default, deserialize_with = "or_default")]
    networks_attachments: Vec<Attachment>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskStatus {
    #[serde(default, deserialize_with = "or_default")]
    state: String,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    #[serde(default, deserialize_with = "or_default")]
    err: String,
    #[serde(default, deserialize_with = "or_default")]
    timestamp: String,
    #[serde(default)]
    container_status: Option<ContainerStatus>,
}

#[derive(Deserialize)]
struct ContainerStatus {
    #[serde(rename = "ContainerID", default, deserialize_with = "or_default")]
    id: String,
    #[serde(rename = "ExitCode", default, deserialize_with = "or_default")]
    exit_code: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskSpec {
    #[serde(default, deserialize_with = "or_default")]
    container_spec: TaskContainer,
}

#[derive(Default, Deserialize)]
struct TaskContainer {
    #[serde(rename = "Image", default, deserialize_with = "or_default")]
    image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attachment {
    #[serde(default, deserialize_with = "or_default")]
    network: AttachedNetwork,
    #[serde(default, deserialize_with = "or_default")]
    addresses: Vec<String>,
}

#[derive(Default, Deserialize)]
struct AttachedNetwork {
    #[serde(rename = "ID", default, deserialize_with = "or_default")]
    id: NetworkId,
    #[serde(rename = "Spec", default, deserialize_with = "or_default")]
    spec: NetworkSpec,
}

#[derive(Default, Deserialize)]
struct NetworkSpec {
    #[serde(rename = "Ingress", default, deserialize_with = "or_default")]
    ingress: bool,
}

impl From<Attachment> for TaskAttachment {
    fn from(answer: Attachment) -> Self {
        Self {
            network: answer.network.id,
            ingress: answer.network.spec.ingress,
            addresses: answer.addresses.iter().filter_map(|addr| bare(addr)).collect(),
        }
    }
}

pub(super) fn tasks(answers: Vec<TaskAnswer>) -> Vec<Task> {
    let one = |answer: TaskAnswer| {
        let attachments: Vec<TaskAttachment> =
            answer.networks_attachments.into_iter().map(TaskAttachment::from).collect();
        let template = digest(&answer.spec);
        let spec: TaskSpec = serde_json::from_value(answer.spec).unwrap_or_default();
        Task {
            id: answer.id,
            service: answer.service,
            node: Some(answer.node).filter(|node| !node.as_str().is_empty()),
            slot: answer.slot,
            state: answer.status.state,
            desired: answer.desired_state,
            message: answer.status.message,
            error: answer.status.err,
            exit_code: answer.status.container_status.filter(|c| !c.id.is_empty()).map(|c| c.exit_code),
            created: stamp(&answer.created_at),
            since: stamp(&answer.status.timestamp),
            image: spec.container_spec.image,
            template,
            addresses: attachments.iter().flat_map(|it| it.addresses.iter().copied()).collect(),
            attachments,
        }
    };
    let mut tasks: Vec<_> = answers.into_iter().map(one).collect();
    tasks.sort_by(|a, b| a.id.cmp(&b.id));
    tasks
}
