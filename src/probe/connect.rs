//! One TCP connection, and what an error of a socket says: about the other side, or about us.

use crate::health::{Failure, Target};
use std::{io, net::SocketAddr};
use tokio::net::{TcpSocket, TcpStream};

/// Connects to the target's address, and to nothing else.
///
/// The connection ends with a reset as soon as it is dropped: thousands of checks a second leave
/// no port waiting (TIME_WAIT), and no octet that the other side still has is waited for.
pub(super) async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    // An IPv4-mapped address was judged as IPv4, so it is connected to as IPv4.
    let to = SocketAddr::new(target.address.to_canonical(), target.check.port);
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|error| Failure::Local(error.to_string()))?;
    socket.set_zero_linger().map_err(|error| Failure::Local(error.to_string()))?;
    socket.connect(to).await.map_err(|error| refused(&error))
}

/// What broke while a response was awaited.
pub(super) fn broken(error: &io::Error) -> Failure {
    if is_local(error) {
        Failure::Local(error.to_string())
    } else {
        Failure::Protocol(format!("{} before the response was whole", error.kind()))
    }
}

fn refused(error: &io::Error) -> Failure {
    if is_local(error) {
        Failure::Local(error.to_string())
    } else {
        Failure::Connect(error.kind().to_string())
    }
}

/// Errors that say nothing about the other side: no sockets, ports, memory or route of ours, or
/// our own firewall.
fn is_local(error: &io::Error) -> bool {
    let ours = matches!(
        error.kind(),
        io::ErrorKind::AddrInUse
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::PermissionDenied
    );
    ours || error.raw_os_error().is_some_and(|code| NO_ROOM.contains(&code))
}

/// ENFILE, EMFILE and ENOBUFS (Linux, BSD), which have no kind of their own.
const NO_ROOM: [i32; 4] = [23, 24, 105, 55];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_our_own_fault_says_nothing_about_the_endpoint() {
        // EPERM, ENOMEM, ENFILE, EMFILE, EADDRNOTAVAIL, ENETUNREACH, ENOBUFS on Linux.
        for code in [1, 12, 23, 24, 99, 101, 105] {
            let failure = refused(&io::Error::from_raw_os_error(code));
            assert!(!failure.counts(), "{code}: {failure}");
        }
        // ECONNRESET, ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH on Linux.
        for code in [104, 110, 111, 113] {
            let failure = refused(&io::Error::from_raw_os_error(code));
            assert!(failure.counts(), "{code}: {failure}");
        }
    }
}
