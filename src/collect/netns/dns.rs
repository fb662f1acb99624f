//! Questions to the engine's embedded DNS server, put from inside a network namespace.

use super::{Duration, Instant};
use facts::container::Answer;
use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use tokio::time::timeout;

/// Where the engine's DNS server listens in every network namespace that it serves.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// How long one answer may take. Names of the swarm are answered from memory; others are passed on.
const PATIENCE: Duration = Duration::from_millis(700);

/// Asks for the IPv4 addresses of all these names at once, from the namespace that this thread is in.
pub(super) fn ask(names: &[String]) -> io::Result<Vec<Answer>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let resolver = resolver().map_err(io::Error::other)?;
        Ok(join_all(names.iter().map(|name| answer(&resolver, name))).await)
    })
}

fn resolver() -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_name_servers(vec![NameServerConfig::udp(IpAddr::V4(SERVER))]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = PATIENCE;
    options.attempts = 0;
    options.cache_size = 0;
    options.edns0 = false;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

async fn answer(resolver: &TokioResolver, name: &str) -> Answer {
    let began = Instant::now();
    // The dot at the end keeps the name as it is: no search list is tried.
    let lookup = resolver.lookup(format!("{}.", name.trim_end_matches('.')), RecordType::A);
    let result = match timeout(PATIENCE, lookup).await {
        Ok(Ok(lookup)) => {
            let addr = |data: &RData| match data {
                RData::A(addr) => Some(IpAddr::V4(addr.0)),
                _ => None,
            };
            let mut addrs: Vec<_> = lookup.answers().iter().filter_map(|record| addr(&record.data)).collect();
            addrs.sort();
            Ok(addrs)
        }
        Ok(Err(error)) => Err(words(&error)),
        Err(_) => Err(words(&NetError::Timeout)),
    };
    Answer {
        name: name.to_owned(),
        result,
        took_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
    }
}

/// Why there are no addresses: the server's code as it is written everywhere, else what went wrong.
fn words(error: &NetError) -> String {
    let code = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code,
        NetError::Dns(DnsError::ResponseCode(code)) => *code,
        NetError::Timeout => return format!("no answer within {} ms", PATIENCE.as_millis()),
        NetError::Io(error) => return error.to_string(),
        error => return error.to_string(),
    };
    match code {
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::NoError => "no address".into(),
        code => code.to_string(),
    }
}
