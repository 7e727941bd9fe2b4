//! What guards the server, and others, from abuse: cookies, and limits to answers. One for all
//! sockets and transports; it also knows the server's name, which goes where cookies go.
//!
//! ```text
//! read ─▶ vet ─▶ refused? ── yes ─▶ admit(Error) ─▶ encode, or nothing
//!                   └─ no ─▶ look up ─▶ admit(kind) ─▶ encode, or nothing
//! ```

use super::{
    budget::Budget,
    cookies::{Cookies, Worth},
    edns::Keepalive,
    message::{Query, Rcode},
    opt::Extras,
    respond::{Arrival, Transport},
    rrl::{Kind, Limiter, Verdict},
    stats::Dropped,
};
use crate::records::{Led, RecordType};
use std::path::PathBuf;

/// Nothing is guarded by default.
#[derive(Debug, Default)]
pub struct Guard {
    /// Makes and checks cookies (RFC 7873); the option is ignored where there are none.
    pub cookies: Option<Cookies>,
    /// Limits answers over UDP.
    pub limiter: Option<Limiter>,
    /// Limits the time that is spent on one source's connections.
    pub budget: Option<Budget>,
    /// The server's name for those who ask which of many it is (RFC 5001); empty for none, at most
    /// [`Guard::MOST_NSID`] octets.
    pub nsid: Box<[u8]>,
    /// The file that the cookies' secrets stand in, for whoever keeps them in force; `None` where
    /// this server has one of its own.
    pub secrets: Option<PathBuf>,
}

impl Guard {
    /// It takes room from records, in answers of 512 octets too.
    pub const MOST_NSID: usize = 128;
}

/// What was noted about a query and its answer, to be counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Notes {
    /// What its cookie was worth, where it had one and cookies are on.
    pub cookie: Option<Worth>,
    /// What the limiter said, where that was not to pass.
    pub limited: Option<Verdict>,
    /// The limiter only counts: the answer went out as it was.
    pub dry_run: bool,
    /// The extended error's code (RFC 8914).
    pub extended: Option<u16>,
    /// Whom the answer leads to.
    pub led: Led,
    /// Its zone, by the number that answers of that are counted under; 0 for none.
    pub zone: u16,
    /// The type that was asked for.
    pub rtype: Option<RecordType>,
}

/// A query whose options have been looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vetted<'g> {
    /// An error is the answer; or NOERROR, where nothing was asked.
    pub(super) refused: Option<Rcode>,
    /// What goes into the answer's OPT.
    pub(super) extras: Extras<'g>,
    pub(super) notes: Notes,
    /// Where the limiter has a say.
    limiter: Option<&'g Limiter>,
}

/// Counts an answer that is no lookup's, to a request whose options say nothing here; what is to
/// become of it, and what to note.
pub(super) fn admit(kind: Kind<'_>, arrival: &Arrival<'_>) -> (Verdict, Notes) {
    let mut vetted = Vetted::new(None, arrival);
    (vetted.admit(kind, arrival), vetted.notes)
}

impl<'g> Vetted<'g> {
    /// One whose options were not looked at yet; `refused` is what was found wrong with it before.
    pub(super) fn new(refused: Option<Rcode>, arrival: &Arrival<'g>) -> Self {
        let limiter = arrival.guard.and_then(|guard| guard.limiter.as_ref());
        Self {
            refused,
            extras: Extras::default(),
            notes: Notes::default(),
            // A client over a connection has the address that it says.
            limiter: limiter.filter(|_| !arrival.transport.is_stream()),
        }
    }

    /// Looks at its options.
    ///
    /// # Errors
    /// No answer is due.
    pub(super) fn vet(&mut self, query: &Query<'_>, arrival: &Arrival<'g>) -> Result<(), Dropped> {
        self.keep_alive(query, arrival)?;
        self.take_cookie(query, arrival);
        if let Some(edns) = &query.edns {
            self.extras.padded = edns.padding && arrival.transport.is_encrypted();
            let nsid = arrival.guard.map_or(&[][..], |guard| &guard.nsid);
            self.extras.nsid = if edns.nsid { nsid } else { &[] };
        }
        Ok(())
    }

    /// RFC 7828 §3.3: over UDP the option is as if it were not there; where messages are no part
    /// of the connection's bookkeeping (HTTPS) it is so too, and over QUIC it breaks the protocol
    /// (RFC 9250 §4.3.3).
    fn keep_alive(&mut self, query: &Query<'_>, arrival: &Arrival<'g>) -> Result<(), Dropped> {
        let asked = query.edns.as_ref().and_then(|edns| edns.keepalive);
        let Some(asked) = asked else { return Ok(()) };
        match (arrival.transport, asked) {
            (Transport::Udp | Transport::Https, _) => {}
            (Transport::Quic, _) => return Err(Dropped::Protocol),
            (Transport::Tcp | Transport::Tls, Keepalive::Asked) => self.extras.idle = arrival.idle,
            (Transport::Tcp | Transport::Tls, Keepalive::Malformed) => {
                self.refused = self.refused.filter(|rcode| *rcode != Rcode::NOERROR);
                self.refused.get_or_insert(Rcode::FORMERR);
            }
        }
        Ok(())
    }

    fn take_cookie(&mut self, query: &Query<'_>, arrival: &Arrival<'g>) {
        let cookies = arrival.guard.and_then(|guard| guard.cookies.as_ref());
        let cookie = query.edns.as_ref().and_then(|edns| edns.cookie.as_ref());
        let (Some(cookies), Some(cookie)) = (cookies, cookie) else {
            // Nothing was asked, and there is nothing to say (RFC 7873 §5.4).
            let nothing = self.refused == Some(Rcode::NOERROR);
            self.refused = if nothing { Some(Rcode::FORMERR) } else { self.refused };
            return;
        };
        let (worth, whole) = cookies.check(cookie, arrival.from, arrival.at.seconds);
        self.notes.cookie = Some(worth);
        self.extras.cookie = Some(whole);
        if worth == Worth::Good {
            self.limiter = None;
            return;
        }
        let required = cookies.require() && !arrival.transport.is_stream();
        match self.refused {
            None if required => self.refused = Some(Rcode::BADCOOKIE),
            // A cookie alone was asked about (§5.4); a client that has none yet gets one.
            Some(Rcode::NOERROR) if worth == Worth::Bad => self.refused = Some(Rcode::BADCOOKIE),
            _ => {}
        }
    }

    /// Counts the answer; what is to become of it.
    pub(super) fn admit(&mut self, kind: Kind<'_>, arrival: &Arrival<'_>) -> Verdict {
        let Some(limiter) = self.limiter else { return Verdict::Pass };
        let draw = fastrand::u64(..);
        let verdict = limiter.judge(arrival.from, kind, arrival.at.millis, draw);
        if verdict == Verdict::Pass {
            return verdict;
        }
        (self.notes.limited, self.notes.dry_run) = (Some(verdict), limiter.is_dry());
        if limiter.is_dry() { Verdict::Pass } else { verdict }
    }
}
