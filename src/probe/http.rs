//! One HTTP/1.1 request and as much of the response as the check needs; every part has a limit.

use super::{
    attempt::{READING, Stage, WAITING},
    connect::broken,
};
use crate::health::{Failure, Http, Method};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The octets of the request.
///
/// # Errors
/// When host or path hold what no request may (a line break would begin another header).
pub(super) fn request(http: &Http, authority: &str) -> Result<Vec<u8>, Failure> {
    let path = &*http.path;
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::Blocked(
            "the path must begin with / and hold visible ASCII characters only; \
             percent-encode the others"
                .to_owned(),
        ));
    }
    if !authority.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::Blocked("the host must hold visible ASCII only".to_owned()));
    }
    let method = match http.method {
        Method::Get => "GET",
        Method::Head => "HEAD",
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {USER_AGENT}\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    Ok(request.into_bytes())
}

/// Sends the request and judges the response.
///
/// # Errors
/// When it is no HTTP, its status is not expected, or its body does not hold the text.
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    http: &Http,
    request: &[u8],
    stage: &mut Stage,
) -> Result<(), Failure> {
    *stage = WAITING;
    stream.write_all(request).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))?;
    let mut reader = Reader { stream, raw: Vec::with_capacity(STEP) };
    let head = reader.head(http.method).await?;
    if !http.statuses.admit(head.status) {
        return Err(Failure::Status(head.status));
    }
    *stage = READING;
    match http.body.as_deref() {
        Some(text) => reader.body_holds(text.as_bytes(), head.framing).await,
        None => Ok(()),
    }
}

/// What was received and is not used up.
struct Reader<'a, S> {
    stream: &'a mut S,
    raw: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<'_, S> {
    /// The head of the final response; interim ones (RFC 9110 §15.2) are passed over.
    async fn head(&mut self, method: Method) -> Result<Head, Failure> {
        let (mut searched, mut passed) = (0, 0);
        loop {
            if let Some(end) = end_of_head(&self.raw, searched) {
                let head = Head::parse(&self.raw[..end], method)?;
                self.raw.drain(..end);
                if !head.is_interim() {
                    return Ok(head);
                }
                (searched, passed) = (0, passed + end);
                continue;
            }
            searched = self.raw.len();
            let room = HEAD.saturating_sub(passed + self.raw.len());
            if room == 0 {
                return Err(protocol("the head of the response is longer than 16 KB"));
            }
            if self.fill(room).await? == 0 {
                return Err(protocol("the connection was closed before the head's end"));
            }
            if !begins_as_http(&self.raw) {
                return Err(protocol("the response is not HTTP/1"));
            }
        }
    }

    /// Reads until the text was seen, and never beyond the body's first octets.
    async fn body_holds(&mut self, text: &[u8], framing: Framing) -> Result<(), Failure> {
        let mut body = Body { framing, octets: Vec::new(), searched: 0 };
        loop {
            let ended = body.take(&mut self.raw)?;
            if body.holds(text) {
                return Ok(());
            }
            // Each octet received is at most one of the body.
            let room = Http::BODY.saturating_sub(body.octets.len());
            if ended || room == 0 || self.fill(room).await? == 0 {
                return Err(Failure::Body);
            }
        }
    }

    /// Appends at most `room` octets; 0 at the end.
    async fn fill(&mut self, room: usize) -> Result<usize, Failure> {
        let room = room.min(STEP);
        self.raw.reserve(room);
        match (&mut *self.stream).take(room as u64).read_buf(&mut self.raw).await {
            Ok(count) => Ok(count),
            // TLS closed without a goodbye: whoever counts on the length notices.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(broken(&error)),
        }
    }
}

/// What matters of a response's head.
#[derive(Debug, Eq, PartialEq)]
struct Head {
    status: u16,
    framing: Framing,
}

/// How the body's end is told (RFC 9112 §6.3).
#[derive(Debug, Eq, PartialEq)]
enum Framing {
    /// So many octets are left.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// Until the connection is closed.
    Close,
}

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Chunk {
    Size,
    /// So many octets are left of this chunk.
    Data(u64),
    /// The line break after a chunk.
    Break,
}

impl Head {
    fn parse(raw: &[u8], method: Method) -> Result<Self, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(raw) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(protocol("the head is cut off")),
            Err(error) => return Err(protocol(&error.to_string())),
        }
        let status = response.code.unwrap_or_default();
        let bodiless = method == Method::Head || matches!(status, 100..=199 | 204 | 304);
        let framing = if bodiless { Framing::Length(0) } else { framing(response.headers)? };
        Ok(Self { status, framing })
    }

    /// 101 ends HTTP on this connection, so it is final.
    fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }
}

fn framing(headers: &[httparse::Header<'_>]) -> Result<Framing, Failure> {
    let all = |name: &'static str| {
        headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name))
    };
    if let Some(coding) = all("transfer-encoding").next_back() {
        let last = coding.value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
        let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if chunked { Framing::Chunked(Chunk::Size) } else { Framing::Close });
    }
    let Some(length) = all("content-length").next() else { return Ok(Framing::Close) };
    let length = std::str::from_utf8(length.value).ok().and_then(|text| text.trim().parse().ok());
    length.map(Framing::Length).ok_or_else(|| protocol("Content-Length is no number"))
}

/// The body's first octets, as they come.
struct Body {
    framing: Framing,
    octets: Vec<u8>,
    searched: usize,
}

impl Body {
    /// Uses up what was received; true at the body's end.
    fn take(&mut self, raw: &mut Vec<u8>) -> Result<bool, Failure> {
        match self.framing {
            Framing::Close => {
                self.push(raw, u64::MAX);
                Ok(false)
            }
            Framing::Length(left) => {
                let left = left - self.push(raw, left);
                self.framing = Framing::Length(left);
                Ok(left == 0)
            }
            Framing::Chunked(chunk) => self.take_chunks(chunk, raw),
        }
    }

    fn take_chunks(&mut self, mut chunk: Chunk, raw: &mut Vec<u8>) -> Result<bool, Failure> {
        loop {
            self.framing = Framing::Chunked(chunk);
            chunk = match chunk {
                Chunk::Size => match chunk_size(raw)? {
                    Some(0) => return Ok(true),
                    Some(size) => Chunk::Data(size),
                    None => return Ok(false),
                },
                Chunk::Data(0) => Chunk::Break,
                Chunk::Data(_) if raw.is_empty() => return Ok(false),
                Chunk::Data(left) => Chunk::Data(left - self.push(raw, left)),
                Chunk::Break if raw.len() < 2 => return Ok(false),
                Chunk::Break if !raw.starts_with(b"\r\n") => {
                    return Err(protocol("a chunk is longer than it says"));
                }
                Chunk::Break => {
                    raw.drain(..2);
                    Chunk::Size
                }
            };
        }
    }

    /// Moves at most `most` octets over and says how many; those beyond the limit are dropped.
    fn push(&mut self, raw: &mut Vec<u8>, most: u64) -> u64 {
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(raw.len());
        let kept = count.min(Http::BODY - self.octets.len());
        self.octets.extend_from_slice(&raw[..kept]);
        raw.drain(..count);
        count as u64
    }

    /// Whether the text is there by now; looks only at what is new.
    fn holds(&mut self, text: &[u8]) -> bool {
        let from = self.searched.saturating_sub(text.len().saturating_sub(1));
        self.searched = self.octets.len();
        text.is_empty() || self.octets[from..].windows(text.len()).any(|part| part == text)
    }
}

/// Takes the line with a chunk's size off; `None` while it is not whole.
fn chunk_size(raw: &mut Vec<u8>) -> Result<Option<u64>, Failure> {
    match httparse::parse_chunk_size(raw) {
        Ok(httparse::Status::Complete((used, size))) => {
            raw.drain(..used);
            Ok(Some(size))
        }
        Ok(httparse::Status::Partial) if raw.len() <= CHUNK_LINE => Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => Err(protocol("a chunk's size is no number")),
    }
}

/// The index after the empty line that ends a head; `searched` octets are known not to hold it.
fn end_of_head(raw: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(2);
    let breaks = raw[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| from + at + 1).find_map(|after| match &raw[after..] {
        [b'\n', ..] => Some(after + 1),
        [b'\r', b'\n', ..] => Some(after + 2),
        _ => None,
    })
}

fn begins_as_http(raw: &[u8]) -> bool {
    let known = raw.len().min(b"HTTP/1.".len());
    raw[..known] == b"HTTP/1."[..known]
}

fn protocol(what: &str) -> Failure {
    Failure::Protocol(what.to_owned())
}

/// Octets of all heads together.
const HEAD: usize = 16_384;
/// Headers of one head.
const HEADERS: usize = 100;
/// A chunk's size with its extensions.
const CHUNK_LINE: usize = 256;
/// Octets that one read takes at most.
const STEP: usize = 2_048;
/// Says to the owner of a log who asks.
pub(super) const USER_AGENT: &str =
    concat!("meridian/", env!("CARGO_PKG_VERSION"), " (health check)");

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        health::{Protocol, Statuses},
        probe::tests::{check, check_briefly, head, keep_silent, say, serve},
    };
    use proptest::prelude::*;
    use std::{
        future::Future,
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        task::{Context, Poll},
        time::Duration,
    };
    use tokio::{io::ReadBuf, time::sleep};

    pub(in super::super) fn get(path: &str) -> Http {
        Http {
            method: Method::Get,
            path: path.into(),
            host: "shop.example.com".into(),
            statuses: Statuses::default(),
            body: None,
        }
    }

    fn expect(text: &str) -> Http {
        Http { body: Some(text.into()), ..get("/") }
    }

    async fn outcome(response: impl Into<Vec<u8>>, http: Http) -> Result<(), Failure> {
        check(say(response), Protocol::Http(http)).await.map(|_| ())
    }

    /// Something that is read: the given octets, then `fill` without end.
    struct Endless {
        first: Vec<u8>,
        fill: &'static [u8],
        given: usize,
    }

    impl Endless {
        fn new(first: &[u8], fill: &'static [u8]) -> Self {
            Self { first: first.to_vec(), fill, given: 0 }
        }
    }

    impl AsyncRead for Endless {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            while buffer.remaining() > 0 {
                let at = self.given;
                let beyond = at.checked_sub(self.first.len());
                let octet =
                    beyond.map_or_else(|| self.first[at], |at| self.fill[at % self.fill.len()]);
                buffer.put_slice(&[octet]);
                self.given += 1;
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Endless {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            octets: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(octets.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn exchange_with(stream: &mut Endless, http: &Http) -> Result<(), Failure> {
        exchange(stream, http, b"", &mut "").await
    }

    fn framed(framing: &str, body: &str) -> String {
        match framing {
            "length" => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            "close" => format!("HTTP/1.1 200 OK\r\n\r\n{body}"),
            _ => {
                let chunks = body.as_bytes().chunks(7).map(|chunk| {
                    let chunk = std::str::from_utf8(chunk).unwrap();
                    format!("{:x};note=1\r\n{chunk}\r\n", chunk.len())
                });
                let chunks: String = chunks.collect();
                format!(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n{chunks}0\r\n\r\n"
                )
            }
        }
    }

    const FRAMINGS: [&str; 3] = ["length", "close", "chunked"];

    #[tokio::test]
    async fn a_real_server_is_asked_and_understood() {
        use axum::{Router, http::HeaderMap, routing};
        let app = Router::new().route(
            "/healthz",
            routing::get(|headers: HeaderMap| async move {
                format!("host {} is well", headers["host"].to_str().unwrap())
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio_util::task::TaskTracker::new().spawn(axum::serve(listener, app).into_future());
        let body = Some("host shop.example.com is well".into());
        let healthz = Http { body, ..get("/healthz?full=1") };
        assert_eq!(check(to, Protocol::Http(healthz)).await, Ok(None));
        let head = Http { method: Method::Head, ..get("/healthz") };
        assert_eq!(check(to, Protocol::Http(head)).await, Ok(None));
        assert_eq!(check(to, Protocol::Http(get("/"))).await, Err(Failure::Status(404)));
    }

    #[tokio::test]
    async fn the_request_is_small_and_asks_for_the_end_of_the_connection() {
        let seen = Arc::new(std::sync::Mutex::new(String::new()));
        let sink = seen.clone();
        let to = serve(move |mut stream| {
            let sink = sink.clone();
            async move {
                let request = head(&mut stream).await;
                *sink.lock().unwrap() = request;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            }
        });
        let http = Http { method: Method::Head, host: "".into(), ..get("/a%20b?c=d") };
        assert_eq!(check(to, Protocol::Http(http)).await, Ok(None));
        let expected = format!(
            "HEAD /a%20b?c=d HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {USER_AGENT}\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[test]
    fn nothing_in_host_or_path_becomes_another_header() {
        for (path, host) in [
            ("/\r\nX: y", "a"),
            ("/ HTTP/1.0", "a"),
            ("", "a"),
            ("healthz", "a"),
            ("/ü", "a"),
            ("/", "a\r\nX: y"),
            ("/", "a b"),
        ] {
            let refused = request(&get(path), host).unwrap_err();
            assert!(!refused.counts(), "{path:?} {host:?}");
        }
    }

    #[tokio::test]
    async fn a_status_outside_the_ranges_is_a_failure() {
        for (status, ranges, expected) in [
            (200, Statuses::default(), Ok(())),
            (399, Statuses::default(), Ok(())),
            (400, Statuses::default(), Err(Failure::Status(400))),
            (503, Statuses(vec![(200, 200), (500, 599)]), Ok(())),
            (302, Statuses(vec![(200, 299)]), Err(Failure::Status(302))),
            (101, Statuses::default(), Err(Failure::Status(101))),
        ] {
            let response = format!("HTTP/1.1 {status} Whatever\r\n\r\n");
            let http = Http { statuses: ranges, ..get("/") };
            assert_eq!(outcome(response, http).await, expected, "{status}");
        }
    }

    #[tokio::test]
    async fn a_redirect_to_a_metadata_service_is_not_followed() {
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let to = serve(move |mut stream| {
            counter.fetch_add(1, SeqCst);
            async move {
                head(&mut stream).await;
                let moved = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n";
                let _ = stream.write_all(moved.as_bytes()).await;
            }
        });
        assert_eq!(check(to, Protocol::Http(get("/"))).await, Ok(None));
        let strict = Http { statuses: Statuses(vec![(200, 299)]), ..get("/") };
        assert_eq!(check(to, Protocol::Http(strict)).await, Err(Failure::Status(302)));
        assert_eq!(connections.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn interim_responses_are_passed_over() {
        let response = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                        HTTP/1.1 500 No\r\n\r\n";
        assert_eq!(outcome(response, get("/")).await, Err(Failure::Status(500)));
    }

    #[tokio::test]
    async fn the_text_counts_up_to_the_last_octet_of_the_first_five_kilobytes() {
        for framing in FRAMINGS {
            for (before, text, found) in [
                (0, "ok", true),
                (5_118, "ok", true),
                (5_119, "k", true),
                (5_119, "ok", false),
                (5_120, "ok", false),
                (6_000, "ok", false),
            ] {
                let body = format!("{}{text}{}", "x".repeat(before), "y".repeat(3_000));
                let expected = if found { Ok(()) } else { Err(Failure::Body) };
                let outcome = outcome(framed(framing, &body), expect(text)).await;
                assert_eq!(outcome, expected, "{text} after {before} octets, {framing}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_without_the_text_is_a_failure_however_it_ends() {
        for framing in FRAMINGS {
            assert_eq!(outcome(framed(framing, "short"), expect("ok")).await, Err(Failure::Body));
        }
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort";
        assert_eq!(outcome(cut, expect("ok")).await, Err(Failure::Body));
        let after_the_end = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nnook";
        assert_eq!(outcome(after_the_end, expect("ok")).await, Err(Failure::Body));
        let none = "HTTP/1.1 204 No Content\r\n\r\nok";
        assert_eq!(outcome(none, expect("ok")).await, Err(Failure::Body));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_read_to_the_limit_and_no_further() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        let mut endless = Endless::new(head, b"x");
        assert_eq!(exchange_with(&mut endless, &expect("ok")).await, Err(Failure::Body));
        assert_eq!(endless.given, head.len() + Http::BODY);

        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut endless = Endless::new(head, b"1\r\nx\r\n");
        assert_eq!(exchange_with(&mut endless, &expect("ok")).await, Err(Failure::Body));
        assert!(endless.given < 7 * Http::BODY);

        let mut unread = Endless::new(head, b"x");
        assert_eq!(exchange_with(&mut unread, &get("/")).await, Ok(()));
        assert!(unread.given <= STEP);
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_given_up() {
        for fill in [&b"X: y\r\n"[..], b"x", b"HTTP/1.1 100 Continue\r\n\r\n"] {
            let mut endless = Endless::new(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 ", fill);
            let refused = exchange_with(&mut endless, &get("/")).await.unwrap_err();
            assert!(matches!(refused, Failure::Protocol(_)), "{refused}");
            assert!(endless.given <= HEAD);
        }
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_or_drips_runs_out_of_time() {
        let silent = check_briefly(keep_silent(), Protocol::Http(get("/"))).await;
        assert_eq!(silent, Err(Failure::Timeout("waiting for the response")));

        let dripping = |start: &'static str, drop: &'static str| {
            serve(move |mut stream| async move {
                head(&mut stream).await;
                let _ = stream.write_all(start.as_bytes()).await;
                while stream.write_all(drop.as_bytes()).await.is_ok() {
                    sleep(Duration::from_millis(5)).await;
                }
            })
        };
        let head = check_briefly(dripping("HTTP/1.1 200 OK\r\n", "X"), Protocol::Http(get("/")));
        assert_eq!(head.await, Err(Failure::Timeout("waiting for the response")));
        let to = dripping("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", "x");
        let body = check_briefly(to, Protocol::Http(expect("ok")));
        assert_eq!(body.await, Err(Failure::Timeout("reading the body")));
    }

    #[tokio::test]
    async fn what_is_no_http_is_told_from_what_is() {
        for garbage in [
            "SSH-2.0-OpenSSH_9.9\r\n",
            "\0\0\0\0",
            "",
            "HTTP/1.1 ",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
        ] {
            let refused = outcome(garbage, get("/")).await.unwrap_err();
            assert!(matches!(refused, Failure::Protocol(_)), "{garbage:?}: {refused}");
        }
        for chunk in ["zz\r\n", "5\r\nhello, and more\r\n", &"0".repeat(400)] {
            let response = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
            let refused = outcome(response, expect("ok")).await.unwrap_err();
            assert!(matches!(refused, Failure::Protocol(_)), "{chunk:?}: {refused}");
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn any_response_is_survived(octets: Vec<u8>, valid: bool) {
            let mut first = if valid { b"HTTP/1.1 200 OK\r\n".to_vec() } else { vec![] };
            first.extend(octets);
            let mut endless = Endless::new(&first, b"\r\n");
            let _ = block_on(exchange_with(&mut endless, &expect("ok")));
            prop_assert!(endless.given <= HEAD + 7 * Http::BODY);
        }

        #[test]
        fn the_same_body_is_judged_alike_however_it_is_framed(body in "[ok]{0,40}", text in "[ok]{1,6}") {
            let expected = if body.contains(&text) { Ok(()) } else { Err(Failure::Body) };
            for framing in FRAMINGS {
                let response = framed(framing, &body);
                let (mut ours, mut theirs) = tokio::io::duplex(3);
                let judged = block_on(async {
                    let (http, mut stage) = (expect(&text), "");
                    let asked = exchange(&mut ours, &http, b"", &mut stage);
                    let answer = async move {
                        let _ = theirs.write_all(response.as_bytes()).await;
                        drop(theirs);
                        std::future::pending::<()>().await;
                    };
                    tokio::select! {
                        judged = asked => judged,
                        () = answer => Err(Failure::Body),
                    }
                });
                prop_assert_eq!(&judged, &expected, "{}", framing);
            }
        }
    }
}
