//! Messages over a connection: in whatever pieces they come and answers are taken, the same answers
//! go back, in their order.
//!
//! ```text
//! octets 0-3   how long the pieces are, in turn
//! octet 4      how much the client takes at a time
//! the rest     what comes
//! ```

use super::{
    packet::{question, with_opt},
    world::Side,
};
use meridian::server::{Arrival, Reply, Transport, rehearse, respond};

const SIDE: Side = Side { fast: true, gives: false };

/// See above.
pub fn run(data: &[u8]) {
    let Some((lengths, octets)) = data.split_first_chunk::<5>() else { return };
    let [lengths @ .., gulp] = lengths;
    let gulp = [1, 7, 100, 4_000, usize::MAX][usize::from(gulp % 5)];
    let cut = cut(lengths, octets);
    let pieces: Vec<&[u8]> = cut.iter().map(|(from, to)| &octets[*from..*to]).collect();
    let arrival = || Arrival::new([192, 0, 2, 1].into(), Transport::Tcp);
    let back = rehearse(&SIDE, arrival(), &pieces, gulp).expect("the connection ends");
    let whole = rehearse(&SIDE, arrival(), &[octets], usize::MAX).expect("the connection ends");
    assert_eq!(back, whole, "in pieces {cut:?}");
    assert_eq!(back, expected(octets));
}

fn cut(lengths: &[u8; 4], octets: &[u8]) -> Vec<(usize, usize)> {
    let mut lengths =
        lengths.iter().map(|own| 1 + usize::from(*own) * usize::from(*own) / 16).cycle();
    let (mut from, mut all) = (0, Vec::new());
    while from < octets.len() && all.len() < 500 {
        let to = octets.len().min(from + lengths.next().expect("a cycle has no end"));
        all.push((from, to));
        from = to;
    }
    if from < octets.len() {
        all.push((from, octets.len()));
    }
    all
}

/// What the messages are answered, each by itself, up to the first that ends the connection.
fn expected(mut octets: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let arrival =
        Arrival { idle: Some(100), ..Arrival::new([192, 0, 2, 1].into(), Transport::Tcp) };
    while let Some((head, rest)) = octets.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*head));
        let Some((message, rest)) = rest.split_at_checked(length).filter(|_| length >= 12) else {
            break;
        };
        let mut out = Vec::new();
        let Reply::Send { .. } = respond(&SIDE, message, &arrival, &mut out) else { break };
        all.extend_from_slice(&u16::try_from(out.len()).unwrap().to_be_bytes());
        all.extend_from_slice(&out);
        octets = rest;
    }
    all
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// One message, several, one that is too short, one that does not end, one that is long.
pub fn seeds() -> Vec<Vec<u8>> {
    let one = framed(&question("a.z.test", 1, 0));
    let big = framed(&with_opt(question("big.z.test", 1, 0), 1_232, 0x80, &[0, 11, 0, 0]));
    let none = framed(&[0; 11]);
    let mut response = question("a.z.test", 1, 0);
    response[2] |= 0x80;
    let long = framed(&[&question("a.z.test", 1, 0)[..], &[0; 5_000]].concat());
    let streams = [
        one.clone(),
        [&one[..], &big, &one].concat(),
        one.repeat(120),
        big.repeat(60),
        [&one[..], &none, &one].concat(),
        [&one[..], &framed(&response), &one].concat(),
        [&one[..], &[0xff, 0xff, 1, 2]].concat(),
        [&long[..], &one].concat(),
        vec![0],
    ];
    let heads = [[0, 0, 0, 0, 0], [1, 2, 3, 4, 1], [20, 90, 4, 0, 2], [255, 9, 200, 3, 4]];
    let all = streams.iter().zip(heads.iter().cycle());
    all.map(|(stream, head)| [&head[..], stream].concat()).collect()
}
