//! Until when clients are let in to the web listener, and who is in by then gets an answer.

use axum::{Router, serve::Listener};
use std::{future::pending, io, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Lets in whoever comes until it is closed; who comes later is another process's, where one has the
/// listener too.
struct Door {
    listener: TcpListener,
    closed: CancellationToken,
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        tokio::select! {
            biased;
            one = Listener::accept(&mut self.listener) => one,
            () = self.closed.cancelled() => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Serves until shut down. A connection without a request is closed only some time after: its
/// request may be on its way.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    closed: CancellationToken,
) -> io::Result<()> {
    let last = closed.clone();
    let door = Door { listener, closed };
    let goodbye = async move {
        last.cancelled().await;
        sleep(LAST_REQUESTS).await;
    };
    axum::serve(door, app).with_graceful_shutdown(goodbye).await
}

/// How long requests of those who were let in are waited for.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::task::TaskTracker;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_request_that_comes_just_after_the_end_was_told_is_answered() {
        let app = Router::new().route("/", get(|| async { "still here" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closed = CancellationToken::new();
        let serving = TaskTracker::new().spawn(serve(listener, app, closed.clone()));
        let ask = async |stream: &mut TcpStream| {
            let request = b"GET / HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        let mut stream = TcpStream::connect(address).await.unwrap();
        // One that came later was answered, so this one was let in.
        let mut other = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut other).await.ends_with("still here"));
        closed.cancel();
        // All that is to be done at once has been done.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(ask(&mut stream).await.ends_with("still here"));
        tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
    }
}
