//! Record types and record data between text and wire (RFC 1035 §5.1, RFC 3597).
//!
//! Every type that has a row in [`types`] is read and printed in its own form, every other as
//! `TYPE123 \# 2 beef`, and that form is read for all of them. What is printed always reads back
//! as the same octets: data that the type's own form cannot say are printed as `\#`.

mod fields;
mod loc;
mod svcb;
mod types;
mod words;

pub(super) use words::{Lexer, Line, Word, relative_name};

use super::RecordType;
use crate::model::Name;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use std::{
    fmt::{self, Write as _},
    str::FromStr,
};
use words::Words;

/// Text that is not record data or no record type; says what was found and what was expected.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct TextError(String);

impl TextError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// "found `x`, expected y".
    pub(super) fn expected(what: &str, found: &str) -> Self {
        Self(format!("found `{found}`, expected {what}"))
    }
}

/// The wire form of one record's data, from its text; names without a final dot are relative to
/// `origin`.
///
/// # Errors
/// When the text is not data of that type.
pub fn rdata_from_text(rtype: RecordType, text: &str, origin: &Name) -> Result<Vec<u8>, TextError> {
    match Lexer::new(text).next() {
        Some(Ok(line)) => rdata_from_words(rtype, &line.words, origin),
        Some(Err(slip)) => Err(TextError(slip.problem)),
        None => rdata_from_words(rtype, &[], origin),
    }
}

pub(super) fn rdata_from_words(
    rtype: RecordType,
    words: &[Word<'_>],
    origin: &Name,
) -> Result<Vec<u8>, TextError> {
    let mut words = Words::new(words, origin);
    let rdata = match (types::form(rtype), words.take_generic_mark()) {
        (form, true) => {
            let rdata = generic_from_words(&mut words)?;
            if form.is_some_and(|form| !fields::fits(form, &rdata)) {
                return Err(TextError(format!("these octets are no {rtype} data")));
            }
            rdata
        }
        (Some(form), false) => fields::parse(form, &mut words)?,
        (None, false) => {
            let found = words.describe();
            let what = format!("data of type {rtype} in the form `\\# <octets> <hex>` (RFC 3597)");
            return Err(TextError::expected(&what, found));
        }
    };
    match words.peek() {
        Some(word) => Err(TextError::expected("the end of the record", word.text)),
        None if rdata.len() > usize::from(u16::MAX) => Err(TextError(format!(
            "the data take {} octets, at most 65535 are allowed",
            rdata.len()
        ))),
        None => Ok(rdata),
    }
}

/// The text of one record's data, on one line, names absolute.
#[must_use]
pub fn rdata_to_text(rtype: RecordType, rdata: &[u8]) -> String {
    types::form(rtype)
        .and_then(|form| fields::print(form, rdata))
        .filter(|text| rdata_from_text(rtype, text, &Name::root()).is_ok_and(|back| back == rdata))
        .unwrap_or_else(|| generic_to_text(rdata))
}

/// RFC 3597 §5: a length, then that many octets in hexadecimal, in any number of words.
fn generic_from_words(words: &mut Words<'_, '_>) -> Result<Vec<u8>, TextError> {
    let length: u16 = words.number("a number of octets")?;
    let digits: String = words.take_all().map(|word| word.text).collect();
    let octets = HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .map_err(|_| TextError::expected("pairs of hexadecimal digits", &digits))?;
    if octets.len() == usize::from(length) {
        return Ok(octets);
    }
    Err(TextError(format!(
        "found {} octets, expected the {length} that are announced",
        octets.len()
    )))
}

fn generic_to_text(rdata: &[u8]) -> String {
    let mut text = format!("\\# {}", rdata.len());
    if !rdata.is_empty() {
        text.push(' ');
        HEXLOWER_PERMISSIVE.encode_append(rdata, &mut text);
    }
    text
}

// === RecordType ===

/// A mnemonic in any case, or `TYPE123` (RFC 3597 §5).
impl FromStr for RecordType {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let numbered = || {
            let (word, number) = text.split_at_checked(4)?;
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            (word.eq_ignore_ascii_case("TYPE") && digits).then(|| number.parse().ok())?
        };
        types::number(text)
            .or_else(numbered)
            .map(Self)
            .ok_or_else(|| TextError::expected("a record type such as A or TYPE123", text))
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match types::mnemonic(*self) {
            Some(name) => f.pad(name),
            None => {
                let mut name = String::new();
                write!(name, "TYPE{}", self.0)?;
                f.pad(&name)
            }
        }
    }
}

impl RecordType {
    /// Whether such records can lie in a zone: not questions, message parts and transfers
    /// (RFC 6895 §3.1).
    #[must_use]
    pub fn is_data(self) -> bool {
        !matches!(self.0, 0 | 41 | 128..=255 | u16::MAX)
    }
}

impl Serialize for RecordType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::{
        rr::{RData, RecordType as Theirs},
        serialize::binary::BinEncodable,
    };
    use proptest::prelude::*;

    fn wire(rtype: &str, text: &str) -> Result<Vec<u8>, TextError> {
        let origin = "example.org".parse().unwrap();
        rdata_from_text(rtype.parse().unwrap(), text, &origin)
    }

    /// Text that prints as it is written.
    const CANONICAL: &[(&str, &str)] = &[
        ("A", "192.0.2.1"),
        ("AAAA", "2001:db8::1"),
        ("NS", "Ns.example.org."),
        ("CNAME", "."),
        ("MX", "10 mail.example.org."),
        ("SRV", "1 2 3 host.example.org."),
        ("SOA", "ns.example.org. dns.example.net. 1 2 3 4 5"),
        ("TXT", r#""v=spf1 -all" "a \"quoted\" \\ \000\255" "#),
        ("CAA", "0 issue \"ca.example.net; account=230123\""),
        ("NAPTR", r#"100 50 "s" "http+I2R" "!^.*$!sip:\\1!" _http._tcp.example.org."#),
        ("TLSA", "3 1 1 d2abde24"),
        ("SSHFP", "2 1 123456789abcdef67890123456789abcdef67890"),
        ("SVCB", "0 foo.example.com."),
        ("HTTPS", "1 . mandatory=alpn,port alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2"),
        ("HTTPS", "16 svc.example.net. ech=AAAA ipv6hint=2001:db8::1 key667=\"a b\""),
        ("OPENPGPKEY", "dGVzdA=="),
        ("CERT", "1 2 3 dGVzdA=="),
        ("CSYNC", "66 3 A NS AAAA"),
        ("HINFO", "\"PDP 11\" \"Unix\""),
    ];

    #[test]
    fn canonical_text_comes_back() {
        for (rtype, text) in CANONICAL {
            let rdata = wire(rtype, text).unwrap();
            assert_eq!(rdata_to_text(rtype.parse().unwrap(), &rdata), text.trim_end(), "{rtype}");
        }
    }

    /// hickory-proto as a second opinion, where it reads a type in full.
    #[test]
    fn the_octets_are_those_of_hickory() {
        for (rtype, text) in CANONICAL {
            let theirs: Theirs = rtype.parse().unwrap();
            let unsure = matches!(theirs, Theirs::TXT | Theirs::NAPTR) || text.contains("a b");
            if !unsure {
                let data = RData::try_from_str(theirs, text)
                    .unwrap_or_else(|error| panic!("{rtype} {text}: {error}"));
                let octets = data.to_bytes().unwrap();
                let ours = wire(rtype, text).unwrap(); // which keeps the case of names
                assert_eq!(
                    ours.to_ascii_lowercase(),
                    octets.to_ascii_lowercase(),
                    "{rtype} {text}"
                );
            }
        }
    }

    #[test]
    fn types_have_names_or_numbers() {
        for (text, number) in [("A", 1), ("aaaa", 28), ("TYPE1", 1), ("type65280", 65280)] {
            assert_eq!(text.parse::<RecordType>().unwrap().0, number);
        }
        assert_eq!(RecordType(65280).to_string(), "TYPE65280");
        assert_eq!(format!("{:>5}|{:<9}", RecordType::MX, RecordType(731)), "   MX|TYPE731  ");
        for bad in ["", "TYPE", "TYPE65536", "TYPE-1", "TYPE+1", "BOGUS"] {
            assert!(bad.parse::<RecordType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_completed_and_numbers_have_units() {
        let soa = wire("SOA", "ns @ 1 1h 10m 2w 300").unwrap();
        let text = "ns.example.org. example.org. 1 3600 600 1209600 300";
        assert_eq!(rdata_to_text(RecordType::SOA, &soa), text);
        assert_eq!(
            wire("RRSIG", "A 13 2 60 20260101000000 1767225600 1 . AAAA").unwrap()[8..16],
            {
                let at = 1_767_225_600_u32.to_be_bytes();
                [at, at].concat()
            }
        );
    }

    #[test]
    fn data_without_a_text_of_their_own_are_printed_as_octets() {
        for (rtype, rdata) in [
            ("A", &b"\x01\x02\x03"[..]),
            ("TXT", b""),
            ("CAA", b"\0\x02a-value"),
            ("SVCB", b"\0\x01\0\0\x01\0\x04\x03a,b"),
            ("LOC", b"\0\x12"),
            ("IPSECKEY", b"\x0a\0\x02"),
            ("TYPE65280", b""),
        ] {
            let text = rdata_to_text(rtype.parse().unwrap(), rdata);
            assert!(text.starts_with(&format!("\\# {}", rdata.len())), "{rtype} {text}");
        }
    }

    #[test]
    fn bad_service_parameters_say_what_was_expected() {
        for (text, expected) in [
            ("1 . alpn=h2 alpn=h3", "found `alpn=h3`, expected each parameter once"),
            (
                "1 . mandatory=port",
                "found `mandatory=port`, expected a list of parameters of this record, each once",
            ),
            ("1 . port=x", "found `port=x`, expected a valid value of port"),
            ("1 . alpn=", "found `alpn=`, expected a valid value of alpn"),
            ("1 . bogus=1", "found `bogus=1`, expected a parameter such as alpn=h2 or key667=x"),
            ("1 . ipv4hint=::1", "found `ipv4hint=::1`, expected a valid value of ipv4hint"),
        ] {
            assert_eq!(wire("HTTPS", text).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_printed_reads_back(
            number in prop_oneof![0..70_u16, 99..110_u16, 256..260_u16, any::<u16>()],
            rdata in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let rtype = RecordType(number);
            let text = rdata_to_text(rtype, &rdata);
            match rdata_from_text(rtype, &text, &Name::root()) {
                Ok(back) => prop_assert_eq!(back, rdata),
                // Only octets that are no such data at all, and those are told apart.
                Err(_) => prop_assert!(text.starts_with("\\#")),
            }
            prop_assert!(!text.contains(['\n', '\r']));
        }

        #[test]
        fn no_text_is_too_strange(number in 0..300_u16, text in "\\PC{0,40}") {
            let _ = rdata_from_text(RecordType(number), &text, &Name::root());
        }
    }
}
