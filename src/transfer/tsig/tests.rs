//! Signatures of ours against hickory-proto's, and what is refused.

use super::*;
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{self, TSigner, rdata::tsig::TsigAlgorithm},
};

const SECRET: &[u8] = b"an octet string of thirty-two oc";
const NOW: u64 = 1_800_000_000;

fn keys() -> Keys {
    let text = "key \"Meridian.\" { // ours\n algorithm HMAC-SHA256; secret \
                \"YW4gb2N0ZXQgc3RyaW5nIG9mIHRoaXJ0eS10d28gb2M=\"; };\n# more\n\
                big:hmac-sha512:YW4gb2N0ZXQgc3RyaW5nIG9mIHRoaXJ0eS10d28gb2M=\n";
    Keys::parse(text).unwrap()
}

fn theirs(algorithm: TsigAlgorithm, name: &str, now: u64) -> (Vec<u8>, Option<rr::TSigVerifier>) {
    let name = rr::Name::from_ascii(name).unwrap();
    let signer = TSigner::new(SECRET.to_vec(), algorithm, name, 300).unwrap();
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    let zone = rr::Name::from_ascii("z.test.").unwrap();
    message.add_query(Query::query(zone, rr::RecordType::AXFR));
    let verifier = message.finalize(&signer, now).unwrap();
    (message.to_vec().unwrap(), verifier)
}

fn at(packet: &[u8]) -> usize {
    crate::transfer::read_request(packet).unwrap().tsig.unwrap()
}

fn verify(packet: &[u8], now: u64) -> Result<Verified, Refused> {
    verify_request(&keys(), packet, at(packet), now)
}

#[track_caller]
fn error(outcome: Result<Verified, Refused>) -> (TsigError, Vec<u8>) {
    let Err(Refused::NotAuth { error, mut signer }) = outcome else { panic!("{outcome:?}") };
    let mut answer = vec![0, 7, 0x80, 9, 0, 0, 0, 0, 0, 0, 0, 0];
    signer.sign(&mut answer, NOW);
    (error, answer)
}

#[test]
fn requests_that_others_sign_are_taken_and_they_take_what_we_sign() {
    for (algorithm, name) in
        [(TsigAlgorithm::HmacSha256, "meridian."), (TsigAlgorithm::HmacSha512, "BIG.")]
    {
        let (packet, verifier) = theirs(algorithm, name, NOW);
        let Verified { message, mut signer } = verify(&packet, NOW + 299).unwrap();
        assert_eq!(message, &[&packet[..11], &[0], &packet[12..at(&packet)]].concat()[..]);
        let mut verifier = verifier.unwrap();
        for _ in 0..3 {
            let mut answer = message.clone();
            answer[2] |= 0x80;
            let length = answer.len();
            signer.sign(&mut answer, NOW);
            assert_eq!(answer.len() - length, signer.room());
            verifier.verify(&answer).unwrap();
        }
    }
}

#[test]
fn what_we_sign_and_check_chains_over_messages_also_unsigned_ones() {
    let key = keys().get(&"meridian".parse().unwrap()).unwrap().clone();
    let mut request = theirs(TsigAlgorithm::HmacSha256, "meridian.", NOW).0;
    let end = at(&request);
    request.truncate(end);
    request[11] = 0;
    let mut checker = Checker::sign(key, &mut request, NOW);
    let Verified { message, mut signer } = verify(&request, NOW).unwrap();
    let mut answer = message;
    answer[2] |= 0x80;
    assert!(checker.check(&answer, None, NOW).is_err(), "the first must be signed");
    for number in 0..3 {
        let mut signed = answer.clone();
        signer.sign(&mut signed, NOW);
        let at = crate::transfer::read_response(&signed).unwrap().tsig;
        assert_eq!(checker.check(&signed, at, NOW), Ok(()), "message {number}");
        assert!(checker.is_settled());
    }
    for _ in 0..99 {
        checker.check(&answer, None, NOW).unwrap();
    }
    assert!(!checker.is_settled());
    assert!(checker.check(&answer, None, NOW).is_err(), "a hundred in a row are too many");
    let mut forged = answer;
    signer.sign(&mut forged, NOW);
    let at = crate::transfer::read_response(&forged).unwrap().tsig;
    assert!(checker.check(&forged, at, NOW).is_err(), "what came between was not signed");
}

#[test]
fn an_unknown_key_another_algorithm_and_another_secret_get_no_signature() {
    let unknown = theirs(TsigAlgorithm::HmacSha256, "other.", NOW).0;
    let (why, answer) = error(verify(&unknown, NOW));
    assert_eq!(why, TsigError::BadKey);
    let tsig = wire::Tsig::read(&answer, 12).unwrap();
    assert_eq!((tsig.mac.len(), tsig.error, tsig.time), (0, 17, NOW));
    let algorithm = theirs(TsigAlgorithm::HmacSha512, "meridian.", NOW).0;
    assert_eq!(error(verify(&algorithm, NOW)).0, TsigError::BadKey);
    let mut tampered = theirs(TsigAlgorithm::HmacSha256, "meridian.", NOW).0;
    tampered[13] ^= 1;
    let (why, answer) = error(verify(&tampered, NOW));
    assert_eq!((why, wire::Tsig::read(&answer, 12).unwrap().mac.len()), (TsigError::BadSig, 0));
}

#[test]
fn clocks_that_are_apart_are_said_signed_with_our_time() {
    let early = theirs(TsigAlgorithm::HmacSha256, "meridian.", NOW).0;
    for now in [NOW + 301, NOW - 301] {
        let (why, answer) = error(verify(&early, now));
        let tsig = wire::Tsig::read(&answer, 12).unwrap();
        assert_eq!((why, tsig.mac.len(), tsig.time), (TsigError::BadTime, 32, NOW));
        assert_eq!(tsig.other, now.to_be_bytes()[2..]);
    }
}

#[test]
fn a_signature_that_is_cut_short_is_refused_signed_or_malformed() {
    let packet = theirs(TsigAlgorithm::HmacSha256, "meridian.", NOW).0;
    let cut = |length: usize| {
        let mut tsig = wire::Tsig::read(&packet, at(&packet)).unwrap();
        tsig.mac.truncate(length);
        let mut message = wire::without(&packet, at(&packet), tsig.original_id);
        tsig.write(&mut message);
        message
    };
    let (why, answer) = error(verify(&cut(16), NOW));
    assert_eq!((why, wire::Tsig::read(&answer, 12).unwrap().mac.len()), (TsigError::BadTrunc, 32));
    assert!(matches!(verify(&cut(15), NOW), Err(Refused::Malformed)));
    assert!(matches!(verify(&cut(0), NOW), Err(Refused::Malformed)));
}

#[test]
fn key_files_that_are_wrong_say_where_and_no_secret() {
    for (text, line, word) in [
        ("a:hmac-sha256:c2hvcnQ=", 1, "16 octets"),
        ("\na:hmac-md5:YW4gb2N0ZXQgc3RyaW5nIG9m", 2, "hmac-sha256, hmac-sha384"),
        ("hmac-sha256:a:YW4gb2N0ZXQgc3RyaW5nIG9m", 1, "name comes first"),
        ("key \"a\" { algorithm hmac-sha256; };", 1, "expected key"),
        ("key a { algorithm hmac-sha256; secret \"x", 1, "does not end"),
        ("/* \n */ zone a", 2, "expected a key clause"),
        (
            "a:hmac-sha256:YW4gb2N0ZXQgc3RyaW5nIG9m\nA.:hmac-sha256:YW4gb2N0ZXQgc3RyaW5nIG9m",
            2,
            "twice",
        ),
    ] {
        let said = Keys::parse(text).unwrap_err().to_string();
        assert!(said.starts_with(&format!("line {line}: ")) && said.contains(word), "{said}");
        assert!(!said.contains("c2hvcnQ") && !said.contains("YW4gb"), "{said}");
    }
    assert_eq!(Keys::parse("; // nothing\n").unwrap().iter().count(), 0);
}
