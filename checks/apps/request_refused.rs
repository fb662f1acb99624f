use crate::model::app_member::{Member, first_per_service, members};
use crate::service_change::update;
use crate::{Findings, Judged, Remedy, Risk, ServiceChange, Step, Target, View};
use facts::app::{HttpProbe, Reply};

check! {
    /// NiFi refuses requests for the name or port with which it is called.
    ///
    /// ## Why it matters
    /// NiFi checks the `Host` header of a request. An unknown host gets an error page, with status 200 by versions up to 2.2,
    /// so a health check on the status alone does not notice. From 2.3 on a port that is published under another number is
    /// refused with 421, and from 2.0 on a name that the certificate does not list with 400. Where it is the name that a
    /// node advertises, its peers are refused as well.
    ///
    /// ## How to fix it
    /// List the host and port that browsers use in `NIFI_WEB_PROXY_HOST`. For `Invalid SNI` give the node a certificate that
    /// lists the name.
    ///
    /// ## When it is wrong
    /// The node's address is what callers most likely use; where all of them use a listed name, nothing is missing.
    ///
    /// Source: `HostHeaderHandler` of NiFi, its `HostPortValidatorHandler`, and `SecureRequestCustomizer` of Jetty.
    "apps/request-refused": Error, "requests for the name or port of NiFi are refused";
    healthy "NiFi accepts requests for its address and published ports";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (probe, (reply, words)), _) in first_per_service(&all, refused) {
        let host = called(probe);
        let summary =
            format!("NiFi in {} answers {} {words} to requests for {host}", member.name(), reply.status);
        let begin: String =
            reply.body.lines().map(str::trim).collect::<Vec<_>>().join(" ").chars().take(200).collect();
        let finding =
            out.report(member.subject(), summary, member.shown(format!("GET {}: {begin}", probe.url)));
        let proxy =
            member.app.and_then(|app| app.settings.first(&["nifi.web.proxy.host", "NIFI_WEB_PROXY_HOST"]));
        if let Some(setting) = proxy {
            finding.with(member.evidence(setting));
        }
        let listed = proxy.map(|setting| setting.value.as_str()).filter(|value| !value.is_empty());
        let list = listed.map_or_else(|| host.clone(), |listed| format!("{listed},{host}"));
        let certificate = words.contains("SNI");
        let step = match certificate {
            true => Step::Manual {
                node: Target::AnyManager,
                text: format!("give the node a certificate whose subject alternative names list {host}"),
                commands: Vec::new(),
            },
            false => update(
                view,
                member.service,
                format!(
                    "let NiFi accept requests for {host}; where nifi.properties is mounted, set nifi.web.proxy.host there"
                ),
                vec![ServiceChange::Environment { name: "NIFI_WEB_PROXY_HOST".into(), value: list }],
            ),
        };
        finding.remedy(Remedy {
            title: format!("Add {host} to the hosts that NiFi accepts").into(),
            risk: Risk::Disruptive,
            impact: "The tasks of the service restart.".into(),
            steps: vec![step],
        });
    }
    Ok(())
}

/// The first relevant request that was refused.
fn refused<'m>(member: &'m Member<'_>) -> Option<(&'m HttpProbe, (&'m Reply, &'static str))> {
    let mut probe = member.app?.http_probes.iter().filter(|probe| counts(probe, member));
    probe.find_map(|probe| Some((probe, refusal(probe)?)))
}

/// Whether callers send such requests: from outside through a published port, or peers to the advertised address.
fn counts(probe: &HttpProbe, member: &Member<'_>) -> bool {
    let settings = member.app.map(|app| &app.settings);
    let proxy = settings.and_then(|it| it.value(&["nifi.web.proxy.host", "NIFI_WEB_PROXY_HOST"]));
    match &probe.host {
        Some(host) => {
            let port = host.rsplit(':').next().unwrap_or_default();
            proxy.is_none_or(|setting| {
                refusal(probe).is_some_and(|(reply, _)| reply.status == 421) && !setting.value.contains(port)
            })
        }
        None => {
            let name = called(probe);
            let name = name.rsplit_once(':').map_or(name.as_str(), |(name, _)| name);
            member.config.clustered
                && member.advertised().any(|(_, host_setting)| host_setting.host.eq_ignore_ascii_case(name))
        }
    }
}

/// The host that the request was for.
fn called(probe: &HttpProbe) -> String {
    let authority = probe.url.split('/').nth(2).unwrap_or_default();
    probe.host.clone().unwrap_or_else(|| authority.to_owned())
}

/// The answer, where it is a refusal, and its text.
fn refusal(probe: &HttpProbe) -> Option<(&Reply, &'static str)> {
    let reply = probe.result.as_ref().ok()?;
    let words = [
        "invalid host header",
        "Invalid Port Requested",
        "Invalid Proxy Host Requested",
        "Invalid SNI",
        "Host does not match SNI",
    ];
    words.into_iter().find(|words| reply.body.contains(words)).map(|words| (reply, words))
}
