//! The kernel's settings and modules.

use super::program;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The most that loading a module may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// The value of a setting.
pub(super) fn sysctl(key: &str) -> Result<String, String> {
    let path = place(key)?;
    let text =
        fs::read_to_string(&path).map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// Gives a setting a value, for now.
pub(super) fn set_sysctl(key: &str, to: &str) -> Result<(), String> {
    let path = place(key)?;
    fs::write(&path, format!("{to}\n"))
        .map_err(|error| format!("failed to write {}: {error}", path.display()))
}

/// The lines of a file of settings with one of them set for every start.
pub(super) fn lasting(text: &str, key: &str, to: &str) -> String {
    let of_key = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
    let mut lines: Vec<String> = text.lines().filter(|line| !of_key(line)).map(str::to_owned).collect();
    lines.push(format!("{key} = {to}"));
    lines.join("\n") + "\n"
}

/// Loads a module.
pub(super) fn load(name: &str) -> Result<(), String> {
    program::run(&["modprobe".into(), name.into()], DEADLINE).map(drop)
}

/// Whether a module is there.
pub(super) fn is_loaded(name: &str) -> bool {
    PathBuf::from("/sys/module").join(name).exists()
}

/// Unloads a module, where it is loaded and nobody has come to use it.
pub(super) fn unload(name: &str) -> Result<(), String> {
    let users = fs::read_to_string(PathBuf::from("/sys/module").join(name).join("refcnt"));
    if !is_loaded(name) || users.is_ok_and(|users| users.trim() != "0") {
        return Ok(());
    }
    program::run(&["modprobe".into(), "-r".into(), name.into()], DEADLINE).map(drop)
}

/// Where a setting is: no name leads out of there.
fn place(key: &str) -> Result<PathBuf, String> {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    if !key.split('.').all(plain) {
        return Err(format!("{key:?} names no kernel setting"));
    }
    Ok(PathBuf::from("/proc/sys").join(key.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use super::{lasting, place};

    #[test]
    fn a_setting_stands_once_in_its_file() {
        assert_eq!(lasting("", "net.ipv4.ip_forward", "1"), "net.ipv4.ip_forward = 1\n");
        assert_eq!(lasting("# mine\na.b=1\nc = 2", "a.b", "0"), "# mine\nc = 2\na.b = 0\n");
    }

    #[test]
    fn no_name_leads_out_of_the_settings() {
        assert!(place("net.ipv4.ip_forward").unwrap().ends_with("net/ipv4/ip_forward"));
        for key in ["", "..", "net/../x", "net..x", "net.ipv4/../../x"] {
            assert!(place(key).is_err(), "{key}");
        }
    }
}
