//! RFC 8484: DNS over HTTPS, on HTTP/2.

use crate::transports::{Running, answers, ask, id, name, question, rcode, start, with_options};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request};
use meridian::server::Limits;
use std::{sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What came back.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

struct Connected(SendRequest<Bytes>);

impl Connected {
    async fn to(running: &Running) -> Self {
        let connector = TlsConnector::from(Arc::new(running.client(&["h2"])));
        let stream = TcpStream::connect(running.https).await.unwrap();
        let stream = connector.connect(name(), stream).await.unwrap();
        // No more at once than servers usually take, until this one has said how many.
        let mut builder = h2::client::Builder::new();
        let handshake = builder.initial_max_send_streams(100).handshake(stream);
        let (send, connection) = handshake.await.unwrap();
        running.runtime.spawn(connection);
        Self(send)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: &[u8],
    ) -> Result<Got, h2::Error> {
        let mut request =
            Request::builder().method(method).uri(format!("https://ns1.example.org{path}"));
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let mut send = self.0.clone().ready().await?;
        let (response, mut stream) =
            send.send_request(request.body(()).unwrap(), body.is_empty())?;
        if !body.is_empty() {
            // It may be refused before all of it was taken.
            let _ = stream.send_data(Bytes::copy_from_slice(body), true);
        }
        let (head, mut read) = response.await?.into_parts();
        let mut whole = Vec::new();
        while let Some(part) = read.data().await {
            let part = part?;
            whole.extend_from_slice(&part);
            read.flow_control().release_capacity(part.len()).unwrap();
        }
        Ok(Got { status: head.status.as_u16(), headers: head.headers, body: whole })
    }

    async fn get(&self, packet: &[u8]) -> Got {
        let path = format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(packet));
        self.send(Method::GET, &path, None, &[]).await.unwrap()
    }

    async fn post(&self, packet: &[u8]) -> Got {
        self.send(Method::POST, "/dns-query", MESSAGE, packet).await.unwrap()
    }
}

const MESSAGE: Option<&str> = Some("application/dns-message");

/// Runs a client beside the server.
fn with<T>(limits: Limits, client: impl AsyncFnOnce(&Running, Connected) -> T) -> T {
    let running = start(limits);
    running.runtime.block_on(async { client(&running, Connected::to(&running).await).await })
}

#[test]
fn s4_1_get_and_post_have_the_same_answer() {
    with(Limits::default(), async |running, client| {
        let packet = question(0, "www.example.org", 1);
        let (got, posted) = (client.get(&packet).await, client.post(&packet).await);
        assert_eq!((got.status, posted.status), (200, 200));
        assert_eq!((answers(&got.body), &got.body), (2, &posted.body));
        assert_eq!(got.header("content-type"), "application/dns-message");
        assert_eq!(got.header("content-length"), got.body.len().to_string());
        assert_eq!(running.stats.view().https, 2);
    });
}

#[test]
fn s4_1_what_is_wrong_with_a_request_has_its_status() {
    with(Limits::default(), async |running, client| {
        let packet = question(0, "www.example.org", 1);
        let text = BASE64URL_NOPAD.encode(&packet);
        let (good, padded) = (format!("/dns-query?dns={text}"), format!("/dns-query?dns={text}="));
        let long = vec![0; 65_536];
        for (method, path, kind, body, expected) in [
            (Method::POST, "/dns-query", Some("application/dns-json"), &packet[..], 415),
            (Method::POST, "/dns-query", None, &packet, 415),
            (Method::POST, "/dns-query", MESSAGE, &long, 413),
            (Method::POST, "/dns-query", MESSAGE, &packet[..11], 400),
            (Method::POST, "/dns-query", MESSAGE, &[], 400),
            (Method::POST, "/elsewhere", MESSAGE, &packet, 404),
            (Method::GET, "/dns-query", None, &[], 400),
            (Method::GET, "/dns-query?dns=", None, &[], 400),
            (Method::GET, "/dns-query?dns=!!!!", None, &[], 400),
            (Method::GET, &padded, None, &[], 400),
            (Method::PUT, "/dns-query", MESSAGE, &packet, 405),
            (Method::DELETE, &good, None, &[], 405),
            (Method::HEAD, &good, None, &[], 405),
        ] {
            let got = client.send(method.clone(), path, kind, body).await.unwrap();
            assert_eq!((got.status, got.body.len()), (expected, 0), "{method} {path} {kind:?}");
            if expected == 405 {
                assert_eq!(got.header("allow"), "GET, POST");
            }
        }
        assert_eq!(running.stats.view().https, 0);
        assert_eq!(client.post(&packet).await.status, 200, "the connection goes on");
    });
}

#[test]
fn s4_1_a_response_is_no_query() {
    with(Limits::default(), async |_, client| {
        let mut packet = question(0, "www.example.org", 1);
        packet[2] |= 0x80;
        assert_eq!(client.post(&packet).await.status, 400);
    });
}

#[test]
fn s4_2_1_dns_errors_are_http_successes() {
    with(Limits::default(), async |_, client| {
        for (asked, expected) in [("nowhere.example.org", 3), ("elsewhere.example.net", 5)] {
            let got = client.post(&question(0, asked, 1)).await;
            assert_eq!((got.status, rcode(&got.body)), (200, expected), "{asked}");
        }
    });
}

#[test]
fn s5_1_an_answer_is_fresh_as_long_as_its_first_record_or_its_soa_says() {
    with(Limits::default(), async |_, client| {
        for (asked, rtype) in
            [("www.example.org", 1), ("example.org", 2), ("nowhere.example.org", 1)]
        {
            let got = client.get(&question(0, asked, rtype)).await;
            let message = hickory_proto::op::Message::from_vec(&got.body).unwrap();
            let section =
                if message.answers.is_empty() { &message.authorities } else { &message.answers };
            let least = section.iter().map(|record| record.ttl).min().unwrap();
            assert_eq!(got.header("cache-control"), format!("private, max-age={least}"), "{asked}");
        }
        let refused = client.get(&question(0, "elsewhere.example.net", 1)).await;
        assert_eq!(refused.header("cache-control"), "private, max-age=0");
    });
}

#[test]
fn s5_2_streams_run_beside_each_other() {
    // Five hundred bodies on a busy machine are none that do not come.
    let patient = Limits { message: Duration::from_secs(20), ..Limits::default() };
    with(patient, async |running, client| {
        let all = (0..500).map(|number| {
            let packet = question(number, "www.example.org", 1);
            let client = &client;
            async move { (number, client.post(&packet).await) }
        });
        for (number, got) in futures_util::future::join_all(all).await {
            assert_eq!((got.status, id(&got.body)), (200, number));
        }
        assert_eq!(running.stats.view().open, 1);
    });
}

#[test]
fn s6_a_message_may_have_65535_octets() {
    with(Limits::default(), async |_, client| {
        let mut packet = question(0, "www.example.org", 1);
        packet.resize(65_535, 0);
        let got = client.post(&packet).await;
        assert_eq!((got.status, rcode(&got.body)), (200, 1), "read, and not understood");
        let options = with_options(question(0, "www.example.org", 1), &[0xfd, 1, 0, 1, 7]);
        assert_eq!(answers(&client.get(&options).await.body), 2);
    });
}

#[test]
fn s6_a_body_that_does_not_come_is_not_waited_for() {
    let limits = Limits { message: Duration::from_millis(200), ..Limits::default() };
    with(limits, async |_, client| {
        let request =
            Request::builder().method(Method::POST).uri("https://ns1.example.org/dns-query");
        let request = request.header("content-type", "application/dns-message");
        let mut send = client.0.clone().ready().await.unwrap();
        let (response, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::from_static(&[0, 0, 1]), false).unwrap();
        assert_eq!(response.await.unwrap().status().as_u16(), 408);
        assert_eq!(client.post(&question(0, "www.example.org", 1)).await.status, 200);
    });
}

#[test]
fn s6_an_idle_connection_is_closed_and_a_server_that_goes_says_so() {
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    with(limits, async |running, client| {
        let packet = question(0, "www.example.org", 1);
        assert_eq!(client.post(&packet).await.status, 200);
        while running.stats.view().overdue == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(client.send(Method::POST, "/dns-query", MESSAGE, &packet).await.is_err());
        let again = Connected::to(running).await;
        assert_eq!(again.post(&packet).await.status, 200);
        running.shutdown.cancel();
        while running.stats.view().open > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let error = again.send(Method::POST, "/dns-query", MESSAGE, &packet).await.err().unwrap();
        assert!(!error.is_reset(), "GOAWAY, not an error of ours: {error}");
    });
}

#[test]
fn s8_1_only_http_2_is_spoken() {
    let running = start(Limits::default());
    let mut stream = running.connect_tls(&Arc::new(running.client(&["http/1.1"])), running.https);
    assert_eq!(ask(&mut stream, &question(0, "www.example.org", 1)), None);
    running.until(|view| view.unshaken == 1);
}

#[test]
fn s9_streams_that_are_opened_to_be_reset_cost_their_own_connection() {
    with(Limits::default(), async |running, client| {
        let mut ended = false;
        for _ in 0..5_000 {
            let Ok(mut send) = client.0.clone().ready().await else {
                ended = true;
                break;
            };
            let request = Request::get("https://ns1.example.org/dns-query?dns=").body(()).unwrap();
            let Ok((_, mut stream)) = send.send_request(request, false) else {
                ended = true;
                break;
            };
            stream.send_reset(h2::Reason::CANCEL);
            tokio::task::yield_now().await;
        }
        let fine = Connected::to(running).await.post(&question(0, "www.example.org", 1)).await;
        assert_eq!(fine.status, 200, "others are served (closed: {ended})");
    });
}
