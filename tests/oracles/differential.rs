//! NSD, Knot, BIND and ours load the same random zones and are asked the same random questions:
//! every difference is of a kind that the table in `differential/kinds.rs` has, with the RFC that
//! explains it. `DIFFERENTIAL_QUESTIONS=100000` asks more of more zones.
//!
//! Ours has each answer in two ways, put together ahead and by lookup; they are the same octets.

mod kinds;
mod message;
mod peers;
mod zones;

use fastrand::Rng;
use kinds::{KINDS, Seen};
use meridian::{
    records::ZoneSet,
    server::{self, Arrival, Compiled, Compiler, Reply as Sent, Transport},
};
use message::{Reply, query};
use peers::{ALL, Ours, Peer, Who, Zones};
use std::{collections::BTreeMap, sync::Arc};
use zones::{Asked, Made};

#[test]
fn differences_from_nsd_knot_and_bind_are_of_kinds_that_an_rfc_explains() {
    let asked = std::env::var("DIFFERENTIAL_QUESTIONS").ok();
    let questions: usize = asked.map_or(3_000, |count| count.parse().expect("a number"));
    let mut rng = Rng::with_seed(SEED);
    let made = zones::zones(&mut rng, (questions / 500).max(6));
    let bench = Bench::start(&made);
    let mut tally = Tally::default();
    for id in 0..questions {
        let asked = zones::question(&mut rng, &made);
        bench.ask(id as u16, &asked, &made, &mut tally);
    }
    println!("{questions} questions on {} zones\n{}", made.len(), tally.report());
    assert!(tally.unknown.is_empty(), "{}", tally.failures());
}

const SEED: u64 = 4_033;

/// All servers.
struct Bench {
    both: [Zones; 2],
    ours: Ours,
    peers: Vec<Peer>,
}

impl Bench {
    fn start(made: &[Made]) -> Self {
        let peers: Vec<Peer> = ALL.iter().map(|who| Peer::start(*who, made)).collect();
        let mut zones = ZoneSet::default();
        made.iter().for_each(|own| zones.put(Arc::new(own.zone.clone())));
        let compiled = Arc::new(Compiler::default().update(&zones));
        assert!(!compiled.is_empty());
        let ahead = Zones { zones: zones.clone(), compiled: compiled.clone() };
        let by_lookup = Zones { zones: zones.clone(), compiled: Arc::<Compiled>::default() };
        let ours = Ours::start(&Arc::new(Zones { zones, compiled }));
        let peers = peers.into_iter().map(|peer| peer.ready(made)).collect();
        Self { both: [ahead, by_lookup], ours, peers }
    }

    fn ask(&self, id: u16, asked: &Asked, made: &[Made], tally: &mut Tally) {
        let packet = query(id, asked);
        self.peers.iter().for_each(|peer| peer.line.send(&packet));
        self.ours.line.send(&packet);
        let octets = self.ours.line.receive(&packet).unwrap_or_else(|| panic!("silent: {asked:?}"));
        for own in &self.both {
            let said = respond(own, &packet, Transport::Udp);
            let [one, other] = [&octets, &said].map(|octets| Reply::read(octets, asked));
            let zone = &made[asked.zone].text;
            assert!(octets == said, "both ways say the same: {asked:?}\n{zone}\n{one}{other}");
        }
        let whole = respond(&self.both[0], &packet, Transport::Tcp);
        let ours = ours(&octets, &whole, asked);
        for peer in &self.peers {
            let (theirs, length) = peer.reply(&packet, asked);
            let led = &peer.lead(&theirs, asked, made);
            let (ours, theirs, octets) = (&ours, &theirs, (whole.len(), length));
            tally.compare(&Seen { who: peer.who, asked, made, ours, octets, theirs, led });
        }
    }
}

/// What we say, all of it if it was cut short.
fn ours(octets: &[u8], whole: &[u8], asked: &Asked) -> Reply {
    let (ours, whole) = (Reply::read(octets, asked), Reply::read(whole, asked));
    assert!(!whole.repeats, "no section has a record twice (RFC 2181 §5): {asked:?}\n{whole}");
    let part = ours.answer.is_subset(&whole.answer)
        && ours.authority.is_subset(&whole.authority)
        && ours.additional.is_subset(&whole.additional);
    assert!(part, "a reply is part of the whole: {asked:?}\n{ours}{whole}");
    if ours.truncated { Reply { truncated: true, ..whole } } else { ours }
}

fn respond(zones: &Zones, packet: &[u8], transport: Transport) -> Vec<u8> {
    let mut out = Vec::new();
    let arrival = Arrival::new([127, 0, 0, 1].into(), transport);
    let sent = server::respond(zones, packet, &arrival, &mut out);
    assert!(matches!(sent, Sent::Send { .. }));
    out
}

/// What was found.
#[derive(Default)]
struct Tally {
    /// By the kind's place in the table.
    known: BTreeMap<(usize, Who), usize>,
    /// By the parts of the reply that differ.
    unknown: BTreeMap<String, Vec<String>>,
}

impl Tally {
    fn compare(&mut self, seen: &Seen<'_>) {
        match seen.kinds() {
            Some(kinds) => {
                for at in kinds {
                    *self.known.entry((at, seen.who)).or_default() += 1;
                }
            }
            None => self.unknown.entry(seen.parts()).or_default().push(seen.to_string()),
        }
    }

    fn report(&self) -> String {
        let line = |(at, kind): (usize, &kinds::Kind)| {
            let count = |who| self.known.get(&(at, who)).copied().unwrap_or_default();
            let counts: Vec<_> = ALL.iter().map(|who| format!("{who:?} {}", count(*who))).collect();
            let kinds::Kind { name, source, why, .. } = kind;
            format!("{name}: {}\n    {source}: {why}\n", counts.join(", "))
        };
        KINDS.iter().enumerate().map(line).collect()
    }

    /// One of each, the smallest.
    fn failures(&self) -> String {
        let one = |(parts, all): (&String, &Vec<String>)| {
            let least = all.iter().min_by_key(|text| text.len()).unwrap();
            format!("{} of no known kind: {parts}; such as\n{least}\n", all.len())
        };
        self.unknown.iter().map(one).collect()
    }
}
