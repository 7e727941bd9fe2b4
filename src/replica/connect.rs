//! Opens connections to primaries: TCP, or TLS over it (RFC 9103), where the primary has to prove
//! who it is before anything is asked.

use crate::transfer::{Primary, PrimaryTls};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::TLS13,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Octets that go both ways.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<W: AsyncRead + AsyncWrite + Send + Unpin> Wire for W {}

pub(super) type Connection = Box<dyn Wire>;

/// RFC 9103 §7.1.
const DOT: &[u8] = b"dot";

/// Connects; `patience` holds for each of the two handshakes.
///
/// # Errors
/// What failed, for people.
pub(super) async fn open(primary: &Primary, patience: Duration) -> Result<Connection, String> {
    let stream = over_tcp(primary.address, patience).await?;
    let Some(tls) = &primary.tls else { return Ok(Box::new(stream)) };
    match timeout(patience, over_tls(tls, stream)).await {
        Ok(connected) => connected,
        Err(_) => Err("does not shake hands over TLS".to_owned()),
    }
}

async fn over_tcp(address: SocketAddr, patience: Duration) -> Result<TcpStream, String> {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(format!("cannot be reached over TCP: {error}")),
        Err(_) => Err("does not take TCP connections".to_owned()),
    }
}

async fn over_tls(tls: &PrimaryTls, stream: TcpStream) -> Result<Connection, String> {
    let name = ServerName::try_from(tls.name.trim_end_matches('.').to_owned());
    let name = name.map_err(|_| format!("{:?} is no name of a certificate", tls.name))?;
    let connector = TlsConnector::from(Arc::new(config(tls)?));
    let refused = |error| format!("cannot be taken for {} over TLS: {error}", tls.name);
    let stream = connector.connect(name, stream).await.map_err(refused)?;
    if stream.get_ref().1.alpn_protocol() != Some(DOT) {
        return Err("does not agree to DNS over TLS (ALPN dot), as RFC 9103 has it".to_owned());
    }
    Ok(Box::new(stream))
}

/// Read anew for each look, so that the system's certificates may change; looks are minutes apart.
fn config(tls: &PrimaryTls) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let bad = |why: String| format!("its CA (tls.caBundle) cannot be used: {why}");
                let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                roots.add(certificate).map_err(|error| bad(error.to_string()))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
    }
    if roots.is_empty() {
        return Err("no CA is trusted; give it one with tls.caBundle, or install the package \
                    ca-certificates"
            .to_owned());
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![DOT.to_vec()];
    Ok(config)
}
