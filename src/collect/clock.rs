//! Whether the clock is synchronised, and the running time service.

use super::namespaces::Scope;
use super::{Artifact, Place, Session, why};
use facts::host::Clock;
use facts::{Need, Why};
use std::fs;
use std::io;

/// Time services, by process name, which the kernel truncates to 15 characters.
const SERVICES: [(&str, &str); 6] = [
    ("chronyd", "chronyd"),
    ("ntpd", "ntpd"),
    ("ntp-daemon", "ntpd-rs"),
    ("openntpd", "openntpd"),
    ("systemd-timesyn", "systemd-timesyncd"),
    ("phc2sys", "phc2sys"),
];

pub(super) async fn clock(session: &Session) -> Vec<Artifact> {
    let place = Place::new(Need::Clock, "host/clock.json", "adjtimex(2)");
    session
        .read_in(Scope::Kernel, place, || {
            let timex = kernel_clock().map_err(|error| why(&error, "adjtimex"))?;
            let synchronised = timex.status & libc::STA_UNSYNC == 0;
            Ok(Clock { synchronised, max_error_us: timex.maxerror, service: service()? })
        })
        .await
}

/// The clock status of the kernel; nothing is changed.
#[expect(unsafe_code, reason = "neither std nor nix has adjtimex")]
fn kernel_clock() -> io::Result<libc::timex> {
    // SAFETY: `timex` is a struct of integers, all of which may be zero.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `timex` lives through the call, and `modes` of zero asks the kernel to write to it and set nothing.
    match unsafe { libc::adjtimex(&raw mut timex) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(timex),
    }
}

/// The time service that is running.
fn service() -> Result<Option<String>, Why> {
    let processes = fs::read_dir("/proc").map_err(|error| why(&error, "list /proc"))?;
    let pid = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("comm")).ok();
    Ok(service_among(processes.flatten().filter(pid).filter_map(name)).map(str::to_owned))
}

fn service_among(names: impl Iterator<Item = String>) -> Option<&'static str> {
    names
        .filter_map(|name| SERVICES.iter().find(|(comm, _)| *comm == name.trim_end()))
        .map(|(_, full)| *full)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_its_clock() {
        let timex = kernel_clock().unwrap();
        assert!((0..=16_000_000).contains(&timex.maxerror), "{}", timex.maxerror);
        // A maximum error of 16 s means that the clock was never synchronised.
        assert!(timex.maxerror < 16_000_000 || timex.status & libc::STA_UNSYNC != 0);
    }

    #[test]
    fn a_time_service_is_known_by_the_name_of_its_process() {
        let among = |names: &[&str]| service_among(names.iter().map(|name| format!("{name}\n")));
        assert_eq!(among(&["systemd", "systemd-timesyn", "sshd"]), Some("systemd-timesyncd"));
        assert_eq!(among(&["ntpd", "chronyd"]), Some("chronyd"));
        assert_eq!(among(&["systemd", "chronyd-helper"]), None);
        assert!(service().is_ok());
    }
}
