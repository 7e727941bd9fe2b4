//! The words of a hand-over and the sockets that go with them: one packet each on a Unix socket
//! that keeps their bounds.

use super::SOON;
use anyhow::{Context, anyhow, bail};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, UCred,
        sockopt::{Timeout, set_socket_timeout, socket_peercred},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::net::UnixListener;

/// What the two say.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Word {
    /// The first, of the new process.
    Hello {
        version: u32,
    },
    /// So many sockets come, one with each word that follows.
    Sockets {
        count: usize,
    },
    Socket,
    Prepared,
    /// Whether the old process was ready, and how many of its zones lacked something: the new one
    /// has to do as well.
    Paused {
        ready: bool,
        lacking: usize,
    },
    Ready,
    Go,
    Serving,
    Alone,
    No {
        reason: String,
    },
}

/// What the words above are.
pub(super) const VERSION: u32 = 1;
/// Octets of a word, at most.
const WORD: usize = 1_024;

/// One side's end.
#[derive(Debug)]
pub(in crate::controller) struct Channel {
    socket: OwnedFd,
    pub(super) other: UCred,
}

impl Channel {
    /// Both ends of one.
    #[cfg(test)]
    pub(super) fn pair() -> (Self, Self) {
        let (domain, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::SEQPACKET);
        let (one, other) =
            rustix::net::socketpair(domain, kind, SocketFlags::CLOEXEC, None).unwrap();
        (Self::new(one).unwrap(), Self::new(other).unwrap())
    }

    fn new(socket: OwnedFd) -> io::Result<Self> {
        let other = socket_peercred(&socket)?;
        Ok(Self { socket, other })
    }

    /// Who is at the other end, for people.
    pub(super) fn peer(&self) -> String {
        format!("process {}, user {}", self.other.pid.as_raw_nonzero(), self.other.uid.as_raw())
    }

    pub(super) fn send(&self, word: &Word) -> anyhow::Result<()> {
        self.send_with(word, None)
    }

    pub(super) fn send_with(
        &self,
        word: &Word,
        socket: Option<BorrowedFd<'_>>,
    ) -> anyhow::Result<()> {
        set_socket_timeout(&self.socket, Timeout::Send, Some(SOON))?;
        let octets = serde_json::to_vec(word)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sockets = socket.map(|own| [own]);
        if let Some(sockets) = &sockets {
            control.push(SendAncillaryMessage::ScmRights(sockets));
        }
        let octets = [IoSlice::new(&octets)];
        let sent = rustix::net::sendmsg(&self.socket, &octets, &mut control, SendFlags::NOSIGNAL);
        sent.map(drop).with_context(|| format!("{} went away", self.peer()))
    }

    /// The next word, and the socket that came with it; `None` once the other end is closed.
    pub(super) fn next(&self, within: Duration) -> anyhow::Result<Option<(Word, Option<OwnedFd>)>> {
        set_socket_timeout(&self.socket, Timeout::Recv, Some(within))?;
        let mut octets = [0; WORD];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let came = loop {
            let into = &mut [IoSliceMut::new(&mut octets)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match rustix::net::recvmsg(&self.socket, into, &mut control, flags) {
                // What was said before it was closed is still to be had.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                other => break other,
            }
        };
        let came = match came {
            Ok(came) if came.bytes > 0 => came,
            Err(Errno::AGAIN) => bail!("{} said nothing for {within:?}", self.peer()),
            Ok(_) => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} is lost", self.peer())),
        };
        let sockets = control.drain().filter_map(|own| match own {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        let socket = sockets.flatten().next();
        let word = serde_json::from_slice(&octets[..came.bytes.min(WORD)])
            .map_err(|_| anyhow!("{} says what this version does not know", self.peer()))?;
        Ok(Some((word, socket)))
    }

    /// The word that has come already, where one has.
    pub(super) fn waiting(&self) -> Option<Word> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(&self.socket, &mut [0; 1], flags) {
            Ok((_, 1..)) => self.next(SOON).ok().flatten().map(|came| came.0),
            _ => None,
        }
    }

    /// The same where one has to come.
    pub(super) fn receive(&self, within: Duration) -> anyhow::Result<(Word, Option<OwnedFd>)> {
        self.next(within)?.with_context(|| format!("{} went away", self.peer()))
    }

    /// Whether the other end is closed, and nothing it said is left to be heard.
    pub(super) fn is_closed(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(rustix::net::recv(&self.socket, &mut [0; 1], flags), Ok((_, 0)))
    }

    /// The word that must come next.
    pub(super) fn expect(&self, word: &Word, within: Duration) -> anyhow::Result<()> {
        match self.receive(within)?.0 {
            came if came == *word => Ok(()),
            Word::No { reason } => bail!("{} refuses: {reason}", self.peer()),
            other => bail!("{} said {other:?} where {word:?} was expected", self.peer()),
        }
    }

    /// The old process's last word: it reads no QUIC socket any more.
    pub(in crate::controller) fn say_alone(&self) -> anyhow::Result<()> {
        self.send(&Word::Alone)
    }
}

/// Listens for new processes at that path, in place of whatever is there: a process that still had
/// it was asked before.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = beside(path);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = seqpacket(SocketFlags::NONBLOCK)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&new)?)?;
    // Under its name it is private from the first moment on.
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, 4)?;
    fs::rename(&new, path)?;
    // Accepting is the same for packets and for streams.
    UnixListener::from_std(socket.into())
}

pub(super) async fn accept(listener: &UnixListener) -> io::Result<Channel> {
    let socket = listener.accept().await?.0.into_std()?;
    socket.set_nonblocking(false)?;
    Channel::new(socket.into())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// The process that listens at that path; `None` where none does.
pub(super) fn connect(path: &Path) -> anyhow::Result<Option<Channel>> {
    let cannot = || format!("cannot ask for sockets at {}", path.display());
    let address = SocketAddrUnix::new(path).with_context(cannot)?;
    let socket = seqpacket(SocketFlags::empty()).with_context(cannot)?;
    match rustix::net::connect(socket.as_fd(), &address) {
        Ok(()) => Ok(Some(Channel::new(socket).with_context(cannot)?)),
        // No file; or one that a process left behind.
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
        Err(error) => Err(error).with_context(cannot),
    }
}

fn seqpacket(flags: SocketFlags) -> io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    Ok(socket)
}

/// Whether a process of that user may give us sockets, or take ours.
pub(super) fn is_trusted(other: UCred, also: Option<u32>) -> bool {
    let (uid, own) = (other.uid.as_raw(), rustix::process::geteuid().as_raw());
    uid == 0 || uid == own || (own == 0 && Some(uid) == also)
}
