//! Names: from octets and from text, in their order, and against another library.
//!
//! Octet 0 says which; then a name, and a second one behind it where the first ends.

use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use meridian::model::{Key, Name};

/// See above.
pub fn run(data: &[u8]) {
    let Some((kind, octets)) = data.split_first() else { return };
    if kind % 2 == 0 {
        wire(octets);
    } else {
        text(&String::from_utf8_lossy(octets));
    }
}

fn wire(octets: &[u8]) {
    let ends = ends(octets);
    let whole = ends.filter(|end| *end == octets.len());
    assert_eq!(Name::from_wire(octets).is_ok(), whole.is_some(), "{octets:02x?}");
    let Some(end) = ends else { return };
    let Ok(one) = Name::from_wire(&octets[..end]) else { panic!("{octets:02x?}") };
    same(&one);
    let theirs = hickory_proto::rr::Name::read(&mut BinDecoder::new(&octets[..end])).unwrap();
    assert!(theirs.iter().eq(one.labels()), "{one}");
    if let Ok(other) = Name::from_wire(&octets[end..]) {
        same(&other);
        order(&one, &other);
    }
}

/// Where the name ends that the octets begin with, by the RFC (RFC 1035 §3.1).
fn ends(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    while octets.get(at).is_some_and(|length| (1..=63).contains(length)) {
        at += 1 + usize::from(octets[at]);
    }
    (octets.get(at) == Some(&0) && at < 255).then_some(at + 1)
}

fn text(text: &str) {
    let Ok(one) = text.parse::<Name>() else { return };
    same(&one);
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    if let (Ok(one), Ok(other)) = (first.parse(), second.parse()) {
        order(&one, &other);
    }
}

/// A name is itself, however it is written.
fn same(one: &Name) {
    assert!(one.as_wire().len() <= Name::MAX_OCTETS);
    assert_eq!(Name::from_wire(one.as_wire()).as_ref(), Ok(one));
    let shown = one.to_string();
    let again: Name = shown.parse().unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert_eq!(again.as_wire(), one.as_wire(), "{shown}");
    let relative = one.without_dot();
    assert!(one.is_root() || relative.parse::<Name>().as_ref() == Ok(one), "{relative}");
    assert_eq!(Name::from_labels(one.labels()).as_ref(), Ok(one));
    assert_eq!(one.key().to_name().as_wire(), one.to_lowercase().as_wire());
    assert_eq!(one.key(), Key::of(one.labels()));
    assert_eq!(one.labels().count(), one.label_count());
    match one.parent() {
        None => assert!(one.is_root()),
        Some(parent) => {
            assert!(one.is_within(&parent) && !parent.is_within(one));
            assert!(one.key().as_bytes().starts_with(parent.key().as_bytes()));
            let first = one.labels().next().unwrap();
            assert_eq!(parent.prepend(first).as_ref(), Ok(one));
        }
    }
}

/// The order of keys is the canonical one (RFC 4034 §6.1).
fn order(one: &Name, other: &Name) {
    let labels = |own: &Name| -> Vec<Vec<u8>> {
        own.labels().rev().map(<[u8]>::to_ascii_lowercase).collect()
    };
    assert_eq!(one.key().cmp(&other.key()), labels(one).cmp(&labels(other)), "{one} {other}");
    let within = labels(one).starts_with(&labels(other));
    assert_eq!(one.is_within(other), within, "{one} {other}");
    assert_eq!(one.key().as_bytes().starts_with(other.key().as_bytes()), within);
    assert_eq!(one == other, labels(one) == labels(other), "{one} {other}");
}

/// Short, long, strange.
pub fn seeds() -> Vec<Vec<u8>> {
    let label = [&[63][..], &[b'x'; 63]].concat();
    let longest = [&label.repeat(3)[..], &[61], &[b'y'; 61], &[0]].concat();
    let many = [&[1, b'a'].repeat(127)[..], &[0]].concat();
    let wire: [&[u8]; 7] = [
        b"\0",
        b"\x01a\x01z\x04test\0\x01B\x01z\x04test\0",
        b"\x01*\x03\x00\\.\0\x02\xff\x01\0",
        &longest,
        &many,
        b"\xc0\x0c",
        b"\x40a\0",
    ];
    let text: [&str; 7] =
        [".", "a.z.test.b.Z.test", "\\046\\000.x", "*.w", "a..b", "\\256", "xn--bcher-kva.example"];
    let of = |kind: u8, octets: &[u8]| [&[kind], octets].concat();
    let wire = wire.iter().map(|own| of(0, own));
    wire.chain(text.iter().map(|own| of(1, own.as_bytes()))).collect()
}
