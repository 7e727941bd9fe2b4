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
