//! The options of a query: whatever they hold, the answer is one, and says of each what the RFCs say.
//!
//! ```text
//! octets 0, 1   as in `packet`
//! octet 2       name and type asked for
//! octet 3       the flags of the OPT (DO, CO)
//! octets 4, 5   the UDP size
//! the rest      the options
//! ```

use super::packet::{How, NAMES, TYPES, check, question, with_opt};
use hickory_proto::op::ResponseCode;
use meridian::server::Transport;

const SUBNET: u16 = 8;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const NSID: u16 = 3;

/// See above.
pub fn run(data: &[u8]) {
    let Some(([bits, more, asked, flags, high, low], options)) = data.split_first_chunk() else {
        return;
    };
    let options = &options[..options.len().min(4_000)];
    // Signatures of other servers are another target's.
    let how = How { signed: false, ..How::of(*bits, *more) };
    let rtype = TYPES[usize::from(asked / 32)];
    let plain = question(NAMES[usize::from(asked % 32)], rtype, 0);
    let packet = with_opt(plain, u16::from_be_bytes([*high, *low]), *flags, options);
    let transfer = [251, 252].contains(&rtype);
    let Some((answer, message)) = check(how, &packet) else {
        let keepalive = listed(options).is_some_and(|all| all.iter().any(|own| own.0 == KEEPALIVE));
        assert!(how.transport == Transport::Quic && keepalive, "{how:?}: no answer");
        return;
    };
    assert!(message.edns.is_some(), "an OPT has an OPT for an answer");
    let Some(listed) = listed(options) else {
        let malformed = message.metadata.response_code == ResponseCode::FormErr;
        return assert!(malformed || transfer, "options that do not end where they say");
    };
    let back = written(&answer);
    for (code, data) in &back {
        let asked = listed.iter().find(|(own, _)| own == code);
        match (*code, asked) {
            (SUBNET, Some((_, query))) => {
                // FAMILY, SOURCE PREFIX-LENGTH and ADDRESS come back, the scope is ours.
                assert_eq!((&data[..3], &data[4..]), (&query[..3], &query[4..]));
                assert!(data[3] <= 128);
            }
            (COOKIE, Some((_, query))) => {
                assert_eq!((data.len(), &data[..8]), (24, &query[..8]));
            }
            (SUBNET | COOKIE | NSID | KEEPALIVE, None) => panic!("option {code} was not asked for"),
            _ => {}
        }
        assert_eq!(back.iter().filter(|(own, _)| own == code).count(), 1, "option {code} twice");
    }
}

/// The options one by one; `None` where a length leads past the end.
fn listed(mut octets: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut all = Vec::new();
    while !octets.is_empty() {
        let (head, rest) = octets.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (data, rest) = rest.split_at_checked(length)?;
        all.push((u16::from_be_bytes([head[0], head[1]]), data));
        octets = rest;
    }
    Some(all)
}

/// The options of an answer without a signature: its OPT is the last record.
fn written(answer: &[u8]) -> Vec<(u16, &[u8])> {
    let mut starts = 12..answer.len().saturating_sub(10);
    let start = starts.rfind(|at| {
        let opt = &answer[*at..];
        let length = usize::from(u16::from_be_bytes([opt[9], opt[10]]));
        opt[..5] == [0, 0, 41, 4, 208] && opt.len() == 11 + length
    });
    start.and_then(|at| listed(&answer[at + 11..])).unwrap_or_default()
}

/// Each option well-formed, too short, too long, and twice.
pub fn seeds() -> Vec<Vec<u8>> {
    let all: [&[u8]; 14] = [
        &[],
        &[0, 3, 0, 0],
        &[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2],
        &[0, 8, 0, 11, 0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 1, 2],
        &[0, 8, 0, 4, 0, 0, 0, 0],
        &[0, 8, 0, 4, 0, 1, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0],
        &[0, 8, 0, 3, 0, 1, 24],
        &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 10, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0, 1, 2, 3, 4],
        &[0, 10, 0, 3, 1, 2, 3],
        &[0, 11, 0, 0],
        &[0, 11, 0, 2, 0, 100],
        &[0, 12, 0, 3, 0, 0, 0],
        &[0xfd, 1, 0xff, 0xff, 7],
    ];
    let mut seeds = Vec::new();
    for (at, options) in (0_u8..).zip(all) {
        for bits in [0, 8, 25, 154, 4] {
            let head = [bits, at, at.wrapping_mul(9), 0x80, 4, 208];
            seeds.push([&head[..], options].concat());
        }
    }
    seeds
}
