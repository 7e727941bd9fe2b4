//! Signatures over messages: nothing that was changed on the way is believed, and nothing that
//! anybody may send does harm.
//!
//! ```text
//! octet 0   bit 0: the octets are a packet as it came, else they are signed first
//!           bits 1-2: the key
//! 1, 2, 3   where and how it is changed
//! 4         how far the clocks are apart
//! the rest  the packet
//! ```

use super::{
    packet::question,
    work,
    world::{NOW, shared_keys, world},
};
use meridian::transfer::{
    Checker, FUDGE, Key, Keys, Refused, Signer, TsigError, Verified, read_request, read_response,
    verify_request,
};
use std::sync::Arc;

/// Where the header counts the records among which the signature is.
const COUNT: std::ops::Range<usize> = 10..12;

/// See above.
pub fn run(data: &[u8]) {
    let Some(([kind, high, low, bit, apart], packet)) = data.split_first_chunk() else { return };
    if packet.len() > 60_000 {
        return;
    }
    if kind & 1 == 1 {
        return strange(packet);
    }
    let key = Arc::new(shared_keys()[usize::from(kind >> 1) % 3].clone());
    let Some(signed) = Signed::new(&key, packet) else { return };
    let verified = signed.verify(&signed.packet, NOW.into()).expect("our own signature is good");
    assert_eq!(verified.message, packet, "it is the message without its signature");
    signed.late(*apart);
    let at = usize::from(u16::from_be_bytes([*high, *low]));
    signed.changed(at % signed.packet.len(), bit % 8);
    answered(signed.checker, verified.signer, packet, at, bit % 8);
}

fn keys() -> &'static Keys {
    &world().rules.keys
}

/// Whatever comes is read, refused and answered.
fn strange(packet: &[u8]) {
    let most = 64 * 1_024 + 8 * packet.len();
    work::at_most(most, "a signed request", || {
        let Ok(request) = read_request(packet) else { return };
        let Some(at) = request.tsig else { return };
        match verify_request(keys(), packet, at, NOW.into()) {
            // Nobody guesses a signature.
            Ok(_) | Err(Refused::Malformed) => {}
            Err(Refused::NotAuth { mut signer, .. }) => {
                let mut answer = question("z.test", 6, 0x80);
                let room = signer.room();
                let before = answer.len();
                signer.sign(&mut answer, NOW.into());
                assert!(answer.len() <= before + room, "it took more room than it said");
            }
        }
    });
    // The same as an answer to something of ours.
    let mut asked = question("z.test", 6, 0);
    let mut checker = Checker::sign(Arc::new(shared_keys()[0].clone()), &mut asked, NOW.into());
    if let Ok(rows) = read_response(packet) {
        let believed = checker.check(packet, rows.tsig, NOW.into());
        assert!(believed.is_err() && !checker.is_settled());
    }
}

/// A message, its signature behind it, and who checks what answers it.
struct Signed {
    packet: Vec<u8>,
    at: usize,
    key: Arc<Key>,
    checker: Checker,
}

impl Signed {
    /// `None` where there can be no further record.
    fn new(key: &Arc<Key>, message: &[u8]) -> Option<Self> {
        let full = message.get(10..12)? == [0xff, 0xff];
        let mut packet = message.to_vec();
        let checker = Checker::sign(key.clone(), &mut packet, NOW.into());
        (!full).then_some(Self { packet, at: message.len(), key: key.clone(), checker })
    }

    fn verify(&self, packet: &[u8], now: u64) -> Result<Verified, Refused> {
        verify_request(keys(), packet, self.at, now)
    }

    fn late(&self, apart: u8) {
        let apart = u64::from(apart) * 4;
        for now in [u64::from(NOW) + apart, u64::from(NOW) - apart] {
            let result = self.verify(&self.packet, now);
            if apart <= u64::from(FUDGE) {
                assert!(result.is_ok(), "{apart} seconds are no reason");
            } else {
                let why = result.map(drop).map_err(|refused| match refused {
                    Refused::Malformed => None,
                    Refused::NotAuth { error, .. } => Some(error),
                });
                assert_eq!(why, Err(Some(TsigError::BadTime)));
            }
        }
    }

    /// One bit is another.
    fn changed(&self, at: usize, bit: u8) {
        let mut packet = self.packet.clone();
        packet[at] ^= 1 << bit;
        let believed = self.verify(&packet, NOW.into()).is_ok();
        if !self.is_how_it_is_found(at) {
            assert_eq!(believed, self.may_change(at, bit), "octet {at} of {}", packet.len());
        }
        // As the server finds the record, where it finds one.
        if let Ok(request) = read_request(&packet)
            && let Some(found) = request.tsig
        {
            let believed = verify_request(keys(), &packet, found, NOW.into()).is_ok();
            assert_eq!(believed, found == self.at && self.may_change(at, bit));
        }
    }

    /// With other counts, or of another type, the record is not found, and the message is one
    /// without a signature.
    fn is_how_it_is_found(&self, at: usize) -> bool {
        let rtype = self.at + self.key.name.as_wire().len();
        COUNT.contains(&at) || (rtype..rtype + 2).contains(&at)
    }

    /// The id, which stands in the record too (RFC 8945 §5.3.2), and the case of the two names.
    fn may_change(&self, at: usize, bit: u8) -> bool {
        let names = self.key.name.as_wire().len();
        let algorithm = names + 10;
        let own = at.checked_sub(self.at);
        let in_name = own.is_some_and(|own| {
            own < names || (algorithm..algorithm + "?hmac-sha256?".len()).contains(&own)
        });
        at < 2 || in_name && bit == 5 && self.packet[at].is_ascii_alphabetic()
    }
}

/// The answer to it, signed, and changed on the way back.
fn answered(mut checker: Checker, mut signer: Signer, message: &[u8], at: usize, bit: u8) {
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut answer = message.to_vec();
        signer.sign(&mut answer, NOW.into());
        answers.push(answer);
    }
    let end = message.len();
    let mut changed = answers[0].clone();
    let at = 2 + at % (end - 2);
    changed[at] ^= 1 << bit;
    let tsig = Some(end);
    if !COUNT.contains(&at) {
        // Nothing is settled by what is refused.
        assert!(checker.check(&changed, tsig, NOW.into()).is_err() && !checker.is_settled());
    }
    let whole: Vec<_> =
        answers.iter().map(|answer| checker.check(answer, tsig, NOW.into())).collect();
    // Who refuses one message refuses the chain.
    assert!(whole.iter().all(Result::is_ok) || whole.iter().all(Result::is_err), "{whole:?}");
}

/// Messages to be signed, and signed ones as others send them.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (kind, message) in [
        (0, question("z.test", 6, 0)),
        (2, question("z.test", 252, 0)),
        (4, question("big.z.test", 1, 1)),
        (0, vec![0; 12]),
    ] {
        for (at, apart) in [(0, 0), (2, 75), (5, 76), (40, 255)] {
            seeds.push([&[kind, 0, at, at, apart][..], &message].concat());
        }
        let mut signed = message.clone();
        let key = Arc::new(shared_keys()[usize::from(kind) >> 1].clone());
        let _ = Checker::sign(key, &mut signed, NOW.into());
        seeds.push([&[1, 0, 0, 0, 0][..], &signed].concat());
        signed[2] |= 0x80;
        seeds.push([&[1, 0, 0, 0, 0][..], &signed].concat());
    }
    seeds
}
