//! Whether this process shares the namespaces of the engine. In a container with only the engine's socket it does not, and
//! then the interfaces, settings and processes that it sees are not those of the node.

use super::{Endpoint, netlink};
use facts::Why;
use netlink_packet_core::Nla as _;
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::unix::nlas::{Nla, UnixDiagName};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags, UnixRequest};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt::PeerCredentials,
};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a collector reads, by the namespace that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The kernel as a whole: modules, memory, the clock.
    Kernel,
    /// The network namespace: interfaces, routes, sockets, rules, network settings, packets to other nodes.
    Network,
    /// The pid namespace: processes.
    Processes,
}

/// The namespaces of the engine that this process is not in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Foreign {
    network: bool,
    processes: bool,
}

/// The options that give a container the namespaces and the files of its host.
const COMMAND: &str = "docker run --rm --privileged --pid host --network host --uts host -v /run/docker:/run/docker -v \
                       /run/docker.sock:/run/docker.sock -v /var/lib/docker:/var/lib/docker -v /etc:/etc:ro -v \
                       /var/log:/var/log:ro -v /lib/modules:/lib/modules:ro IMAGE run";

impl Foreign {
    /// Compares with the engine behind the endpoint. What cannot be compared counts as shared.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        endpoint.local_socket().map(Self::of_socket).unwrap_or_default()
    }

    fn of_socket(path: &Path) -> Self {
        let Some(pid) = listener_pid(path) else { return Self::default() };
        Self { network: !listens_here(path).unwrap_or(true), processes: pid == 0 }
    }

    /// Why what is read here does not belong to the node of the engine.
    pub(super) fn why(self, scope: Scope) -> Option<Why> {
        let namespace = match scope {
            Scope::Network if self.network => "network",
            Scope::Processes if self.processes => "pid",
            Scope::Kernel | Scope::Network | Scope::Processes => return None,
        };
        let what = format!(
            "this process is in another {namespace} namespace than dockerd (in a container); to see everything, run: \
             {COMMAND}"
        );
        Some(Why::Unreachable { what })
    }

    /// Whether the files of the node are not below `/` here: the engine is in another pid namespace.
    pub(super) fn files(self) -> bool {
        self.processes
    }
}

/// The pid of the process that listens on a socket, as seen from here: 0 where it is outside this pid namespace. None where
/// nothing answers at once.
fn listener_pid(path: &Path) -> Option<i32> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path).ok()?).ok()?;
    Some(getsockopt(&socket, PeerCredentials).ok()?.pid())
}

/// Whether the socket was made in this network namespace: the kernel lists the unix sockets of each namespace.
fn listens_here(path: &Path) -> io::Result<bool> {
    let file = path.metadata()?;
    let device = encoded(libc::major(file.dev()), libc::minor(file.dev()));
    let question = SockDiagMessage::UnixRequest(UnixRequest {
        state_flags: StateFlags::LISTEN,
        inode: 0,
        show_flags: ShowFlags::NAME | ShowFlags::VFS,
        cookie: [0xff; 8],
    });
    let listed = netlink::dump(NETLINK_SOCK_DIAG, question)?;
    let is_it = |message: SockDiagMessage| {
        let SockDiagMessage::UnixResponse(response) = message else { return false };
        let name = response.nlas.iter().find_map(|nla| match nla {
            Nla::Name(UnixDiagName::Pathname(name)) => Path::new(name).file_name().map(ToOwned::to_owned),
            _ => None,
        });
        response.nlas.iter().any(|nla| match nla {
            // Some file systems report another device to stat(2) than the kernel uses.
            nla @ Nla::Vfs(_) => {
                let (inode, on) = numbers(nla);
                u64::from(inode) == file.ino() & u64::from(u32::MAX)
                    && (on == device || name.as_deref() == path.file_name())
            }
            _ => false,
        })
    };
    Ok(listed.into_iter().any(is_it))
}

/// The inode and the device of a `UNIX_DIAG_VFS` attribute.
fn numbers(attribute: &Nla) -> (u32, u32) {
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    let number = |at: usize| {
        let bytes = value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).unwrap_or_default()
    };
    (number(0), number(4))
}

/// A device number as `new_encode_dev` of the kernel encodes it.
fn encoded(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_socket_of_this_process_is_in_its_namespaces() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock");
        assert_eq!(Foreign::of_socket(&path), Foreign::default());
        let _listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener_pid(&path), Some(i32::try_from(std::process::id()).unwrap()));
        assert!(listens_here(&path).unwrap());
        assert_eq!(Foreign::of_socket(&path), Foreign::default());
    }

    #[test]
    fn a_socket_of_another_network_namespace_is_foreign() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let inside = path.clone();
        let seen = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).ok()?;
            listens_here(&inside).ok()
        });
        // Without the right to make a namespace there is nothing to test.
        assert_ne!(seen.join().unwrap(), Some(true));
    }
}
