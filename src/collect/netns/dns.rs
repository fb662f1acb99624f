//! Questions to DNS servers, asked from inside a network namespace.

use super::{Duration, Instant};
use crate::collect::probe::tcp;
use facts::container::{Answer, NameServer};
use facts::link::Outcome;
use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The address of the embedded DNS server in each network namespace.
pub(super) const EMBEDDED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// Timeout of one question. Service names are answered from memory; other names are forwarded.
const TIMEOUT: Duration = Duration::from_millis(700);

/// Asks the embedded DNS server for the IPv4 addresses of all names at once, from the namespace of this thread.
pub(in crate::collect) fn ask(names: &[String]) -> io::Result<Vec<Answer>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let resolver = resolver().map_err(io::Error::other)?;
        Ok(join_all(names.iter().map(|name| answer(&resolver, name))).await)
    })
}

/// Connects to the TCP port of the embedded DNS server, from the namespace of this thread. Its NAT rules are set up
/// together with those for UDP, and no upstream server is involved.
pub(super) fn connect_embedded() -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(tcp::connect((EMBEDDED, 53).into(), TIMEOUT)))
}

/// Whether DNS servers answer at all, asked from the namespace of this thread.
pub(super) fn probe_servers(addrs: &[IpAddr]) -> io::Result<Vec<NameServer>> {
    if addrs.is_empty() {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let one = |addr: IpAddr| async move {
            let mut answer = probe_server(addr).await;
            if answer.is_err() {
                answer = probe_server(addr).await;
            }
            NameServer { addr, result: answer }
        };
        Ok(join_all(addrs.iter().map(|addr| one(*addr))).await)
    })
}

/// One question for the NS records of the root. Any answer counts, REFUSED as well.
async fn probe_server(addr: IpAddr) -> Result<(), String> {
    let local: SocketAddr = match addr {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let exchange = async {
        let socket = UdpSocket::bind(local).await?;
        socket.connect((addr, 53)).await?;
        socket.send(QUESTION).await?;
        let mut answer = [0; 512];
        socket.recv(&mut answer).await
    };
    match timeout(TIMEOUT, exchange).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} ms", TIMEOUT.as_millis())),
    }
}

/// `. NS`, recursion desired.
const QUESTION: &[u8] = &[0x53, 0x44, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

fn resolver() -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_name_servers(vec![NameServerConfig::udp_and_tcp(IpAddr::V4(EMBEDDED))]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = TIMEOUT;
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

async fn answer(resolver: &TokioResolver, name: &str) -> Answer {
    let began = Instant::now();
    let lookup = async { resolver.lookup(fqdn(name)?, RecordType::A).await };
    let result = match timeout(TIMEOUT, lookup).await {
        Ok(Ok(lookup)) => {
            let addr = |data: &RData| match data {
                RData::A(addr) => Some(IpAddr::V4(addr.0)),
                _ => None,
            };
            let mut addrs: Vec<_> = lookup.answers().iter().filter_map(|record| addr(&record.data)).collect();
            addrs.sort();
            Ok(addrs)
        }
        Ok(Err(error)) => Err(error_text(&error)),
        Err(_) => Err(error_text(&NetError::Timeout)),
    };
    Answer {
        name: name.to_owned(),
        result,
        took_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
    }
}

/// The name without a search list. Underscores are allowed: stack services have them.
fn fqdn(name: &str) -> Result<Name, NetError> {
    Ok(Name::from_labels(name.trim_end_matches('.').split('.').map(str::as_bytes))?)
}

/// The reason why there are no addresses: the response code, or the network error.
fn error_text(error: &NetError) -> String {
    let code = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code,
        NetError::Dns(DnsError::ResponseCode(code)) => *code,
        NetError::Timeout => return format!("no answer within {} ms", TIMEOUT.as_millis()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::probe::in_new_namespace;
    use hickory_resolver::proto::op::{Message, MessageType};
    use hickory_resolver::proto::rr::Record;
    use std::io::{Read, Write};
    use std::net::{TcpListener, UdpSocket};

    /// The answer of a fake DNS server; `None` for a name that it does not answer.
    fn reply(question: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).unwrap();
        let query = question.queries[0].clone();
        let name = query.name().to_string();
        let mut reply = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
        reply.metadata.recursion_available = true;
        let addrs: Vec<[u8; 4]> = match name.as_str() {
            "web." => vec![[10, 0, 1, 9], [10, 0, 1, 2]],
            "shop_web." => vec![[10, 0, 1, 7]],
            "tasks.web." if over_tcp => (0..200).map(|last| [10, 0, 2, last]).collect(),
            "tasks.web." => {
                reply.metadata.truncation = true;
                vec![[10, 0, 2, 0]]
            }
            "broken." => {
                reply.metadata.response_code = ResponseCode::ServFail;
                Vec::new()
            }
            "silent." => return None,
            _ => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                Vec::new()
            }
        };
        let record = |addr: [u8; 4]| {
            Record::from_rdata(query.name().clone(), 600, RData::A(Ipv4Addr::from(addr).into()))
        };
        reply.answers.extend(addrs.into_iter().map(record));
        reply.queries.push(query);
        Some(reply.to_vec().unwrap())
    }

    fn serve() {
        let udp = UdpSocket::bind((EMBEDDED, 53)).unwrap();
        let tcp = TcpListener::bind((EMBEDDED, 53)).unwrap();
        std::thread::spawn(move || {
            let mut question = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut question) {
                if let Some(reply) = reply(&question[..length], false) {
                    udp.send_to(&reply, from).unwrap();
                }
            }
        });
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut question = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut question).unwrap();
                let reply = reply(&question, true).unwrap();
                stream.write_all(&u16::try_from(reply.len()).unwrap().to_be_bytes()).unwrap();
                stream.write_all(&reply).unwrap();
            }
        });
    }

    #[test]
    fn answers_of_every_kind_keep_the_order_of_the_questions() {
        let names = ["web", "tasks.web", "unknown", "broken", "silent", "shop_web"].map(str::to_owned);
        let asked = names.clone();
        let answers = in_new_namespace(&[], move || {
            serve();
            ask(&asked).unwrap()
        });
        let Some(answers) = answers else { return };
        let addr = |bytes: [u8; 4]| IpAddr::from(bytes);
        let results: Vec<_> = answers.iter().map(|answer| answer.result.clone()).collect();
        assert_eq!(answers.iter().map(|answer| answer.name.clone()).collect::<Vec<_>>(), names);
        assert_eq!(results[0], Ok(vec![addr([10, 0, 1, 2]), addr([10, 0, 1, 9])]));
        assert_eq!(results[1].as_ref().unwrap().len(), 200);
        assert_eq!(results[2], Err("NXDOMAIN".into()));
        assert_eq!(results[3], Err("SERVFAIL".into()));
        assert_eq!(results[4], Err("no answer within 700 ms".into()));
        assert_eq!(results[5], Ok(vec![addr([10, 0, 1, 7])]));
    }

    #[test]
    fn without_a_server_there_is_no_answer() {
        let Some(answers) = in_new_namespace(&[], || ask(&["web".into()]).unwrap()) else { return };
        assert_eq!(answers[0].result, Err("no answer within 700 ms".into()));
    }
}
