//! DNS over UDP: a thread for each socket, which takes what has come, answers it and sends the
//! answers, without a task, a lock or an allocation for each query.

mod batch;

use super::{
    Stats,
    clock::{Clock, Stamp},
    compiled::{Compiled, Lead},
    dnstap::{Ends, Tap},
    guard::Guard,
    proxy,
    respond::{Answers, Arrival, Reply, Transport, respond_from},
    stats::{Dropped, Tally},
};
use batch::{BATCH, Batch, Outgoing, Peer, Received, Wait, ask_for_local};
use ipnet::IpNet;
use nix::{
    errno::Errno,
    sys::socket::{SockaddrIn, SockaddrIn6},
};
use smallvec::SmallVec;
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

pub(super) struct Server<A> {
    pub(super) socket: UdpSocket,
    pub(super) answers: Arc<A>,
    pub(super) stats: Arc<Stats>,
    pub(super) client_subnet: bool,
    /// Those whose datagrams begin with a header that says whose they are.
    pub(super) proxies: Arc<[IpNet]>,
    pub(super) guard: Arc<Guard>,
    pub(super) clock: Clock,
    pub(super) leaving: CancellationToken,
    pub(super) tap: Option<Arc<Tap>>,
    pub(super) shutdown: CancellationToken,
}

/// How soon a quiet thread notices that it is to end.
const WAIT: Duration = Duration::from_millis(100);
/// How long an answer waits for a full send buffer. The next queries wait meanwhile, so this is as
/// long as a busy network card takes, not a broken one.
const SEND_PATIENCE: Duration = Duration::from_millis(10);
/// Batches that are answered at the end: as many queries as a socket's buffer holds.
const LAST_BATCHES: usize = 256;

impl<A: Answers> Server<A> {
    /// Sets the socket up for [`Self::serve`].
    ///
    /// # Errors
    /// When the system refuses an option of the socket.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.socket.set_nonblocking(false)?;
        self.socket.set_read_timeout(Some(WAIT))?;
        self.socket.set_write_timeout(Some(SEND_PATIENCE))?;
        let own = self.socket.local_addr()?;
        if own.ip().is_unspecified() {
            ask_for_local(&self.socket, own.is_ipv6())?;
        }
        Ok(())
    }

    /// Serves until shut down; blocks its thread.
    pub(super) fn serve(self) {
        match self.socket.local_addr() {
            Ok(own) if own.is_ipv4() => {
                self.run(Batch::<SockaddrIn>::new(own.ip().is_unspecified()));
            }
            Ok(own) => self.run(Batch::<SockaddrIn6>::new(own.ip().is_unspecified())),
            // A bound socket has an address.
            Err(_) => {}
        }
    }

    fn run<S: Peer>(&self, mut batch: Batch<S>) {
        while !self.shutdown.is_cancelled() && !self.leaving.is_cancelled() {
            match batch.receive(&self.socket, Wait::ForOne) {
                Ok(()) => self.answer(&mut batch),
                // Nothing came, or a signal did, or an ICMP message about an earlier answer.
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => {}
                // No memory for the moment: no reason to end, and none to try at full speed.
                Err(_) => thread::sleep(SEND_PATIENCE),
            }
        }
        // What waits in a socket goes with the last process that has it.
        for _ in 0..LAST_BATCHES {
            match batch.receive(&self.socket, Wait::Never) {
                Ok(()) => self.answer(&mut batch),
                Err(_) => return,
            }
        }
    }

    fn answer<S: Peer>(&self, batch: &mut Batch<S>) {
        let (compiled, now) = (self.answers.compiled(), self.clock.read());
        let leads = compiled.leads(batch.received.iter().map(|one| batch.packet(one)));
        let mut tally = Tally::default();
        let mut outgoing: SmallVec<[Outgoing<S>; BATCH]> = SmallVec::new();
        let mut tapped = self.tap.as_ref().map(|tap| (tap.sheaf(), self.socket.local_addr().ok()));
        for (at, lead) in (0..batch.received.len()).zip(leads.iter().copied()) {
            let one = batch.received[at];
            let mut out = std::mem::take(&mut batch.answers[one.slot]);
            let from = one.from.address();
            let asked = self.client(batch.packet(&one), from.ip());
            let ahead = (&*compiled, lead, now);
            let answered = self.one(asked, from.port(), ahead, &mut out, &mut tally);
            if answered {
                outgoing.push(Outgoing { slot: one.slot, to: one.from, from: one.local });
            }
            if let Some((sheaf, own)) = &mut tapped
                && let Ok((packet, client)) = asked
            {
                let ends = ends(&one, client, *own);
                sheaf.query(&ends, packet);
                answered.then(|| sheaf.answer(&ends, &out));
            }
            batch.answers[one.slot] = out;
        }
        let failed = batch.send(&self.socket, &outgoing);
        tally.dropped(Dropped::Send, u64::try_from(failed).unwrap_or(u64::MAX));
        self.stats.add(Transport::Udp, &tally);
    }

    /// The client's packet, and whose it is; the answer goes to who sent it all the same.
    fn client<'p>(
        &self,
        packet: &'p [u8],
        from: IpAddr,
    ) -> Result<(&'p [u8], IpAddr), proxy::NoHeader> {
        if !self.proxies.iter().any(|network| network.contains(&from)) {
            return Ok((packet, from));
        }
        let header = proxy::read(packet)?;
        let rest = packet.get(header.length..).ok_or(proxy::NoHeader)?;
        Ok((rest, header.client.unwrap_or(from)))
    }

    /// Whether `out` holds an answer.
    fn one(
        &self,
        asked: Result<(&[u8], IpAddr), proxy::NoHeader>,
        port: u16,
        (compiled, lead, at): (&Compiled, Lead<'_>, Stamp),
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> bool {
        if port == 0 {
            tally.dropped(Dropped::Source, 1);
            return false;
        }
        let Ok((packet, client)) = asked else {
            tally.dropped(Dropped::Unproxied, 1);
            return false;
        };
        let arrival = Arrival {
            client_subnet: self.client_subnet,
            at,
            guard: Some(&self.guard),
            ..Arrival::new(client, Transport::Udp)
        };
        match respond_from(self.answers.as_ref(), (compiled, lead), packet, &arrival, out) {
            Reply::Drop(why) => tally.dropped(why, 1),
            Reply::Send { rcode, truncated, notes } => {
                tally.answered(rcode, truncated);
                tally.noted(&notes);
                return true;
            }
        }
        false
    }
}

/// Between whom a query goes: where the socket has all of a machine's addresses, the one asked.
fn ends<S: Peer>(received: &Received<S>, client: IpAddr, own: Option<SocketAddr>) -> Ends {
    let client = SocketAddr::new(client, received.from.address().port());
    let mut server = own.unwrap_or(client);
    if let Some(local) = received.local {
        server.set_ip(local.ip());
    }
    Ends { transport: Transport::Udp, client, server }
}
