//! DNS that nobody on the way can read: over TLS, HTTPS and QUIC. Off unless it is configured.
//!
//! All three share the places, the limits and the answers of TCP ([`stream`](super::stream)).
//! HTTP/2 and QUIC are spoken here rather than by hickory-server's listeners: those have no limit on
//! connections, wait for one QUIC handshake before the next, answer HTTP errors with nothing, and
//! write messages anew instead of sending ours.

mod certificate;
mod https;
mod quic;

pub use certificate::{BadCertificate, Certificate, Refreshed};
pub(super) use https::serve as serve_https;

use super::{
    BindError, Handed, bind_tcp,
    respond::Answers,
    stream::{self, Door, Shared},
};
use certificate::provider;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection, crypto::ring::Ticketer};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    sync::Arc,
};
use tokio_rustls::TlsAcceptor;

/// Where to listen for encrypted queries.
#[derive(Clone, Debug)]
pub struct Secure {
    /// What clients are shown.
    pub certificate: Arc<Certificate>,
    /// For DNS over TLS (RFC 7858).
    pub tls: Vec<SocketAddr>,
    /// For DNS over HTTPS (RFC 8484).
    pub https: Vec<SocketAddr>,
    /// For DNS over QUIC (RFC 9250).
    pub quic: Vec<SocketAddr>,
}

/// Sockets that are bound for it.
#[derive(Debug)]
pub(super) struct Bound {
    certificate: Arc<Certificate>,
    tls: Vec<TcpListener>,
    https: Vec<TcpListener>,
    quic: Vec<UdpSocket>,
}

/// Takes all addresses, or none; what is there already is not bound anew.
pub(super) fn bind(secure: &Secure, handed: &mut Handed) -> Result<Bound, BindError> {
    let mut listen = |all: &[SocketAddr], name, flag| {
        let one = |address: &SocketAddr| {
            let bound = handed.tcp(*address).map_or_else(|| bind_tcp(*address), Ok);
            bound.map_err(|error| super::refused(*address, name, flag, error))
        };
        all.iter().map(one).collect::<Result<Vec<_>, _>>()
    };
    let tls = listen(&secure.tls, "TLS", "--dot-listen")?;
    let https = listen(&secure.https, "HTTPS", "--doh-listen")?;
    let quic = |address: &SocketAddr| {
        let bound = handed.udp(*address).pop().map_or_else(|| bind_quic(*address), Ok);
        bound.map_err(|error| super::refused(*address, "QUIC", "--doq-listen", error))
    };
    let quic = secure.quic.iter().map(quic).collect::<Result<_, _>>()?;
    Ok(Bound { certificate: secure.certificate.clone(), tls, https, quic })
}

impl Bound {
    /// What is bound, and for what.
    pub(super) fn local_addrs(&self) -> Vec<(&'static str, SocketAddr)> {
        let tcp = |name, all: &[TcpListener]| {
            let addresses = all.iter().filter_map(|one| one.local_addr().ok());
            addresses.map(|address| (name, address)).collect::<Vec<_>>()
        };
        let quic = self.quic.iter().filter_map(|one| one.local_addr().ok());
        let mut all = tcp("TLS", &self.tls);
        all.extend(tcp("HTTPS", &self.https));
        all.extend(quic.map(|address| ("QUIC", address)));
        all
    }

    /// All its sockets once more.
    pub(super) fn sockets(&self) -> impl Iterator<Item = io::Result<OwnedFd>> {
        let tcp = self.tls.iter().chain(&self.https);
        let tcp = tcp.map(|own| own.try_clone().map(OwnedFd::from));
        tcp.chain(self.quic.iter().map(|own| own.try_clone().map(OwnedFd::from)))
    }

    /// Serves until shut down.
    pub(super) fn serve<A: Answers>(self, shared: &Arc<Shared<A>>) -> io::Result<()> {
        let acceptor = |alpn| -> io::Result<TlsAcceptor> {
            Ok(TlsAcceptor::from(Arc::new(tls_config(&self.certificate, alpn)?)))
        };
        let (tls, https) = (Door::Tls(acceptor(DOT)?), Door::Https(acceptor(H2)?));
        let both = [(self.tls, tls), (self.https, https)];
        for (listeners, door) in both {
            for listener in listeners {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                shared.tasks.spawn(stream::serve(shared.clone(), listener, door.clone()));
            }
        }
        for socket in self.quic {
            let config = tls_config(&self.certificate, DOQ)?;
            let config = quic::config(config, shared.clients.limits())?;
            let serving = quic::serve(shared.clone(), config, socket);
            shared.tasks.spawn(shared.turn.quic.track_future(serving));
        }
        Ok(())
    }
}

/// What TLS is to say: our certificate to all, no data before the handshake is done (such can be
/// sent again by others), and tickets, so that a client that comes back need not prove us again.
fn tls_config(certificate: &Arc<Certificate>, alpn: &[u8]) -> io::Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(certificate.clone());
    config.alpn_protocols = vec![alpn.to_vec()];
    config.ticketer = Ticketer::new().map_err(io::Error::other)?;
    Ok(config)
}

/// Whether a session is one that transfers may go over where they are to go over TLS alone: at
/// least TLS 1.3, agreed to be for DNS (RFC 9103 §7.1).
pub(super) fn is_private(session: &ServerConnection) -> bool {
    session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        && session.alpn_protocol() == Some(DOT)
}

fn bind_quic(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    super::finish(&socket, address)?;
    Ok(socket.into())
}

/// RFC 7858 §3.1 asks for no name; this one is registered for it (RFC 9103 §7.1).
const DOT: &[u8] = b"dot";
/// RFC 9113 §3.2.
const H2: &[u8] = b"h2";
/// RFC 9250 §4.1.1.
const DOQ: &[u8] = b"doq";
