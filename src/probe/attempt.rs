//! One check, from the connection to the verdict of its protocol, within its time.

use super::{
    connect::connect,
    grpc, http,
    tls::{Alpn, Trust},
};
use crate::health::{Failure, Grpc, Http, Protocol, Target, Tls};
use jiff::Timestamp;
use tokio::time::timeout;

/// What a check is doing, as in "timed out while …".
pub(super) type Stage = &'static str;

/// Checks once; with TLS a success tells when the certificate expires.
///
/// # Errors
/// What was wrong, and in which stage the time was up.
pub(super) async fn attempt(target: &Target, trust: &Trust) -> Result<Option<Timestamp>, Failure> {
    let mut stage = CONNECTING;
    let checked = timeout(target.check.timeout, speak(target, trust, &mut stage)).await;
    checked.unwrap_or(Err(Failure::Timeout(stage)))
}

/// TLS and HTTP/2 are boxed, so that the many plain checks stay small.
async fn speak(
    target: &Target,
    trust: &Trust,
    stage: &mut Stage,
) -> Result<Option<Timestamp>, Failure> {
    match &target.check.protocol {
        Protocol::Tcp => connect(target).await.map(|_| None),
        Protocol::Http(wanted) => {
            let request = http::request(wanted, &authority(target, &wanted.host))?;
            let mut stream = connect(target).await?;
            http::exchange(&mut stream, wanted, &request, stage).await.map(|()| None)
        }
        Protocol::Https(wanted, tls) => Box::pin(https(target, wanted, tls, trust, stage)).await,
        Protocol::Grpc(wanted, tls) => {
            Box::pin(over_http2(target, wanted, tls.as_ref(), trust, stage)).await
        }
    }
}

async fn https(
    target: &Target,
    wanted: &Http,
    tls: &Tls,
    trust: &Trust,
    stage: &mut Stage,
) -> Result<Option<Timestamp>, Failure> {
    let authority = authority(target, &wanted.host);
    let request = http::request(wanted, &authority)?;
    let connector = trust.connector(tls, Alpn::Http1, &authority)?;
    let stream = connect(target).await?;
    *stage = SHAKING_HANDS;
    let (mut stream, expires) = connector.connect(stream).await?;
    http::exchange(&mut stream, wanted, &request, stage).await.map(|()| expires)
}

async fn over_http2(
    target: &Target,
    wanted: &Grpc,
    tls: Option<&Tls>,
    trust: &Trust,
    stage: &mut Stage,
) -> Result<Option<Timestamp>, Failure> {
    let authority = authority(target, &wanted.host);
    let request = grpc::request(&authority, tls.is_some())?;
    let connector = tls.map(|tls| trust.connector(tls, Alpn::Http2, &authority)).transpose()?;
    let stream = connect(target).await?;
    let Some(connector) = connector else {
        *stage = WAITING;
        return grpc::exchange(stream, request, &wanted.service).await.map(|()| None);
    };
    *stage = SHAKING_HANDS;
    let (stream, expires) = connector.connect(stream).await?;
    *stage = WAITING;
    grpc::exchange(stream, request, &wanted.service).await.map(|()| expires)
}

/// The host as written; the address and port where there is none.
fn authority(target: &Target, host: &str) -> String {
    if host.is_empty() {
        std::net::SocketAddr::new(target.address.to_canonical(), target.check.port).to_string()
    } else {
        host.to_owned()
    }
}

pub(super) const CONNECTING: Stage = "connecting";
pub(super) const SHAKING_HANDS: Stage = "shaking hands for TLS";
pub(super) const WAITING: Stage = "waiting for the response";
pub(super) const READING: Stage = "reading the body";
