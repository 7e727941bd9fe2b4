//! The double over HTTPS, with a certificate of an authority of its own: the vendor's clients send
//! no token over plain HTTP.

use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
    server::TlsStream,
};
use tokio_util::sync::CancellationToken;

/// Serves HTTPS on a port of loopback, in a thread of its own, until it is dropped.
#[derive(Debug)]
pub(super) struct Secure {
    pub(super) address: SocketAddr,
    /// The authority's certificate, for clients to trust.
    pub(super) authority: String,
    stop: CancellationToken,
}

impl Secure {
    pub(super) fn start(app: axum::Router) -> Self {
        let (authority, config) = certified();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let tls =
            TlsListener { listener, acceptor: TlsAcceptor::from(config), shaking: JoinSet::new() };
        let stopped = stop.clone();
        std::thread::spawn(move || {
            runtime.block_on(stopped.run_until_cancelled(async { axum::serve(tls, app).await }));
        });
        Self { address, authority, stop }
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn certified() -> (String, Arc<ServerConfig>) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // Without a name of its own it would be taken for the server's.
    authority.distinguished_name.push(DnType::CommonName, "authority of the double");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages =
        vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut server =
        CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    server.use_authority_key_identifier_extension = true;
    let server = server.signed_by(&key, &authority).unwrap();
    let chain = vec![CertificateDer::from(server)];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (authority.pem(), Arc::new(config))
}

/// Connections whose handshake is done; one that is slow holds up no other.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shaking: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(Ok(Some(done))) = self.shaking.join_next() => return done,
                Ok((stream, from)) = self.listener.accept() => {
                    let shake = self.acceptor.accept(stream);
                    self.shaking.spawn(async move {
                        let shaken = tokio::time::timeout(Duration::from_secs(10), shake).await;
                        Some((shaken.ok()?.ok()?, from))
                    });
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
