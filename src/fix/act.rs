//! What a step comes down to: acts that are done one by one, each with a way back that is written down first.

use super::address::Address;
use super::copy;
use super::engine::{self, Turn};
use super::file::{self, FileChange, Print};
use super::filter::{self, Kept, NftRule};
use super::journal::{self, Receipt};
use super::service::{self, ServiceEdit};
use super::swarm::{self, Verb};
use super::{Ground, host, ingress, membership};
use checks::FirewallChange;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the copy beside the journal.
pub(super) const COPY: &str = "swarm";

/// One act.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A file is changed.
    File(FileChange),
    /// A kernel setting is changed.
    Sysctl {
        /// Its dotted name.
        key: String,
        /// Its value.
        to: String,
    },
    /// A kernel module is loaded.
    Module(String),
    /// A packet filter is changed.
    Open(FirewallChange),
    /// The engine is turned.
    Engine(Turn),
    /// What a node knows of the swarm is copied.
    Copy {
        /// The directory.
        from: PathBuf,
        /// What is left out.
        but: Option<&'static str>,
    },
    /// An engine that stands forgets that it is in a swarm, and keeps what it knows of it.
    Forget {
        /// The directory of what it knows.
        state: PathBuf,
    },
    /// An interface gets one more address.
    Address(Address),
    /// A service is changed.
    Service(ServiceEdit),
    /// The ingress network goes.
    IngressGone(Value),
    /// An ingress network comes.
    IngressMade(Value),
    /// The swarm is changed.
    Swarm(Verb),
}

/// How an act is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Undo {
    /// The file gets its old content back.
    File {
        /// The file.
        path: PathBuf,
        /// The copy beside the journal; none where there was no file.
        backup: Option<String>,
        /// What it held before.
        before: Print,
        /// What it holds since.
        after: Print,
    },
    /// The setting gets its old value back.
    Sysctl {
        /// Its dotted name.
        key: String,
        /// Its old value.
        before: String,
    },
    /// The module is unloaded.
    Module {
        /// Its name.
        name: String,
    },
    /// A program takes it back, unless the other one says that there is nothing to take back.
    Run {
        /// The program and its arguments.
        argv: Vec<String>,
        /// A program that succeeds where it is needed.
        #[serde(default)]
        needed: Option<Vec<String>>,
        /// A program that succeeds where it is not needed.
        #[serde(default)]
        unneeded: Option<Vec<String>>,
        /// The files that the program keeps it in.
        #[serde(default)]
        kept: Option<Kept>,
    },
    /// A rule of nft is put back.
    NftPut(NftRule),
    /// A rule of nft is taken out.
    NftTake(NftRule),
    /// The engine is started, after all else, where it does not run. What it has read it keeps: the old configuration may
    /// be the very one that it dies of.
    Running,
    /// The interface loses the address.
    Address(Address),
    /// A node becomes a manager again.
    Promotion {
        /// Its id.
        id: String,
    },
    /// The engine gets back what it knew of the swarm.
    State {
        /// The directory.
        place: PathBuf,
    },
    /// A node gets its old availability back.
    Availability {
        /// Its id.
        id: String,
        /// What it was.
        before: String,
    },
    /// A service asks for what it did before.
    Service {
        /// Its id.
        id: String,
        /// The copy of what it asked for, beside the journal.
        before: String,
        /// The copy of what it asks for since.
        after: String,
    },
    /// The network is removed.
    Ingress,
    /// The network is made as it was.
    IngressAsBefore {
        /// What has to be asked for to get it.
        network: Value,
    },
    /// What was done stays, and does no harm.
    Stays,
    /// There is no way back, and this is said before.
    Final {
        /// Why.
        why: String,
    },
}

impl Act {
    /// What is done, in words.
    pub(super) fn text(&self) -> String {
        match self {
            Self::File(change) => format!("change {}", change.path.display()),
            Self::Sysctl { key, to } => format!("set {key} to {to}"),
            Self::Module(name) => format!("load the kernel module {name}"),
            Self::Open(opening) => opening.command(),
            Self::Engine(turn) => turn.text().to_owned(),
            Self::Copy { from, .. } => format!("copy {} beside the journal", from.display()),
            Self::Forget { state } => format!("remove {}", state.join(membership::WRITTEN).display()),
            Self::Address(address) => address.text(),
            Self::Service(edit) => format!("update the service {}, and wait for its tasks", edit.name),
            Self::IngressGone(network) => format!("remove the network {}", network["Name"]),
            Self::IngressMade(network) => format!(
                "make the network {} with {}",
                network["Name"], network["IPAM"]["Config"][0]["Subnet"]
            ),
            Self::Swarm(verb) => verb.text(),
        }
    }

    /// How it will be taken back; what that takes is put aside first.
    pub(super) async fn undo(&self, receipt: &Receipt, ground: &Ground) -> Result<Undo, String> {
        Ok(match self {
            Self::File(change) => Undo::File {
                path: change.path.clone(),
                backup: change.before.as_deref().map(|content| receipt.keep(content)).transpose()?,
                before: Print::of(change.before.as_deref()),
                after: Print::of(change.after.as_deref()),
            },
            Self::Sysctl { key, .. } => Undo::Sysctl { key: key.clone(), before: host::sysctl(key)? },
            Self::Module(name) => Undo::Module { name: name.clone() },
            Self::Open(opening) => filter::undo(opening, receipt)?,
            Self::Engine(turn) => turn.undo(),
            Self::Copy { .. } => Undo::Stays,
            Self::Forget { state } => Undo::State { place: state.clone() },
            Self::Address(address) => Undo::Address(address.clone()),
            Self::Service(edit) => {
                // What a service asks for may hold secrets, and the copies are for root alone.
                let keep = |spec: &Value| receipt.keep(spec.to_string().as_bytes());
                Undo::Service { id: edit.id.clone(), before: keep(&edit.before)?, after: keep(&edit.after)? }
            }
            Self::IngressGone(network) => Undo::IngressAsBefore { network: network.clone() },
            Self::IngressMade(_) => Undo::Ingress,
            Self::Swarm(verb) => verb.undo(ground).await?,
        })
    }

    /// Does it.
    pub(super) async fn carry_out(&self, receipt: &Receipt, ground: &Ground) -> Result<(), String> {
        match self {
            Self::File(change) => change.make(),
            Self::Sysctl { key, to } => host::set_sysctl(key, to),
            Self::Module(name) => host::load(name),
            Self::Open(opening) => filter::open(opening),
            Self::Engine(turn) => engine::turn(*turn, ground).await,
            Self::Copy { from, but } => copy::copy(from, &receipt.directory.join(COPY), *but),
            Self::Forget { state } => membership::forget(state),
            Self::Address(address) => address.add(),
            Self::Service(edit) => edit.carry_out(ground).await,
            Self::IngressGone(_) => ingress::remove(ground).await,
            Self::IngressMade(network) => ingress::make(network, ground).await,
            Self::Swarm(verb) => verb.carry_out(ground).await,
        }
    }

    /// How long what it does may take to show.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(match self {
            Self::File(_)
            | Self::Sysctl { .. }
            | Self::Module(_)
            | Self::Copy { .. }
            | Self::Forget { .. } => 5,
            Self::Open(_) | Self::Address(_) => 30,
            Self::Engine(Turn::Reload) => 15,
            Self::Engine(_)
            | Self::Service(_)
            | Self::IngressGone(_)
            | Self::IngressMade(_)
            | Self::Swarm(_) => 90,
        })
    }
}

impl Undo {
    /// Whether there is nothing to take back: what was done stays, or the engine is left running.
    pub(super) fn stays(&self) -> bool {
        matches!(self, Self::Stays | Self::Running)
    }

    /// Whether it has to wait until all else has been taken back.
    pub(super) fn comes_last(&self) -> bool {
        *self == Self::Running
    }

    /// Takes the act back, as far as it was done: to be asked twice does no harm.
    pub(super) async fn carry_out(&self, kept: &Path, ground: &Ground) -> Result<(), String> {
        match self {
            Self::File { path, backup, before, after } => {
                let backup = backup.as_ref().map(|name| (kept, name.as_str()));
                restore(path, backup, before, after)
            }
            Self::Sysctl { key, before } => host::set_sysctl(key, before),
            Self::Module { name } => host::unload(name),
            Self::Run { argv, needed, unneeded, kept: files } => {
                let holds = |argv: &Option<Vec<String>>| argv.as_ref().map(|argv| filter::run(argv).is_ok());
                if holds(needed) == Some(false) || holds(unneeded) == Some(true) {
                    return Ok(());
                }
                filter::run(argv)?;
                files.as_ref().map_or(Ok(()), |files| files.restore(kept))
            }
            Self::NftPut(rule) => rule.put(),
            Self::NftTake(rule) => rule.take(),
            Self::Running => engine::turn(Turn::Start, ground).await,
            Self::Address(address) => address.remove(),
            Self::Promotion { id } => swarm::promote(id, ground).await,
            Self::State { place } => membership::restore(place, &kept.join(COPY), ground).await,
            Self::Availability { id, before } => swarm::set_availability(id, before, ground).await,
            Self::Service { id, before, after } => {
                let read = |name: &String| {
                    serde_json::from_slice(&journal::kept(kept, name)?)
                        .map_err(|error| format!("the copy {name} is not what it was: {error}"))
                };
                service::restore(id, &read(before)?, &read(after)?, ground).await
            }
            Self::Ingress => ingress::remove(ground).await,
            Self::IngressAsBefore { network } => ingress::make(network, ground).await,
            Self::Stays => Ok(()),
            Self::Final { why } => Err(why.clone()),
        }
    }
}

/// Gives a file its old content back, unless it never changed, or was changed by somebody else since.
fn restore(path: &Path, backup: Option<(&Path, &str)>, before: &Print, after: &Print) -> Result<(), String> {
    file::clear(path)?;
    let now = file::content(path)?;
    let print = Print::of(now.as_deref());
    if print == *before {
        return Ok(());
    }
    if print != *after {
        return Err(format!("{} was changed by somebody else since, and stays as it is", path.display()));
    }
    let old = backup.map(|(kept, name)| journal::kept(kept, name)).transpose()?;
    if Print::of(old.as_deref()) != *before {
        return Err(format!("the copy of {} is not what it was", path.display()));
    }
    FileChange { path: path.to_owned(), before: now, after: old }.make()
}
