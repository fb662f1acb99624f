//! Takes secrets out of text before anyone gets to see it.

use super::logins::login;
use super::names::is_secret;
use super::tokens::token;
use std::borrow::Cow;
use std::ops::Range;

/// What stands in a secret's place.
const MARK: &str = "***";

/// Replaces the secrets in any text with `***`: swarm tokens and unlock keys, gossip and ESP keys, private keys, tokens of
/// known shapes, webhook URLs, passwords in URLs, on command lines and in `.pgpass` and netrc files, and the values of names
/// such as `DB_PASSWORD` or `"auth"` in JSON, YAML, XML, environments and Go's `%v`.
///
/// JSON stays JSON, because only the inside of its strings is changed. Redacting twice gives the same as once. The time is
/// linear in the length of the text.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut copied = 0;
    let mut here = Cursor::new(text);
    while let Some(byte) = text.as_bytes().get(here.at) {
        let at = here.at;
        let secret = match byte {
            b'S' => swarm_secret(text, at).or_else(|| token(text, at)),
            b'-' => private_key(text, at).or_else(|| flag_value(&here)).or_else(|| login(&here)),
            b'=' => assigned(&here),
            b':' => userinfo(text, at)
                .or_else(|| gossip_keys(text, at))
                .or_else(|| esp_key(text, at))
                .or_else(|| json_value(text, at))
                .or_else(|| yaml_value(&here))
                .or_else(|| go_value(&here))
                .or_else(|| pgpass(&here))
                .or_else(|| bare_userinfo(text, at)),
            b'\'' => sql_value(text, at),
            b'>' => xml_value(text, at),
            letter if letter.is_ascii_alphabetic() => token(text, at).or_else(|| netrc(&here)),
            _ => None,
        };
        let next = secret.as_ref().map_or(at + 1, |secret| secret.end.max(at + 1));
        if let Some(secret) = secret.filter(|secret| !is_no_secret(&text[secret.clone()])) {
            clean.push_str(&text[copied..secret.start]);
            clean.push_str(MARK);
            copied = secret.end;
        }
        here.advance(next);
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[copied..]);
    Cow::Owned(clean)
}

/// A value that holds no secret: a switch, a reference to a variable, or a value that is redacted already.
fn is_no_secret(value: &str) -> bool {
    matches!(value, "" | MARK | "true" | "false" | "null" | "none" | "yes" | "no" | "0" | "1" | "<nil>")
        || value.strip_prefix("${").is_some_and(|name| {
            name.trim_end_matches('}').bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
}

/// A place in a text, with what is known about its line so far: no rule has to read the line again from its start.
#[derive(Clone)]
pub(super) struct Cursor<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    /// Where the line starts.
    pub(super) line: usize,
    /// Where the first byte of the line is that is neither a space nor one of `-<>#`.
    first_word: Option<usize>,
    /// The line has a `[` or `{` so far.
    has_bracket: bool,
    /// How many colons the line has so far.
    colons: usize,
    backslashes: usize,
    /// For each depth of quotes (0, 1, 3, 7, ...), whether a string of that depth is open.
    open: [bool; DEPTHS],
}

/// How deep strings in strings are followed.
const DEPTHS: usize = 16;

impl<'t> Cursor<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 0,
            first_word: None,
            has_bracket: false,
            colons: 0,
            backslashes: 0,
            open: [false; DEPTHS],
        }
    }

    /// Moves to a later place.
    fn advance(&mut self, to: usize) {
        for (at, byte) in self.text.bytes().enumerate().take(to).skip(self.at) {
            if byte == b'\n' {
                *self = Self { at, line: at + 1, ..Self::new(self.text) };
                continue;
            }
            if self.first_word.is_none() && !b" \t-<>#".contains(&byte) {
                self.first_word = Some(at);
            }
            match byte {
                b'"' => {
                    let depth = level(depth(self.backslashes));
                    for (level, open) in self.open.iter_mut().enumerate() {
                        // A quote of less depth begins or ends a string around this one.
                        *open = depth == level && !*open || depth > level && *open;
                    }
                }
                b'[' | b'{' => self.has_bracket = true,
                b':' => self.colons += 1,
                _ => {}
            }
            self.backslashes = if byte == b'\\' { self.backslashes + 1 } else { 0 };
        }
        self.at = to;
    }

    /// Whether a string of this depth is open at a place of this line that is not before the cursor.
    fn is_open(&self, depth: usize, at: usize) -> bool {
        let mut there = self.clone();
        there.advance(at.max(self.at));
        there.open[level(depth)]
    }

    /// The line up to a place that is not after the cursor has only spaces and list marks.
    fn is_first_word(&self, at: usize) -> bool {
        self.first_word.is_none_or(|first| first >= at)
    }

    fn is_list_item(&self) -> bool {
        const INDENT: usize = 200;
        let line = &self.text[self.line..floor(self.text, self.line + INDENT)];
        line.trim_start_matches([' ', '\t']).starts_with("- ")
    }
}

/// The number of a depth: 0, 1, 3, 7 are 0, 1, 2, 3.
fn level(depth: usize) -> usize {
    ((depth + 1).trailing_zeros() as usize).min(DEPTHS - 1)
}

/// `SWMTKN-1-…` lets anyone join, `SWMKEY-1-…` unlocks a manager. Their first number is a version.
fn swarm_secret(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    let number = rest.strip_prefix("SWMTKN-").or_else(|| rest.strip_prefix("SWMKEY-"))?;
    let secret = number.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('-')?;
    let start = text.len() - secret.len();
    Some(start..run(text, start, |b| b.is_ascii_alphanumeric() || b"-_+/=".contains(&b)))
}

/// `Keys:[[37 252 …] […]]`, which networkdb logs with its configuration (`NetworkDB.clusterInit`).
fn gossip_keys(text: &str, at: usize) -> Option<Range<usize>> {
    let before = &text[..at];
    if !(before.ends_with("Keys") || before.ends_with("Key")) || !text[at..].starts_with(":[") {
        return None;
    }
    let start = at + 2;
    let mut depth = 1;
    let end = run(text, start, |byte| {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        depth > 0 && (byte.is_ascii_digit() || b"[] ,".contains(&byte))
    });
    text[start..end]
        .contains(|c: char| c.is_ascii_digit())
        .then(|| start..start + text[start..end].trim_end().len())
}

/// `Key: 0x49082b…`, which the overlay driver logs with an ESP state that the kernel did not take.
fn esp_key(text: &str, at: usize) -> Option<Range<usize>> {
    let start = at + ": 0x".len();
    let found = text[..at].ends_with("Key") && text[at..].starts_with(": 0x");
    found.then(|| start..run(text, start, |byte| byte.is_ascii_hexdigit()))
}

/// What lies between the lines of a PEM block, or as much of it as there is.
fn private_key(text: &str, at: usize) -> Option<Range<usize>> {
    let label = text[at..].strip_prefix("-----BEGIN ")?;
    let (label, body) = label.split_once("-----")?;
    if !label.trim_end_matches(" BLOCK").ends_with("PRIVATE KEY")
        || !label.bytes().all(|b| b == b' ' || b.is_ascii_uppercase())
    {
        return None;
    }
    let start = text.len() - body.len();
    let next = body.find("-----BEGIN ").unwrap_or(body.len());
    let block = body[..next].find("-----END ");
    let mut end = start + block.unwrap_or(0);
    while block.is_none() {
        // A line is of the block if nothing but base64 is on it; in a string its end is written `\n`.
        let line_end = run(text, end, |b| b.is_ascii_alphanumeric() || b"+/=\\".contains(&b));
        if end > start && !matches!(text.as_bytes().get(line_end), None | Some(b'\n' | b'\r' | b'"')) {
            break;
        }
        end = run(text, line_end, |b| matches!(b, b'\n' | b'\r'));
        if end == line_end {
            break;
        }
    }
    // A backslash at the end may belong to the quote that follows.
    Some(start..start + text[start..end].trim_end_matches('\\').len())
}

/// The longest user and host of a URL that is examined, in bytes.
const MAX_URL: usize = 2048;

/// The last character boundary that is not after `at`.
pub(super) fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// `user:password` of a URL; a user alone too where it may be a token, as for HTTP.
fn userinfo(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text[at..].strip_prefix("://")?;
    let start = at + 3;
    let rest = &rest[..floor(rest, MAX_URL)];
    let end = rest
        .char_indices()
        .find(|(index, char)| match char {
            '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '`' => true,
            '\\' => !rest[*index..].starts_with("\\u"),
            char => char.is_whitespace(),
        })
        .map_or(rest.len(), |(index, _)| index);
    let Some(info) = rest[..end].rfind('@') else {
        // A password with a stroke in it, which leaves no number behind the colon.
        let port = rest[..end].split_once(':')?.1;
        let whole = start + run(rest, 0, |b| b.is_ascii_graphic() && !b"\"'<>`\\".contains(&b));
        let info = text[start..whole].rfind('@')?;
        let is_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        return (!is_port).then_some(start..start + info);
    };
    let is_http = text[..at].ends_with("http") || text[..at].ends_with("https");
    (is_http || rest[..info].contains(':')).then_some(start..start + info)
}

/// `user:password@host` without a scheme, as drivers of databases and proxies take it.
fn bare_userinfo(text: &str, at: usize) -> Option<Range<usize>> {
    let is_plain = |b: u8| b.is_ascii_graphic() && !b"\"'<>`\\@:/,;=()[]{}".contains(&b);
    let user = name_before(text, at);
    let end = run(text, at + 1, is_plain);
    let host = text[end..].strip_prefix('@')?;
    // An image is named by a tag and a digest, too.
    let is_digest = host.starts_with("sha256:") || host.starts_with("sha512:");
    let is_host = host.starts_with(|c: char| c.is_ascii_alphanumeric());
    (!user.is_empty() && end > at + 1 && is_host && !is_digest).then_some(at + 1..end)
}

/// What SQL takes for a password: `PASSWORD 'value'`, `IDENTIFIED BY 'value'`.
fn sql_value(text: &str, at: usize) -> Option<Range<usize>> {
    let before = text[..at].strip_suffix(' ')?;
    let word = |word: &str| {
        before.len() >= word.len()
            && before.as_bytes()[before.len() - word.len()..].eq_ignore_ascii_case(word.as_bytes())
    };
    (word("password") || word("identified by")).then(|| at + 1..bare_end(text, at + 1, |b| b == b'\''))
}

/// `NAME=value`, be it in an environment, a configuration file, a query or a log.
fn assigned(here: &Cursor<'_>) -> Option<Range<usize>> {
    let (text, at) = (here.text, here.at);
    let (name, is_spaced) = match text[..at].strip_suffix(' ') {
        Some(before) => (name_before(text, before.trim_end_matches(' ').len()), true),
        None => (name_before(text, at), false),
    };
    // The working directory has the name of a password, and begins with a stroke.
    let is_password =
        text[name.clone()].eq_ignore_ascii_case("pwd") && !text[at + 1..].starts_with(['/', '"']);
    if !is_password && !is_secret(&text[name.clone()]) || text[at + 1..].starts_with("-----BEGIN ") {
        return None;
    }
    let start = if is_spaced { run(text, at + 1, |b| b == b' ') } else { at + 1 };
    if let Some(opened) = Quote::before(text, name.start) {
        return Some(start..opened.end(text, start));
    }
    if text[..name.start].ends_with('\'') {
        return Some(start..bare_end(text, start, |b| b == b'\''));
    }
    // Two of them compare.
    let compares = text[at + 1..].starts_with('=');
    (!compares).then(|| value(here, start, |b| b.is_ascii_whitespace()))
}

/// `--password value`, be it in a command, in a list of JSON or YAML.
fn flag_value(here: &Cursor<'_>) -> Option<Range<usize>> {
    let (text, at) = (here.text, here.at);
    if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return None;
    }
    let start = run(text, at, |b| b == b'-');
    let end = run(text, start, |b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let name = &text[start..end];
    if !is_secret(name) || name.ends_with("stdin") {
        return None;
    }
    let is_in_list = here.has_bracket || here.is_list_item();
    let value = match Quote::after(text, end) {
        Some(closed) => {
            let opened = Quote::after(text, next_item(text, closed.start)?)?;
            opened.start..opened.end(text, opened.start)
        }
        None if text[end..].starts_with(' ') => {
            value(here, run(text, end, |b| b == b' '), |b| b.is_ascii_whitespace())
        }
        None if is_in_list => {
            let closed = end + usize::from(text[end..].starts_with('\''));
            value(here, next_item(text, closed)?, |b| b.is_ascii_whitespace() || b",]".contains(&b))
        }
        None => return None,
    };
    // Another flag is no value, and a token of the swarm is known by itself.
    let shown = &text[value.clone()];
    (!shown.starts_with('-') && !shown.starts_with("SWM")).then_some(value)
}

/// Where the next item of a list begins: behind a comma, or as `- item` on the next line.
pub(super) fn next_item(text: &str, at: usize) -> Option<usize> {
    let mark = run(text, at, |b| b.is_ascii_whitespace());
    let is_mark =
        text[mark..].starts_with(',') || text[at..mark].contains('\n') && text[mark..].starts_with("- ");
    is_mark.then(|| run(text, mark + 1, |b| b.is_ascii_whitespace()))
}

/// `"name": "value"`, also where this JSON stands inside a string itself; and `"name": "DB_PASSWORD", "value": "..."`.
fn json_value(text: &str, at: usize) -> Option<Range<usize>> {
    let closed = Quote::before(text, text[..at].trim_end_matches(' ').len())?;
    let name = name_before(text, closed.start);
    let opening = Quote::before(text, name.start)?;
    if opening.depth != closed.depth {
        return None;
    }
    let is_pair = || {
        let is_value = text[name.clone()].eq_ignore_ascii_case("value");
        is_value && pair_name(text, opening.start).is_some_and(is_secret)
    };
    if !is_secret(&text[name.clone()]) && !is_pair() {
        return None;
    }
    let start = run(text, at + 1, |b| b.is_ascii_whitespace());
    let opened = Quote::after(text, start)?;
    Some(opened.start..opened.end(text, opened.start))
}

/// The string before the key that begins here, if its own key is `name` or `key`: `"name": "DB_PASSWORD", ` before `"value"`.
fn pair_name(text: &str, at: usize) -> Option<&str> {
    let before = text[..at].trim_end().strip_suffix(',')?.trim_end();
    let closed = Quote::before(text, before.len())?;
    let name = name_before(text, closed.start);
    let opening = Quote::before(text, name.start)?;
    let key = text[..opening.start].trim_end().strip_suffix(':')?.trim_end();
    let key = name_before(text, Quote::before(text, key.len())?.start);
    let is_name = ["name", "key"].iter().any(|word| text[key.clone()].eq_ignore_ascii_case(word));
    is_name.then(|| &text[name])
}

/// `name: value` on a line of its own, as in YAML, also in a string where `\n` ends lines; a header of HTTP anywhere.
fn yaml_value(here: &Cursor<'_>) -> Option<Range<usize>> {
    let (text, at) = (here.text, here.at);
    let name = name_before(text, at);
    if !text[at + 1..].starts_with(' ') {
        return None;
    }
    let named = text[name.clone()].to_ascii_lowercase();
    // `- name: DB_PASSWORD` and `value: ...` on the next line.
    let is_pair = named == "value" && pair_line(text, name.start).is_some_and(is_secret);
    if !is_secret(&text[name.clone()]) && !is_pair {
        return None;
    }
    let escaped = text[..name.start].trim_end_matches([' ', '-']).ends_with("\\n");
    let is_alone = here.is_first_word(name.start) || escaped;
    // `{name: value, ...}` stands on one line.
    let is_flow = text[here.line..name.start].trim_end().ends_with(['{', ',']);
    let is_header = named.starts_with("x-")
        || ["authorization", "-auth", "-token", "api-key", "cookie"].iter().any(|end| named.ends_with(end));
    let start = run(text, at + 1, |b| b == b' ');
    (is_alone || is_header || is_flow).then(|| value(here, start, |byte| is_flow && b",}".contains(&byte)))
}

/// The value of `name:` on the line before the key that begins here.
fn pair_line(text: &str, at: usize) -> Option<&str> {
    let before = text[..at].trim_end_matches([' ', '\t']);
    let before = before.strip_suffix('\n').or_else(|| before.strip_suffix("\\n"))?;
    let name = name_before(text, before.trim_end_matches(['"', '\'']).len());
    let key = text[..name.start].trim_end_matches([' ', '"', '\'']).strip_suffix(':')?;
    ["name", "key"].contains(&&text[name_before(text, key.len())]).then(|| &text[name])
}

/// `map[password:value user:x]` and `{Password:value User:x}`, as Go's `%v` and `%+v` print them.
fn go_value(here: &Cursor<'_>) -> Option<Range<usize>> {
    let (text, at) = (here.text, here.at);
    let name = name_before(text, at);
    let before = text[..name.start].bytes().next_back()?;
    // `${NAME:-default}` is a variable of a shell or a compose file.
    let is_variable = text[..name.start].ends_with("${");
    let starts = matches!(before, b'[' | b'{') && !is_variable || before == b' ' && here.has_bracket;
    if !starts || text[at + 1..].starts_with([' ', ':', '/']) || !is_secret(&text[name]) {
        return None;
    }
    let end = bare_end(text, at + 1, |b| b.is_ascii_whitespace() || b"]},".contains(&b));
    (end > at + 1).then_some(at + 1..end)
}

/// `host:port:database:user:password`, a line of `.pgpass`.
fn pgpass(here: &Cursor<'_>) -> Option<Range<usize>> {
    const MAX_LINE: usize = 512;
    let (text, at) = (here.text, here.at);
    if here.colons != 3 || at - here.line > MAX_LINE {
        return None;
    }
    let mut fields = text[here.line..at].split(':');
    let (host, port) = (fields.next()?, fields.next()?);
    let (database, user) = (fields.next()?, fields.next()?);
    let is_port = port == "*" || port.len() >= 4 && port.bytes().all(|b| b.is_ascii_digit());
    let plain = |field: &str| {
        !field.is_empty() && !field.contains(|c: char| c.is_whitespace() || "\"'{}[]/".contains(c))
    };
    // An IPv6 address has as many colons.
    let is_user = user.contains(|c: char| !c.is_ascii_hexdigit());
    let fits = is_port && is_user && [host, database, user].into_iter().all(plain);
    fits.then(|| at + 1..bare_end(text, at + 1, |b| b.is_ascii_whitespace()))
}

/// `machine host login user password value`, as in netrc.
fn netrc(here: &Cursor<'_>) -> Option<Range<usize>> {
    const REACH: usize = 200;
    let (text, at) = (here.text, here.at);
    let start = at + text[at..].strip_prefix("password ").map(|_| "password ".len())?;
    let from = here.line.max(at.saturating_sub(REACH));
    let before = text.get(from..at).unwrap_or_default();
    (before.ends_with(' ') && before.contains("login "))
        .then(|| start..bare_end(text, start, |b| b.is_ascii_whitespace()))
}

/// `<password>value</password>`.
fn xml_value(text: &str, at: usize) -> Option<Range<usize>> {
    let name = name_before(text, at);
    if !text[..name.start].ends_with('<') || !is_secret(&text[name]) {
        return None;
    }
    let end = bare_end(text, at + 1, |b| b == b'<');
    (end > at + 1).then_some(at + 1..end)
}

/// The value that starts here: what is between its quotes, or all until `stop`.
pub(super) fn value(here: &Cursor<'_>, start: usize, stop: impl Fn(u8) -> bool) -> Range<usize> {
    let text = here.text;
    if let Some(quote) = Quote::after(text, start) {
        let end = if quote.closes(here, start) { quote.start } else { quote.end(text, quote.start) };
        return quote.start..end;
    }
    if text[start..].starts_with('\'') {
        return start + 1..bare_end(text, start + 1, |b| b == b'\'');
    }
    let end = bare_end(text, start, stop);
    // What closes a list or a sentence is hardly a part of it.
    start..start + text[start..end].trim_end_matches([')', ']', '}', ',', ';', '\'', ' ']).len()
}

/// Where a value without quotes ends: at `stop`, at the line's end, or where a string ends that it is in.
fn bare_end(text: &str, start: usize, stop: impl Fn(u8) -> bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\n' | b'\r' => break,
            b'\\' if matches!(bytes.get(at + 1), Some(b'"' | b'n' | b'r' | b't')) => break,
            // The backslash of a pair says nothing of what follows the pair.
            b'\\' if bytes.get(at + 1) == Some(&b'\\') => at += 2,
            byte if stop(*byte) => break,
            _ => at += 1,
        }
    }
    at
}

/// A double quote with the backslashes before it, which tell how deep in other strings it stands: none, one,
/// three, seven.
pub(super) struct Quote {
    depth: usize,
    /// Where it begins if it closes, where the value begins if it opens.
    pub(super) start: usize,
}

impl Quote {
    /// The quote that ends here.
    fn before(text: &str, end: usize) -> Option<Self> {
        let before = text[..end].strip_suffix('"')?;
        let depth = depth(before.len() - before.trim_end_matches('\\').len());
        Some(Self { depth, start: before.len() - depth })
    }

    /// The quote that begins here.
    pub(super) fn after(text: &str, at: usize) -> Option<Self> {
        let quote = run(text, at, |b| b == b'\\');
        text[quote..].starts_with('"').then(|| Self { depth: depth(quote - at), start: quote + 1 })
    }

    /// Whether this quote, at the start of a value, rather ends a string around it.
    pub(super) fn closes(&self, here: &Cursor<'_>, at: usize) -> bool {
        let after = here.text[self.start..].bytes().next();
        let ends = after.is_none_or(|b| b.is_ascii_whitespace() || b",:]}".contains(&b));
        ends && here.is_open(self.depth, at)
    }

    /// Where the quote begins that closes this one, or else the line's end.
    pub(super) fn end(&self, text: &str, from: usize) -> usize {
        let mut backslashes = 0;
        for (at, byte) in text.bytes().enumerate().skip(from) {
            match byte {
                b'\\' => backslashes += 1,
                // A quote of less depth closes a string around; one of more has been escaped within.
                b'"' if depth(backslashes) <= self.depth => return at - depth(backslashes),
                b'\n' | b'\r' => return at,
                _ => backslashes = 0,
            }
        }
        text.len()
    }
}

/// How many of the backslashes before a quote are its own; the others are pairs that stand for backslashes.
fn depth(backslashes: usize) -> usize {
    (1 << backslashes.trailing_ones()) - 1
}

/// The name that ends here.
fn name_before(text: &str, end: usize) -> Range<usize> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    text[..end].trim_end_matches(is_of_name).len()..end
}

/// Where the bytes end that are alike from here on. They have to be ASCII.
pub(super) fn run(text: &str, from: usize, mut alike: impl FnMut(u8) -> bool) -> usize {
    text.bytes().skip(from).position(|b| !alike(b)).map_or(text.len(), |length| from + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::log::tests::Mutator;
    use serde_json::Value;

    #[track_caller]
    fn redacts(text: &str, wanted: &str) {
        assert_eq!(redact(text), wanted);
        assert_eq!(redact(wanted), wanted, "twice is as once");
    }

    #[track_caller]
    fn leaves(text: &str) {
        assert!(matches!(redact(text), Cow::Borrowed(_)), "{}", redact(text));
    }

    #[test]
    fn takes_out_swarm_tokens_and_unlock_keys() {
        redacts(
            "join --token SWMTKN-1-57oalk76-cl1y7jls5 10.0.0.1:2377",
            "join --token SWMTKN-1-*** 10.0.0.1:2377",
        );
        redacts(r#"{"Worker":"SWMTKN-2-57oalk76-cl1y7jls5"}"#, r#"{"Worker":"SWMTKN-2-***"}"#);
        redacts("SWMKEY-1-7c37Cc8654o6p38HnroywCi19pllOnGtb+dZ/oX2VA", "SWMKEY-1-***");
        leaves("invalid join token: must start with SWMTKN-1-");
        leaves("SWMTKN");
    }

    #[test]
    fn takes_out_gossip_keys() {
        redacts(
            "config:&{BindPort:0 Keys:[[37 252 1] [2 3]] PacketBufferSize:1400}",
            "config:&{BindPort:0 Keys:[***] PacketBufferSize:1400}",
        );
        redacts("Keys:[[37 252 1] [2", "Keys:[***");
        redacts("SecretKey:[1 2]", "SecretKey:[***]");
        leaves("Keys:[]");
        leaves("Keys:[a b]");
    }

    #[test]
    fn takes_out_what_follows_a_flag() {
        redacts("tool --password hunter2 -v", "tool --password *** -v");
        redacts("tool --password 'hunter 2' -v", "tool --password '***' -v");
        redacts(r#"["tool","--api-token","hunter2","-v"]"#, r#"["tool","--api-token","***","-v"]"#);
        redacts("[\n  \"--password\",\n  \"hunter2\"\n]", "[\n  \"--password\",\n  \"***\"\n]");
        redacts(r#"{"c":"[\"--password\", \"hunter2\"]"}"#, r#"{"c":"[\"--password\", \"***\"]"}"#);
        redacts("command: [--password, hunter2, -v]", "command: [--password, ***, -v]");
        redacts("command: ['--password', 'hunter2']", "command: ['--password', '***']");
        redacts("- --password\n  - hunter2\n  - -v", "- --password\n  - ***\n  - -v");
        redacts("redis-server --requirepass hunter2", "redis-server --requirepass ***");
        redacts("labels: {a: b, api.token: hunter2, c: d}", "labels: {a: b, api.token: ***, c: d}");
        leaves("docker login --password-stdin registry.example.com");
        leaves("docker stack deploy --with-registry-auth -c stack.yml");
        leaves("tool --token-file /run/token");
        leaves("tool --password");
        leaves("tool --password\nnext line");
    }

    #[test]
    fn takes_out_the_keys_of_encrypted_overlays() {
        redacts(
            "Failed Adding rSA{SPI: 0x58dadc77, Aead: {Name: rfc4106(gcm(aes)), Key: 0x49082be5d177, ICV length: 64}}",
            "Failed Adding rSA{SPI: 0x58dadc77, Aead: {Name: rfc4106(gcm(aes)), Key: 0x***, ICV length: 64}}",
        );
        leaves("Key: 0x");
    }

    #[test]
    fn takes_out_private_keys() {
        redacts(
            "a\n-----BEGIN EC PRIVATE KEY-----\nkek-version: 1\n\nMHc+/=\n-----END EC PRIVATE KEY-----\nb",
            "a\n-----BEGIN EC PRIVATE KEY-----***-----END EC PRIVATE KEY-----\nb",
        );
        redacts(
            r#"{"k":"-----BEGIN PRIVATE KEY-----\nMHc\n-----END PRIVATE KEY-----\n"}"#,
            r#"{"k":"-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\n"}"#,
        );
        redacts(r#"{"k":"-----BEGIN PRIVATE KEY-----\nMHc"}"#, r#"{"k":"-----BEGIN PRIVATE KEY-----***"}"#);
        redacts(
            "-----BEGIN PRIVATE KEY-----\nMHc\nMHd\nAug  2 10:11:12 h x: y",
            "-----BEGIN PRIVATE KEY-----***Aug  2 10:11:12 h x: y",
        );
        redacts(
            "KEY=-----BEGIN PRIVATE KEY-----\nMHc\n-----END PRIVATE KEY-----\nb",
            "KEY=-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\nb",
        );
        leaves("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----");
    }

    #[test]
    fn takes_out_passwords_of_urls() {
        redacts("proxy http://user:pa@ss@host:3128/x", "proxy http://***@host:3128/x");
        redacts("https://ghp_0123@github.com", "https://***@github.com");
        redacts(r#""amqp://u:p@h""#, r#""amqp://***@h""#);
        redacts("amqp://u:p/a@h", "amqp://***@h");
        redacts("DSN=user:hunter2@tcp(db:3306)/app", "DSN=user:***@tcp(db:3306)/app");
        redacts("http_proxy=u:hunter2@proxy:3128", "http_proxy=u:***@proxy:3128");
        for text in [
            "ssh://root@host",
            "http://host/a@b:c",
            "tcp://10.0.0.1:2377",
            "http://host me@home",
            "://",
            "http://h\\nx@y",
            "http://host:8080/a@b",
            "registry.example.com/app:v1@sha256:0123",
        ] {
            leaves(text);
        }
    }

    #[test]
    fn takes_out_the_values_of_secret_names() {
        redacts("login password=hunter2 failed", "login password=*** failed");
        redacts("password=\"hunter 2\" x", "password=\"***\" x");
        redacts("password='hunter 2' x", "password='***' x");
        redacts("-e 'DB_PASSWORD=hunter 2' x", "-e 'DB_PASSWORD=***' x");
        redacts("{Action=login, token=abc, x=1}", "{Action=login, token=***, x=1}");
        redacts("[DB_PASSWORD=hunter2 PATH=/bin]", "[DB_PASSWORD=*** PATH=/bin]");
        redacts("GET /x?token=abc", "GET /x?token=***");
        redacts("api_key = abc", "api_key = ***");
        redacts("server=db;pwd=hunter2", "server=db;pwd=***");
        redacts("ALTER USER x PASSWORD 'hunter 2'", "ALTER USER x PASSWORD '***'");
        redacts("-H 'X-Api-Key: hunter2' x", "-H 'X-Api-Key: ***");
        redacts("DB_PASSWORD: hunter 2\nx: 1", "DB_PASSWORD: ***\nx: 1");
        redacts("  - password: \"a\"", "  - password: \"***\"");
        redacts("sent X-Registry-Auth: eyJ1 z", "sent X-Registry-Auth: ***");
        redacts("> Authorization: Basic dXNlcg==", "> Authorization: ***");
    }

    #[test]
    fn takes_secrets_out_of_json_and_leaves_it_json() {
        for (text, wanted) in [
            (r#"{"auth": "dXNlcjpw", "x": 1}"#, r#"{"auth": "***", "x": 1}"#),
            (r#"{"Env":["DB_PASSWORD=hunter 2","PATH=/bin"]}"#, r#"{"Env":["DB_PASSWORD=***","PATH=/bin"]}"#),
            (r#"["TOKEN=a\"b\\","x"]"#, r#"["TOKEN=***","x"]"#),
            (r#"["x TOKEN=a\\\"b"]"#, r#"["x TOKEN=***\"b"]"#),
            (r#"["{\"password\":\"a\\\"b\",\"x\":1}"]"#, r#"["{\"password\":\"***\",\"x\":1}"]"#),
            (r#"["[\"A_TOKEN=x y\",\"B=z\"]"]"#, r#"["[\"A_TOKEN=***\",\"B=z\"]"]"#),
            (r#"{"Password":"","auth":null,"token":5}"#, r#"{"Password":"","auth":null,"token":5}"#),
            (r#"["x TOKEN=","y",",TOKEN=",{"z":1}]"#, r#"["x TOKEN=","y",",TOKEN=",{"z":1}]"#),
            (r#"["a=b\npassword=c\nd=e"]"#, r#"["a=b\npassword=***\nd=e"]"#),
        ] {
            redacts(text, wanted);
            assert!(serde_json::from_str::<Value>(wanted).is_ok(), "{wanted}");
        }
    }

    /// Inputs on which a rule that reads back to the start of the line, or on to the end, takes the square of their length.
    #[test]
    fn the_time_grows_as_the_text_does() {
        let shapes = [
            "://a:b",
            "eyJ.",
            "--password x ",
            "password=\"\" ",
            "- -p x ",
            "\"a\":\"b\",",
            "pwd: {x ",
            "a:b@",
            "-----BEGIN ",
            "Keys:[1 ",
            "PASSWORD ''",
            "password \\\\\"",
            "<password>",
            "map[password:",
            "login x password y ",
            "x:1234:y:z:",
            "\"value\":",
            " ",
        ];
        for shape in shapes {
            let of = |bytes: usize| {
                let text = shape.repeat(bytes / shape.len());
                let began = std::time::Instant::now();
                let length = redact(&text).len();
                (began.elapsed(), length)
            };
            of(1 << 10);
            let (small, _) = of(1 << 12);
            let (large, _) = of(1 << 16);
            let ratio = large.as_secs_f64() / small.as_secs_f64().max(1e-5);
            // 16 times the text: 16 where it is linear, 256 where it is not.
            assert!(ratio < 80.0, "{shape:?}: {ratio:.0} times the time for 16 times the text");
        }
    }

    #[test]
    fn takes_out_shapes_of_other_tools() {
        redacts("labels map[password:hunter2 user:x]", "labels map[password:*** user:x]");
        redacts("config {Password:hunter2 User:x}", "config {Password:*** User:x}");
        redacts(r#"{"name":"DB_PASSWORD","value":"hunter2"}"#, r#"{"name":"DB_PASSWORD","value":"***"}"#);
        redacts("- name: DB_PASSWORD\n  value: hunter2\n", "- name: DB_PASSWORD\n  value: ***\n");
        redacts(r#"{"c":"db:\n  password: hunter2\n  x: 1"}"#, r#"{"c":"db:\n  password: ***\n  x: 1"}"#);
        redacts(r#"{"encrypt": "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="}"#, r#"{"encrypt": "***"}"#);
        redacts("db.example.com:5432:app:bob:hunter2", "db.example.com:5432:app:bob:***");
        redacts(
            "machine example.com login bob password hunter2",
            "machine example.com login bob password ***",
        );
        redacts("tool --user root:hunter2 -v", "tool --user root:*** -v");
        redacts("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/***");
        redacts("key sk-0123456789abcdefghijkl end", "key *** end");
        redacts("<password>hunter2</password>", "<password>***</password>");
        redacts("DB_PW=hunter2 DBPASS=hunter2", "DB_PW=*** DBPASS=***");
        for text in [
            "image: registry.example.com/auth:1.2",
            "02:42:c0:00:02:02 fe80::42:c0ff:fe00:202 2001:4860:4860:0:8888",
            "docker run --user app:staff x",
            "level=error msg=\"fatal task error\" error=\"invalid token: expired\"",
            "docker service create --name value x",
            "{Name:web Image:nginx:1.25}",
        ] {
            leaves(text);
        }
    }

    #[test]
    fn leaves_what_is_no_secret() {
        for text in [
            "time=\"2026-08-02T10:11:12Z\" level=info msg=\"x\" module=node/agent node.id=abc session.id=def",
            "key=value KEYS public key: abc --token, in prose; PATH=/bin, password= token",
            "agent: session failed: invalid token: expired",
            r#"{"SecretID":"abc","SecretName":"db_password","PublicKey":"abc","Key":"abc","Secrets":["a"]}"#,
            "POSTGRES_PASSWORD_FILE=/run/secrets/db",
            "auth=none password=${DB_PASSWORD} token==x",
            "PWD=/root swarm-node.key: no decryption key for record",
            "kernel.keys.maxkeys = 200",
        ] {
            leaves(text);
        }
    }

    /// A JSON text of strings within strings, with `hunter2` for every secret.
    fn generated(mutator: &mut Mutator) -> String {
        const PIECES: &[&str] = &[
            "a", " ", "\"", "\\", "\\\\", "\n", "é", "=", ":", "x=1", ",", "'", "}", "]", "&", "/bin",
            "\\\"", "\\n",
        ];
        let mut any = |most: usize| -> String {
            (0..mutator.below(most)).map(|_| PIECES[mutator.below(PIECES.len())]).collect()
        };
        let (before, after) = (any(4), any(4));
        let entry = format!("DB_PASSWORD={}hunter2{}", before, after);
        let mut value = serde_json::json!({
            "Env": [any(4), entry, any(4)],
            any(3): any(3),
            "auth": format!("{}hunter2", any(3)),
            "n": [any(4), {"identitytoken": format!("hunter2{}", any(3))}],
            "url": "http://u:hunter2@h/",
            "log": "x password=hunter2 y",
        });
        for _ in 0..mutator.below(3) {
            value = serde_json::json!([value.to_string(), "x"]);
        }
        value.to_string()
    }

    #[test]
    fn finds_secrets_in_strings_within_strings() {
        let mut mutator = Mutator::new(3);
        for _ in 0..5_000 {
            let text = generated(&mut mutator);
            let once = redact(&text);
            assert!(!once.contains("hunter2"), "{text}\n{once}");
            assert!(serde_json::from_str::<Value>(&once).is_ok(), "{text}\n{once}");
            assert_eq!(redact(&once), once, "{text}");
        }
    }

    #[test]
    fn survives_anything_and_leaves_json_json() {
        let seeds = [
            r#"{"Env":["DB_PASSWORD=hun\"ter\\2","U=http://u:p@h/","P=é"],"auth":"a=b","n":{"token":"x\\\\"}}"#,
            r#"["{\"A_KEY\":\"b\\\"c\",\"e\":[\"TOKEN=a\\\\b\\n\"]}","SWMTKN-1-a-b -----BEGIN PRIVATE KEY-----\nAA\n"]"#,
            "x Keys:[[37 252 1] [2 3]] password=\"a b\\\" c\" -----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----",
            "> Authorization: Basic 'x' secret = 'y z'\n- password: \"\\\\\" https://a:b@c é=é",
        ];
        let mut mutator = Mutator::new(7);
        for round in 0..20_000 {
            let text = mutator.mutated(seeds[round % seeds.len()]);
            let once = redact(&text);
            assert_eq!(redact(&once), once, "{text}");
            if serde_json::from_str::<Value>(&text).is_ok() {
                assert!(serde_json::from_str::<Value>(&once).is_ok(), "{text}\n{once}");
            }
        }
    }
}
