//! DNS over HTTPS (RFC 8484), on HTTP/2: one request, one message, and HTTP's own words for what
//! is wrong with a request.

use crate::server::{
    dnstap::Tapped,
    message::{HEADER, plain_name, skip_name},
    respond::{Answers, Reply, Transport, respond},
    stream::{Ending, Phase, Seat, Shared},
};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::{
    Reason, RecvStream,
    server::{Builder, SendResponse},
};
use http::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
};
use std::{
    future::poll_fn,
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

/// Serves one connection, behind TLS.
pub(in crate::server) async fn serve<A: Answers, W>(
    shared: &Shared<A>,
    wire: W,
    client: IpAddr,
    tapped: Option<Tapped>,
    seat: &Seat,
) -> Option<Ending>
where
    W: AsyncRead + AsyncWrite + Unpin,
{
    seat.waits_for(Phase::First);
    let handshake = builder(shared.clients.limits().in_flight).handshake(wire);
    let mut connection = tokio::select! {
        biased;
        ending = seat.ended() => return Some(ending),
        made = handshake => made.ok()?,
    };
    let server = Server { shared, client, tapped, waiting: AtomicUsize::new(0) };
    let (mut exchanges, mut closing) = (FuturesUnordered::new(), false);
    loop {
        tokio::select! {
            biased;
            ending = seat.ended_but(closing) => {
                if ending != Ending::Orderly {
                    return Some(ending);
                }
                connection.graceful_shutdown();
                closing = true;
            }
            Some(()) = exchanges.next() => {
                if exchanges.is_empty() {
                    seat.waits_for(Phase::Idle);
                }
            }
            accepted = connection.accept() => {
                // What is wrong with a connection is between the client and its network.
                let (request, answer) = accepted?.ok()?;
                seat.touch();
                seat.waits_for(Phase::Busy);
                exchanges.push(server.exchange(request, answer));
            }
        }
    }
}

fn builder(streams: usize) -> Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(u32::try_from(streams).unwrap_or(u32::MAX))
        .max_header_list_size(MAX_HEADERS)
        .max_send_buffer_size(MAX_UNSENT)
        // Streams that are opened to be reset cost work for nothing (CVE-2023-44487).
        .max_concurrent_reset_streams(20)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(100));
    builder
}

struct Server<'s, A> {
    shared: &'s Shared<A>,
    client: IpAddr,
    tapped: Option<Tapped>,
    /// Octets of answers that wait to be taken.
    waiting: AtomicUsize,
}

impl<A: Answers> Server<'_, A> {
    async fn exchange(&self, request: Request<RecvStream>, mut response: SendResponse<Bytes>) {
        if self.waiting.load(Relaxed) > MAX_WAITING {
            return response.send_reset(Reason::REFUSED_STREAM);
        }
        let answered = match self.query(request).await {
            Ok(query) => self.answer(&query),
            Err(status) => Err(status),
        };
        let (head, body) = match answered {
            Ok(answer) => (head(&answer), answer),
            Err(status) => (refusal(status), Vec::new()),
        };
        let octets = body.len();
        self.waiting.fetch_add(octets, Relaxed);
        let sent = send(&mut response, head, body.into());
        if timeout(self.shared.clients.limits().write, sent).await.is_err() {
            response.send_reset(Reason::CANCEL);
        }
        self.waiting.fetch_sub(octets, Relaxed);
    }

    async fn query(&self, request: Request<RecvStream>) -> Result<Vec<u8>, StatusCode> {
        let (head, body) = request.into_parts();
        if head.uri.path() != PATH {
            return Err(StatusCode::NOT_FOUND);
        }
        match head.method {
            Method::GET => from_uri(head.uri.query().unwrap_or_default()),
            Method::POST if is_message(head.headers.get(CONTENT_TYPE)) => {
                let whole = timeout(self.shared.clients.limits().message, read(body)).await;
                whole.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
            }
            Method::POST => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn answer(&self, query: &[u8]) -> Result<Vec<u8>, StatusCode> {
        let (mut out, stats) = (Vec::new(), &self.shared.stats);
        let arrival = self.shared.arrival(self.client, Transport::Https);
        match respond(self.shared.answers.as_ref(), query, &arrival, &mut out) {
            Reply::Send { rcode, truncated, notes } => {
                stats.answered(Transport::Https, rcode, truncated);
                stats.noted(&notes);
                self.tapped.iter().for_each(|own| own.both(query, &out));
                Ok(out)
            }
            Reply::Drop(why) => {
                stats.dropped(why);
                self.tapped.iter().for_each(|own| own.query(query));
                Err(StatusCode::BAD_REQUEST)
            }
        }
    }
}

/// The message in a GET: base64url, without padding (RFC 8484 §4.1.1, §6).
fn from_uri(query: &str) -> Result<Vec<u8>, StatusCode> {
    let mut found = query.split('&').filter_map(|pair| pair.strip_prefix("dns="));
    let (Some(text), None) = (found.next(), found.next()) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)
}

/// Parameters say nothing of a message in wire form.
fn is_message(value: Option<&http::HeaderValue>) -> bool {
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MESSAGE))
}

/// A body of at most what a message can have.
async fn read(mut body: RecvStream) -> Result<Vec<u8>, StatusCode> {
    let mut whole = Vec::new();
    while let Some(part) = body.data().await {
        let part = part.map_err(|_| StatusCode::BAD_REQUEST)?;
        if whole.len() + part.len() > usize::from(u16::MAX) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        whole.extend_from_slice(&part);
        let released = body.flow_control().release_capacity(part.len());
        released.map_err(|_| StatusCode::BAD_REQUEST)?;
    }
    Ok(whole)
}

async fn send(
    response: &mut SendResponse<Bytes>,
    head: Response<()>,
    mut body: Bytes,
) -> Result<(), h2::Error> {
    let mut stream = response.send_response(head, body.is_empty())?;
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let Some(room) = poll_fn(|cx| stream.poll_capacity(cx)).await.transpose()? else {
            return Ok(());
        };
        let part = body.split_to(room.min(body.len()));
        stream.send_data(part, body.is_empty())?;
    }
    Ok(())
}

/// The head of an answer. It may have been made for this client alone, so no cache that others
/// share may keep it.
fn head(answer: &[u8]) -> Response<()> {
    let mut head = Response::new(());
    let age = freshness(answer).unwrap_or_default();
    let headers = head.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(MESSAGE));
    headers.insert(CONTENT_LENGTH, answer.len().into());
    if let Ok(value) = format!("private, max-age={age}").parse() {
        headers.insert(CACHE_CONTROL, value);
    }
    head
}

fn refusal(status: StatusCode) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = status;
    head.headers_mut().insert(CONTENT_LENGTH, 0_u16.into());
    if status == StatusCode::METHOD_NOT_ALLOWED {
        head.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, POST"));
    }
    head
}

/// How long an answer may be kept: as long as the first of its records; and one without any as
/// long as its SOA says (RFC 8484 §5.1, RFC 2308 §5). Errors are not kept.
fn freshness(answer: &[u8]) -> Option<u32> {
    let header = answer.first_chunk::<HEADER>()?;
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    if !matches!(header[3] & 0x0f, 0 | 3) {
        return None;
    }
    let mut at = HEADER;
    for _ in 0..count(4) {
        at += plain_name(answer.get(at..)?)? + 4;
    }
    if count(6) == 0 {
        return negative(answer, at, count(8));
    }
    let mut least = u32::MAX;
    for _ in 0..count(6) {
        let record = Record::read(answer, at)?;
        least = least.min(record.ttl);
        at = record.end;
    }
    Some(least)
}

fn negative(answer: &[u8], mut at: usize, authority: u16) -> Option<u32> {
    for _ in 0..authority {
        let record = Record::read(answer, at)?;
        if record.rtype == SOA {
            let minimum = answer.get(..record.end)?.last_chunk::<4>()?;
            return Some(record.ttl.min(u32::from_be_bytes(*minimum)));
        }
        at = record.end;
    }
    None
}

/// What is read of a record.
struct Record {
    rtype: u16,
    ttl: u32,
    end: usize,
}

impl Record {
    fn read(answer: &[u8], at: usize) -> Option<Self> {
        let at = skip_name(answer, at)?;
        let [t, ype, _, _, ttl @ .., high, low] = *answer.get(at..)?.first_chunk::<10>()?;
        Some(Self {
            rtype: u16::from_be_bytes([t, ype]),
            ttl: u32::from_be_bytes(ttl),
            end: at + 10 + usize::from(u16::from_be_bytes([high, low])),
        })
    }
}

/// Where queries go; clients learn it from their configuration (RFC 8484 §3) or DDR (RFC 9461 §5).
const PATH: &str = "/dns-query";
/// RFC 8484 §6.
const MESSAGE: &str = "application/dns-message";
/// RFC 1035 §3.2.2.
const SOA: u16 = 6;
/// Octets of a request's head: a GET of a message of 8 KiB fits.
const MAX_HEADERS: u32 = 16_384;
/// Octets that HTTP/2 holds for a stream behind what the client's window takes.
const MAX_UNSENT: usize = 16_384;
/// Octets of answers that may wait before further requests of the connection are put off.
const MAX_WAITING: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_get_is_base64url_without_padding() {
        assert_eq!(from_uri("dns=q80BAAABAAAAAAAA").unwrap().len(), 12);
        assert_eq!(from_uri("ct=&dns=AAAB").unwrap(), [0, 0, 1]);
        for bad in ["", "dns=A", "dns=AAA=", "dns=+/+/", "dns=AAAB&dns=AAAB", "DNS=AAAB"] {
            assert_eq!(from_uri(bad), Err(StatusCode::BAD_REQUEST), "{bad}");
        }
    }

    #[test]
    fn only_messages_in_wire_form_are_taken() {
        let is = |text: &'static str| is_message(Some(&http::HeaderValue::from_static(text)));
        assert!(is("application/dns-message") && is("Application/DNS-Message ; q=1"));
        assert!(!is("application/dns-json") && !is("") && !is_message(None));
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_has_no_freshness_and_no_panic() {
        let mut answer = vec![0, 0, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1]);
        assert_eq!(freshness(&answer), Some(30));
        assert!((0..31).all(|end| freshness(&answer[..end]).is_none()));
        answer[3] = 2;
        assert_eq!(freshness(&answer), None, "SERVFAIL");
    }
}
