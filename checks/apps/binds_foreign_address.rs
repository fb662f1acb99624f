use crate::model::app_member::{Member, first_per_service, members};
use crate::model::app_naming::{number, own_name, own_number};
use crate::model::host_scope::{HostScope, scope_inside};
use crate::{Findings, Judged, View};
use facts::app::{Endpoint, HostSetting};
use std::iter;

check! {
    /// A clustered application is configured to listen at an address that its container does not hold.
    ///
    /// ## Why it matters
    /// A program can only bind an address of its own container. No container holds the VIP of a service: the kernel of the
    /// node distributes its connections over the tasks. An application that is configured with the name of its service as
    /// the listening host, without a `hostname:` of that name, fails with `Cannot assign requested address`, and its task
    /// restarts again and again. The same happens with a fixed IP address of an earlier task, and with a name that does not
    /// resolve.
    ///
    /// ## How to fix it
    /// Give each task a unique hostname that is not the name of a service, and configure that name: inside the container
    /// it resolves to the task's address, and for all others on the overlay network to the same.
    ///
    /// ## When it is wrong
    /// Before Docker 17.06, containers held the VIPs of their services and could bind them.
    ///
    /// Source: moby#30963; the bind of Jetty, ZooKeeper's `QuorumCnxManager.Listener`.
    "apps/binds-foreign-address": Error, "a clustered application listens at an address that its container does not hold";
    healthy "every clustered application listens at an address of its container";
    needs Services, Apps, Info;
    caused_by "apps/setting-malformed";
    for each Cluster: run
}

/// What programs log when they cannot bind.
const UNBOUND: &[&str] =
    &["Failed to bind to", "annot assign requested address", "nresolved", "Exception while listening"];

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (endpoint, host_setting, reason), rest) in first_per_service(&all, |it| foreign(it, view)) {
        let summary = format!(
            "{} in {} is configured to listen as its {} at {} ({}), which is {reason}",
            member.program.title,
            member.name(),
            endpoint.what,
            super::at(&host_setting.host, endpoint.port),
            host_setting.setting
        );
        let mut host_settings: Vec<&HostSetting> = Vec::new();
        for host_setting in iter::once(host_setting)
            .chain(rest.map(|(_, host_setting, _)| host_setting))
            .chain(advertised_too(member, host_setting))
        {
            if host_settings.iter().all(|other| other.setting != host_setting.setting) {
                host_settings.push(host_setting);
            }
        }
        let finding = out.report(member.subject(), summary, member.evidence(&host_setting.setting));
        if let Some(hostname) = member.hostname() {
            finding.with(member.shown(format!("{}: its hostname is {hostname}", member.name())));
        }
        let lines: Vec<_> = unbound(member).take(2).collect();
        for line in &lines {
            finding.with(member.shown(format!("its log: {line}")));
        }
        if let Some(app) = member.app.filter(|app| !app.running) {
            finding.with(member.shown(format!("{}: exited with {}", app.name, app.exit_code)));
        }
        finding.remedy(match number(member) {
            Some(number) => own_number(member, number, view),
            None => own_name(member, &host_settings, view),
        });
    }
    Ok(())
}

/// What a member cannot bind, and why.
fn foreign<'m>(member: &'m Member<'_>, view: &View<'_>) -> Vec<(&'m Endpoint, &'m HostSetting, String)> {
    member
        .bound()
        .filter_map(|(it, host_setting)| Some((it, host_setting, reason(host_setting, member, view)?)))
        .collect()
}

/// Why the host cannot be bound, where it cannot.
fn reason(host_setting: &HostSetting, member: &Member<'_>, view: &View<'_>) -> Option<String> {
    match scope_inside(&host_setting.host, member, view) {
        HostScope::Vip { what, .. } | HostScope::Foreign { what, .. } => Some(what),
        // Where the name cannot be resolved from here, the program's own log counts.
        HostScope::Unknown => {
            let line = unbound(member).find(|line| line.contains(&host_setting.host))?;
            Some(match line.split_once(&format!("{}/", host_setting.host)) {
                Some((_, rest)) if rest.starts_with('<') => "a name that does not resolve".into(),
                Some((_, rest)) => {
                    format!("{}, which cannot be bound", rest.split([':', ' ']).next().unwrap_or_default())
                }
                None => "not an address that can be bound".into(),
            })
        }
        HostScope::AnyAddress | HostScope::Loopback | HostScope::Own => None,
    }
}

/// The lines of its log about a failed bind.
fn unbound<'a>(member: &Member<'a>) -> impl Iterator<Item = &'a String> {
    let lines = member.app.into_iter().flat_map(|app| &app.log);
    lines.filter(|line| UNBOUND.iter().any(|sign| line.contains(sign)))
}

/// Other settings with the same host: all of them have to be corrected together.
fn advertised_too<'m>(
    member: &'m Member<'_>,
    wrong: &'m HostSetting,
) -> impl Iterator<Item = &'m HostSetting> {
    let same = move |(_, host_setting): (&'m Endpoint, &'m HostSetting)| {
        (host_setting.host == wrong.host && host_setting.setting.name != wrong.setting.name)
            .then_some(host_setting)
    };
    member.advertised().filter_map(same)
}
