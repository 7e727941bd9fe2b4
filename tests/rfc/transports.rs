//! A server on loopback that speaks everything, and clients that say exactly what a test wants.

use crate::battery::example_org;
use meridian::{
    model::Name,
    records::{Answer, Client, Question, ZoneSet},
    server::{
        self, Answers, Arrival, Certificate, Limits, Listen, Messages, Next, Secure, Stamp, Stats,
        Turn,
    },
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::runtime::Runtime;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The zone `example.org` of the battery; a transfer is three messages of a thousand octets.
struct Zones(ZoneSet);

impl Answers for Zones {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        self.0.answer(question, client, encode)
    }

    fn transfer(&self, packet: &[u8], arrival: &Arrival<'_>) -> Option<Box<dyn Messages>> {
        let private = arrival.private.into();
        Some(Box::new(Three { head: packet[..12].to_vec(), left: 3, private }))
    }
}

struct Three {
    head: Vec<u8>,
    left: usize,
    /// The last octet of each message.
    private: u8,
}

impl Messages for Three {
    fn next(&mut self, _: Stamp, out: &mut Vec<u8>) -> Next {
        let Some(left) = self.left.checked_sub(1) else { return Next::End };
        self.left = left;
        out.extend_from_slice(&self.head);
        out[2] |= 0x80;
        out.resize(999, 0);
        out.push(self.private);
        Next::Message
    }
}

/// Goes when dropped.
pub(crate) struct Running {
    pub(crate) tcp: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) quic: SocketAddr,
    pub(crate) stats: Arc<Stats>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) turn: Turn,
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) runtime: Runtime,
    files: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) fn start(limits: Limits) -> Running {
    start_with(limits, Zones(example_org().0))
}

/// With somebody else who answers.
pub(crate) fn start_with(limits: Limits, answers: impl Answers) -> Running {
    let files = tempfile::tempdir().unwrap();
    write_pair(&files);
    let certificate =
        Certificate::read(files.path().join("crt"), files.path().join("key")).unwrap();
    let free = || vec!["127.0.0.1:0".parse().unwrap()];
    let secure =
        Secure { certificate: certificate.clone(), tls: free(), https: free(), quic: free() };
    let turn = Turn::default();
    let listen = Listen { limits, secure: Some(secure), turn: turn.clone(), ..Listen::at(free()) };
    let bound = server::bind(&listen).unwrap();
    let of = |name| bound.secure_addrs().iter().find(|own| own.0 == name).unwrap().1;
    let (tcp, tls, https, quic) = (bound.local_addrs()[0], of("TLS"), of("HTTPS"), of("QUIC"));
    let (stats, shutdown) = (Arc::new(Stats::default()), CancellationToken::new());
    let runtime = Runtime::new().unwrap();
    let entered = runtime.enter();
    server::serve(bound, &Arc::new(answers), &stats, &TaskTracker::new(), &shutdown).unwrap();
    drop(entered);
    Running { tcp, tls, https, quic, stats, shutdown, turn, certificate, runtime, files }
}

fn write_pair(files: &tempfile::TempDir) {
    let made = rcgen::generate_simple_self_signed(["ns1.example.org".to_owned()]).unwrap();
    fs::write(files.path().join("crt"), made.cert.pem()).unwrap();
    fs::write(files.path().join("key"), made.signing_key.serialize_pem()).unwrap();
    fs::write(files.path().join("der"), made.cert.der()).unwrap();
}

impl Running {
    /// Puts another certificate into the files; the one that was there no longer proves anything.
    pub(crate) fn write_another_certificate(&self) {
        write_pair(&self.files);
    }

    /// What a client believes that trusts the certificate in the files.
    pub(crate) fn client(&self, alpn: &[&str]) -> ClientConfig {
        let mut config = self.client_of(rustls::DEFAULT_VERSIONS);
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// The certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        fs::read_to_string(self.files.path().join("crt")).unwrap()
    }

    /// One that speaks these versions of TLS.
    pub(crate) fn client_of(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let own = fs::read(self.files.path().join("der")).unwrap();
        roots.add(CertificateDer::from(own)).unwrap();
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub(crate) fn connect_tls(
        &self,
        config: &Arc<ClientConfig>,
        address: SocketAddr,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let session = ClientConnection::new(config.clone(), name()).unwrap();
        let stream = connect(address);
        StreamOwned::new(session, stream)
    }

    /// Waits for the server to count something.
    pub(crate) fn until(&self, met: impl Fn(&server::StatsView) -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !met(&self.stats.view()) {
            assert!(std::time::Instant::now() < deadline, "{:?}", self.stats.view());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// A connection over QUIC that trusts the server.
    pub(crate) fn connect_quic(
        &self,
        alpn: &str,
    ) -> Result<quinn::Connection, quinn::ConnectionError> {
        let tls = quinn::crypto::rustls::QuicClientConfig::try_from(self.client(&[alpn])).unwrap();
        let _entered = self.runtime.enter();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut endpoint = quinn::Endpoint::new(
            quinn::EndpointConfig::default(),
            None,
            socket,
            Arc::new(quinn::TokioRuntime),
        )
        .unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        let connecting = endpoint.connect(self.quic, "ns1.example.org").unwrap();
        self.runtime.block_on(connecting)
    }
}

pub(crate) fn name() -> ServerName<'static> {
    "ns1.example.org".try_into().unwrap()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// A query with this ID.
pub(crate) fn question(id: u16, name: &str, rtype: u16) -> Vec<u8> {
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet[..2].copy_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(name.parse::<Name>().unwrap().as_wire());
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

/// The same with an OPT that has these options.
pub(crate) fn with_options(mut packet: Vec<u8>, options: &[u8]) -> Vec<u8> {
    packet[11] += 1;
    packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0]);
    packet.extend_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
    packet.extend_from_slice(options);
    packet
}

pub(crate) fn framed(packet: &[u8]) -> Vec<u8> {
    [&u16::try_from(packet.len()).unwrap().to_be_bytes(), packet].concat()
}

/// The next message; `None` when there is none any more.
pub(crate) fn read(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

/// Asks, and reads one answer.
pub(crate) fn ask(stream: &mut (impl Read + Write), packet: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(&framed(packet)).ok()?;
    read(stream)
}

pub(crate) fn id(answer: &[u8]) -> u16 {
    u16::from_be_bytes([answer[0], answer[1]])
}

pub(crate) fn rcode(answer: &[u8]) -> u8 {
    answer[3] & 0x0f
}

pub(crate) fn answers(answer: &[u8]) -> u16 {
    u16::from_be_bytes([answer[6], answer[7]])
}
