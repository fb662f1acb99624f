use crate::model::workload::java_heap;
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};

check! {
    /// The Java heap of a service is as large as its memory limit.
    ///
    /// ## Why it matters
    /// A Java program needs memory besides its heap. When the heap grows to the limit, the kernel's OOM killer kills the
    /// program (exit code 137), and swarm restarts the task.
    ///
    /// ## How to fix it
    /// Raise the memory limit to about one and a half times the heap, or lower the heap.
    ///
    /// ## When it is wrong
    /// The start script of the image ignores the variable.
    ///
    /// Source: the Java manual, `-Xmx`; Docker docs, "Resource constraints".
    "service/heap-exceeds-limit": Warning, "the Java heap is as large as the memory limit";
    healthy "every Java heap is smaller than the memory limit of its service";
    needs Services;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    for service in services.iter() {
        let env = service.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let limit = service.limits.memory_bytes;
        let Some((variable, heap)) = java_heap(env).filter(|(_, heap)| limit > 0 && *heap >= limit) else {
            continue;
        };
        let mib = |bytes: i64| bytes >> 20;
        let summary = format!(
            "the Java heap of {} may grow to {} MiB ({variable}), and its memory limit is {} MiB",
            service.name,
            mib(heap),
            mib(limit)
        );
        let shown = format!(
            "{}: {variable}={}, memory limit {limit} bytes",
            service.name,
            service.env.get(variable).map(String::as_str).unwrap_or_default()
        );
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown)).remedy(
            Remedy {
                title: format!("Raise the memory limit of {}, or lower its heap", service.name).into(),
                risk: Risk::Disruptive,
                impact: "The tasks of the service restart.".into(),
                steps: vec![Step::Manual {
                    node: Target::AnyManager,
                    text: "raise the memory limit to one and a half times the heap".into(),
                    commands: vec![format!(
                        "docker service update --limit-memory {}M {}",
                        mib(heap) * 3 / 2,
                        shell_quote(&service.name)
                    )],
                }],
            },
        );
    }
    Ok(())
}
