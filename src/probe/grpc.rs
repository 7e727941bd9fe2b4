//! `grpc.health.v1.Health/Check` as one HTTP/2 stream. The two messages hold one field each, so
//! they are written and read here.

use super::http::USER_AGENT;
use crate::health::Failure;
use bytes::Bytes;
use h2::{RecvStream, client};
use http::{HeaderMap, Request, StatusCode, Uri, header, uri::Scheme};
use tokio::io::{AsyncRead, AsyncWrite};

/// The head of the request.
///
/// # Errors
/// When the host can be no authority of a URI.
pub(super) fn request(authority: &str, tls: bool) -> Result<Request<()>, Failure> {
    let uri = Uri::builder()
        .scheme(if tls { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(authority)
        .path_and_query("/grpc.health.v1.Health/Check")
        .build();
    let request = uri.and_then(|uri| {
        Request::post(uri)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, USER_AGENT)
            .body(())
    });
    request.map_err(|error| Failure::Blocked(format!("the host cannot be asked for: {error}")))
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
    use crate::{
        health::{Grpc, Protocol, Tls},
        probe::{
            attempt::attempt,
            tests::{Checked, check, check_briefly, keep_silent, say, serve, target},
            tls::{Trust, tests::Authority},
        },
    };
    use h2::server;
    use http::Response;
    use proptest::prelude::*;
    use std::net::SocketAddr;
    use tokio::io::AsyncWriteExt;

    /// What a server of the tests answers.
    #[derive(Clone, Copy)]
    enum Answer {
        /// That message, then that grpc-status.
        Message(&'static [u8], &'static str),
        /// That grpc-status with the head, and nothing else.
        Head(&'static str),
        /// That HTTP status.
        Http(u16),
        /// Messages without end.
        Endless,
        /// GOAWAY.
        Away,
        /// Nothing.
        Silence,
    }

    fn grpc_server(answer: Answer) -> SocketAddr {
        serve(move |stream| speak(stream, answer))
    }

    /// Answers `Check` for the service `shop`, as a gRPC server does.
    async fn speak<S: AsyncRead + AsyncWrite + Unpin>(stream: S, answer: Answer) {
        let Ok(mut connection) = server::handshake(stream).await else { return };
        let mut open = Vec::new();
        while let Some(Ok((mut request, respond))) = connection.accept().await {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.uri().authority().unwrap(), "shop.example.com");
            assert_eq!(request.headers()[header::CONTENT_TYPE], "application/grpc");
            assert_eq!(request.headers()[header::TE], "trailers");
            let asked = std::future::poll_fn(|context| {
                // The connection has to be driven for the body to come.
                let _ = connection.poll_closed(context);
                request.body_mut().poll_data(context)
            });
            assert_eq!(asked.await.unwrap().unwrap(), frame("shop"));
            if matches!(answer, Answer::Away) {
                connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
            }
            open.push(reply(respond, answer));
        }
    }

    fn reply(mut respond: server::SendResponse<Bytes>, answer: Answer) -> impl Sized {
        let head = Response::builder().header(header::CONTENT_TYPE, "application/grpc");
        let stream = match answer {
            Answer::Message(message, status) => {
                let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
                stream.send_data(Bytes::from_static(message), false).unwrap();
                let trailers = [("grpc-status", status), ("grpc-message", "do not repeat this")];
                let trailers = trailers.map(|(name, value)| {
                    (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap())
                });
                stream.send_trailers(trailers.into_iter().collect()).unwrap();
                Some(stream)
            }
            Answer::Head(status) => {
                let head = head.header("grpc-status", status).body(()).unwrap();
                Some(respond.send_response(head, true).unwrap())
            }
            Answer::Http(status) => {
                let head = Response::builder().status(status).body(()).unwrap();
                Some(respond.send_response(head, true).unwrap())
            }
            Answer::Endless => {
                let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
                stream.send_data(vec![0; 1 << 20].into(), false).unwrap();
                Some(stream)
            }
            Answer::Away | Answer::Silence => None,
        };
        (respond, stream)
    }

    fn grpc(tls: Option<Tls>) -> Protocol {
        let (service, host) = ("shop".into(), "shop.example.com".into());
        Protocol::Grpc(Grpc { service, host }, tls)
    }

    async fn ask_for(answer: Answer) -> Checked {
        check(grpc_server(answer), grpc(None)).await
    }

    const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";

    #[tokio::test]
    async fn a_service_that_serves_is_a_success() {
        assert_eq!(ask_for(Answer::Message(SERVING, "0")).await, Ok(None));
    }

    #[tokio::test]
    async fn whatever_else_the_service_says_is_a_failure_in_our_words() {
        let not_serving = b"\0\0\0\0\x02\x08\x02";
        for (answer, expected) in [
            (Answer::Message(not_serving, "0"), "gRPC: health is NOT_SERVING"),
            (Answer::Message(b"\0\0\0\0\0", "0"), "gRPC: health is UNKNOWN"),
            (Answer::Message(SERVING, "13"), "gRPC: INTERNAL"),
            (Answer::Message(b"garbage", "0"), "not understood: the message is no health response"),
            (Answer::Head("5"), "gRPC: NOT_FOUND: the server does not know that service"),
            (Answer::Head("0"), "not understood: the message is no health response"),
            (Answer::Head("x"), "not understood: the response has no grpc-status"),
            (Answer::Http(200), "not understood: the response is not application/grpc"),
            (Answer::Http(404), "answered with status 404"),
            (Answer::Endless, "not understood: the message is too long for a health response"),
        ] {
            assert_eq!(ask_for(answer).await.unwrap_err().to_string(), expected);
        }
        let away = ask_for(Answer::Away).await.unwrap_err();
        assert!(matches!(&away, Failure::Protocol(what) if what.starts_with("HTTP/2: ")), "{away}");
    }

    #[tokio::test]
    async fn silence_runs_out_of_time() {
        for to in [keep_silent(), grpc_server(Answer::Silence)] {
            let silent = check_briefly(to, grpc(None)).await;
            assert_eq!(silent, Err(Failure::Timeout("waiting for the response")));
        }
    }

    #[tokio::test]
    async fn what_is_no_http2_is_told() {
        let greeting = serve(|mut stream| async move {
            let _ = stream.write_all(b"220 mail.example.com ESMTP and more\r\n").await;
        });
        for to in [say("HTTP/1.1 400 Bad Request\r\n\r\n"), greeting] {
            let refused = check(to, grpc(None)).await.unwrap_err();
            assert!(matches!(refused, Failure::Protocol(_)), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn over_tls_the_certificate_counts_and_http2_must_be_agreed_upon() {
        let authority = Authority::new();
        let serve_tls = |name: &str, alpn: &[&str]| {
            let acceptor = authority.acceptor(name, 2_099, alpn);
            serve(move |stream| {
                let acceptor = acceptor.clone();
                async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    speak(stream, Answer::Message(SERVING, "0")).await;
                }
            })
        };
        let ask = |to| {
            let target = target(to, grpc(Some(authority.trusted())));
            async move { attempt(&target, &Trust::new()).await }
        };
        let expires = "2099-12-31T00:00:00Z".parse().unwrap();
        assert_eq!(ask(serve_tls("shop.example.com", &["h2"])).await, Ok(Some(expires)));
        for to in [serve_tls("shop.example.com", &[]), serve_tls("other.example.com", &["h2"])] {
            let refused = ask(to).await.unwrap_err();
            assert!(matches!(refused, Failure::Tls(_)), "{refused:?}");
        }
    }

    #[test]
    fn a_host_that_cannot_be_asked_for_is_told_before_anything_is_sent() {
        for host in ["a b", "a\r\nb", "a/b", ""] {
            assert!(!request(host, false).unwrap_err().counts(), "{host:?}");
        }
    }

    /// With `MERIDIAN_GRPC_PEER=127.0.0.1:PORT`, a gRPC server of another make that serves `shop`
    /// and, as a whole, does not.
    #[tokio::test]
    #[ignore = "needs a server in MERIDIAN_GRPC_PEER"]
    async fn a_server_of_another_make_is_understood() {
        let to: SocketAddr = std::env::var("MERIDIAN_GRPC_PEER").unwrap().parse().unwrap();
        let ask = |service: &str| {
            let (service, host) = (service.into(), "localhost".into());
            check(to, Protocol::Grpc(Grpc { service, host }, None))
        };
        assert_eq!(ask("shop").await, Ok(None));
        let whole = ask("").await.unwrap_err().to_string();
        assert_eq!(whole, "gRPC: health is NOT_SERVING");
        let unknown = ask("nobody").await.unwrap_err().to_string();
        assert_eq!(unknown, "gRPC: NOT_FOUND: the server does not know that service");
    }

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
