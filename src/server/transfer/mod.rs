//! Answers what is no lookup: transfers, notices, and whatever is signed.
//!
//! Who asks is known before anything is done for him: first the signature, then the rules, then the
//! quota, so that nobody without a right to a zone can use up the places of those who have it.

mod expire;
mod given;
mod notices;

pub use notices::Notice;

use super::{
    clock::Stamp,
    edns::Edns,
    guard::{self, Notes},
    message::Rcode,
    messages::Messages,
    opt::{self, Extended, Extras},
    respond::{self, Answers, Arrival, MAX_UDP, Reply, Transport},
    rrl::{Kind, Verdict},
};
use crate::{
    model::Key,
    records::{Completeness, Zone, ZoneSet, can_be_copied},
    transfer::{
        Event, Expire, Head, History, Journal, Journaled, Outgoing, Packer, Past, Refused, Request,
        Rules, Signer, Stats, Wanted, append_opt, concerns, read_request, verify_request,
    },
};
use arc_swap::ArcSwap;
use given::{Given, Places};
use imbl::OrdMap;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::mpsc;

/// Zones with their past, and who may have them.
#[derive(Debug)]
pub struct Transfers {
    zones: ArcSwap<Zones>,
    rules: ArcSwap<Rules>,
    journal: Journal,
    places: Places,
    notices: Option<mpsc::Sender<Notice>>,
    /// Until when zones may be used whose static part came from elsewhere, in seconds since 1970.
    ends: ArcSwap<BTreeMap<Key, u64>>,
    /// Of zones that were not served yet since the start. Taken by the one writer alone.
    past: Mutex<BTreeMap<Key, Past>>,
    stats: Arc<Stats>,
}

#[derive(Clone, Debug, Default)]
struct Zones {
    served: ZoneSet,
    /// Of those that somebody may have, and that can be given.
    histories: OrdMap<Key, History>,
}

/// Nobody may have anything.
impl Default for Transfers {
    fn default() -> Self {
        Self::new(0, None, Arc::default())
    }
}

const NOERROR: u8 = 0;
const FORMERR: u8 = 1;
const SERVFAIL: u8 = 2;
const REFUSED: u8 = 5;
const NOTAUTH: u8 = 9;
const SOA: u16 = 6;
const IXFR: u16 = 251;
const AXFR: u16 = 252;
const CLASS_IN: u16 = 1;
const MOST: usize = 65_535;

impl Transfers {
    /// At most so many transfers at a time; notices that are heeded go there.
    #[must_use]
    pub fn new(places: usize, notices: Option<mpsc::Sender<Notice>>, stats: Arc<Stats>) -> Self {
        Self {
            zones: ArcSwap::default(),
            rules: ArcSwap::default(),
            journal: Journal::default(),
            places: Places::new(places),
            notices,
            ends: ArcSwap::default(),
            past: Mutex::default(),
            stats,
        }
    }

    /// Puts rules in force.
    pub fn rule(&self, rules: Arc<Rules>) {
        self.rules.store(rules);
        let served = self.zones.load().served.clone();
        self.publish(&served);
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Puts zones in force. Called by one writer; costs what changed.
    pub fn publish(&self, served: &ZoneSet) {
        let (old, rules) = (self.zones.load(), self.rules.load());
        let mut histories = OrdMap::new();
        for zone in served.iter() {
            if !rules.is_given(zone.key()) || !is_ready(zone) {
                continue;
            }
            let history = match old.histories.get(zone.key()) {
                Some(own) if Arc::ptr_eq(own.zone(), zone) => own.clone(),
                Some(own) => own.with(zone.clone(), self.journal),
                None => self.begin(zone),
            };
            histories.insert(zone.key().clone(), history);
        }
        self.zones.store(Arc::new(Zones { served: served.clone(), histories }));
    }

    /// With what was known of it before this process.
    fn begin(&self, zone: &Arc<Zone>) -> History {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner).remove(zone.key());
        match past {
            Some(past) => History::resumed(past, zone.clone(), self.journal),
            None => History::new(zone.clone()),
        }
    }

    /// Hands over what a process before this one knew of a zone's past, for when it is served.
    pub fn remember(&self, zone: Key, past: Past) {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).insert(zone, past);
    }

    /// The zones that are given to somebody, with their past.
    #[must_use]
    pub fn histories(&self) -> Vec<History> {
        self.zones.load().histories.values().cloned().collect()
    }

    /// The zones that are given to somebody.
    #[must_use]
    pub fn journals(&self) -> Vec<Journaled> {
        let zones = self.zones.load();
        let journaled = |own: &History| Journaled {
            zone: own.zone().apex().clone(),
            versions: own.versions(),
            octets: own.octets(),
        };
        zones.histories.values().map(journaled).collect()
    }

    /// How many transfers are under way.
    #[must_use]
    pub fn running(&self) -> usize {
        self.places.taken()
    }

    /// The messages of the transfer that a packet asks for over a stream; `None` where one message
    /// answers it.
    #[must_use]
    pub fn open(&self, packet: &[u8], arrival: &Arrival<'_>) -> Option<Box<dyn Messages>> {
        // One stream of HTTP holds one answer (RFC 8484 §4.2).
        if !arrival.transport.is_stream() || arrival.transport == Transport::Https {
            return None;
        }
        let (request, signer) = self.identify(packet, arrival.at).ok()?;
        let history = self.permitted(&request, signer.as_ref(), arrival).ok()?;
        let (wanted, head) = (wanted(&request).ok()?, head(&request, NOERROR));
        let outgoing = Outgoing::new(&history, wanted, head)?;
        let place = self.places.take()?;
        let opt = self.opt(&request, Some(history.zone()), arrival.at);
        Some(Box::new(Given::new(outgoing, signer, opt, place, self.stats.clone())))
    }

    /// Answers a packet that [`concerns`] transfers, with one message.
    pub(super) fn respond<A: Answers>(
        &self,
        answers: &A,
        packet: &[u8],
        arrival: &Arrival<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let (request, mut signer) = match self.identify(packet, arrival.at) {
            Ok(known) => known,
            Err(refusal) => {
                // Not where a stream asks first whether there is more than one message to give.
                refusal.tsig.into_iter().for_each(|error| self.stats.count(Event::Tsig(error)));
                return refusal.write(arrival, out);
            }
        };
        let transfer = request.opcode == 0 && matches!(request.rtype.0, IXFR | AXFR);
        let reply = if request.is_notice() {
            self.answer_notice(&request, signer.as_ref(), arrival, out)
        } else if transfer {
            self.one_message(&request, signer.as_ref(), arrival, out)
        } else {
            // Signed, and a lookup otherwise: the same answer as without a signature.
            let Some(at) = request.tsig else { return Reply::Drop(super::Dropped::Short) };
            return self.signed_lookup(answers, packet, at, signer, arrival, out);
        };
        sealed(reply, &mut signer, arrival, limit(&request, arrival.transport), out)
    }

    fn signed_lookup<A: Answers>(
        &self,
        answers: &A,
        packet: &[u8],
        at: usize,
        mut signer: Option<Signer>,
        arrival: &Arrival<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let mut message = packet[..at].to_vec();
        let count = u16::from_be_bytes([message[10], message[11]]).saturating_sub(1);
        message[10..12].copy_from_slice(&count.to_be_bytes());
        let most = read_request(&message).map_or(MAX_UDP, |own| limit(&own, arrival.transport));
        let reply = respond::respond(answers, &message, arrival, out);
        sealed(reply, &mut signer, arrival, most, out)
    }

    /// Reads the request, and whose it is.
    fn identify(
        &self,
        packet: &[u8],
        at: Stamp,
    ) -> Result<(Request, Option<Signer>), Box<Refusal>> {
        let refusal =
            |request, rcode| Box::new(Refusal { request, rcode, signer: None, tsig: None });
        let request = read_request(packet).map_err(|(request, _)| refusal(request, FORMERR))?;
        let Some(begin) = request.tsig else { return Ok((request, None)) };
        match verify_request(&self.rules.load().keys, packet, begin, at.seconds.into()) {
            Ok(verified) => Ok((request, Some(verified.signer))),
            Err(Refused::Malformed) => Err(refusal(request, FORMERR)),
            Err(Refused::NotAuth { error, signer }) => {
                let (signer, tsig) = (Some(signer), Some(error.name()));
                Err(Box::new(Refusal { request, rcode: NOTAUTH, signer, tsig }))
            }
        }
    }

    /// The zone that is asked for, if who asks may have it; else the response code.
    fn permitted(
        &self,
        request: &Request,
        signer: Option<&Signer>,
        arrival: &Arrival<'_>,
    ) -> Result<History, (u8, &'static str)> {
        if request.class != CLASS_IN {
            return Err((REFUSED, "class"));
        }
        let zones = self.zones.load();
        // RFC 5936 §2.2.1: not for a zone that is not ours.
        let zone = zones.served.get(&request.name).ok_or((NOTAUTH, "zone"))?;
        let key = signer.and_then(Signer::key);
        let rules = self.rules.load();
        let may_have = |private| rules.may_have(&request.name, key, arrival.from, private);
        if !may_have(arrival.private) {
            return Err((REFUSED, if may_have(true) { "tls" } else { "rules" }));
        }
        if !can_be_copied(zone) {
            return Err((REFUSED, "compact"));
        }
        // It is not complete yet (invariant I13).
        let history = zones.histories.get(&request.name.key());
        history.cloned().ok_or((SERVFAIL, "incomplete"))
    }

    /// The one message that answers a request for a transfer: a datagram, or a refusal.
    fn one_message(
        &self,
        request: &Request,
        signer: Option<&Signer>,
        arrival: &Arrival<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let stream = arrival.transport.is_stream();
        let denied = |(rcode, why), out: &mut Vec<u8>| {
            self.stats.count(Event::Denied(why));
            let room = signer.map_or(0, Signer::room);
            let limit = limit(request, arrival.transport).saturating_sub(room);
            admitted(request, rcode, arrival, out, |out| refused(request, rcode, limit, out))
        };
        let history = match self.permitted(request, signer, arrival) {
            Ok(history) => history,
            Err(why) => return denied(why, out),
        };
        let wanted = match wanted(request) {
            Ok(wanted) => wanted,
            Err(why) => return denied(why, out),
        };
        if arrival.transport == Transport::Https {
            return denied((REFUSED, "https"), out);
        }
        if stream {
            // Whatever could be given was, by `open`.
            return denied((SERVFAIL, "quota"), out);
        }
        if wanted == Wanted::Whole {
            // RFC 5936 §4.2: there is no AXFR over UDP.
            return denied((REFUSED, "udp"), out);
        }
        let opt = self.opt(request, Some(history.zone()), arrival.at);
        let room = signer.map_or(0, Signer::room) + opt.map_or(0, Expire::room);
        let limit = limit(request, arrival.transport).saturating_sub(room);
        admitted(request, NOERROR, arrival, out, |out| {
            let outgoing = Outgoing::new(&history, wanted, head(request, NOERROR));
            let Some(datagram) = outgoing.and_then(|own| own.datagram(&history, limit)) else {
                self.stats.count(Event::Denied("size"));
                return plain(request, SERVFAIL, out);
            };
            self.stats.count(Event::Given("datagram"));
            *out = datagram;
            opt.into_iter().for_each(|expire| append_opt(out, expire));
            Reply::Send { rcode: NOERROR.into(), truncated: false, notes: Notes::default() }
        })
    }
}

/// Whether a zone can be given to others.
fn is_ready(zone: &Zone) -> bool {
    zone.completeness == Completeness::Complete && zone.soa().is_some() && can_be_copied(zone)
}

/// Why a request is not heeded at all.
struct Refusal {
    request: Request,
    rcode: u8,
    signer: Option<Signer>,
    /// What is wrong with its signature.
    tsig: Option<&'static str>,
}

impl Refusal {
    fn write(mut self, arrival: &Arrival<'_>, out: &mut Vec<u8>) -> Reply {
        let (request, rcode) = (&self.request, self.rcode);
        let reply = admitted(request, rcode, arrival, out, |out| plain(request, rcode, out));
        let limit = limit(&self.request, arrival.transport);
        sealed(reply, &mut self.signer, arrival, limit, out)
    }
}

fn wanted(request: &Request) -> Result<Wanted, (u8, &'static str)> {
    match (request.rtype.0, request.serial) {
        (AXFR, _) => Ok(Wanted::Whole),
        (IXFR, Some(serial)) => Ok(Wanted::Since(serial)),
        // RFC 1995 §3: the version that the client has stands in the authority section.
        _ => Err((FORMERR, "malformed")),
    }
}

fn head(request: &Request, rcode: u8) -> Head {
    Head {
        id: request.id,
        opcode: request.opcode,
        recursion_desired: request.flags[0] & 1 != 0,
        authoritative: rcode == NOERROR,
        rcode,
        question: request.question.clone(),
    }
}

/// Writes the answer as far as the limiter lets it: anybody can write a secondary's address on a
/// datagram, and send again what one has signed.
fn admitted(
    request: &Request,
    rcode: u8,
    arrival: &Arrival<'_>,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Reply,
) -> Reply {
    let kind = if rcode == NOERROR { Kind::Positive } else { Kind::Error };
    let (verdict, noted) = guard::admit(kind, arrival);
    let written = match verdict {
        Verdict::Pass => write(out),
        // Nobody comes over TCP with a notice for a TC.
        Verdict::Slip if !request.is_notice() => plain(request, NOERROR, out),
        Verdict::Slip | Verdict::Drop => return Reply::Drop(super::Dropped::Limited),
    };
    let Reply::Send { rcode, truncated, notes } = written else { return written };
    let slipped = verdict == Verdict::Slip;
    if slipped {
        out[2] = out[2] & !0x04 | 0x02;
    }
    let notes = Notes { extended: notes.extended, ..noted };
    Reply::Send { rcode, truncated: truncated || slipped, notes }
}

/// An answer without records.
fn plain(request: &Request, rcode: u8, out: &mut Vec<u8>) -> Reply {
    saying(None, request, rcode, MOST, out)
}

/// Of a transfer; one that is prohibited says so beside its code (RFC 8914 §4.19), where that is
/// no longer than it may be.
fn refused(request: &Request, rcode: u8, limit: usize, out: &mut Vec<u8>) -> Reply {
    let error = (rcode == REFUSED).then_some(Extended::PROHIBITED);
    saying(error, request, rcode, limit, out)
}

/// RFC 6891 §7: with an OPT where there was one.
fn saying(
    error: Option<Extended>,
    request: &Request,
    rcode: u8,
    limit: usize,
    out: &mut Vec<u8>,
) -> Reply {
    *out = Packer::begin(&head(request, rcode), MOST).finish();
    let edns = request.udp_size.map(Edns::bare);
    let extras = Extras { error, ..Extras::default() };
    opt::write(edns.as_ref(), Rcode(rcode.into()), 0, &extras, limit, out);
    let extended = error.filter(|_| edns.is_some()).map(|error| error.code);
    let notes = Notes { extended, ..Notes::default() };
    Reply::Send { rcode: rcode.into(), truncated: false, notes }
}

fn limit(request: &Request, transport: Transport) -> usize {
    match (transport.is_stream(), request.udp_size) {
        (true, _) => MOST,
        (false, None) => 512,
        (false, Some(size)) => usize::from(size).clamp(512, MAX_UDP),
    }
}

/// The answer that is sent, signed.
fn sealed(
    reply: Reply,
    signer: &mut Option<Signer>,
    arrival: &Arrival<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Reply {
    let (Reply::Send { rcode, truncated, notes }, Some(signer)) = (reply, signer) else {
        return reply;
    };
    let cut = seal(signer, arrival, limit, out);
    Reply::Send {
        rcode: if cut { NOERROR.into() } else { rcode },
        truncated: truncated || cut,
        notes,
    }
}

/// Signs the answer; whether it had to be cut to the question for that (RFC 8945 §5.3).
fn seal(signer: &mut Signer, arrival: &Arrival<'_>, limit: usize, out: &mut Vec<u8>) -> bool {
    let cut = out.len() + signer.room() > limit;
    if cut {
        cut_to_question(out);
    }
    // With names as long as names can be, the question itself is too much.
    if out.len() + signer.room() > limit {
        out.truncate(super::message::HEADER);
        out[4..6].fill(0);
    }
    // Then so may be a record that proves nothing, since the key is not known.
    if out.len() + signer.room() <= limit {
        signer.sign(out, arrival.at.seconds.into());
    }
    cut
}

fn cut_to_question(out: &mut Vec<u8>) {
    let name = out.get(super::message::HEADER..).and_then(super::message::plain_name);
    let end = match (out[5], name) {
        (1, Some(length)) => super::message::HEADER + length + 4,
        _ => super::message::HEADER,
    };
    out.truncate(end);
    out[6..12].fill(0);
    out[2] |= 0x02;
    // RFC 8945 §5.3: the code is NOERROR, so that the client asks again over TCP.
    out[3] &= 0xf0;
}

/// Whether a packet goes here rather than to a lookup.
pub(super) fn is_for(packet: &[u8]) -> bool {
    concerns(packet)
}
