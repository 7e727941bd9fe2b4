//! TLS for checks: whom to trust, which name to ask for, and what a handshake's failure says.

use super::{certificate, connect::broken};
use crate::health::{Failure, Target, Tls};
use jiff::Timestamp;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What is spoken inside.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Alpn {
    Http1,
    Http2,
}

/// The client configurations in use: one for each way to judge certificates, however many
/// targets share it.
#[derive(Debug)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    configs: Mutex<HashMap<(Tls, Alpn), Arc<ClientConfig>>>,
    /// The system's roots, read when they are first needed.
    system: Mutex<Option<Arc<RootCertStore>>>,
}

/// A configuration and the name to ask for.
pub(super) struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    alpn: Alpn,
}

impl Trust {
    pub(super) fn new() -> Self {
        let process = CryptoProvider::get_default().cloned();
        Self {
            provider: process.unwrap_or_else(|| Arc::new(ring::default_provider())),
            configs: Mutex::default(),
            system: Mutex::default(),
        }
    }

    /// How to connect for a check to that host (`name`, or `name:port`).
    ///
    /// # Errors
    /// When the host is no name, the CA no certificate, or the system has no roots.
    pub(super) fn connector(
        &self,
        tls: &Tls,
        alpn: Alpn,
        authority: &str,
    ) -> Result<Connector, Failure> {
        let name = server_name(authority)?;
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tls.clone(), alpn);
        let config = match configs.get(&key) {
            Some(config) => config.clone(),
            None => {
                let config = Arc::new(self.config(tls, alpn)?);
                configs.insert(key, config.clone());
                config
            }
        };
        Ok(Connector { config, name, alpn })
    }

    /// Forgets the configurations that no target has any more.
    pub(super) fn keep_only(&self, wanted: &BTreeSet<Target>) {
        let used: BTreeSet<&Tls> =
            wanted.iter().filter_map(|target| target.check.protocol.tls()).collect();
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        configs.retain(|(tls, _), _| used.contains(tls));
    }

    fn config(&self, tls: &Tls, alpn: Alpn) -> Result<ClientConfig, Failure> {
        let provider = self.provider.clone();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::Local(error.to_string()))?;
        let builder = if tls.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        } else {
            let verifier = WebPkiServerVerifier::builder_with_provider(self.roots(tls)?, provider)
                .build()
                .map_err(|error| Failure::Local(error.to_string()))?;
            builder.with_webpki_verifier(verifier)
        };
        let mut config = builder.with_no_client_auth();
        // A resumed session would hide that the certificate has expired since.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = match alpn {
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            Alpn::Http2 => vec![HTTP2.to_vec()],
        };
        Ok(config)
    }

    fn roots(&self, tls: &Tls) -> Result<Arc<RootCertStore>, Failure> {
        if let Some(pem) = &tls.ca {
            return own_roots(pem).map(Arc::new);
        }
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(roots) = &*system {
            return Ok(roots.clone());
        }
        let roots = Arc::new(system_roots()?);
        *system = Some(roots.clone());
        Ok(roots)
    }
}

impl Connector {
    /// Shakes hands; tells until when the certificate is valid.
    ///
    /// # Errors
    /// What is wrong with the certificate or the handshake.
    pub(super) async fn connect(
        self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Option<Timestamp>), Failure> {
        // A handshake is several small messages: none should wait for the one before.
        stream.set_nodelay(true).map_err(|error| broken(&error))?;
        let connected = TlsConnector::from(self.config).connect(self.name, stream).await;
        let stream = connected.map_err(|error| failed(&error))?;
        let session = stream.get_ref().1;
        if self.alpn == Alpn::Http2 && session.alpn_protocol() != Some(HTTP2) {
            return Err(Failure::Tls(
                "the other side did not agree to HTTP/2 (ALPN h2)".to_owned(),
            ));
        }
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let expires = leaf.and_then(|leaf| certificate::not_after(leaf));
        Ok((stream, expires))
    }
}

/// The name that the certificate must be for: the host without its port.
fn server_name(authority: &str) -> Result<ServerName<'static>, Failure> {
    let host = match authority.rsplit_once(':') {
        _ if authority.parse::<IpAddr>().is_ok() => authority,
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    ServerName::try_from(host.to_owned()).map_err(|_| {
        Failure::Blocked(
            "the host is no DNS name or address that a certificate could be for".to_owned(),
        )
    })
}

fn own_roots(pem: &str) -> Result<RootCertStore, Failure> {
    let bad = |what: String| Failure::Blocked(format!("the check's CA cannot be used: {what}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("it holds no certificate in PEM".to_owned()));
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Failure::Local(
            "the system has no CA certificates; install the package ca-certificates, or give the \
             check a CA of its own"
                .to_owned(),
        ));
    }
    Ok(roots)
}

fn failed(error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => Failure::Tls("the answer is not TLS".to_owned()),
        Some(error) => Failure::Tls(error.to_string()),
        None => Failure::Tls(format!("{} during the handshake", error.kind())),
    }
}

/// Takes any certificate, as the check's owner asked for; signatures are still verified, so that
/// the other side has the key of what it shows.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const HTTP2: &[u8] = b"h2";

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        health::{Http, Protocol},
        probe::{
            http::tests::get,
            tests::{check, check_briefly, head, keep_silent, say, serve},
        },
    };
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::{ServerConfig, pki_types::PrivateKeyDer};
    use std::net::SocketAddr;
    use tokio::io::AsyncWriteExt;
    use tokio_rustls::TlsAcceptor;

    /// A certification authority for one test.
    pub(in super::super) struct Authority {
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    impl Authority {
        pub(in super::super) fn new() -> Self {
            let mut params = CertificateParams::new(vec![]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            Self { issuer: Issuer::new(params, key), pem }
        }

        /// Trusts this authority alone.
        pub(in super::super) fn trusted(&self) -> Tls {
            Tls { insecure: false, ca: Some(self.pem.as_str().into()) }
        }

        /// A server's side with a certificate for that name, valid to the end of that year.
        pub(in super::super) fn acceptor(
            &self,
            name: &str,
            year: i32,
            alpn: &[&str],
        ) -> TlsAcceptor {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.not_before = date_time_ymd(2_020, 1, 1);
            params.not_after = date_time_ymd(year, 12, 31);
            let key = KeyPair::generate().unwrap();
            let chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let provider = Arc::new(ring::default_provider());
            let builder = ServerConfig::builder_with_provider(provider);
            let builder = builder.with_safe_default_protocol_versions().unwrap();
            let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
            config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
            TlsAcceptor::from(Arc::new(config))
        }
    }

    /// An HTTPS server that says that all is well.
    fn server(acceptor: TlsAcceptor) -> SocketAddr {
        serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                // Most of the tests break the handshake off.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                head(&mut stream).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nwell").await;
                let _ = stream.shutdown().await;
            }
        })
    }

    fn https(tls: Tls) -> Protocol {
        Protocol::Https(Http { body: Some("well".into()), ..get("/") }, tls)
    }

    fn insecure() -> Tls {
        Tls { insecure: true, ca: None }
    }

    async fn refused(to: SocketAddr, tls: Tls) -> String {
        match check(to, https(tls)).await.unwrap_err() {
            Failure::Tls(what) => what,
            other => panic!("{other:?} is no failure of TLS"),
        }
    }

    #[tokio::test]
    async fn a_certificate_that_is_trusted_is_a_success_that_tells_its_end() {
        let authority = Authority::new();
        let to = server(authority.acceptor("shop.example.com", 2_099, &["http/1.1"]));
        let expires = "2099-12-31T00:00:00Z".parse().unwrap();
        assert_eq!(check(to, https(authority.trusted())).await, Ok(Some(expires)));
        let other = server(authority.acceptor("shop.example.com", 2_099, &[]));
        assert_eq!(check(other, https(authority.trusted())).await, Ok(Some(expires)));
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_refused() {
        let authority = Authority::new();
        let to = server(authority.acceptor("other.example.com", 2_099, &[]));
        let refused = refused(to, authority.trusted()).await;
        assert!(refused.contains("not valid for name"), "{refused}");
    }

    #[tokio::test]
    async fn a_certificate_that_has_expired_is_refused() {
        let authority = Authority::new();
        let to = server(authority.acceptor("shop.example.com", 2_021, &[]));
        let refused = refused(to, authority.trusted()).await;
        assert!(refused.contains("expired"), "{refused}");
    }

    #[tokio::test]
    async fn a_certificate_of_an_unknown_authority_is_refused() {
        let to = server(Authority::new().acceptor("shop.example.com", 2_099, &[]));
        let refused = refused(to, Authority::new().trusted()).await;
        assert!(refused.contains("invalid peer certificate"), "{refused}");
    }

    #[tokio::test]
    async fn any_certificate_will_do_where_the_owner_says_so() {
        let to = server(Authority::new().acceptor("other.example.com", 2_021, &[]));
        let expired = "2021-12-31T00:00:00Z".parse().unwrap();
        assert_eq!(check(to, https(insecure())).await, Ok(Some(expired)));
    }

    #[tokio::test]
    async fn what_is_no_tls_is_told() {
        let plain = say("HTTP/1.1 400 Bad Request\r\n\r\n");
        let to = serve(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        });
        assert_eq!(refused(to, insecure()).await, "the answer is not TLS");
        let silent = check_briefly(plain, https(insecure())).await;
        assert_eq!(silent, Err(Failure::Timeout("shaking hands for TLS")));
        let silent = check_briefly(keep_silent(), https(insecure())).await;
        assert_eq!(silent, Err(Failure::Timeout("shaking hands for TLS")));
        let closing = serve(|stream| async move { drop(stream) });
        let refused = refused(closing, insecure()).await;
        assert!(refused.contains("during the handshake"), "{refused}");
    }

    #[tokio::test]
    async fn a_server_that_never_answers_inside_tls_runs_out_of_time() {
        let acceptor = Authority::new().acceptor("shop.example.com", 2_099, &[]);
        let to = serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                while !head(&mut stream).await.is_empty() {}
            }
        });
        let silent = check_briefly(to, https(insecure())).await;
        assert_eq!(silent, Err(Failure::Timeout("waiting for the response")));
    }

    #[test]
    fn the_name_asked_for_is_the_host_without_its_port() {
        for (authority, name) in [
            ("shop.example.com", "shop.example.com"),
            ("shop.example.com:8443", "shop.example.com"),
            ("shop.example.com.", "shop.example.com"),
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:8443", "192.0.2.1"),
            ("[2001:db8::1]:8443", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
        ] {
            assert_eq!(server_name(authority).unwrap().to_str(), name, "{authority}");
        }
        assert!(matches!(server_name("a b"), Err(Failure::Blocked(_))));
    }

    #[test]
    fn a_ca_that_is_none_is_told_before_anything_is_sent() {
        let tls = Tls { insecure: false, ca: Some("nonsense".into()) };
        let refused = Trust::new().connector(&tls, Alpn::Http1, "shop.example.com").err();
        assert!(refused.unwrap().to_string().contains("CA"));
    }

    #[test]
    fn targets_share_a_configuration_until_none_has_it() {
        let (trust, tls) = (Trust::new(), Tls { insecure: true, ca: None });
        let one = trust.connector(&tls, Alpn::Http1, "a.example.com").ok().unwrap();
        let other = trust.connector(&tls, Alpn::Http1, "b.example.com").ok().unwrap();
        assert!(Arc::ptr_eq(&one.config, &other.config));
        trust.keep_only(&BTreeSet::new());
        assert!(trust.configs.lock().unwrap().is_empty());
    }
}
