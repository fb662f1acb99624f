//! Questions to the engine's embedded DNS server, put from inside a network namespace.

use super::{Duration, Instant};
use facts::container::{Answer, NameServer};
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

/// Where the engine's DNS server listens in every network namespace that it serves.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// How long one answer may take. Names of the swarm are answered from memory; others are passed on.
const PATIENCE: Duration = Duration::from_millis(700);

/// Asks for the IPv4 addresses of all these names at once, from the namespace that this thread is in.
pub(in crate::collect) fn ask(names: &[String]) -> io::Result<Vec<Answer>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let resolver = resolver().map_err(io::Error::other)?;
        Ok(join_all(names.iter().map(|name| answer(&resolver, name))).await)
    })
}

/// Whether name servers answer at all, asked from the namespace that this thread is in for what every server knows.
pub(super) fn servers(addrs: &[IpAddr]) -> io::Result<Vec<NameServer>> {
    if addrs.is_empty() {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let one = |addr: IpAddr| async move {
            let mut answer = server(addr).await;
            if answer.is_err() {
                answer = server(addr).await;
            }
            NameServer { addr, result: answer }
        };
        Ok(join_all(addrs.iter().map(|addr| one(*addr))).await)
    })
}

/// One question for the root's servers; that it is refused is an answer as well.
async fn server(addr: IpAddr) -> Result<(), String> {
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
    match timeout(PATIENCE, exchange).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} ms", PATIENCE.as_millis())),
    }
}

/// `. NS`, recursion desired.
const QUESTION: &[u8] = &[0x53, 0x44, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

fn resolver() -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_name_servers(vec![NameServerConfig::udp_and_tcp(IpAddr::V4(SERVER))]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = PATIENCE;
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

async fn answer(resolver: &TokioResolver, name: &str) -> Answer {
    let began = Instant::now();
    let lookup = async { resolver.lookup(whole(name)?, RecordType::A).await };
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

/// The name as it is: no search list is tried, and the underscores that each service of a stack has are left alone.
fn whole(name: &str) -> Result<Name, NetError> {
    Ok(Name::from_labels(name.trim_end_matches('.').split('.').map(str::as_bytes))?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::probe::in_new_namespace;
    use hickory_resolver::proto::op::{Message, MessageType};
    use hickory_resolver::proto::rr::Record;
    use std::io::{Read, Write};
    use std::net::{TcpListener, UdpSocket};

    /// What the embedded server would answer, were these the names it knows; nothing to a name it keeps silent on.
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
        let udp = UdpSocket::bind((SERVER, 53)).unwrap();
        let tcp = TcpListener::bind((SERVER, 53)).unwrap();
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
    fn every_kind_of_answer_is_told_in_the_order_asked() {
        let names = ["web", "tasks.web", "nobody", "broken", "silent", "shop_web"].map(str::to_owned);
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
    fn where_nobody_serves_there_is_no_answer() {
        let Some(answers) = in_new_namespace(&[], || ask(&["web".into()]).unwrap()) else { return };
        assert_eq!(answers[0].result, Err("no answer within 700 ms".into()));
    }
}
