use super::*;
use crate::demo;
use std::cell::Cell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server that counts its looks, on a port of this machine.
async fn with_server<T, F: Future<Output = T>>(
    fresh: Duration,
    test: impl FnOnce(SocketAddr, Rc<Cell<(u32, u32)>>) -> F,
) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // How many looks there were, and how many went on at once at most.
    let looks = Rc::new(Cell::new((0, 0)));
    let counted = looks.clone();
    let busy = Rc::new(Cell::new(0));
    let look = move || {
        let (counted, busy) = (counted.clone(), busy.clone());
        async move {
            busy.set(busy.get() + 1);
            counted.set((counted.get().0 + 1, counted.get().1.max(busy.get())));
            tokio::time::sleep(Duration::from_millis(20)).await;
            busy.set(busy.get() - 1);
            Ok(examine::diagnose(&demo::bundle().unwrap()))
        }
    };
    tokio::select! {
        never = listen(listener, Access::Here, Cache::new(fresh, look)) => match never {},
        outcome = test(address, looks) => outcome,
    }
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that ends a bad connection may reset it.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(address: SocketAddr, path: &str, accept: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n")).await
}

#[tokio::test]
async fn each_page_is_what_it_says() {
    with_server(Duration::from_secs(60), |address, looks| async move {
        assert!(get(address, "/healthz", "*/*").await.ends_with("\r\n\r\nok\n"));
        assert_eq!(looks.get().0, 0, "to live is not to look");
        for (path, accept, kind, word) in [
            ("/metrics", "*/*", "text/plain; version=0.0.4", "swarm_doctor_info{"),
            ("/report", "text/html", "text/html", "<!DOCTYPE html>"),
            ("/report", "*/*", "application/json", "\"schema\": \"swarm-doctor.report/v1\""),
            ("/report.html?x=1", "application/json", "text/html", "</html>"),
            ("/report.json", "text/html", "application/json", "\"findings\""),
        ] {
            let answer = get(address, path, accept).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
            assert!(answer.contains("\r\nage: "), "{path}: {answer}");
            assert!(
                answer.contains(&format!("content-type: {kind}")) && answer.contains(word),
                "{path}: {answer}"
            );
        }
        assert_eq!(looks.get().0, 1);
    })
    .await;
}

#[tokio::test]
async fn a_bad_request_gets_a_clear_answer() {
    with_server(Duration::from_secs(60), |address, looks| async move {
        for (request, status, word) in [
            ("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", "404", "/report.json"),
            (
                "POST /report HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
                "405",
                "allow: GET, HEAD",
            ),
            ("GET /report HTTP/1.1\r\nHost: localhost\r\nAccept: image/png\r\n\r\n", "406", "text/html"),
            ("GET /report HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", "421", "on this host only"),
            ("nonsense\r\n\r\n", "400", ""),
        ] {
            let answer = ask(address, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
            assert!(answer.contains(word), "{request}: {answer}");
        }
        let browser = ask(address, "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n").await;
        assert!(browser.starts_with("HTTP/1.1 303 ") && browser.contains("location: /report"), "{browser}");
        let program = ask(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(program.starts_with("HTTP/1.1 200 ") && program.contains("/metrics"), "{program}");
        let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000));
        assert!(ask(address, &long).await.starts_with("HTTP/1.1 4"));
        let head = ask(address, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
        assert_eq!(looks.get().0, 0);
    })
    .await;
}

#[tokio::test]
async fn there_are_never_two_looks_at_once_and_none_while_one_is_fresh() {
    with_server(Duration::from_secs(60), |address, looks| async move {
        let asked = (0..20).map(|_| get(address, "/metrics", "*/*"));
        let answers = futures_util::future::join_all(asked).await;
        assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")));
        assert_eq!(looks.get(), (1, 1));
    })
    .await;
    with_server(Duration::ZERO, |address, looks| async move {
        futures_util::future::join_all((0..4).map(|_| get(address, "/metrics", "*/*"))).await;
        assert_eq!(looks.get(), (4, 1));
    })
    .await;
}

#[tokio::test]
async fn somebody_who_says_nothing_keeps_no_other_waiting() {
    with_server(Duration::from_secs(60), |address, _| async move {
        let silent: Vec<_> =
            futures_util::future::join_all((0..8).map(|_| TcpStream::connect(address))).await;
        assert!(get(address, "/healthz", "*/*").await.ends_with("ok\n"));
        drop(silent);
    })
    .await;
}
