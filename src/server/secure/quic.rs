//! DNS over QUIC (RFC 9250): one query on each stream, and its answer behind it.

use crate::server::{
    dnstap::{Ends, Tapped},
    message::HEADER,
    messages::{self, Messages, Next},
    respond::{Answers, Arrival, Reply, Transport, respond},
    stream::{Ending, Limits, Phase, Seat, Shared},
};
use futures_util::{
    FutureExt,
    stream::{FuturesUnordered, StreamExt},
};
use quinn::{
    Endpoint, EndpointConfig, IdleTimeout, Incoming, ReadToEndError, RecvStream, SendStream,
    ServerConfig, TokioRuntime, TransportConfig, VarInt, crypto::rustls::QuicServerConfig,
};
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

pub(super) fn config(tls: rustls::ServerConfig, limits: &Limits) -> io::Result<ServerConfig> {
    let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport(limits)));
    // Before a connection is ours, little of it is kept.
    config.max_incoming(limits.connections / 4);
    config.incoming_buffer_size(MAX_EARLY).incoming_buffer_size_total(MAX_EARLY_ALL);
    Ok(config)
}

fn transport(limits: &Limits) -> TransportConfig {
    let streams = u32::try_from(limits.in_flight).unwrap_or(u32::MAX);
    let idle = IdleTimeout::try_from(limits.idle).ok();
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(streams.into())
        // Clients open none of these (§4.2).
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(idle)
        .stream_receive_window(WINDOW)
        .receive_window(ALL_WINDOWS)
        .send_window(u64::from(ALL_WINDOWS.into_inner().try_into().unwrap_or(u32::MAX)));
    transport
}

/// Lets clients in until shut down, or until another process is to read the socket.
pub(super) async fn serve<A: Answers>(
    shared: Arc<Shared<A>>,
    config: ServerConfig,
    socket: UdpSocket,
) {
    if let Some(alone) = &shared.turn.alone {
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = alone.cancelled() => {}
        }
    }
    let runtime = Arc::new(TokioRuntime);
    let made = Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime);
    // A socket that was bound can be read.
    let Ok(endpoint) = made else { return };
    let own = endpoint.local_addr().ok();
    loop {
        let incoming = tokio::select! {
            () = shared.shutdown.cancelled() => break,
            () = shared.turn.leaving.cancelled() => break,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        accept(&shared, incoming, own);
    }
    // Those who stand in line would be turned away.
    while let Some(Some(incoming)) = endpoint.accept().now_or_never() {
        accept(&shared, incoming, own);
    }
    // No more come in; those that are here are told to go, and their goodbyes sent.
    endpoint.set_server_config(None);
    if timeout(GOODBYE, endpoint.wait_idle()).await.is_err() {
        endpoint.close(NO_ERROR, &[]);
        let _ = timeout(LAST_STREAM, endpoint.wait_idle()).await;
    }
}

/// Ends once the connection is to go to another process: one whose handshake is done has a query on
/// its way.
async fn is_left<A>(shared: &Shared<A>) {
    shared.turn.leaving.cancelled().await;
    tokio::time::sleep(LAST_STREAM).await;
}

fn accept<A: Answers>(shared: &Arc<Shared<A>>, incoming: Incoming, own: Option<SocketAddr>) {
    // An address that is not proven is anyone's: its share could be used up by strangers.
    if !incoming.remote_address_validated() {
        let _ = incoming.retry();
        return;
    }
    let peer = incoming.remote_address();
    let client = peer.ip();
    let tapped = shared.tap.as_ref().map(|tap| {
        let own = own.unwrap_or(peer);
        let server = SocketAddr::new(incoming.local_ip().unwrap_or(own.ip()), own.port());
        Tapped::new(tap, Ends { transport: Transport::Quic, client: peer, server })
    });
    let Some(seat) = shared.clients.seat(Some(client)) else {
        shared.stats.refused();
        return incoming.refuse();
    };
    seat.waits_for(Phase::Handshake);
    let shared = shared.clone();
    shared.tasks.clone().spawn(async move {
        let _open = shared.stats.open();
        let serving = attend(&shared, incoming, (client, tapped), &seat);
        if let Some(ending) = shared.metered(client, &seat, serving).await {
            shared.stats.ended(ending);
        }
    });
}

async fn attend<A: Answers>(
    shared: &Shared<A>,
    incoming: Incoming,
    (client, tapped): (IpAddr, Option<Tapped>),
    seat: &Seat,
) -> Option<Ending> {
    let handshake = async { incoming.accept()?.await };
    let made = tokio::select! {
        biased;
        ending = seat.ended() => return Some(ending),
        made = handshake => made,
    };
    let connection = made.inspect_err(|_| shared.stats.unshaken()).ok()?;
    seat.waits_for(Phase::First);
    let (mut streams, mut closing) = (FuturesUnordered::new(), false);
    // One for all streams: the time of a new one would begin again with each of them.
    let left = is_left(shared);
    tokio::pin!(left);
    loop {
        tokio::select! {
            biased;
            ending = seat.ended_but(closing) => {
                closing = true;
                if ending != Ending::Orderly || streams.is_empty() {
                    connection.close(code(ending), &[]);
                    return Some(ending);
                }
            }
            () = &mut left, if !closing => {
                closing = true;
                if streams.is_empty() {
                    connection.close(NO_ERROR, &[]);
                    return Some(Ending::Orderly);
                }
            }
            Some(done) = streams.next() => {
                if let Err(code) = done {
                    connection.close(code, &[]);
                    return None;
                }
                if streams.is_empty() {
                    seat.waits_for(Phase::Idle);
                }
                if streams.is_empty() && closing {
                    connection.close(NO_ERROR, &[]);
                    return Some(Ending::Orderly);
                }
            }
            accepted = connection.accept_bi(), if !closing => {
                let (send, receive) = accepted.ok()?;
                seat.touch();
                seat.waits_for(Phase::Busy);
                streams.push(exchange(shared, (client, tapped.as_ref()), send, receive));
            }
        }
    }
}

/// One query and its answer. What is wrong with a stream is the client's to notice; an error is what
/// ends the connection.
async fn exchange<A: Answers>(
    shared: &Shared<A>,
    (client, tapped): (IpAddr, Option<&Tapped>),
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), VarInt> {
    let limits = shared.clients.limits();
    let read = timeout(limits.message, receive.read_to_end(LENGTH + usize::from(u16::MAX)));
    let octets = match read.await {
        Ok(Ok(octets)) => octets,
        Ok(Err(ReadToEndError::TooLong)) => return Err(PROTOCOL_ERROR),
        // Taken back by the client.
        Ok(Err(ReadToEndError::Read(_))) => return Ok(()),
        Err(_) => {
            let _ = (receive.stop(EXCESSIVE_LOAD), send.reset(EXCESSIVE_LOAD));
            return Ok(());
        }
    };
    let query = query(&octets).ok_or(PROTOCOL_ERROR)?;
    let arrival = Arrival { idle: None, ..shared.arrival(client, Transport::Quic) };
    let write = limits.write;
    let answering = Answering { shared, arrival, tapped, send: &mut send, write };
    match answering.answer(query).await {
        Answered::Whole => finish(&mut send, limits.write).await,
        Answered::Stuck => {
            let _ = send.reset(EXCESSIVE_LOAD);
        }
        Answered::Broken => {
            let _ = send.reset(INTERNAL_ERROR);
        }
        Answered::NoQuery => return Err(PROTOCOL_ERROR),
    }
    Ok(())
}

/// Until the client has it all: the stream counts as under way so long.
async fn finish(send: &mut SendStream, write: Duration) {
    let _ = send.finish();
    if timeout(write, send.stopped()).await.is_err() {
        let _ = send.reset(EXCESSIVE_LOAD);
    }
}

struct Answering<'s, A> {
    shared: &'s Shared<A>,
    arrival: Arrival<'s>,
    tapped: Option<&'s Tapped>,
    send: &'s mut SendStream,
    write: Duration,
}

enum Answered {
    Whole,
    /// The client does not take it.
    Stuck,
    /// We cannot make it.
    Broken,
    /// It was none.
    NoQuery,
}

impl<A: Answers> Answering<'_, A> {
    async fn answer(mut self, query: &[u8]) -> Answered {
        let (answers, stats) = (self.shared.answers.as_ref(), &self.shared.stats);
        if let Some(transfer) = messages::begin(answers, query, &self.arrival, stats) {
            self.tapped.iter().for_each(|own| own.query(query));
            return self.transfer(transfer).await;
        }
        let mut out = Vec::new();
        match respond(answers, query, &self.arrival, &mut out) {
            Reply::Drop(why) => {
                stats.dropped(why);
                self.tapped.iter().for_each(|own| own.query(query));
                Answered::NoQuery
            }
            Reply::Send { rcode, truncated, notes } => {
                stats.answered(Transport::Quic, rcode, truncated);
                stats.noted(&notes);
                self.tapped.iter().for_each(|own| own.both(query, &out));
                if self.write(&out).await { Answered::Whole } else { Answered::Stuck }
            }
        }
    }

    async fn transfer(&mut self, mut transfer: Box<dyn Messages>) -> Answered {
        let mut out = Vec::new();
        loop {
            out.clear();
            match transfer.next(self.shared.clock.read(), &mut out) {
                Next::Message if self.write(&out).await => {
                    self.tapped.iter().for_each(|own| own.answer(&out));
                    let rcode = out.get(3).map_or(0, |octet| u16::from(octet & 0x0f));
                    self.shared.stats.answered(Transport::Quic, rcode, false);
                }
                Next::Message => return Answered::Stuck,
                Next::End => return Answered::Whole,
                Next::Abort => return Answered::Broken,
            }
        }
    }

    async fn write(&mut self, message: &[u8]) -> bool {
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
        let written = async {
            self.send.write_all(&length).await?;
            self.send.write_all(message).await
        };
        timeout(self.write, written).await.is_ok_and(|written| written.is_ok())
    }
}

/// The message on a stream: one, whole, with the ID 0 (§4.2.1).
fn query(octets: &[u8]) -> Option<&[u8]> {
    let (length, message) = octets.split_first_chunk::<LENGTH>()?;
    let whole = message.len() == usize::from(u16::from_be_bytes(*length));
    (whole && message.len() >= HEADER && message[..2] == [0, 0]).then_some(message)
}

/// What a connection is closed with.
fn code(ending: Ending) -> VarInt {
    match ending {
        Ending::Kicked => EXCESSIVE_LOAD,
        Ending::Orderly | Ending::Overdue | Ending::Cut => NO_ERROR,
    }
}

// RFC 9250 §4.3.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const INTERNAL_ERROR: VarInt = VarInt::from_u32(1);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
/// The octets of a message's length (§4.2).
const LENGTH: usize = 2;
/// What a client may send on a stream before it is read: the longest query fits.
const WINDOW: VarInt = VarInt::from_u32(2 + 65_535);
/// And on all streams of a connection; and what it may let wait of our answers.
const ALL_WINDOWS: VarInt = VarInt::from_u32(256 << 10);
/// Octets of a connection that is not accepted yet, and of all those.
const MAX_EARLY: u64 = 16 << 10;
const MAX_EARLY_ALL: u64 = 4 << 20;
/// How long after another process has taken over a stream may begin.
const LAST_STREAM: Duration = Duration::from_millis(250);
/// For the last packets of connections that are closed.
const GOODBYE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
    }

    #[test]
    fn a_stream_has_one_whole_message_with_the_id_0() {
        let message = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        assert_eq!(query(&framed(&message)), Some(&message[..]));
        let mut other = message;
        other[1] = 1;
        assert_eq!(query(&framed(&other)), None, "an ID");
        assert_eq!(query(&[framed(&message), vec![0]].concat()), None, "more");
        assert_eq!(query(&framed(&message)[..20]), None, "less");
        assert_eq!(query(&framed(&[0; 11])), None, "no header");
    }
}
