//! Many datagrams in one system call, recvmmsg(2) and sendmmsg(2), and each answer from the address
//! that its query was sent to: clients take no answer from another (RFC 1123 §6.1.3.5), and a
//! socket on all of a machine's addresses would otherwise send from whichever the route prefers.

use nix::{
    cmsg_space,
    errno::Errno,
    libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn,
        SockaddrIn6, SockaddrLike, recvmmsg, sendmmsg, setsockopt, sockopt,
    },
};
use smallvec::SmallVec;
use std::{
    io::{IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
};

/// Datagrams of one call, at most.
pub(super) const BATCH: usize = 64;
/// Octets of a query, at most: no query that means something is longer than what an Ethernet frame
/// carries, and what is cut off makes the rest a format error. An odd number of cache lines, so
/// that the beginnings of a batch's queries do not all fall into the same few places of the cache.
const QUERY: usize = 25 * 64;
/// Room for so many is given to the system at least; for more when more came.
const LEAST: usize = 8;

/// A client's address as the kernel has it.
pub(super) trait Peer: SockaddrLike + Copy {
    fn address(&self) -> SocketAddr;
}

impl Peer for SockaddrIn {
    fn address(&self) -> SocketAddr {
        SocketAddrV4::new(self.ip(), self.port()).into()
    }
}

impl Peer for SockaddrIn6 {
    fn address(&self) -> SocketAddr {
        SocketAddrV6::new(self.ip(), self.port(), self.flowinfo(), self.scope_id()).into()
    }
}

/// The one of our own addresses that a datagram was sent to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Local {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl PartialEq for Local {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::V4(one), Self::V4(other)) => {
                one.ipi_spec_dst.s_addr == other.ipi_spec_dst.s_addr
            }
            (Self::V6(one), Self::V6(other)) => {
                one.ipi6_addr.s6_addr == other.ipi6_addr.s6_addr
                    && one.ipi6_ifindex == other.ipi6_ifindex
            }
            _ => false,
        }
    }
}

impl Local {
    pub(super) fn ip(self) -> IpAddr {
        match self {
            Self::V4(info) => Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr)).into(),
            Self::V6(info) => Ipv6Addr::from(info.ipi6_addr.s6_addr).into(),
        }
    }

    fn of<S: Peer>(message: &RecvMsg<'_, '_, S>) -> Option<Self> {
        message.cmsgs().ok()?.find_map(|own| match own {
            // The route to the client decides about the interface, but for link-local addresses.
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Self::V4(libc::in_pktinfo { ipi_ifindex: 0, ..info }))
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let [high, low, ..] = info.ipi6_addr.s6_addr;
                let link_local = high == 0xfe && low & 0xc0 == 0x80;
                let ipi6_ifindex = if link_local { info.ipi6_ifindex } else { 0 };
                Some(Self::V6(libc::in6_pktinfo { ipi6_ifindex, ..info }))
            }
            _ => None,
        })
    }
}

/// Whether to wait for a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wait {
    ForOne,
    Never,
}

/// A datagram that came, whose octets are in that slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received<S> {
    pub(super) slot: usize,
    pub(super) octets: usize,
    pub(super) from: S,
    pub(super) local: Option<Local>,
}

/// An answer to be sent, whose octets are in that slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing<S> {
    pub(super) slot: usize,
    pub(super) to: S,
    pub(super) from: Option<Local>,
}

/// Memory for one batch of queries and its answers.
pub(super) struct Batch<S> {
    packets: Box<[[u8; QUERY]; BATCH]>,
    /// What came last.
    pub(super) received: Vec<Received<S>>,
    /// By slot.
    pub(super) answers: Vec<Vec<u8>>,
    /// How many datagrams the next call has room for: each costs, whether it comes or not.
    room: usize,
    receiving: MultiHeaders<S>,
    sending: MultiHeaders<S>,
    sending_from: MultiHeaders<S>,
}

impl<S: Peer> Batch<S> {
    pub(super) fn new(pinned: bool) -> Self {
        let packets = vec![[0; QUERY]; BATCH].into_boxed_slice();
        let space = || cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
        Self {
            received: Vec::with_capacity(BATCH),
            room: BATCH,
            packets: packets.try_into().expect("a vector of BATCH is an array of BATCH"),
            answers: (0..BATCH).map(|_| Vec::with_capacity(crate::server::MAX_UDP)).collect(),
            receiving: MultiHeaders::preallocate(BATCH, pinned.then(space)),
            sending: MultiHeaders::preallocate(BATCH, None),
            sending_from: MultiHeaders::preallocate(BATCH, Some(space_for_one::<S>())),
        }
    }

    /// A query's octets.
    pub(super) fn packet(&self, received: &Received<S>) -> &[u8] {
        &self.packets[received.slot][..received.octets.min(QUERY)]
    }

    /// Takes what is there, and waits for it or not; all of it is in `received` then.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> Result<(), Errno> {
        let mut slices = self.packets.each_mut().map(|packet| [IoSliceMut::new(packet)]);
        let room = slices.iter_mut().take(self.room);
        let flags = match wait {
            Wait::ForOne => MsgFlags::MSG_WAITFORONE,
            Wait::Never => MsgFlags::MSG_DONTWAIT,
        };
        let all = recvmmsg(socket.as_raw_fd(), &mut self.receiving, room, flags, None)?;
        let read = |(slot, message): (usize, RecvMsg<'_, '_, S>)| {
            let local = Local::of(&message);
            Some(Received { slot, octets: message.bytes, from: message.address?, local })
        };
        self.received.clear();
        self.received.extend(all.enumerate().filter_map(read));
        self.room = (2 * self.received.len()).clamp(LEAST, BATCH);
        Ok(())
    }

    /// Sends; how many could not be.
    pub(super) fn send(&mut self, socket: &UdpSocket, all: &[Outgoing<S>]) -> usize {
        let runs = all.chunk_by(|one, other| one.from == other.from);
        runs.map(|run| self.send_run(socket, run)).sum()
    }

    /// Those that go out from one address.
    fn send_run(&mut self, socket: &UdpSocket, mut rest: &[Outgoing<S>]) -> usize {
        let mut failed = 0;
        while let Some(first) = rest.first() {
            let sent = match self.send_some(socket, first.from, rest) {
                Ok(sent) => sent,
                // The buffer stays full: whoever waited for these has asked again.
                Err(Errno::EAGAIN) => return failed + rest.len(),
                Err(_) => 0,
            };
            // What was refused is of the first that is left: no route, a firewall.
            failed += usize::from(sent == 0);
            rest = &rest[sent.max(1)..];
        }
        failed
    }

    fn send_some(
        &mut self,
        socket: &UdpSocket,
        from: Option<Local>,
        all: &[Outgoing<S>],
    ) -> Result<usize, Errno> {
        let slices: SmallVec<[[IoSlice<'_>; 1]; BATCH]> =
            all.iter().map(|one| [IoSlice::new(&self.answers[one.slot])]).collect();
        let to: SmallVec<[Option<S>; BATCH]> = all.iter().map(|one| Some(one.to)).collect();
        let own = from.as_ref().map(|local| match local {
            Local::V4(info) => [ControlMessage::Ipv4PacketInfo(info)],
            Local::V6(info) => [ControlMessage::Ipv6PacketInfo(info)],
        });
        let (headers, own) = match &own {
            Some(own) => (&mut self.sending_from, own.as_slice()),
            None => (&mut self.sending, [].as_slice()),
        };
        let flags = MsgFlags::empty();
        sendmmsg(socket.as_raw_fd(), headers, slices.iter(), &to, own, flags).map(Iterator::count)
    }
}

/// Room for the one address that an answer goes out from.
fn space_for_one<S: SockaddrLike>() -> Vec<u8> {
    match S::size() == SockaddrIn::size() {
        true => cmsg_space!(libc::in_pktinfo),
        false => cmsg_space!(libc::in6_pktinfo),
    }
}

/// Has the kernel say which address each datagram was sent to.
pub(super) fn ask_for_local(socket: &UdpSocket, ipv6: bool) -> Result<(), Errno> {
    match ipv6 {
        true => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true),
        false => setsockopt(socket, sockopt::Ipv4PacketInfo, &true),
    }
}
