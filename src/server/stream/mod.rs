//! DNS over connections: whom to let in, what to expect of them first, and what they may use up.

mod buffers;
mod clients;
mod connection;
mod limits;
mod metered;
mod noted;
mod rehearsal;

pub(super) use clients::{Clients, Ending, Phase, Seat};
pub use limits::Limits;
pub use rehearsal::rehearse;

use super::{
    Clock, Guard, Stats, Tap, Turn,
    dnstap::{Ends, Tapped},
    proxy,
    respond::{Answers, Arrival, Transport},
    secure,
};
use connection::Connection;
use ipnet::IpNet;
use noted::Noted;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What all listeners share.
pub(super) struct Shared<A> {
    pub(super) answers: Arc<A>,
    pub(super) stats: Arc<Stats>,
    pub(super) clients: Arc<Clients>,
    pub(super) client_subnet: bool,
    pub(super) guard: Arc<Guard>,
    pub(super) clock: Clock,
    /// Proxies, whose connections begin with a header that says whose they are.
    pub(super) proxies: Vec<IpNet>,
    pub(super) tasks: TaskTracker,
    pub(super) turn: Turn,
    pub(super) tap: Option<Arc<Tap>>,
    pub(super) shutdown: CancellationToken,
}

/// What is spoken behind a listener.
#[derive(Clone)]
pub(super) enum Door {
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls(TlsAcceptor),
    /// DNS over HTTPS (RFC 8484).
    Https(TlsAcceptor),
}

impl Door {
    const fn transport(&self) -> Transport {
        match self {
            Self::Tcp => Transport::Tcp,
            Self::Tls(_) => Transport::Tls,
            Self::Https(_) => Transport::Https,
        }
    }
}

/// Octets that TLS may hold of what a client does not take.
const TLS_BUFFER: usize = 16 << 10;
/// After a failed accept (no file descriptors left), a moment for others to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that wait to be let in, at most.
pub(super) const BACKLOG: u16 = 1_024;

/// Lets clients in until shut down, or until another process does.
pub(super) async fn serve<A: Answers>(shared: Arc<Shared<A>>, listener: TcpListener, door: Door) {
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = shared.turn.leaving.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => accept(&shared, stream, from, &door),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    // Those who stand in line at a listener that only this process has would be turned away.
    waiting(listener).for_each(|(stream, from)| accept(&shared, stream, from, &door));
}

/// All who stand in line. The kernel is asked itself: the runtime may not have heard of them yet, and
/// lets a task accept so many at a time.
fn waiting(listener: TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    let listener = listener.into_std().ok();
    let accepted = (0..BACKLOG).map_while(move |_| match listener.as_ref()?.accept() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        accepted => Some(accepted),
    });
    accepted.filter_map(|accepted| {
        let (stream, from) = accepted.ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, from))
    })
}

fn accept<A: Answers>(shared: &Arc<Shared<A>>, stream: TcpStream, peer: SocketAddr, door: &Door) {
    let from = peer.ip();
    let proxied = shared.is_proxy(from);
    // A proxy's own address is nobody's share.
    let Some(seat) = shared.clients.seat((!proxied).then_some(from)) else {
        return shared.stats.refused();
    };
    let tapped = shared.tap.as_ref().map(|tap| {
        let server = stream.local_addr().unwrap_or(peer);
        Tapped::new(tap, Ends { transport: door.transport(), client: peer, server })
    });
    let visit = Visit { shared: shared.clone(), stream, from, proxied, seat, tapped };
    // A task for each, so that one over TCP is as small as it can be.
    match door.clone() {
        Door::Tcp => shared.tasks.spawn(visit.over_tcp()),
        Door::Tls(acceptor) => shared.tasks.spawn(visit.over_tls(acceptor)),
        Door::Https(acceptor) => shared.tasks.spawn(visit.over_https(acceptor)),
    };
}

/// A connection that was let in.
struct Visit<A> {
    shared: Arc<Shared<A>>,
    stream: TcpStream,
    from: IpAddr,
    proxied: bool,
    seat: Seat,
    tapped: Option<Tapped>,
}

impl<A: Answers> Visit<A> {
    async fn over_tcp(mut self) {
        let shared = self.shared.clone();
        let _open = shared.stats.open();
        let Some(client) = self.client().await else { return };
        let tapped = self.tapped.map(|own| own.from(client));
        let wire = Noted::new(self.stream, &self.seat);
        let arrival = shared.arrival(client, Transport::Tcp);
        let serving = speak(&shared, wire, arrival, tapped, &self.seat);
        shared.metered(client, &self.seat, serving).await;
    }

    async fn over_tls(mut self, acceptor: TlsAcceptor) {
        let shared = self.shared.clone();
        let _open = shared.stats.open();
        let Some(client) = self.client().await else { return };
        let tapped = self.tapped.map(|own| own.from(client));
        let wire = Noted::new(self.stream, &self.seat);
        let serving = async {
            if let Some(wire) = shake(&shared, acceptor, wire, &self.seat).await {
                let private = secure::is_private(wire.get_ref().1);
                let arrival = Arrival { private, ..shared.arrival(client, Transport::Tls) };
                speak(&shared, wire, arrival, tapped, &self.seat).await;
            }
        };
        shared.metered(client, &self.seat, serving).await;
    }

    async fn over_https(mut self, acceptor: TlsAcceptor) {
        let shared = self.shared.clone();
        let _open = shared.stats.open();
        let Some(client) = self.client().await else { return };
        let tapped = self.tapped.map(|own| own.from(client));
        let wire = Noted::new(self.stream, &self.seat);
        let serving = async {
            let wire = shake(&shared, acceptor, wire, &self.seat).await?;
            secure::serve_https(&shared, wire, client, tapped, &self.seat).await
        };
        if let Some(ending) = shared.metered(client, &self.seat, serving).await {
            shared.stats.ended(ending);
        }
    }

    /// Whose connection it is; none where that cannot be said.
    async fn client(&mut self) -> Option<IpAddr> {
        if !self.proxied {
            return Some(self.from);
        }
        self.seat.waits_for(Phase::Handshake);
        let client = whose(&self.shared, &mut self.stream, self.from, &mut self.seat).await;
        client
            .inspect_err(|ending| ending.iter().for_each(|own| self.shared.stats.ended(*own)))
            .ok()
    }
}

async fn speak<A: Answers, W: connection::Wire>(
    shared: &Shared<A>,
    wire: W,
    arrival: Arrival<'_>,
    tapped: Option<Tapped>,
    seat: &Seat,
) {
    let connection = Connection {
        wire,
        answers: shared.answers.as_ref(),
        arrival,
        clock: shared.clock,
        stats: &shared.stats,
        tapped,
        seat,
    };
    // Whatever else ends a connection is between the client and its network.
    if let Ok(Some(ending)) = connection::serve(connection).await {
        shared.stats.ended(ending);
    }
}

/// The handshake of TLS.
async fn shake<'s, A>(
    shared: &Shared<A>,
    acceptor: TlsAcceptor,
    wire: Noted<'s>,
    seat: &'s Seat,
) -> Option<TlsStream<Noted<'s>>> {
    seat.waits_for(Phase::Handshake);
    let accepted = acceptor.accept_with(wire, |session| session.set_buffer_limit(Some(TLS_BUFFER)));
    tokio::select! {
        biased;
        ending = seat.ended() => {
            shared.stats.ended(ending);
            None
        }
        accepted = accepted => accepted.inspect_err(|_| shared.stats.unshaken()).ok(),
    }
}

/// The client whose connection a proxy passes on.
async fn whose<A>(
    shared: &Shared<A>,
    stream: &mut TcpStream,
    proxy: IpAddr,
    seat: &mut Seat,
) -> Result<IpAddr, Option<Ending>> {
    let header = tokio::select! {
        biased;
        ending = seat.ended() => return Err(Some(ending)),
        header = read_header(stream) => header,
    };
    let Ok(header) = header else {
        shared.stats.unproxied();
        return Err(None);
    };
    let client = header.client.unwrap_or(proxy);
    if header.client.is_some() && !seat.belongs_to(client) {
        return Err(Some(Ending::Kicked));
    }
    Ok(client)
}

/// Not one octet more is read: what follows may be TLS.
async fn read_header(stream: &mut TcpStream) -> io::Result<proxy::Header> {
    let refused = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut header = [0; proxy::HEAD + proxy::MAX_REST];
    let (head, body) = header.split_at_mut(proxy::HEAD);
    stream.read_exact(head).await?;
    let head = head.first_chunk().ok_or(proxy::NoHeader).map_err(refused)?;
    let rest = proxy::rest(head).map_err(refused)?;
    stream.read_exact(&mut body[..rest]).await?;
    proxy::read(&header).map_err(refused)
}

impl<A> Shared<A> {
    fn is_proxy(&self, from: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&from))
    }

    pub(super) fn arrival(&self, from: IpAddr, transport: Transport) -> Arrival<'_> {
        Arrival {
            client_subnet: self.client_subnet,
            at: self.clock.read(),
            idle: self.clients.idle(),
            guard: Some(&self.guard),
            ..Arrival::new(from, transport)
        }
    }
}
