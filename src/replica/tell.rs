//! Tells a secondary that a zone changed (RFC 1996 §3), and waits for its answer.

use crate::{
    model::Name,
    transfer::{Checker, Clock, Head, Key, Packer, Record, read_response},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::UdpSocket, time::timeout};

/// A secondary that is there answers at once; silence is told again later.
const PATIENCE: Duration = Duration::from_secs(3);
const OPCODE_NOTIFY: u8 = 4;
const SOA: [u8; 4] = [0, 6, 0, 1];

/// Sends a notice that `zone` has this SOA now; the response code of its answer.
///
/// # Errors
/// When there is no answer, or none that can be believed.
pub async fn tell(
    to: SocketAddr,
    key: Option<Arc<Key>>,
    zone: &Name,
    soa: Option<&Record>,
    clock: Clock,
) -> Result<u8, String> {
    let id = fastrand::u16(..).to_be_bytes();
    let mut message = notice(id, zone, soa);
    let mut checker = key.map(|key| Checker::sign(key, &mut message, clock()));
    let socket = connect(to).await.map_err(|error| error.to_string())?;
    socket.send(&message).await.map_err(|error| error.to_string())?;
    let heard = timeout(PATIENCE, answer(&socket, id)).await;
    let packet = heard.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string())?;
    let rows = read_response(&packet).map_err(|error| error.to_string())?;
    if let Some(checker) = checker.as_mut().filter(|_| rows.tsig.is_some() || rows.rcode == 0) {
        checker.check(&packet, rows.tsig, clock())?;
    }
    Ok(rows.rcode)
}

fn notice(id: [u8; 2], zone: &Name, soa: Option<&Record>) -> Vec<u8> {
    let question = [zone.as_wire(), &SOA].concat();
    let head = Head { id, opcode: OPCODE_NOTIFY, authoritative: true, question, ..Head::default() };
    let mut packer = Packer::begin(&head, 512);
    // §3.7: the SOA is a hint, and no loss where it does not fit.
    let _ = soa.is_some_and(|soa| packer.push(soa));
    let mut message = packer.finish();
    message[2] &= 0x7f;
    message
}

async fn connect(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr =
        if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// The first datagram that answers the notice; others are not for us.
async fn answer(socket: &UdpSocket, id: [u8; 2]) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; 4_096];
    loop {
        let length = socket.recv(&mut packet).await?;
        let ours = read_response(&packet[..length])
            .is_ok_and(|rows| rows.id == id && rows.opcode == OPCODE_NOTIFY);
        if ours {
            packet.truncate(length);
            return Ok(packet);
        }
    }
}
