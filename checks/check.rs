//! What a check is.

use crate::{Finding, Findings, Severity, Subject, View};
use facts::swarm::Node;
use facts::{Gap, Host, Need};
use std::borrow::Cow;

/// Text that is static in a built-in check and owned in a user's.
pub type Str = Cow<'static, str>;

/// Whatever can look at a snapshot and say what is wrong with it.
pub trait Check: Send + Sync {
    /// What is known of the check before it runs.
    fn meta(&self) -> &Meta;
    /// Looks, and reports.
    fn judge(&self, view: &View<'_>, out: &mut Findings<'_>);
    /// The same with the findings of the checks that ran before.
    fn judge_after(&self, view: &View<'_>, _found: &[Finding], out: &mut Findings<'_>) {
        self.judge(view, out);
    }
    /// Whether it looks at each machine for itself, from where that machine stands; else it looks at the swarm.
    fn each_host(&self) -> bool {
        false
    }
}

/// What is known of a check before it runs.
#[derive(Clone, Debug)]
pub struct Meta {
    /// `swarm/stale-advertise-addr`, which is also `checks/swarm/stale_advertise_addr.rs`.
    pub id: Str,
    /// The problem as a statement that reads after "because".
    pub title: Str,
    /// What holds when the check passes, as a statement: `overlay packets pass between nodes`. Shown by `-v`; empty
    /// where a check has none.
    pub healthy: Str,
    /// The severity of its findings, unless one sets its own.
    pub severity: Severity,
    /// The doc comment, shown by `explain`.
    pub explain: Str,
    /// The artifacts it reads.
    pub needs: Cow<'static, [Need]>,
    /// Checks whose finding on the same subject makes this one a consequence.
    pub caused_by: Cow<'static, [Str]>,
    /// It runs after all other checks, with their findings.
    pub remaining: bool,
}

/// A check that comes with the doctor.
pub struct BuiltIn {
    /// What is known of it before it runs.
    pub meta: Meta,
    /// What it runs on, and what runs.
    pub run: Run,
    /// The source file, which the id has to agree with.
    pub file: &'static str,
}

/// What a built-in check is run on, and so how often.
pub enum Run {
    /// Once for the whole swarm.
    Cluster(fn(&View<'_>, &mut Findings<'_>) -> Judged),
    /// Once for every machine that was looked at.
    Host(fn(&Host, &View<'_>, &mut Findings<'_>) -> Judged),
    /// Once for every entry of the node list.
    Node(fn(&Node, &View<'_>, &mut Findings<'_>) -> Judged),
    /// Once for every host, after all other checks and with their findings.
    Remaining(fn(&Host, &View<'_>, &[Finding], &mut Findings<'_>) -> Judged),
}

/// An `Err` makes the verdict on this subject "unknown". It never makes it "healthy".
pub type Judged = Result<(), Gap>;

impl Check for BuiltIn {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn each_host(&self) -> bool {
        matches!(self.run, Run::Host(_) | Run::Remaining(_))
    }

    fn judge_after(&self, view: &View<'_>, found: &[Finding], out: &mut Findings<'_>) {
        match self.run {
            Run::Remaining(run) => {
                for host in &view.snapshot.hosts {
                    note(Subject::Node(host.name.clone()), run(host, view, found, out), out);
                }
            }
            Run::Cluster(_) | Run::Host(_) | Run::Node(_) => self.judge(view, out),
        }
    }

    fn judge(&self, view: &View<'_>, out: &mut Findings<'_>) {
        match self.run {
            Run::Cluster(run) => note(Subject::Cluster, run(view, out), out),
            Run::Host(run) => {
                for host in &view.snapshot.hosts {
                    note(Subject::Node(host.name.clone()), run(host, view, out), out);
                }
            }
            Run::Node(run) => match view.snapshot.nodes.get() {
                Ok(nodes) => {
                    for node in &nodes.value {
                        note(Subject::Node(node.name.clone()), run(node, view, out), out);
                    }
                }
                Err(gap) => out.inconclusive(Subject::Cluster, gap),
            },
            Run::Remaining(_) => self.judge_after(view, &[], out),
        }
    }
}

fn note(subject: Subject, judged: Judged, out: &mut Findings<'_>) {
    if let Err(gap) = judged {
        out.inconclusive(subject, gap);
    }
}

/// Declares the check of a file: its doc comment is the explanation, its id the path.
macro_rules! check {
    (
        $(#[doc = $doc:literal])+
        $id:literal: $severity:ident, $title:literal;
        $(healthy $healthy:literal;)?
        needs $($need:ident),+;
        $(caused_by $($cause:literal),+;)?
        for each $scope:ident: $run:path
    ) => {
        $(#[doc = $doc])+
        pub(super) static CHECK: $crate::BuiltIn = $crate::BuiltIn {
            meta: $crate::Meta {
                id: std::borrow::Cow::Borrowed($id),
                title: std::borrow::Cow::Borrowed($title),
                healthy: std::borrow::Cow::Borrowed(concat!($($healthy)?)),
                severity: $crate::Severity::$severity,
                explain: std::borrow::Cow::Borrowed(concat!($($doc, "\n"),+)),
                needs: std::borrow::Cow::Borrowed(&[$(facts::Need::$need),+]),
                caused_by: std::borrow::Cow::Borrowed(&[$($(std::borrow::Cow::Borrowed($cause)),+)?]),
                remaining: matches!($crate::Run::$scope($run), $crate::Run::Remaining(_)),
            },
            run: $crate::Run::$scope($run),
            file: file!(),
        };
    };
}
