//! DNS over TCP (RFC 7766): pipelined, in order, with a number on everything a client can use up.

use super::{
    Clock, Guard, Stats,
    respond::{Answers, Arrival, Reply, Transport, respond},
};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What TCP clients may use up (RFC 7766 §6.2, RFC 9210 §4.2 ask for such limits).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections in all; at the limit the one that has been idle longest is closed.
    pub connections: usize,
    /// Connections of one address.
    pub per_client: usize,
    /// Connections of one /24 or /56.
    pub per_network: usize,
    /// From the connection to its first whole message.
    pub first: Duration,
    /// From a message's first octet to its last.
    pub message: Duration,
    /// Between messages.
    pub idle: Duration,
    /// For one answer to be taken.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            per_client: 32,
            per_network: 256,
            first: Duration::from_secs(2),
            message: Duration::from_secs(2),
            idle: Duration::from_secs(10),
            write: Duration::from_secs(2),
        }
    }
}

pub(super) struct Server<A> {
    pub(super) answers: Arc<A>,
    pub(super) stats: Arc<Stats>,
    pub(super) clients: Arc<Clients>,
    pub(super) client_subnet: bool,
    pub(super) guard: Arc<Guard>,
    pub(super) clock: Clock,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

/// After a failed accept (no file descriptors left), a moment for others to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl<A: Answers> Server<A> {
    pub(super) async fn serve(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => self.accept(stream, from),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn accept(&self, stream: TcpStream, from: SocketAddr) {
        let Some(seat) = Clients::seat(&self.clients, from.ip()) else {
            return self.stats.refused();
        };
        let (answers, stats) = (self.answers.clone(), self.stats.clone());
        let (client_subnet, guard, clock) = (self.client_subnet, self.guard.clone(), self.clock);
        let (limits, shutdown) = (self.clients.limits.clone(), self.shutdown.clone());
        self.tasks.spawn(async move {
            let idle = u16::try_from(limits.idle.as_millis() / 100).ok();
            let arrival = Arrival {
                client_subnet,
                idle,
                guard: Some(&guard),
                ..Arrival::new(from.ip(), Transport::Tcp)
            };
            stats.opened();
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = seat.kicked.cancelled() => stats.refused(),
                // Whatever ends a connection is between the client and its network.
                _ = connection(stream, arrival, clock, answers.as_ref(), &stats, &limits, &seat) => {}
            }
            stats.closed();
        });
    }
}

async fn connection<A: Answers>(
    mut stream: TcpStream,
    arrival: Arrival<'_>,
    clock: Clock,
    answers: &A,
    stats: &Stats,
    limits: &Limits,
    seat: &Seat,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::with_capacity(KEPT, reader);
    let (mut packet, mut out) = (Vec::new(), Vec::new());
    let mut more = timeout(limits.first, read(&mut reader, &mut packet, limits)).await??;
    while more {
        seat.touch();
        let arrival = Arrival { at: clock.read(), ..arrival };
        match respond(answers, &packet, &arrival, &mut out) {
            Reply::Drop(why) => {
                stats.dropped(why);
                return Ok(());
            }
            Reply::Send { rcode, truncated } => {
                stats.answered(Transport::Tcp, rcode, truncated);
                let length = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
                out.splice(0..0, length);
                timeout(limits.write, writer.write_all(&out)).await??;
                out.shrink_to(KEPT);
            }
        }
        more = read(&mut reader, &mut packet, limits).await?;
    }
    Ok(())
}

/// Reads the next message; `false` when the client has closed its side in order.
async fn read(
    reader: &mut (impl AsyncBufRead + Unpin),
    packet: &mut Vec<u8>,
    limits: &Limits,
) -> io::Result<bool> {
    if timeout(limits.idle, reader.fill_buf()).await??.is_empty() {
        return Ok(false);
    }
    timeout(limits.message, read_started(reader, packet)).await??;
    Ok(true)
}

async fn read_started(
    reader: &mut (impl AsyncBufRead + Unpin),
    packet: &mut Vec<u8>,
) -> io::Result<()> {
    let length = usize::from(reader.read_u16().await?);
    if length < super::message::HEADER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    packet.clear();
    packet.shrink_to(KEPT);
    // Room is made for what has come, not for what the length promises.
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    match reader.take(limit).read_to_end(packet).await? {
        whole if whole == length => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What a connection keeps of each buffer between messages: many queries fit, and all connections
/// together keep some 50 MB at most.
const KEPT: usize = 4_096;

// === Who is connected ===

/// All open connections, so that none can crowd out the others.
#[derive(Debug)]
pub(super) struct Clients {
    limits: Limits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// Rises with each message, so the least is the longest idle.
    turn: u64,
    seats: HashMap<u64, Taken>,
    /// Who took which turn, so that the longest idle is found without a search.
    turns: BTreeMap<u64, u64>,
    by_client: HashMap<IpAddr, usize>,
    by_network: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Taken {
    turn: u64,
    kicked: CancellationToken,
}

/// One connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    client: IpAddr,
    kicked: CancellationToken,
    clients: Arc<Clients>,
}

impl Clients {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    /// A place for one more connection, or `None` when its client or network has enough.
    fn seat(clients: &Arc<Self>, client: IpAddr) -> Option<Seat> {
        let mut open = clients.lock();
        let full = |count: Option<&usize>, limit| count.copied().unwrap_or_default() >= limit;
        if full(open.by_client.get(&client), clients.limits.per_client)
            || full(open.by_network.get(&network(client)), clients.limits.per_network)
        {
            return None;
        }
        if open.seats.len() >= clients.limits.connections {
            open.kick_longest_idle();
        }
        let (id, kicked) = (open.next, CancellationToken::new());
        open.next += 1;
        open.seats.insert(id, Taken { turn: 0, kicked: kicked.clone() });
        open.touch(id);
        *open.by_client.entry(client).or_default() += 1;
        *open.by_network.entry(network(client)).or_default() += 1;
        Some(Seat { id, client, kicked, clients: clients.clone() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn kick_longest_idle(&mut self) {
        let idle = self.turns.pop_first();
        if let Some(taken) = idle.and_then(|(_, id)| self.seats.remove(&id)) {
            taken.kicked.cancel();
        }
    }

    /// Takes the latest turn, unless the seat was taken away.
    fn touch(&mut self, id: u64) {
        let Some(taken) = self.seats.get_mut(&id) else { return };
        self.turns.remove(&taken.turn);
        self.turn += 1;
        taken.turn = self.turn;
        self.turns.insert(self.turn, id);
    }

    fn remove(&mut self, id: u64) {
        if let Some(taken) = self.seats.remove(&id) {
            self.turns.remove(&taken.turn);
        }
    }

    fn leave(counts: &mut HashMap<IpAddr, usize>, who: IpAddr) {
        if let Some(count) = counts.get_mut(&who) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&who);
            }
        }
    }
}

impl Seat {
    fn touch(&self) {
        self.clients.lock().touch(self.id);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.clients.lock();
        open.remove(self.id);
        Open::leave(&mut open.by_client, self.client);
        Open::leave(&mut open.by_network, network(self.client));
    }
}

/// The /24 or /56 that an address lies in.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 72 << 72).into(),
    }
}
