//! `grpc.health.v1.Health/Check` as one HTTP/2 stream. The two messages hold one field each, so
//! they are written and read here.

use super::http::USER_AGENT;
use crate::health::Failure;
use bytes::Bytes;
use h2::{RecvStream, client};
use http::{HeaderMap, Method, Request, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};

/// The head of the request.
///
/// # Errors
/// When the host can be no authority of a URI.
pub(super) fn request(authority: &str, tls: bool) -> Result<Request<()>, Failure> {
    let scheme = if tls { "https" } else { "http" };
    Request::builder()
        .method(Method::POST)
        .uri(format!("{scheme}://{authority}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, USER_AGENT)
        .body(())
        .map_err(|error| Failure::Blocked(format!("the host cannot be asked for: {error}")))
}

/// Asks for the service's health.
///
/// # Errors
/// When it is not SERVING, or what comes back is no gRPC.
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: Request<()>,
    service: &str,
) -> Result<(), Failure> {
    let (sender, connection) = client::Builder::new()
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW.max(65_535))
        .max_header_list_size(HEADERS)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| broken(&error))?;
    let mut asked = std::pin::pin!(ask(sender, request, service));
    tokio::select! {
        biased;
        answer = &mut asked => answer,
        ended = connection => match ended {
            // All that came is there to be read.
            Ok(()) => asked.await,
            Err(error) => Err(broken(&error)),
        },
    }
}

async fn ask(
    sender: client::SendRequest<Bytes>,
    request: Request<()>,
    service: &str,
) -> Result<(), Failure> {
    let mut sender = sender.ready().await.map_err(|error| broken(&error))?;
    let (response, mut stream) =
        sender.send_request(request, false).map_err(|error| broken(&error))?;
    stream.send_data(frame(service), true).map_err(|error| broken(&error))?;
    let (head, mut body) = response.await.map_err(|error| broken(&error))?.into_parts();
    if head.status != StatusCode::OK {
        return Err(Failure::Status(head.status.as_u16()));
    }
    if !is_grpc(&head.headers) {
        return Err(Failure::Protocol("the response is not application/grpc".to_owned()));
    }
    let message = read(&mut body).await?;
    let trailers = body.trailers().await.map_err(|error| broken(&error))?;
    // Without a message there is one head only, and the status stands there.
    judge(code(trailers.as_ref().unwrap_or(&head.headers)), &message)
}

/// The body, as far as it can be a health response.
async fn read(body: &mut RecvStream) -> Result<Vec<u8>, Failure> {
    let mut message = Vec::new();
    while let Some(part) = body.data().await {
        let part = part.map_err(|error| broken(&error))?;
        if message.len() + part.len() > MESSAGE {
            return Err(Failure::Protocol("the message is too long for a health response".into()));
        }
        message.extend_from_slice(&part);
    }
    Ok(message)
}

fn judge(code: Option<u16>, message: &[u8]) -> Result<(), Failure> {
    match code {
        Some(0) => {}
        Some(code) => return Err(Failure::Grpc(code_name(code))),
        None => return Err(Failure::Protocol("the response has no grpc-status".to_owned())),
    }
    match status(message) {
        Some(1) => Ok(()),
        Some(0) => Err(Failure::Grpc("health is UNKNOWN".to_owned())),
        Some(2) => Err(Failure::Grpc("health is NOT_SERVING".to_owned())),
        Some(3) => Err(Failure::Grpc("health is SERVICE_UNKNOWN".to_owned())),
        Some(other) => Err(Failure::Grpc(format!("health is {other}, which has no name"))),
        None => Err(Failure::Protocol("the message is no health response".to_owned())),
    }
}

/// `HealthCheckRequest { string service = 1 }` with gRPC's length before it.
fn frame(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        push_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat().into()
}

/// The field `status = 1` of a `HealthCheckResponse`, 0 where it is left out; `None` for what is
/// no such message.
fn status(framed: &[u8]) -> Option<u64> {
    // Octet 0 says whether the message is compressed: we accept no compression.
    let (head, mut rest) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    if head[0] != 0 || usize::try_from(length).ok()? != rest.len() {
        return None;
    }
    let mut status = 0;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => varint(&mut rest)?,
            1 => skip(&mut rest, 8)?,
            2 => {
                let length = varint(&mut rest)?;
                skip(&mut rest, length)?
            }
            5 => skip(&mut rest, 4)?,
            _ => return None,
        };
        if tag == 8 {
            status = value;
        }
    }
    Some(status)
}

fn skip(rest: &mut &[u8], count: u64) -> Option<u64> {
    *rest = rest.get(usize::try_from(count).ok()?..)?;
    Some(0)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn push_varint(message: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    kind.starts_with(b"application/grpc")
}

fn code(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The names of gRPC's status codes; those that a health check meets, with what they mean here.
fn code_name(code: u16) -> String {
    let name = match code {
        2 => "UNKNOWN",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND: the server does not know that service",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        12 => "UNIMPLEMENTED: the server offers no grpc.health.v1.Health",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        16 => "UNAUTHENTICATED",
        _ => return format!("status {code}"),
    };
    name.to_owned()
}

/// Never with the other side's own words, which GOAWAY can hold.
fn broken(error: &h2::Error) -> Failure {
    Failure::Protocol(match (error.reason(), error.get_io()) {
        (Some(reason), _) => format!("HTTP/2: {}", reason.description()),
        (None, Some(error)) => format!("HTTP/2: {}", error.kind()),
        (None, None) => "the connection was closed before the response was whole".to_owned(),
    })
}

/// Octets of a response's message, and of what the other side may send unasked.
const MESSAGE: usize = 1_024;
const WINDOW: u32 = 16_384;
/// Octets of all headers of a response.
const HEADERS: u32 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_written_as_protocol_buffers_are() {
        assert_eq!(&*frame(""), b"\0\0\0\0\0");
        assert_eq!(&*frame("shop"), b"\0\0\0\0\x06\x0a\x04shop");
        let long = frame(&"x".repeat(300));
        assert_eq!(&long[..8], b"\0\0\0\x01\x2f\x0a\xac\x02");
    }

    #[test]
    fn the_status_is_found_among_fields_that_are_not_known() {
        for (framed, expected) in [
            (&b"\0\0\0\0\x02\x08\x01"[..], Some(1)),
            (b"\0\0\0\0\0", Some(0)),
            (b"\0\0\0\0\x02\x08\x02", Some(2)),
            (b"\0\0\0\0\x07\x12\x03abc\x08\x01", Some(1)),
            (b"\0\0\0\0\x02\x08", None),
            (b"\x01\0\0\0\x02\x08\x01", None),
            (b"\0\0\0\0\x02\x08\x80", None),
            (b"\0\0\0\0\x02\x12\x7f", None),
            (b"", None),
        ] {
            assert_eq!(status(framed), expected, "{framed:?}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_survived(mut octets: Vec<u8>) {
            let _ = status(&octets);
            let length = u32::try_from(octets.len()).unwrap();
            octets.splice(0..0, [&[0], &length.to_be_bytes()[..]].concat());
            let _ = status(&octets);
        }
    }
}
