//! The pipeline: collect, parse, judge.

use crate::cli::{self, Run, Source};
use crate::collect::{Endpoint, Options, Session, StackFile, Target};
use crate::error::ExpectedError;
use crate::fleet;
use crate::judge::{Diagnosis, Member, judge, judge_swarm};
use crate::matrix::Matrix;
use crate::policy::Policy;
use facts::bundle::{Bundle, Manifest};
use facts::{Need, Snapshot};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Timeout of one probe of another node.
const PROBE_DEADLINE: Duration = Duration::from_secs(1);
/// How long the matrix captures packets, unless --listen is given.
const MATRIX_LISTENS: Duration = Duration::from_secs(30);
/// How many reasons are named where no node was examined.
const NAMED: usize = 5;
/// How much longer than its requests one kind of artifact may take.
const SPARE: Duration = Duration::from_secs(4);

/// What is examined beyond what every run examines.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The swarm to join.
    pub join: Option<Target>,
    /// The stack to deploy.
    pub stack: Option<StackFile>,
    /// The facts that only the matrix shows.
    pub matrix: bool,
}

impl Asked {
    /// Whether a kind of artifact is collected.
    fn wants(&self, need: Need) -> bool {
        match need {
            Need::Join => self.join.is_some(),
            Need::Stack => self.stack.is_some(),
            Need::Clocks => self.matrix,
            _ => true,
        }
    }
}

/// Examines the bundles or the host that the options name.
pub async fn examine(
    run: &Run,
    policy: &Policy,
    asked: Asked,
) -> Result<(Snapshot, Diagnosis), ExpectedError> {
    if !run.bundle.is_empty() {
        return offline(&run.bundle, policy);
    }
    if run.fleet.all_nodes {
        let progress = run.output.wants_progress();
        let wanted = fleet::Wanted { save: run.save.as_deref(), progress, ..fleet::Wanted::default() };
        let gathered = fleet::gather(&run.source, &run.fleet, asked, wanted).await?;
        return all_nodes(gathered, policy);
    }
    live(&run.source, run.save.as_deref(), policy, asked).await
}

/// Examines the host, and saves what was collected where a path is given.
pub async fn live(
    source: &Source,
    save: Option<&Path>,
    policy: &Policy,
    asked: Asked,
) -> Result<(Snapshot, Diagnosis), ExpectedError> {
    let bundle = collect(source, policy, asked).await?;
    if let Some(path) = save {
        crate::bundle::write(&bundle, path)?;
    }
    let snapshot = facts::parse::snapshot(&bundle);
    let diagnosis = judged(&snapshot, &bundle.manifest, policy);
    Ok((snapshot, diagnosis))
}

/// Examines bundles: one node as if swarm-doctor ran there, several as one swarm.
pub fn offline(paths: &[PathBuf], policy: &Policy) -> Result<(Snapshot, Diagnosis), ExpectedError> {
    together(members(paths)?, policy).ok_or_else(|| ExpectedError::usage("the bundle contains no node"))
}

/// Judges the nodes that were examined; those that were not are an incomplete check.
fn all_nodes(gathered: fleet::Gathered, policy: &Policy) -> Result<(Snapshot, Diagnosis), ExpectedError> {
    let fleet::Gathered { members, missing } = gathered;
    let (snapshot, mut diagnosis) = together(members, policy).ok_or_else(|| {
        let reasons: Vec<String> = missing.iter().take(NAMED).map(ToString::to_string).collect();
        ExpectedError::usage(format!("no node could be examined: {}", reasons.join("; ")))
    })?;
    fleet::report(&mut diagnosis, &missing);
    Ok((snapshot, diagnosis))
}

/// Judges nodes together; `None` where there are none.
pub fn together(mut members: Vec<Member>, policy: &Policy) -> Option<(Snapshot, Diagnosis)> {
    if members.len() == 1 {
        let Member { snapshot, manifest } = members.pop()?;
        let diagnosis = judged(&snapshot, &manifest, policy);
        return Some((snapshot, diagnosis));
    }
    judge_swarm(policy.catalogue.checks(), members, policy)
}

/// The nodes in these bundles. The bytes of each are dropped before the next is read, to bound the memory.
pub fn members(paths: &[PathBuf]) -> Result<Vec<Member>, ExpectedError> {
    let mut members = Vec::new();
    for path in paths {
        crate::bundle::each(path, &mut |bundle| members.push(Member::of(bundle)))?;
    }
    Ok(members)
}

/// The paths between the nodes that the options name.
pub async fn matrix(matrix: &cli::Matrix) -> Result<Vec<Matrix>, ExpectedError> {
    if !matrix.bundle.is_empty() {
        return Ok(matrices(members(&matrix.bundle)?));
    }
    let listen = matrix.source.listen.or(Some(MATRIX_LISTENS));
    let asked = Asked { matrix: true, ..Asked::default() };
    let source = cli::Source { listen, ..matrix.source.clone() };
    if matrix.fleet.all_nodes {
        let progress = matrix.output.format == cli::Layout::Table;
        let wanted = fleet::Wanted { progress, ..fleet::Wanted::default() };
        let fleet::Gathered { members, missing } =
            fleet::gather(&source, &matrix.fleet, asked, wanted).await?;
        let mut all = matrices(members);
        all.extend(missing.iter().map(fleet::Missing::matrix));
        return Ok(all);
    }
    let bundle = collect(&source, &Policy::default(), asked).await?;
    Ok(vec![Matrix::of(&facts::parse::snapshot(&bundle), bundle.manifest.took_ms)])
}

/// The paths between these nodes.
fn matrices(mut members: Vec<Member>) -> Vec<Matrix> {
    if members.len() < 2 {
        let one = |member: &Member| Matrix::of(&member.snapshot, member.manifest.took_ms);
        return members.iter().map(one).collect();
    }
    let names = crate::judge::names(&members);
    members.sort_by(|one, other| one.manifest.host.cmp(&other.manifest.host));
    let one = |member: &Member| Matrix::of(&member.snapshot, member.manifest.took_ms).named(&names);
    members.iter().map(one).collect()
}

/// Collects the facts that a run needs.
pub async fn collect(source: &Source, policy: &Policy, asked: Asked) -> Result<Bundle, ExpectedError> {
    let mut options = options(source, asked)?;
    options.needs.retain(|need| policy.selection.needs(*need));
    Ok(Session::new(options).bundle().await)
}

/// The options of collecting, from those of the command line.
pub(crate) fn options(source: &Source, asked: Asked) -> Result<Options, ExpectedError> {
    let environment = |name: &str| std::env::var(name).ok();
    let endpoint = Endpoint::resolve(source.host.as_deref(), source.context.as_deref(), &environment)?;
    if !source.root.is_dir() {
        return Err(ExpectedError::usage(format!("--root {} is not a directory", source.root.display())));
    }
    let variables = ["DOCKER_HOST", "DOCKER_CONTEXT"];
    let engine_named = source.host.is_some()
        || source.context.is_some()
        || variables.iter().any(|name| environment(name).is_some_and(|value| !value.is_empty()));
    Ok(Options {
        endpoint,
        engine_named,
        root: source.root.clone(),
        daemon_json: None,
        since: source.since,
        request_deadline: source.timeout,
        probe_deadline: PROBE_DEADLINE,
        listen: source.listen.unwrap_or_default(),
        deadline: source.check_timeout.unwrap_or(source.timeout.saturating_add(SPARE)),
        needs: Need::ALL
            .into_iter()
            .filter(|need| asked.wants(*need) && (*need != Need::GossipCapture || source.listen.is_some()))
            .collect(),
        join: asked.join,
        apps: source.apps.iter().map(|app| (app.service.clone(), app.program.clone())).collect(),
        stack: asked.stack,
    })
}

/// Judges a bundle. The same bundle always gives the same diagnosis.
pub fn diagnose(bundle: &Bundle) -> Diagnosis {
    diagnose_by(bundle, &Policy::default())
}

/// Judges a bundle by a policy.
pub fn diagnose_by(bundle: &Bundle, policy: &Policy) -> Diagnosis {
    judged(&facts::parse::snapshot(bundle), &bundle.manifest, policy)
}

fn judged(snapshot: &Snapshot, manifest: &Manifest, policy: &Policy) -> Diagnosis {
    judge(policy.catalogue.checks(), snapshot, manifest, policy)
}
