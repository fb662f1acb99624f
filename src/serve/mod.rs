//! Reports and metrics over HTTP. It is read-only, and the checks run on request only.

mod answer;
mod cache;

use crate::cli::Serve;
use crate::error::ExpectedError;
use crate::examine::{self, Asked};
use crate::judge::Diagnosis;
use crate::policy::Policy;
use answer::{Access, answer};
use cache::Cache;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// How many connections are served at once; more wait.
const CONNECTIONS: usize = 32;
/// Timeout of a request's header.
const ASKING: Duration = Duration::from_secs(5);
/// Timeout of a connection; a run takes a few seconds.
const STAYING: Duration = Duration::from_secs(60);

/// Serves until it is interrupted. `ready` gets the address.
pub async fn serve(serve: &Serve, ready: impl FnOnce(SocketAddr)) -> Result<Infallible, ExpectedError> {
    let failed = |error| ExpectedError::usage(format!("cannot listen on {}: {error}", serve.address));
    let listener = TcpListener::bind(serve.address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    // A usage error is reported now and not to the first client.
    examine::options(&serve.source, Asked::default())?;
    let policy = Policy::of(&serve.gate, &[])?;
    ready(bound);
    let (source, policy) = (serve.source.clone(), Rc::new(policy));
    let look = move || {
        let (source, policy) = (source.clone(), policy.clone());
        async move {
            let collected = examine::collect(&source, &policy, Asked::default()).await;
            Ok(examine::diagnose_by(&collected.map_err(|error| error.to_string())?, &policy))
        }
    };
    let access = if bound.ip().is_loopback() { Access::Here } else { Access::Anywhere };
    Ok(listen(listener, access, Cache::new(serve.fresh, look)).await)
}

async fn listen<L, F>(listener: TcpListener, access: Access, cache: Cache<L>) -> Infallible
where
    L: Fn() -> F + 'static,
    F: Future<Output = Result<Diagnosis, String>>,
{
    let cache = Rc::new(cache);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let local = LocalSet::new();
    let accept = async {
        loop {
            let place = places.clone().acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                // No file descriptors are left, or the client has gone. Both are temporary.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let cache = cache.clone();
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| {
                    let cache = cache.clone();
                    async move { Ok::<_, Infallible>(answer(&request, access, &cache).await) }
                });
                let mut server = http1::Builder::new();
                server
                    .timer(TokioTimer::new())
                    .header_read_timeout(ASKING)
                    .keep_alive(false)
                    .max_buf_size(16 * 1024);
                let served = server.serve_connection(TokioIo::new(stream), service);
                // A bad request was answered, and a client that has gone needs no answer.
                drop(tokio::time::timeout(STAYING, served).await);
                drop(place);
            });
        }
    };
    local.run_until(accept).await
}

#[cfg(test)]
mod tests;
