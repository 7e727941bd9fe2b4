//! DNS over connections: whom to let in, what to expect of them first, and what they may use up.

mod buffers;
mod clients;
mod connection;
mod limits;
mod noted;

pub(super) use clients::{Clients, Ending, Phase, Seat};
pub use limits::Limits;

use super::{
    Clock, Guard, Stats, proxy,
    respond::{Answers, Arrival, Transport},
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
    pub(super) shutdown: CancellationToken,
}

/// After a failed accept (no file descriptors left), a moment for others to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Lets clients in until shut down.
pub(super) async fn serve<A: Answers>(shared: Arc<Shared<A>>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => accept(&shared, stream, from),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn accept<A: Answers>(shared: &Arc<Shared<A>>, stream: TcpStream, from: SocketAddr) {
    let from = from.ip();
    let proxied = shared.is_proxy(from);
    // A proxy's own address is nobody's share.
    let Some(seat) = shared.clients.seat((!proxied).then_some(from)) else {
        return shared.stats.refused();
    };
    let shared = shared.clone();
    shared.tasks.clone().spawn(async move {
        let _open = shared.stats.open();
        // Whatever else ends a connection is between the client and its network.
        if let Ok(Some(ending)) = attend(&shared, stream, from, proxied, seat).await {
            shared.stats.ended(ending);
        }
    });
}

async fn attend<A: Answers>(
    shared: &Shared<A>,
    mut stream: TcpStream,
    from: IpAddr,
    proxied: bool,
    mut seat: Seat,
) -> io::Result<Option<Ending>> {
    let client = if proxied {
        seat.waits_for(Phase::Handshake);
        match whose(shared, &mut stream, from, &mut seat).await {
            Ok(client) => client,
            Err(ending) => return Ok(ending),
        }
    } else {
        from
    };
    let connection = Connection {
        wire: Noted::new(stream, &seat),
        answers: shared.answers.as_ref(),
        arrival: shared.arrival(client, Transport::Tcp),
        clock: shared.clock,
        stats: &shared.stats,
        seat: &seat,
    };
    connection::serve(connection).await
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
