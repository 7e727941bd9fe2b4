//! DNS over UDP: one socket, one task, one buffer.

use super::{
    Clock, Guard, Stats,
    respond::{Answers, Arrival, Reply, Transport, respond},
    stats::Dropped,
};
use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::UdpSocket, task::yield_now, time::timeout};
use tokio_util::sync::CancellationToken;

pub(super) struct Server<A> {
    pub(super) socket: UdpSocket,
    pub(super) answers: Arc<A>,
    pub(super) stats: Arc<Stats>,
    pub(super) client_subnet: bool,
    pub(super) guard: Arc<Guard>,
    pub(super) clock: Clock,
    pub(super) shutdown: CancellationToken,
}

impl<A: Answers> Server<A> {
    pub(super) async fn serve(self) {
        let mut packet = vec![0; usize::from(u16::MAX)];
        let mut out = Vec::with_capacity(super::MAX_UDP);
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                // Only a runtime that is going away says no here.
                ready = self.socket.readable() => if ready.is_err() { return },
            }
            for _ in 0..BURST {
                // An error here is of one packet (an ICMP message that came back), or an empty
                // queue.
                let Ok((length, from)) = self.socket.try_recv_from(&mut packet) else { break };
                self.one(&packet[..length], from, &mut out).await;
            }
            // Under a flood the socket is always readable, so nothing above would ever wait.
            yield_now().await;
        }
    }

    async fn one(&self, packet: &[u8], from: SocketAddr, out: &mut Vec<u8>) {
        if from.port() == 0 {
            return self.stats.dropped(Dropped::Source);
        }
        let transport = Transport::Udp;
        let arrival = Arrival {
            client_subnet: self.client_subnet,
            at: self.clock.read(),
            guard: Some(&self.guard),
            ..Arrival::new(from.ip(), transport)
        };
        match respond(self.answers.as_ref(), packet, &arrival, out) {
            Reply::Drop(why) => self.stats.dropped(why),
            Reply::Send { rcode, truncated } => {
                self.stats.answered(transport, rcode, truncated);
                if !self.send(out, from).await {
                    self.stats.dropped(Dropped::Send);
                }
            }
        }
    }

    async fn send(&self, answer: &[u8], to: SocketAddr) -> bool {
        match self.socket.try_send_to(answer, to) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let sent = timeout(SEND_PATIENCE, self.socket.send_to(answer, to)).await;
                sent.is_ok_and(|sent| sent.is_ok())
            }
            sent => sent.is_ok(),
        }
    }
}

/// How many packets are answered before other tasks get a turn: at a microsecond or two each, none
/// of them waits long.
const BURST: usize = 64;
/// How long an answer waits for a full send buffer. The next queries wait meanwhile, so this is as
/// long as a busy network card takes, not a broken one.
const SEND_PATIENCE: Duration = Duration::from_millis(10);
