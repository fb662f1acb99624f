//! Names and ids, each with a separate type, so that they cannot be confused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )+};
}

id! {
    /// The hostname of a node, as swarm lists it.
    NodeName,
    /// The id of a node: the CN of its certificate.
    NodeId,
    /// The id of a service.
    ServiceId,
    /// The id of a task.
    TaskId,
    /// The id of a network.
    NetworkId,
    /// The id of a container.
    ContainerId,
}
