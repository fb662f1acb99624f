//! A stack before its deployment, and the state of this node and swarm that matters to it.

use super::{Artifact, Place, Session, apart, engine_api};
use facts::Need;
use facts::stack::{Compose, Kind, StackResource, Surroundings, resolved};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The most mounted files that are read.
const MOST_FILES: usize = 32;
/// The most servers of volumes that are resolved.
const MOST_SERVERS: usize = 8;
/// The timeout of one name.
const LOOKUP: std::time::Duration = std::time::Duration::from_secs(2);
/// How such files end.
const SETTINGS: [&str; 9] =
    [".properties", ".conf", ".cfg", ".cnf", ".ini", ".yml", ".yaml", ".json", ".xml"];
/// The most bytes that are read of one.
const MOST: u64 = 256 << 10;

/// A stack file.
#[derive(Clone, Debug)]
pub struct StackFile {
    /// Its path, absolute.
    pub path: PathBuf,
    /// Its content.
    pub content: Vec<u8>,
    /// The name of the stack, where it was given.
    pub name: Option<String>,
}

pub(super) async fn stack(session: &Session) -> Vec<Artifact> {
    let Some(file) = &session.options.stack else { return Vec::new() };
    let directory = file.path.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let place = Place::new(Need::Stack, "stack/compose.yml", file.path.to_string_lossy());
    let around =
        Place::new(Need::Stack, "stack/surroundings.json", "the shell, the mounted paths, the swarm's lists");
    let mut artifacts = vec![place.kept(file.content.clone())];
    let text = String::from_utf8_lossy(&file.content).into_owned();
    // The first parse names the variables; with their values the second names the paths.
    let unset = BTreeMap::new();
    let named = facts::parse::compose(&text, &unset).map(|compose| compose.variables).unwrap_or_default();
    let variables: BTreeMap<String, Option<String>> = named
        .into_iter()
        .map(|variable| (variable.name.clone(), std::env::var(&variable.name).ok()))
        .collect();
    let compose = facts::parse::compose(&text, &variables).unwrap_or_default();
    let binds = compose.services.iter().flat_map(|service| &service.mounts).filter(|mount| mount.value.bind);
    let paths: BTreeSet<String> = binds.map(|mount| resolved(&directory, &mount.value.source)).collect();
    // Of config files only the content matters.
    let configs =
        compose.resources.iter().filter(|it| it.kind == Kind::Config).filter_map(|it| it.file.as_ref());
    let configs: BTreeSet<String> = configs.map(|file| resolved(&directory, &file.value)).collect();
    let mut surroundings =
        Surroundings { name: file.name.clone(), directory, variables, ..Surroundings::default() };
    // The paths of another host's engine, or below another root, are not visible here.
    if session.elsewhere().is_none() {
        let mounted = apart(move || Ok(look(paths, configs))).await.unwrap_or_default();
        surroundings.paths = mounted.there;
        for (number, (path, content)) in mounted.files.into_iter().enumerate() {
            artifacts.push(Place::new(Need::Stack, format!("stack/files/{number}"), path).kept(content));
        }
    }
    if session.elsewhere().is_none() {
        let volumes = compose.resources.iter().filter_map(|it| it.server());
        let names: BTreeSet<String> = volumes.map(|(server, _)| server.to_owned()).collect();
        surroundings.servers = resolved_servers(names).await;
    }
    let (secrets, configs) = engine_api::secrets_and_configs(session).await;
    surroundings.secrets = secrets;
    surroundings.changed_configs = changed(&compose, &file.name, &surroundings.directory, configs.as_ref());
    surroundings.configs = configs.map(|configs| configs.into_keys().collect());
    artifacts.push(around.kept_as_json(&surroundings));
    artifacts
}

/// The configs that exist in the swarm with other content than their files have.
fn changed(
    compose: &Compose,
    stack: &Option<String>,
    directory: &str,
    existing: Option<&BTreeMap<String, String>>,
) -> Vec<String> {
    let configs = compose.resources.iter().filter(|it| it.kind == Kind::Config && !it.external);
    let differs = |config: &StackResource| {
        let name = config.name_in(stack.as_deref())?;
        let data = existing?.get(&name).filter(|data| !data.is_empty())?;
        let file = content(&resolved(directory, &config.file.as_ref()?.value))?;
        (base64(&file) != *data).then_some(name)
    };
    configs.filter_map(differs).collect()
}

/// Content as the engine's API writes it.
fn base64(content: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in content.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| u32::from(chunk.get(at).copied().unwrap_or(0)));
        let bits = a << 16 | b << 8 | c;
        for at in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * at) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if at <= chunk.len() as u32 { letter as char } else { '=' });
        }
    }
    text
}

/// Whether this host resolves the names of servers; a name without an answer in time is left out.
async fn resolved_servers(names: BTreeSet<String>) -> BTreeMap<String, bool> {
    let mut servers = BTreeMap::new();
    for name in names.into_iter().take(MOST_SERVERS).filter(|name| name.parse::<std::net::IpAddr>().is_err())
    {
        let lookup = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((name.clone(), 0))).await;
        if let Ok(found) = lookup {
            servers.insert(name, found.is_ok_and(|mut addrs| addrs.next().is_some()));
        }
    }
    servers
}

/// What the stack mounts from this node.
#[derive(Default)]
struct Mounted {
    /// Its paths, and whether they exist.
    there: BTreeMap<String, bool>,
    /// The properties files among them, by path.
    files: Vec<(String, Vec<u8>)>,
}

fn look(paths: BTreeSet<String>, configs: BTreeSet<String>) -> Mounted {
    let mut mounted = Mounted::default();
    let settings = |path: &str| SETTINGS.iter().any(|end| path.ends_with(end));
    let configs = configs.difference(&paths).filter(|path| settings(path)).take(MOST_FILES);
    mounted.files.extend(configs.filter_map(|path| Some((path.clone(), content(path)?))));
    for path in paths.into_iter().filter(|path| !path.starts_with('~')) {
        let kind = std::fs::metadata(&path);
        let is_file = kind.as_ref().is_ok_and(std::fs::Metadata::is_file);
        if is_file && settings(&path) && mounted.files.len() < MOST_FILES {
            mounted.files.extend(content(&path).map(|content| (path.clone(), content)));
        }
        // A path that may not be read may exist.
        let absent = kind.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        mounted.there.insert(path, !absent);
    }
    mounted
}

fn content(path: &str) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    std::fs::File::open(path).ok()?.take(MOST + 1).read_to_end(&mut content).ok()?;
    (content.len() as u64 <= MOST).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn content_is_written_as_the_engine_writes_it() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(base64(b"abc\xff"), "YWJj/w==");
    }
}
