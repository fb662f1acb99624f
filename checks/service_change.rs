//! One change of what a service asks for, as `docker service update` has it.

use crate::remedy::shell_quote;
use crate::{Step, Target, View};
use facts::service::Service;

/// One change of what a service asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChange {
    /// The tasks get this hostname, which may be a template.
    Hostname(String),
    /// The tasks get this value in their environment.
    Environment {
        /// The variable.
        name: String,
        /// Its value, which may be a template.
        value: String,
    },
    /// A line goes out of the hosts files of the tasks.
    HostEntryGone {
        /// The name on it.
        name: String,
        /// The address on it.
        addr: String,
    },
    /// A published port leads to another one of the tasks.
    Port {
        /// The port that is published.
        published: u16,
        /// Where it leads.
        from: u16,
        /// Where it has to lead.
        to: u16,
    },
}

impl ServiceChange {
    /// The part of `docker service update` that does it.
    pub(crate) fn flag(&self) -> String {
        match self {
            Self::Hostname(name) => format!("--hostname {}", shell_quote(name)),
            Self::Environment { name, value } => {
                format!("--env-add {}", shell_quote(&format!("{name}={value}")))
            }
            Self::HostEntryGone { name, addr } => {
                format!("--host-rm {}", shell_quote(&format!("{name}:{addr}")))
            }
            Self::Port { published, from, to } => {
                format!("--publish-rm {from} --publish-add {published}:{to}")
            }
        }
    }
}

/// The step that makes these changes, on a manager that was looked at, or else on any.
pub(crate) fn update(view: &View<'_>, service: &str, text: String, changes: Vec<ServiceChange>) -> Step {
    let services = view.snapshot.services.get().ok();
    let listed = services.and_then(|services| services.iter().find(|other| other.name == service));
    let text = match listed.and_then(Service::stack) {
        Some(stack) => {
            format!("{text}; and in the file of the stack {stack}, or its next deployment takes it back")
        }
        None => text,
    };
    let node = view.manager().filter(|_| listed.is_some()).map_or(Target::AnyManager, Target::Node);
    Step::UpdateService { node, service: service.to_owned(), text, changes }
}
