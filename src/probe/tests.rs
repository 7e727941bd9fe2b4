//! The other side of checks, for the tests: servers on loopback that do what they are told.

use super::{attempt::attempt, tls::Trust};
use crate::health::{Check, Failure, Protocol, Target};
use jiff::Timestamp;
use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::task::TaskTracker;

/// Each connection is handed over to `handle`, until the test's runtime ends.
pub(super) fn serve<F, R>(handle: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskTracker::new();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tasks.clone().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tasks.spawn(handle(stream));
        }
    });
    address
}

/// Reads a request's head, says that, and closes.
pub(super) fn say(response: impl Into<Vec<u8>>) -> SocketAddr {
    let response: Arc<[u8]> = response.into().into();
    serve(move |mut stream| {
        let response = response.clone();
        async move {
            head(&mut stream).await;
            // The prober may have heard enough before the end.
            let _ = stream.write_all(&response).await;
        }
    })
}

/// The head of a request.
pub(super) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Accepts, and says nothing for as long as the other side stays.
pub(super) fn keep_silent() -> SocketAddr {
    serve(|mut stream| async move { while stream.read_u8().await.is_ok() {} })
}

/// An address where nobody listens.
pub(super) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(super) fn target(to: SocketAddr, protocol: Protocol) -> Target {
    Target { address: to.ip(), check: Arc::new(Check::new(protocol, to.port())) }
}

/// One check with the usual timeout.
pub(super) async fn check(to: SocketAddr, protocol: Protocol) -> Checked {
    attempt(&target(to, protocol), &Trust::new()).await
}

/// One check that may not take long.
pub(super) async fn check_briefly(to: SocketAddr, protocol: Protocol) -> Checked {
    let mut check = Check::new(protocol, to.port());
    check.timeout = Duration::from_millis(200);
    attempt(&Target { address: to.ip(), check: Arc::new(check) }, &Trust::new()).await
}

pub(super) type Checked = Result<Option<Timestamp>, Failure>;

#[tokio::test]
async fn a_connection_that_is_accepted_is_enough_for_tcp() {
    assert_eq!(check(keep_silent(), Protocol::Tcp).await, Ok(None));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_no_connection() {
    let refused = check(nobody(), Protocol::Tcp).await.unwrap_err();
    assert_eq!(refused, Failure::Connect("connection refused".to_owned()));
}

#[tokio::test]
async fn an_ipv4_mapped_address_is_connected_to_as_ipv4() {
    let mut to = keep_silent();
    to.set_ip("::ffff:127.0.0.1".parse().unwrap());
    assert_eq!(check(to, Protocol::Tcp).await, Ok(None));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn checks_leave_no_port_waiting() {
    let (silent, speaking) = (keep_silent(), say("HTTP/1.1 204 No Content\r\n\r\n"));
    for _ in 0..50 {
        assert_eq!(check(silent, Protocol::Tcp).await, Ok(None));
        let http = super::http::tests::get("/");
        assert_eq!(check(speaking, Protocol::Http(http)).await, Ok(None));
    }
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let waiting = |port: u16| {
        let remote = format!("0100007F:{port:04X} 06 ");
        sockets.lines().filter(|line| line.contains(&remote)).count()
    };
    assert_eq!((waiting(silent.port()), waiting(speaking.port())), (0, 0));
}
