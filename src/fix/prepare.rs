//! From steps to acts: what is there now is read, and what cannot be done is said before anything is.

use super::act::Act;
use super::address::Address;
use super::engine::{Turn, way};
use super::file::{self, FileChange};
use super::service::ServiceEdit;
use super::swarm::{self, Api, Verb};
use super::{Ground, filter, host, membership, newest, quorum};
use crate::collect::dockerd;
use checks::{SYSCTL_FILE, Step};
use serde_json::Value;
use std::path::Path;

const NO_KEY: &str =
    "the unlock key is read from the terminal, or with --key-stdin from standard input, and there is none";

/// The acts of a plan, in order.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) acts: Vec<Act>,
    /// What has to be known before they are allowed.
    pub(super) notes: Vec<String>,
}

/// What these steps come down to on this machine as it is now.
pub(super) async fn prepared(steps: &[Step], ground: &Ground) -> Result<Prepared, String> {
    let mut prepared = Prepared::default();
    for step in steps {
        prepared.step(step, ground).await?;
    }
    Ok(prepared)
}

impl Prepared {
    /// The changes of files among them.
    pub(super) fn files(&self) -> impl Iterator<Item = &FileChange> {
        self.acts.iter().filter_map(|act| match act {
            Act::File(change) => Some(change),
            _ => None,
        })
    }

    async fn step(&mut self, step: &Step, ground: &Ground) -> Result<(), String> {
        match step {
            Step::EditJson { file, pointer, to, .. } => self.edit(Path::new(file), |text| {
                super::json::edited(text, pointer, to.as_deref())
                    .map_err(|why| format!("{file} is not changed at {pointer}: {why}"))
            })?,
            Step::RepairJson { file, repairs, .. } => {
                self.edit(Path::new(file), |text| match facts::repair_json(text) {
                    Some((repaired, found)) if found == *repairs => Ok(repaired),
                    _ => Err(format!("{file} is not what it was when it was examined")),
                })?
            }
            Step::SetSysctl { key, to, .. } => {
                host::sysctl(key)?;
                self.edit(Path::new(SYSCTL_FILE), |text| Ok(host::lasting(text, key, to)))?;
                self.acts.push(Act::Sysctl { key: key.clone(), to: to.clone() });
            }
            Step::LoadModule { module, .. } => {
                let file = format!("/etc/modules-load.d/{module}.conf");
                if !host::is_loaded(module) {
                    self.acts.push(Act::Module(module.clone()));
                }
                self.edit(Path::new(&file), |_| Ok(format!("{module}\n")))?;
            }
            Step::ChangeFirewall { changes, .. } => {
                let needed = changes.iter().filter(|opening| !filter::is_open(opening));
                self.acts.extend(needed.map(filter::verbatim).map(Act::Open));
            }
            Step::ReloadEngine { .. } => self.acts.push(Act::Engine(Turn::Reload)),
            Step::StartEngine { .. } => self.turn(Turn::Start)?,
            Step::RestartEngine { .. } => self.turn(Turn::Restart)?,
            Step::RecreateIngress { subnet, .. } => {
                self.acts.extend(super::ingress::anew(subnet, ground).await?);
            }
            Step::UpdateService { service, changes, .. } => {
                self.acts.push(Act::Service(ServiceEdit::planned(service, changes, ground).await?));
            }
            Step::Unlock { .. } if ground.key.is_none() => {
                return Err(NO_KEY.into());
            }
            Step::ForceNewCluster { .. } => {
                quorum::refusal(ground).await?;
                if quorum::is_locking(ground).await {
                    return Err(
                        "the managers of this swarm start locked, and a new cluster takes no key: Docker refuses it as \
                         encrypted, and leaves the engine in no swarm until it is started and unlocked again; bring managers \
                         back instead"
                            .into(),
                    );
                }
                let info = Api::of(ground).await?.get("/info").await?;
                self.notes.push(newest::known(&info, ground).await?);
                self.put_aside(&info, None)?;
                self.acts.push(Act::Swarm(Verb::ForceNewCluster));
            }
            Step::RenewCertificate { .. } => {
                let info = Api::of(ground).await?.get("/info").await?;
                let request = quorum::renewal(&info, ground).await?;
                self.put_aside(&info, Some(Act::Forget { state: swarm::state(&info) }))?;
                self.acts.push(Act::Swarm(Verb::Init(request)));
            }
            Step::DemoteManager { id: Some(id), .. } => {
                quorum::spares(id, &Api::of(ground).await?).await?;
                self.acts.push(Act::Swarm(Verb::Demote { id: id.clone() }));
            }
            Step::Leave { force, .. } => {
                let api = Api::of(ground).await?;
                let info = api.get("/info").await?;
                membership::bound(&info, &api).await?;
                let state = swarm::state(&info);
                if state.join("raft").is_dir() {
                    self.put_aside(&info, None)?;
                } else {
                    way(Turn::Stop)?;
                    self.acts.push(Act::Copy { from: state.clone(), but: Some(membership::TASKS) });
                }
                self.acts.push(Act::Swarm(Verb::Leave { force: *force, state }));
            }
            Step::Join { advertise, .. } => {
                let info = Api::of(ground).await?.get("/info").await?;
                let request = membership::joining(advertise.as_deref(), &info, ground).await?;
                self.acts.push(Act::Swarm(Verb::Join(request)));
            }
            Step::Init { advertise, .. } => {
                let info = Api::of(ground).await?.get("/info").await?;
                self.acts.push(Act::Swarm(Verb::Init(membership::beginning(advertise, &info))));
            }
            Step::AddAddress { device, addr, prefix, .. } => {
                let address = Address { device: device.clone(), addr: *addr, prefix: *prefix };
                if !address.is_there().await? {
                    self.acts.push(Act::Address(address));
                }
            }
            _ => match Verb::of(step) {
                Some(verb) => self.acts.push(Act::Swarm(verb)),
                None => return Err(format!("a person has to do this: {}", step.text())),
            },
        }
        Ok(())
    }

    /// Copies what a manager knows of the swarm, while nobody writes to it, and does what else takes an engine that stands.
    fn put_aside(&mut self, info: &Value, also: Option<Act>) -> Result<(), String> {
        way(Turn::Stop)?;
        self.acts.extend([Act::Engine(Turn::Stop), Act::Copy { from: swarm::state(info), but: None }]);
        self.acts.extend(also);
        self.acts.push(Act::Engine(Turn::Start));
        Ok(())
    }

    fn turn(&mut self, turn: Turn) -> Result<(), String> {
        if turn == Turn::Restart || dockerd().is_none() {
            way(turn)?;
        }
        self.acts.push(Act::Engine(turn));
        Ok(())
    }

    /// Adds to the change of a file, or begins one.
    fn edit(&mut self, path: &Path, change: impl Fn(&str) -> Result<String, String>) -> Result<(), String> {
        let begun = self.acts.iter_mut().find_map(|act| match act {
            Act::File(begun) if begun.path == path => Some(begun),
            _ => None,
        });
        let text = |content: &Option<Vec<u8>>| {
            let text = String::from_utf8(content.clone().unwrap_or_default());
            text.map_err(|_| format!("{} is not changed: it is no UTF-8", path.display()))
        };
        match begun {
            Some(begun) => begun.after = Some(change(&text(&begun.after)?)?.into_bytes()),
            None => {
                let before = file::content(path)?;
                let after = change(&text(&before)?)?.into_bytes();
                if before.as_ref() != Some(&after) {
                    self.acts.push(Act::File(FileChange {
                        path: path.to_owned(),
                        before,
                        after: Some(after),
                    }));
                }
            }
        }
        Ok(())
    }
}
