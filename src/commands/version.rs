//! `version`: what this binary was built from.

use super::print;
use crate::error::ExpectedError;
use crate::exit::ExitCode;

/// Set by `cargo xtask dist`; absent in a development build.
const COMMIT: Option<&str> = option_env!("SWARM_DOCTOR_COMMIT");
/// The date of the commit, or `SOURCE_DATE_EPOCH`, so that the same commit gives the same binary.
const DATE: Option<&str> = option_env!("SWARM_DOCTOR_DATE");

/// What makes two programs the same: the version and the commit, in one line.
pub(crate) fn build_identity() -> String {
    format!("swarm-doctor {} commit: {} ", env!("CARGO_PKG_VERSION"), commit())
}

fn commit() -> &'static str {
    COMMIT.unwrap_or("unknown (development build)")
}

pub(super) fn version() -> Result<ExitCode, ExpectedError> {
    let library = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    let kind = if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" };
    print(|out| {
        writeln!(out, "swarm-doctor {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "commit: {}", commit())?;
        if let Some(date) = DATE {
            writeln!(out, "date:   {date}")?;
        }
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        writeln!(out, "target: {arch}-{os}-{library}, {kind}")
    })
}
