use super::advice;
use crate::shell_quote;
use crate::{Evidence, Findings, Judged, Subject, Target, View};

check! {
    /// The image of a service has no digest.
    ///
    /// ## Why it matters
    /// Each node pulls the tag when it starts a task: after the tag moved, nodes run different images under one name, and a
    /// rollback starts the new one. The manager adds the digest where the client can ask the registry; clients of 29 do not
    /// with `service update --image`.
    ///
    /// ## How to fix it
    /// Name the image by digest, or deploy with a client that resolves it.
    ///
    /// ## When it is wrong
    /// If the image is local to the nodes, or the tag never moves.
    ///
    /// Source: docker/cli#7302; Docker docs "docker service create", option `--no-resolve-image`.
    "posture/image-not-pinned": Info, "nodes may run different images of one service";
    healthy "every service names its image by digest";
    needs Services;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for service in services
        .iter()
        .filter(|service| !service.image.is_empty() && !service.image.contains("@sha256:") && !service.job)
    {
        let name = shell_quote(&service.name);
        let summary = format!("{} runs {} without a digest", service.name, service.image);
        let shown = format!("Image: {}", service.image);
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown)).remedy(
            advice(
                Target::AnyManager,
                "Pin the image by digest",
                "update the service with the digest of the image",
                vec![
                    "docker buildx imagetools inspect IMAGE".into(),
                    format!("docker service update --image IMAGE@sha256:DIGEST {name}"),
                ],
            ),
        );
    }
    Ok(())
}
