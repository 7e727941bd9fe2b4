//! A transfer that comes in, from a primary that may send anything: messages with their lengths
//! before them. Octet 0 says whether there is a version already, and what is asked for.

use super::{
    master, work,
    world::{name, world, zone},
};
use meridian::{
    model::Serial,
    transfer::{Head, History, Incoming, Outgoing, Progress, Wanted, read_response},
};
use std::sync::Arc;

/// Octets of memory for each octet that comes: names are compressed, 255 octets to two.
const EACH: usize = 4_096;
const BASE: usize = 1 << 20;

/// See above.
pub fn run(data: &[u8]) {
    let Some((kind, octets)) = data.split_first() else { return };
    let apex = name("z.test");
    let have = (kind & 1 == 1).then(|| world().zones.get(&apex).expect("it is there").clone());
    let octets = &octets[..octets.len().min(30_000)];
    let most = BASE + EACH * octets.len();
    let mut incoming = Incoming::new(apex.clone(), have);
    let progress = work::at_most(most, "a transfer", || take(&mut incoming, octets));
    let Some(Progress::Whole(zone)) = progress else { return };
    assert_eq!(zone.apex(), &apex);
    assert!(zone.soa().is_some(), "a zone without a SOA is none");
    assert!(zone.nodes().all(|(key, _)| key.to_name().is_within(&apex)));
    // It is kept on disk as text; what no zone may have is refused when that is read.
    let text = meridian::records::MasterFile(&zone).to_string();
    let read =
        meridian::records::parse_master(&apex, "copy", &text, &mut meridian::records::no_includes);
    if let Ok(read) = read {
        assert!(zone.nodes().eq(read.zone.nodes()), "{text}");
        master::written(&read.zone);
    }
}

fn take(incoming: &mut Incoming, mut octets: &[u8]) -> Option<Progress> {
    loop {
        let (length, rest) = octets.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (message, rest) = rest.split_at(length);
        match incoming.take(read_response(message).ok()?.answer).ok()? {
            Progress::More => octets = rest,
            other => return Some(other),
        }
    }
}

/// Transfers as our own server sends them: whole, and differences.
pub fn seeds() -> Vec<Vec<u8>> {
    let lines = |serial: u32, last: u8| {
        format!(
            "@ 60 SOA a b {serial} 2 3 4 5\n@ 60 NS ns.x.\na 60 A 192.0.2.{last}\nb 60 MX 1 a\n"
        )
    };
    let [older, newer] =
        [(7, 1), (8, 2)].map(|(serial, last)| Arc::new(zone("z.test", &lines(serial, last))));
    let history = History::new(older).with(newer, Default::default());
    let mut seeds = Vec::new();
    for (kind, wanted) in
        [(0, Wanted::Whole), (1, Wanted::Since(Serial(7))), (1, Wanted::Since(Serial(8)))]
    {
        for limit in [120, 65_000] {
            let head = Head {
                id: [0, 1],
                opcode: 0,
                recursion_desired: false,
                authoritative: true,
                rcode: 0,
                question: super::packet::question("z.test", 252, 0)[12..].to_vec(),
            };
            let mut outgoing = Outgoing::new(&history, wanted, head).expect("it has a SOA");
            let mut seed = vec![kind];
            while let Some(message) = outgoing.next(limit) {
                seed.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
                seed.extend_from_slice(&message);
            }
            seeds.push(seed);
        }
    }
    seeds
}
