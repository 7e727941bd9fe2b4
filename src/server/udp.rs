//! DNS over UDP: one socket, one task, one buffer.

use super::{
    Stats,
    respond::{Answers, Reply, Transport, respond},
    stats::Dropped,
};
use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::UdpSocket, task::yield_now, time::timeout};
use tokio_util::sync::CancellationToken;

pub(super) async fn serve<A: Answers>(
    socket: UdpSocket,
    answers: Arc<A>,
    stats: Arc<Stats>,
    shutdown: CancellationToken,
) {
    let mut packet = vec![0; usize::from(u16::MAX)];
    let mut out = Vec::with_capacity(super::MAX_UDP);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            // Only a runtime that is going away says no here.
            ready = socket.readable() => if ready.is_err() { return },
        }
        for _ in 0..BURST {
            // An error here is of one packet (an ICMP message that came back), or an empty queue.
            let Ok((length, from)) = socket.try_recv_from(&mut packet) else { break };
            one(&socket, answers.as_ref(), &stats, &packet[..length], from, &mut out).await;
        }
        // Under a flood the socket is always readable, so nothing above would ever wait.
        yield_now().await;
    }
}

async fn one<A: Answers>(
    socket: &UdpSocket,
    answers: &A,
    stats: &Stats,
    packet: &[u8],
    from: SocketAddr,
    out: &mut Vec<u8>,
) {
    if from.port() == 0 {
        return stats.dropped(Dropped::Source);
    }
    match respond(answers, packet, from.ip(), Transport::Udp, out) {
        Reply::Drop(why) => stats.dropped(why),
        Reply::Send { rcode, truncated } => {
            stats.answered(Transport::Udp, rcode, truncated);
            if !send(socket, out, from).await {
                stats.dropped(Dropped::Send);
            }
        }
    }
}

async fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) -> bool {
    match socket.try_send_to(answer, to) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            timeout(SEND_PATIENCE, socket.send_to(answer, to)).await.is_ok_and(|sent| sent.is_ok())
        }
        sent => sent.is_ok(),
    }
}

/// How many packets are answered before other tasks get a turn: at a microsecond or two each, none
/// of them waits long.
const BURST: usize = 64;
/// How long an answer waits for a full send buffer. The next queries wait meanwhile, so this is as
/// long as a busy network card takes, not a broken one.
const SEND_PATIENCE: Duration = Duration::from_millis(10);
