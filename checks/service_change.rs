//! One change of the specification of a service, as an option of `docker service update`.

use crate::remedy::shell_quote;
use crate::{Step, Target, View};
use facts::service::Service;

/// One change of the specification of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChange {
    /// Set the hostname of the tasks (`--hostname`); may be a template.
    Hostname(String),
    /// Set an environment variable of the tasks (`--env-add`).
    Environment {
        /// The variable.
        name: String,
        /// Its value, which may be a template.
        value: String,
    },
    /// Remove an entry from the hosts files of the tasks (`--host-rm`).
    HostEntryGone {
        /// The hostname of the entry.
        name: String,
        /// The address of the entry.
        addr: String,
    },
    /// Change the target port of a published port (`--publish-rm`, `--publish-add`).
    Port {
        /// The published port.
        published: u16,
        /// The current target port.
        from: u16,
        /// The new target port.
        to: u16,
    },
}

impl ServiceChange {
    /// The options of `docker service update`.
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

/// The step that makes these changes, on the examined manager if there is one, else on any manager.
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
