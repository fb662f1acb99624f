use super::{compose, edit, line, subject};
use crate::model::workload::java_heap;
use crate::{Findings, Judged, View};

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
    "stack/heap-exceeds-limit": Warning, "the Java heap is as large as the memory limit";
    healthy "every Java heap of the stack is smaller than the memory limit";
    needs Stack;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let stack = view.snapshot.stack.get()?;
    for service in &compose(stack)?.services {
        let env = service.env.iter().map(|(name, value)| (name.as_str(), value.value.as_str()));
        let limit = service.limits.value.memory_bytes;
        let Some((variable, heap)) = java_heap(env).filter(|(_, heap)| limit > 0 && *heap >= limit) else {
            continue;
        };
        let name = &service.name.value;
        let mib = |bytes: i64| bytes >> 20;
        let summary = format!(
            "the Java heap of {name} may grow to {} MiB ({variable}), and its memory limit is {} MiB",
            mib(heap),
            mib(limit)
        );
        let number = service.env.get(variable).map_or(service.name.line, |value| value.line);
        out.report(subject(service), summary, line(stack, number))
            .with(line(stack, service.limits.line))
            .remedy(edit(
                stack,
                format!("Raise the memory limit of {name}, or lower its heap"),
                format!("line {}: memory: {}M", service.limits.line, mib(heap) * 3 / 2),
            ));
    }
    Ok(())
}
