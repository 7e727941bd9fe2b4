//! DNS over UDP: one socket, one task, one buffer.

use super::{
    Stats,
    respond::{Answers, Reply, Transport, respond},
    stats::Dropped,
};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

/// How many packets are answered before other tasks get a turn.
const BURST: usize = 64;

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
            ready = socket.readable() => if ready.is_err() { continue },
        }
        for _ in 0..BURST {
            // An error here is of one packet (an ICMP message that came back), or an empty queue.
            let Ok((length, from)) = socket.try_recv_from(&mut packet) else { break };
            one(&socket, answers.as_ref(), &stats, &packet[..length], from, &mut out);
        }
    }
}

fn one<A: Answers>(
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
            if socket.try_send_to(out, from).is_err() {
                stats.dropped(Dropped::Send);
            }
        }
    }
}
