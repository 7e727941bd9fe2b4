//! Listening sockets that are there already: of the process that this one takes the place of, or of
//! a service manager. A socket that two processes hold is one queue, so nothing that waits in it is
//! lost when one of them goes; one that is bound anew on the same port has a queue of its own.

use socket2::{SockRef, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Sockets by where they listen, until they are taken.
#[derive(Debug, Default)]
pub struct Handed {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

impl Handed {
    /// Adds a socket; one that listens for neither UDP nor TCP is closed.
    ///
    /// # Errors
    /// When it is no socket.
    pub fn add(&mut self, socket: OwnedFd) -> io::Result<()> {
        let own = SockRef::from(&socket);
        match (own.local_addr()?.as_socket(), own.r#type()?) {
            (Some(_), Type::DGRAM) => {
                super::tune_udp(&own);
                self.udp.push(socket.into());
            }
            (Some(_), Type::STREAM) => {
                super::tune_tcp(&own)?;
                own.set_nonblocking(true)?;
                self.tcp.push(socket.into());
            }
            _ => {}
        }
        Ok(())
    }

    /// The listener on that address.
    pub fn tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let bound = |own: &TcpListener| own.local_addr().is_ok_and(|own| own == address);
        let place = self.tcp.iter().position(bound)?;
        Some(self.tcp.swap_remove(place))
    }

    /// All sockets on that address.
    pub fn udp(&mut self, address: SocketAddr) -> Vec<UdpSocket> {
        let bound = |own: &mut UdpSocket| own.local_addr().is_ok_and(|own| own == address);
        self.udp.extract_if(.., bound).collect()
    }
}

/// When a server makes room for another one on the same sockets, and when it is alone on them.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// Set once another process serves the sockets: nothing new is taken from them then, and the
    /// connections that are open are served until they are idle or the server is shut down.
    pub leaving: CancellationToken,
    /// Where the process before still reads the QUIC sockets, when it is done: a packet is of use
    /// only to the process that has its connection, so two cannot read one socket.
    pub alone: Option<CancellationToken>,
    /// What reads the QUIC sockets.
    pub quic: TaskTracker,
}
