//! Passwords on the command lines of programs that are known for it.

use super::redact::{Cursor, Quote, next_item, run, value};
use std::ops::Range;

/// How far back the name of a program is looked for.
const REACH: usize = 400;

/// What stands behind a flag.
#[derive(Clone, Copy, PartialEq)]
enum Behind {
    /// The password.
    Password,
    /// A user, a colon and the password.
    Login,
}

/// A flag of one letter, and the programs for which it is no harmless one.
const FLAGS: &[(&str, u8, Behind)] = &[
    ("mysql", b'p', Behind::Password),
    ("mariadb", b'p', Behind::Password),
    ("mongo", b'p', Behind::Password),
    ("sshpass", b'p', Behind::Password),
    ("login", b'p', Behind::Password),
    ("cqlsh", b'p', Behind::Password),
    ("redis-cli", b'a', Behind::Password),
    ("valkey-cli", b'a', Behind::Password),
    ("keydb-cli", b'a', Behind::Password),
    ("sqlcmd", b'P', Behind::Password),
    ("mosquitto", b'P', Behind::Password),
    ("ldap", b'w', Behind::Password),
    ("curl", b'u', Behind::Login),
    ("curl", b'U', Behind::Login),
];

/// The password behind the flag that begins here, be it `-p value`, `-pvalue` or `-u user:password`, in a line or a list.
pub(super) fn login(here: &Cursor<'_>) -> Option<Range<usize>> {
    let (text, at) = (here.text, here.at);
    if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return None;
    }
    // A rule of iptables has such flags, and may have a comment that tells of a program.
    if text[here.line..at].starts_with("-A ") {
        return None;
    }
    let start = run(text, at, |b| b == b'-');
    let end = run(text, start, |b| b.is_ascii_alphanumeric() || b == b'-');
    let (dashes, name) = (start - at, &text[start..end]);
    let letter = *name.as_bytes().first()?;
    if dashes > 1 {
        let is_login = matches!(name, "user" | "proxy-user") && runs(text, at, "curl");
        let found = || password_of(text, behind(here, end)?);
        return if is_login {
            found()
        } else {
            found().filter(|_| name == "user").filter(|it| is_password(text, at, it))
        };
    }
    let flag = FLAGS.iter().find(|(program, flag, form)| {
        // Letters may share a dash where they take no value, and the last of them takes one.
        let is_last = *form == Behind::Login
            && name.bytes().all(|b| b.is_ascii_alphabetic())
            && name.ends_with(char::from(*flag));
        (letter == *flag || is_last) && runs(text, at, program)
    });
    let Some((_, flag, form)) = flag else {
        return if name == "p" { unknown(here, end) } else { None };
    };
    // It may stand at the flag itself, too.
    let is_beside =
        letter == *flag && (name.len() > 1 || !text[end..].starts_with([' ', ',', '"', '\'', '\\', '\n']));
    let is_quoted = name.len() == 1 && text[end..].starts_with('\'');
    let is_escaped = name.len() == 1 && Quote::after(text, end).is_some_and(|quote| !quote.closes(here, end));
    let found = if is_beside || is_quoted || is_escaped {
        value(here, start + 1, |b| b.is_ascii_whitespace())
    } else {
        behind(here, end)?
    };
    if *form == Behind::Login {
        password_of(text, found)
    } else {
        Some(found).filter(|it| !text[it.clone()].starts_with('-'))
    }
}

/// `-p value` of an unknown program: no port, protocol, path or project of its own says what else it may be.
fn unknown(here: &Cursor<'_>, end: usize) -> Option<Range<usize>> {
    let text = here.text;
    const PROTOCOLS: [&str; 8] = ["tcp", "udp", "icmp", "icmpv6", "ipv6-icmp", "esp", "sctp", "all"];
    const REACH: usize = 400;
    let reach = super::redact::floor(text, end + REACH);
    let line = text[end..reach].find('\n').map_or(reach, |length| end + length);
    // A rule of iptables names its target behind.
    if text[end..line].contains(" -j ") {
        return None;
    }
    let found = behind(here, end)?;
    let shown = &text[found.clone()];
    let is_plain =
        shown.bytes().any(|b| b.is_ascii_alphabetic()) && !shown.starts_with(['-', '$', '{', '%', '!']);
    (is_plain && !shown.contains(['/', ':']) && !PROTOCOLS.contains(&shown)).then_some(found)
}

/// The value behind a flag that ends here: behind `=` or a space, or the next item of a list.
fn behind(here: &Cursor<'_>, end: usize) -> Option<Range<usize>> {
    let text = here.text;
    if let Some(closed) = Quote::after(text, end) {
        let opened = Quote::after(text, next_item(text, closed.start)?)?;
        return Some(opened.start..opened.end(text, opened.start));
    }
    if text[end..].starts_with([' ', '=']) {
        return Some(value(here, run(text, end, |b| matches!(b, b' ' | b'=')), |b| b.is_ascii_whitespace()));
    }
    let closed = end + usize::from(text[end..].starts_with('\''));
    Some(value(here, next_item(text, closed)?, |b| b.is_ascii_whitespace() || b",]".contains(&b)))
}

/// Whether `--user name:value` of any program has a password: a user and a group look the same.
fn is_password(text: &str, at: usize, found: &Range<usize>) -> bool {
    const GROUPS: [&str; 8] =
        ["docker", "podman", "chown", "install", "gosu", "su-exec", "setpriv", "nerdctl"];
    let shown = &text[found.clone()];
    let user = text[..found.start - 1].rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
    shown.bytes().any(|b| !b.is_ascii_digit())
        && user != Some(shown)
        && !GROUPS.iter().any(|program| runs(text, at, program))
}

fn password_of(text: &str, login: Range<usize>) -> Option<Range<usize>> {
    text[login.clone()].find(':').map(|colon| login.start + colon + 1..login.end)
}

/// Whether the line that leads here, or the list that the line is an item of, names a program that is called so, or begins
/// so.
fn runs(text: &str, at: usize, program: &str) -> bool {
    let mut from = at.saturating_sub(REACH);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = &text[from..at];
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    let before = if before[line..].trim_start().starts_with("- ") { before } else { &before[line..] };
    let begins = |start: usize| !before[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
    before.match_indices(program).any(|(start, _)| begins(start))
}

#[cfg(test)]
mod tests {
    use crate::parse::log::redact;

    #[track_caller]
    fn redacts(text: &str, wanted: &str) {
        assert_eq!(redact(text), wanted);
        assert_eq!(redact(wanted), wanted, "twice is as once");
    }

    #[test]
    fn takes_out_what_clients_are_told() {
        redacts("mysql -u root -phunter2 -e 'select 1'", "mysql -u root -p*** -e 'select 1'");
        redacts(
            r#"["CMD-SHELL","mysqladmin ping -uroot -phunter2"]"#,
            r#"["CMD-SHELL","mysqladmin ping -uroot -p***"]"#,
        );
        redacts(r#"["mysqladmin","ping","-uroot","-phunter2"]"#, r#"["mysqladmin","ping","-uroot","-p***"]"#);
        redacts(r#"{"c":"mysql -u root -p\"hunter2\" -e x"}"#, r#"{"c":"mysql -u root -p\"***\" -e x"}"#);
        redacts("mysql -u root -p'hunter 2' -e x", "mysql -u root -p'***' -e x");
        redacts("redis-cli -h db -a 'hunter 2' ping", "redis-cli -h db -a '***' ping");
        redacts(r#"["CMD","redis-cli","-a","hunter2","ping"]"#, r#"["CMD","redis-cli","-a","***","ping"]"#);
        redacts("- redis-cli\n  - -a\n  - hunter2", "- redis-cli\n  - -a\n  - ***");
        redacts(
            "docker login -u bob -p hunter2 registry.example.com",
            "docker login -u bob -p *** registry.example.com",
        );
        redacts(
            r#"["sqlcmd","-U","sa","-P","hunter2","-Q","x"]"#,
            r#"["sqlcmd","-U","sa","-P","***","-Q","x"]"#,
        );
        redacts("tool -p hunter2 -v", "tool -p *** -v");
    }

    #[test]
    fn takes_the_password_from_a_login() {
        redacts("curl -u admin:hunter2 http://a/", "curl -u admin:*** http://a/");
        redacts("curl -fsSu admin:hunter2 http://a/", "curl -fsSu admin:*** http://a/");
        redacts("curl -uadmin:hunter2 http://a/", "curl -uadmin:*** http://a/");
        redacts("curl --user=admin:hunter2 http://a/", "curl --user=admin:*** http://a/");
        redacts("curl --proxy-user admin:hunter2 http://a/", "curl --proxy-user admin:*** http://a/");
        redacts(r#"["CMD","curl","-u","admin:hunter2","x"]"#, r#"["CMD","curl","-u","admin:***","x"]"#);
    }

    #[test]
    fn leaves_what_the_same_letters_mean_elsewhere() {
        for text in [
            "docker run -u 1000:1000 --user app:app -p 8080:80/tcp -p 127.0.0.1:443:443 x",
            "mkdir -p /srv/data",
            "-A INPUT -p udp -m udp --dport 4789 -j DROP",
            "-A INPUT -p vrrp -j ACCEPT",
            "-A INPUT -m comment --comment mysql -p vrrp",
            "iptables -p tcp --dport 7946",
            r#"["server","-p","8080"]"#,
            "ls -a x",
            "curl -u",
            "mysql -p",
            "mysql -u root -p -e x",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
