//! DNS over UDP, TCP, TLS, HTTPS and QUIC: bytes in, [`records::lookup`](crate::records::lookup), bytes out.
//!
//! Decides nothing about names: who answers is handed in as [`Answers`]. Every packet costs a
//! bounded amount of work, and nothing a packet holds can stop a loop.

mod budget;
mod clock;
mod compiled;
mod cookies;
mod dnstap;
mod edns;
mod encode;
mod guard;
mod handed;
mod message;
mod messages;
mod meter;
mod noted;
mod opt;
pub mod proxy;
mod respond;
mod rrl;
mod secure;
mod stats;
mod stream;
mod transfer;
mod udp;

pub use budget::Budget;
pub use clock::{Clock, Stamp};
pub use compiled::{Compiled, Compiler};
pub use cookies::{Cookies, Secrets, Worth};
pub use dnstap::{Tap, TapView, Target as TapTarget};
pub use guard::{Guard, Notes};
pub use handed::{Handed, Turn};
pub use messages::{Messages, Next};
pub use respond::{Answers, Arrival, MAX_UDP, Reply, Transport, respond};
pub use rrl::{Limiter, Rates, Verdict};
pub use secure::{BadCertificate, Certificate, Refreshed, Secure};
pub use stats::{CookieCounts, Dropped, Stats, StatsView};
pub use stream::{Limits, rehearse};
pub use transfer::{Notice, Transfers};

use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    fmt, io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    sync::Arc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Where to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Each is bound for UDP and TCP; port 0 takes a free one, the same for both.
    pub addresses: Vec<SocketAddr>,
    /// UDP sockets per address, each with a thread of its own.
    pub workers: usize,
    /// What TCP clients may use up.
    pub limits: Limits,
    /// Whether answers may be made for the network that a query speaks for (RFC 7871); where not,
    /// the option is ignored as any unknown one. All name servers of a zone must have it alike, or
    /// resolvers keep the answers of those that have it off for everyone.
    pub client_subnet: bool,
    /// Proxies whose connections begin with a header that says whose they are ([`proxy`]); from
    /// others none is taken.
    pub proxies: Vec<IpNet>,
    /// The same of those whose datagrams begin with one. Whoever can forge their addresses can claim
    /// any client's.
    pub udp_proxies: Vec<IpNet>,
    /// Where to listen for encrypted queries too.
    pub secure: Option<Secure>,
    /// What guards against abuse.
    pub guard: Arc<Guard>,
    /// What tells the time to limits and cookies.
    pub clock: Clock,
    /// When it makes room for another process on the same sockets.
    pub turn: Turn,
    /// Who records queries and answers.
    pub tap: Option<Arc<Tap>>,
}

impl Listen {
    /// One worker there, the default limits, the client subnet heeded, no guard.
    #[must_use]
    pub fn at(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            workers: 1,
            limits: Limits::default(),
            client_subnet: true,
            proxies: Vec::new(),
            udp_proxies: Vec::new(),
            secure: None,
            guard: Arc::default(),
            clock: Clock::default(),
            turn: Turn::default(),
            tap: None,
        }
    }
}

/// Sockets that are bound and wait to be served.
#[derive(Debug)]
pub struct Bound {
    udp: Vec<UdpSocket>,
    /// Where more sockets are wanted beside those that were handed, one for each.
    more: Vec<SocketAddr>,
    tcp: Vec<TcpListener>,
    limits: Limits,
    client_subnet: bool,
    proxies: Vec<IpNet>,
    udp_proxies: Arc<[IpNet]>,
    secure: Option<secure::Bound>,
    guard: Arc<Guard>,
    clock: Clock,
    turn: Turn,
    tap: Option<Arc<Tap>>,
}

/// A listening address that cannot be had, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for DNS on {address} ({protocol}): {source}; {hint} with {flag}")]
pub struct BindError {
    address: SocketAddr,
    protocol: &'static str,
    #[source]
    source: io::Error,
    hint: Hint,
    flag: &'static str,
}

/// Takes all addresses, or none: a taken port is known before anything else starts.
///
/// # Errors
/// Names the address, the protocol and what to do.
pub fn bind(listen: &Listen) -> Result<Bound, BindError> {
    bind_beside(listen, &mut Handed::default())
}

/// The same, with sockets that are there already: what listens where it is wanted is taken.
///
/// # Errors
/// As [`bind`].
pub fn bind_beside(listen: &Listen, handed: &mut Handed) -> Result<Bound, BindError> {
    let mut bound = Bound {
        udp: Vec::new(),
        more: Vec::new(),
        tcp: Vec::new(),
        limits: listen.limits.clone(),
        client_subnet: listen.client_subnet,
        proxies: listen.proxies.clone(),
        udp_proxies: listen.udp_proxies.as_slice().into(),
        secure: listen.secure.as_ref().map(|own| secure::bind(own, handed)).transpose()?,
        guard: listen.guard.clone(),
        clock: listen.clock,
        turn: listen.turn.clone(),
        tap: listen.tap.clone(),
    };
    for address in &listen.addresses {
        let workers = listen.workers.max(1);
        let (tcp, udp) = take_both(*address, workers, handed)?;
        bound.more.extend((udp.len()..workers).map(|_| *address));
        bound.tcp.push(tcp);
        bound.udp.extend(udp);
    }
    Ok(bound)
}

impl Bound {
    /// Binds the sockets for UDP that are wanted beside those that were handed. The kernel gives a
    /// share of all datagrams to each from then on, so they are to be read at once.
    pub fn complete(&mut self) {
        // Where no more can be had (the port asks for a privilege that is gone), those there do.
        self.udp.extend(self.more.drain(..).filter_map(|address| bind_udp(address).ok()));
    }

    /// The addresses that are bound, with the ports that were taken.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The same for encrypted queries, and what is spoken there: `TLS`, `HTTPS` or `QUIC`.
    #[must_use]
    pub fn secure_addrs(&self) -> Vec<(&'static str, SocketAddr)> {
        self.secure.as_ref().map(secure::Bound::local_addrs).unwrap_or_default()
    }

    /// All its sockets once more, for whoever comes after this process.
    ///
    /// # Errors
    /// When the process may open no more files.
    pub fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        let udp = self.udp.iter().map(|own| own.try_clone().map(OwnedFd::from));
        let tcp = self.tcp.iter().map(|own| own.try_clone().map(OwnedFd::from));
        let secure = self.secure.iter().flat_map(secure::Bound::sockets);
        udp.chain(tcp).chain(secure).collect()
    }
}

/// Serves until shut down; every task is the tracker's. Called within a tokio runtime.
///
/// # Errors
/// When a bound socket cannot be handed to the runtime.
pub fn serve<A: Answers>(
    bound: Bound,
    answers: &Arc<A>,
    stats: &Arc<Stats>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    for socket in bound.udp {
        let server = udp::Server {
            socket,
            answers: answers.clone(),
            stats: stats.clone(),
            client_subnet: bound.client_subnet,
            proxies: bound.udp_proxies.clone(),
            guard: bound.guard.clone(),
            clock: bound.clock,
            leaving: bound.turn.leaving.clone(),
            tap: bound.tap.clone(),
            shutdown: shutdown.clone(),
        };
        server.prepare()?;
        tasks.spawn_blocking(move || server.serve());
    }
    let shared = Arc::new(stream::Shared {
        answers: answers.clone(),
        stats: stats.clone(),
        clients: stream::Clients::new(bound.limits, bound.turn.leaving.clone()),
        client_subnet: bound.client_subnet,
        guard: bound.guard.clone(),
        clock: bound.clock,
        proxies: bound.proxies,
        tasks: tasks.clone(),
        turn: bound.turn,
        tap: bound.tap,
        shutdown: shutdown.clone(),
    });
    tasks.spawn(shared.clients.clone().watch(shutdown.clone()));
    if let Some(tap) = &shared.tap {
        tasks.spawn(dnstap::run(tap.clone(), shutdown.clone()));
    }
    for listener in bound.tcp {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tasks.spawn(stream::serve(shared.clone(), listener, stream::Door::Tcp));
    }
    bound.secure.map_or(Ok(()), |secure| secure.serve(&shared))
}

/// A listener and its UDP sockets: those that are there, else new ones. More sockets than wanted
/// stay: one that is closed loses what waits in it.
fn take_both(
    address: SocketAddr,
    workers: usize,
    handed: &mut Handed,
) -> Result<(TcpListener, Vec<UdpSocket>), BindError> {
    let (tcp, udp) = (handed.tcp(address), handed.udp(address));
    match tcp.filter(|_| !udp.is_empty()) {
        Some(tcp) => Ok((tcp, udp)),
        None => bind_both(address, workers),
    }
}

/// A listener and its UDP sockets on one port. A port that TCP has free and UDP has not is only
/// worth another try where any port will do.
fn bind_both(
    address: SocketAddr,
    workers: usize,
) -> Result<(TcpListener, Vec<UdpSocket>), BindError> {
    let mut tries = if address.port() == 0 { FREE_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let tcp = bind_tcp(address).map_err(|error| refused(address, "TCP", FLAG, error))?;
        let actual = tcp.local_addr().map_err(|error| refused(address, "TCP", FLAG, error))?;
        match (0..workers).map(|_| bind_udp(actual)).collect() {
            Ok(udp) => return Ok((tcp, udp)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(refused(actual, "UDP", FLAG, error)),
        }
    }
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    tune_udp(&socket);
    finish(&socket, address)?;
    Ok(socket.into())
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for old connections. No SO_REUSEPORT here: the listener is what
    // notices that another server holds the port.
    socket.set_reuse_address(true)?;
    tune_tcp(&socket)?;
    finish(&socket, address)?;
    socket.listen(stream::BACKLOG.into())?;
    Ok(socket.into())
}

fn tune_udp(socket: &Socket) {
    // A burst of some thousand queries waits here, and their answers; the kernel may grant less.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
}

fn tune_tcp(socket: &Socket) -> io::Result<()> {
    // What is accepted has both from the listener. An answer does not wait for others; and what a
    // client does not take waits here, where it is counted, rather than in the kernel.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)
}

fn finish(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())
}

fn refused(
    address: SocketAddr,
    protocol: &'static str,
    flag: &'static str,
    source: io::Error,
) -> BindError {
    let hint = match source.kind() {
        io::ErrorKind::AddrInUse => Hint::Taken(address.port()),
        io::ErrorKind::PermissionDenied => Hint::Privileged,
        io::ErrorKind::AddrNotAvailable => Hint::NotOurs,
        _ => Hint::Other,
    };
    BindError { address, protocol, source, hint, flag }
}

#[derive(Debug)]
enum Hint {
    Taken(u16),
    Privileged,
    NotOurs,
    Other,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(port) => write!(
                f,
                "another program holds port {port} (`ss -lntup sport = :{port}` shows which); \
                 stop it, or choose another address"
            ),
            Self::Privileged => f.write_str(
                "ports below 1024 need the capability CAP_NET_BIND_SERVICE; grant it, or choose a \
                 higher port",
            ),
            Self::NotOurs => f.write_str("this machine has no such address; choose one of its own"),
            Self::Other => f.write_str("choose another address"),
        }
    }
}

/// Where both are chosen.
const FLAG: &str = "--dns-listen";
/// Most of the ports that one call may find taken: the range has thousands, so eight in a row are
/// no accident.
const FREE_PORT_TRIES: u32 = 8;
/// Octets that the kernel may hold unsent for a connection before it takes no more.
const UNSENT: u32 = 64 << 10;
/// Octets that a UDP socket may hold in each direction.
const UDP_BUFFER: usize = 4 << 20;
