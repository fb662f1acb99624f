use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::Host;

check! {
    /// The file system of the engine's data root has no `d_type` support.
    ///
    /// ## Why it matters
    /// overlay2 then cannot hide files of lower layers: containers fail with `device or resource busy` or `no such file`, and files
    /// that an image removed are still there. Newer engines do not start on such a file system. XFS lacks it when it was formatted
    /// with `ftype=0`, the default of CentOS 7 before 7.3.
    ///
    /// ## How to fix it
    /// Format the file system again with `ftype=1`, or move the data root to another one.
    ///
    /// ## When it is wrong
    /// Never: the engine itself found it.
    ///
    /// Source: moby `daemon/graphdriver/overlayutils/overlayutils.go`, `ErrDTypeNotSupported`.
    "host/d-type-missing": Warning, "the file system of the data root has no d_type support";
    healthy "the file system of the data root supports d_type";
    needs Info;
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    let Some(warning) = info.warnings.iter().find(|warning| warning.contains("without d_type support"))
    else {
        return Ok(());
    };
    let summary = format!("the file system of {} on {} has no d_type support", info.data_root, host.name);
    out.report(Subject::Node(host.name.clone()), summary, Evidence::value(info, warning)).remedy(Remedy {
        title: "Move the data root to a file system with d_type".into(),
        risk: Risk::Manual,
        impact: "The node has to be drained; its images and local volumes have to be copied.".into(),
        steps: vec![Step::Manual {
            node: host.name.clone().into(),
            text: "drain the node and stop the engine; format the file system again, or set \"data-root\" in daemon.json to another \
                   one"
                .into(),
            commands: vec![
                format!("xfs_info {} | grep ftype", info.data_root),
                "mkfs.xfs -n ftype=1 DEVICE".into(),
            ],
        }],
    });
    Ok(())
}
