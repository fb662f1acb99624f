use super::member::{Member, members, one_a_service};
use crate::service_change::update;
use crate::{Findings, Judged, Remedy, Risk, ServiceChange, Step, View};
use facts::app::{Asked, Reply};

check! {
    /// NiFi refuses requests for the name or port by which it is called.
    ///
    /// ## Why it matters
    /// NiFi looks at the `Host` of a request. One that it does not know is answered with an error page, by versions
    /// up to 2.2 with the status 200, so that a health check that looks at the status alone sees nothing. From 2.3 on
    /// a port that is published under another number is refused with 421, and from 2.0 on a name that the
    /// certificate does not list with 400. Where it is the name that a node advertises, its peers are refused, too.
    ///
    /// ## How to fix it
    /// List what is typed into the browser, host and port, in `NIFI_WEB_PROXY_HOST`; for `Invalid SNI` give the node
    /// a certificate that lists the name.
    ///
    /// ## When it is wrong
    /// The node's address is only what a caller would most likely use; where all come by a name that is listed,
    /// nothing is missing.
    ///
    /// Source: `HostHeaderHandler` of NiFi, its `HostPortValidatorHandler`, and `SecureRequestCustomizer` of Jetty.
    "apps/request-refused": Error, "requests for the name or port by which NiFi is called are refused";
    needs Services, Apps, Info;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let all = members(view, out);
    for (member, (asked, (reply, words)), _) in one_a_service(&all, refused) {
        let host = called(asked);
        let summary =
            format!("NiFi in {} answers {} {words} to requests for {host}", member.name(), reply.status);
        let begin: String =
            reply.body.lines().map(str::trim).collect::<Vec<_>>().join(" ").chars().take(200).collect();
        let finding =
            out.report(member.subject(), summary, member.shown(format!("GET {}: {begin}", asked.url)));
        let proxy =
            member.app.and_then(|app| app.settings.first(&["nifi.web.proxy.host", "NIFI_WEB_PROXY_HOST"]));
        if let Some(said) = proxy {
            finding.with(member.evidence(said));
        }
        let listed = proxy.map(|said| said.value.as_str()).filter(|value| !value.is_empty());
        let list = listed.map_or_else(|| host.clone(), |listed| format!("{listed},{host}"));
        let certificate = words.contains("SNI");
        let step = match certificate {
            true => Step::Manual {
                node: "a manager".into(),
                text: format!("give the node a certificate whose subject alternative names list {host}"),
                commands: Vec::new(),
            },
            false => update(
                view,
                member.service,
                format!(
                    "let NiFi take requests for {host}; where the file is one's own, nifi.web.proxy.host there"
                ),
                vec![ServiceChange::Environment { name: "NIFI_WEB_PROXY_HOST".into(), value: list }],
            ),
        };
        finding.remedy(Remedy {
            title: "Let NiFi know the name by which it is called".into(),
            risk: Risk::Disruptive,
            impact: "the tasks of the service restart".into(),
            steps: vec![step],
        });
    }
    Ok(())
}

/// The first request that counts and was refused.
fn refused<'m>(member: &'m Member<'_>) -> Option<(&'m Asked, (&'m Reply, &'static str))> {
    let mut asked = member.app?.asked.iter().filter(|asked| counts(asked, member));
    asked.find_map(|asked| Some((asked, refusal(asked)?)))
}

/// Whether callers come like this: from outside by a published port, and peers by what the node advertises.
fn counts(asked: &Asked, member: &Member<'_>) -> bool {
    let settings = member.app.map(|app| &app.settings);
    let proxy = settings.and_then(|it| it.value(&["nifi.web.proxy.host", "NIFI_WEB_PROXY_HOST"]));
    match &asked.host {
        Some(host) => {
            let port = host.rsplit(':').next().unwrap_or_default();
            proxy.is_none_or(|said| {
                refusal(asked).is_some_and(|(reply, _)| reply.status == 421) && !said.value.contains(port)
            })
        }
        None => {
            let name = called(asked);
            let name = name.rsplit_once(':').map_or(name.as_str(), |(name, _)| name);
            member.config.clustered
                && member.advertised().any(|(_, claim)| claim.host.eq_ignore_ascii_case(name))
        }
    }
}

/// What the request was for.
fn called(asked: &Asked) -> String {
    let authority = asked.url.split('/').nth(2).unwrap_or_default();
    asked.host.clone().unwrap_or_else(|| authority.to_owned())
}

/// The answer, where it is a refusal, and in what words.
fn refusal(asked: &Asked) -> Option<(&Reply, &'static str)> {
    let reply = asked.result.as_ref().ok()?;
    let words = [
        "invalid host header",
        "Invalid Port Requested",
        "Invalid Proxy Host Requested",
        "Invalid SNI",
        "Host does not match SNI",
    ];
    words.into_iter().find(|words| reply.body.contains(words)).map(|words| (reply, words))
}
