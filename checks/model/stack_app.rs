//! The clustered applications of a stack, and how they will be configured.

use crate::Evidence;
use crate::stack::line;
use facts::Seen;
use facts::app::{Config, Origin, Program, Setting, Settings, version};
use facts::stack::{Compose, MountedFile, Stack, StackService};

/// A service that runs a known program.
pub(crate) struct Member<'a> {
    pub(crate) stack: &'a Seen<Stack>,
    pub(crate) service: &'a StackService,
    pub(crate) program: &'static Program,
    pub(crate) settings: Settings,
    /// What follows from its settings.
    pub(crate) config: Config,
}

impl Member<'_> {
    /// The name of its service.
    pub(crate) fn name(&self) -> &str {
        &self.service.name.value
    }

    /// The line of a setting, in the stack file or in a mounted file.
    pub(crate) fn evidence(&self, setting: &Setting) -> Evidence {
        if let Origin::File { path, line } = &setting.origin {
            let file = mounted(self.stack, self.service).find(|file| file.path == *path);
            if let Some(file) = file {
                return Evidence::line(file, *line, file.text.line(*line).unwrap_or_default());
            }
        }
        let variable = self.service.env.get(&setting.name);
        line(self.stack, variable.map_or(self.service.name.line, |variable| variable.line))
    }

    /// The file to edit for a setting.
    pub(crate) fn file_of(&self, setting: &Setting) -> String {
        match &setting.origin {
            Origin::File { path, .. } => path.clone(),
            _ => self.stack.source.origin.clone(),
        }
    }
}

/// The cluster members that the stack creates.
pub(crate) fn members<'a>(stack: &'a Seen<Stack>, compose: &'a Compose) -> Vec<Member<'a>> {
    compose.services.iter().filter_map(|service| member(stack, service)).collect()
}

fn member<'a>(stack: &'a Seen<Stack>, service: &'a StackService) -> Option<Member<'a>> {
    let image = service.image.as_ref().map_or("", |image| image.value.as_str());
    let targets = service.mounts.iter().map(|mount| mount.value.target.as_str());
    let program = Program::recognised(image, service.env.keys().map(String::as_str), targets)?;
    let wanted = |name: &str| program.wants(name);
    let env = service.env.iter().map(|(name, value)| (name.as_str(), value.value.as_str()));
    let mut settings = Settings::from_env_and_args(env, &service.command, &wanted);
    for file in mounted(stack, service) {
        settings.add_file(&file.path, &file.text.0, &wanted);
    }
    let config = (program.read)(&settings, version(image));
    Some(Member { stack, service, program, settings, config })
}

/// The files that a service mounts and that could be read.
fn mounted<'a>(stack: &'a Stack, service: &'a StackService) -> impl Iterator<Item = &'a Seen<MountedFile>> {
    let binds = service.mounts.iter().filter(|mount| mount.value.bind);
    let mut paths: Vec<String> = binds.map(|mount| stack.path(&mount.value.source)).collect();
    for (kind, name) in &service.uses {
        let resources = stack.parsed.iter().flat_map(|compose| &compose.resources);
        let file = resources
            .filter(|it| it.kind == *kind && it.key.value == name.value)
            .find_map(|it| it.file.as_ref());
        paths.extend(file.map(|file| stack.path(&file.value)));
    }
    stack.files.iter().filter(move |file| paths.contains(&file.path))
}
