//! Keys as files: BIND's pair of `K<zone>+<algorithm>+<tag>.key` and `.private` (format v1.3), which
//! `dnssec-keygen`, Knot and ldns read and write too.

use super::key::{Algorithm, Key};
use crate::model::Name;
use data_encoding::BASE64;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use ring::rand::SecureRandom;
use std::fmt::Write as _;

/// When a key is to be what, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Times {
    /// When it was made.
    pub created: Option<i64>,
    /// From when on it is published.
    pub publish: Option<i64>,
    /// From when on it signs.
    pub activate: Option<i64>,
    /// From when on it signs no more.
    pub inactive: Option<i64>,
    /// From when on it is published no more.
    pub delete: Option<i64>,
}

/// The names of the times, in the files' order.
const TIMES: [&str; 5] = ["Created", "Publish", "Activate", "Inactive", "Delete"];

impl Times {
    /// For a key that is made and used from now on.
    #[must_use]
    pub fn from_now(now: i64) -> Self {
        Self { created: Some(now), publish: Some(now), activate: Some(now), ..Self::default() }
    }

    fn all(&self) -> [Option<i64>; 5] {
        [self.created, self.publish, self.activate, self.inactive, self.delete]
    }
}

/// The name of both files, without what follows the last dot.
#[must_use]
pub fn stem(zone: &Name, key: &Key) -> String {
    let number = key.algorithm.number();
    format!("K{}+{number:03}+{:05}", file_safe(&zone.to_lowercase()), key.tag())
}

/// A zone's name as part of a path: nothing in it leads elsewhere.
#[must_use]
pub fn file_safe(zone: &Name) -> String {
    zone.to_string().replace('/', "\\047")
}

/// The file with the secret.
#[must_use]
pub fn private_text(key: &Key, times: &Times) -> String {
    let (number, mnemonic) = (key.algorithm.number(), key.algorithm.mnemonic());
    let mut text = format!(
        "Private-key-format: v1.3\nAlgorithm: {number} ({mnemonic})\nPrivateKey: {}\n",
        BASE64.encode(key.secret())
    );
    for (name, time) in TIMES.iter().zip(times.all()) {
        let Some(time) = time.and_then(written) else { continue };
        let _ = writeln!(text, "{name}: {time}");
    }
    text
}

/// The file with the DNSKEY record.
#[must_use]
pub fn public_text(zone: &Name, key: &Key, times: &Times) -> String {
    let kind = if key.is_entry_point() { "key-signing" } else { "zone-signing" };
    let mut text = format!("; This is a {kind} key, keyid {}, for {zone}\n", key.tag());
    for (name, time) in TIMES.iter().zip(times.all()) {
        let Some(time) = time.and_then(written) else { continue };
        let _ = writeln!(text, "; {name}: {time}");
    }
    let (flags, number) = (key.flags, key.algorithm.number());
    let _ = writeln!(text, "{zone} IN DNSKEY {flags} 3 {number} {}", key.public_text());
    text
}

/// Reads a key from the text of both files.
///
/// # Errors
/// What is wrong with which of the two, for a person.
pub fn read(
    zone: &Name,
    public: &str,
    private: &str,
    random: &dyn SecureRandom,
) -> Result<(Key, Times), String> {
    let (flags, algorithm, point) = read_public(zone, public)?;
    let secret = field(private, "PrivateKey")
        .ok_or("the .private file has no PrivateKey; expected BIND's format v1.3")?;
    let number: Option<u8> =
        field(private, "Algorithm").and_then(|text| text.split_whitespace().next()?.parse().ok());
    if number != Some(algorithm.number()) {
        return Err(format!(
            "the .private file's Algorithm is {}, and the .key file's {}",
            number.map_or("missing".to_owned(), |number| number.to_string()),
            algorithm.number()
        ));
    }
    let secret = BASE64.decode(secret.as_bytes());
    let secret = secret.map_err(|error| format!("PrivateKey is not base 64: {error}"))?;
    let key = Key::new(algorithm, flags, &secret, &point, random);
    let [created, publish, activate, inactive, delete] =
        TIMES.map(|name| field(private, name).and_then(read_time));
    let times = Times { created, publish, activate, inactive, delete };
    key.map(|key| (key, times)).map_err(|error| error.to_string())
}

fn read_public(zone: &Name, text: &str) -> Result<(u16, Algorithm, Vec<u8>), String> {
    let lines = text.lines().map(|line| line.split(';').next().unwrap_or_default());
    let words: Vec<&str> =
        lines.flat_map(str::split_whitespace).filter(|word| !["(", ")"].contains(word)).collect();
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("DNSKEY"));
    let at = at.ok_or("the .key file has no DNSKEY record")?;
    let owner: Option<Name> = words.first().and_then(|word| word.parse().ok());
    if owner.as_ref() != Some(zone) {
        return Err(format!("the .key file's record is not of {zone}"));
    }
    let [flags, _, algorithm, point @ ..] = &words[at + 1..] else {
        return Err("the .key file's DNSKEY record is cut short".to_owned());
    };
    let flags: u16 = flags.parse().map_err(|_| format!("DNSKEY's flags are {flags:?}"))?;
    if flags & 0x100 == 0 || flags & 0x80 != 0 {
        return Err(format!("the key is none to sign a zone with (flags {flags})"));
    }
    let number: Option<u8> = algorithm.parse().ok();
    let known = number.and_then(Algorithm::of);
    let mnemonics = [Algorithm::EcdsaP256, Algorithm::Ed25519];
    let known = known.or(mnemonics.into_iter().find(|own| own.mnemonic() == *algorithm));
    let algorithm = known.ok_or(format!(
        "algorithm {algorithm} is none of ours; expected 13 (ECDSAP256SHA256) or 15 (ED25519)"
    ))?;
    let point = BASE64.decode(point.concat().as_bytes());
    point
        .map(|point| (flags, algorithm, point))
        .map_err(|error| format!("DNSKEY's key is not base 64: {error}"))
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let of = |line: &'t str| line.strip_prefix(name)?.strip_prefix(':').map(str::trim);
    text.lines().find_map(of)
}

/// `20260102030405`, in UTC.
fn written(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok()?.to_zoned(TimeZone::UTC);
    Some(time.strftime("%Y%m%d%H%M%S").to_string())
}

fn read_time(text: &str) -> Option<i64> {
    let word = text.split_whitespace().next()?;
    let time = DateTime::strptime("%Y%m%d%H%M%S", word).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;

    fn zone() -> Name {
        "z.test".parse().unwrap()
    }

    /// As `dnssec-keygen -a 13 -f KSK z.test` of BIND 9.18 writes them.
    const PRIVATE: &str = "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\n\
        PrivateKey: /V/pWWlqUBCZq8CMK4hViz82ctfGqsha1T5Opf1eYnI=\nCreated: 20261121112933\n\
        Publish: 20261121112933\nActivate: 20261121112933\n";
    const PUBLIC: &str = "; This is a key-signing key, keyid 1790, for z.test.\n\
        ; Created: 20261121112933 (Sat Nov 21 11:29:33 2026)\n\
        z.test. IN DNSKEY 257 3 13 7nB0MKMjpFn3brhmtQfsyQZkhrEYcGMs831SvN4VZM2OaU7cVFCNU0qC \
        jTOJy3XQRGmIM7xur/300dgZ1dADWQ==\n";

    #[test]
    fn keys_of_dnssec_keygen_are_read() {
        let (key, times) = read(&zone(), PUBLIC, PRIVATE, &SystemRandom::new()).unwrap();
        assert_eq!((key.tag(), key.flags, key.algorithm), (1790, 257, Algorithm::EcdsaP256));
        assert_eq!(stem(&zone(), &key), "Kz.test.+013+01790");
        assert_eq!(times, Times::from_now(1_795_260_573));
        assert_eq!(private_text(&key, &times), PRIVATE);
    }

    #[test]
    fn keys_survive_being_written_and_read() {
        let random = SystemRandom::new();
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let key = Key::generate(algorithm, 256, &random).unwrap();
            let times = Times { inactive: Some(86_400), ..Times::from_now(7) };
            let texts = (public_text(&zone(), &key, &times), private_text(&key, &times));
            assert_eq!(read(&zone(), &texts.0, &texts.1, &random).unwrap(), (key, times));
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said() {
        let wrong = |public: &str, private: &str| {
            read(&zone(), public, private, &SystemRandom::new()).unwrap_err()
        };
        assert!(wrong("", PRIVATE).contains("no DNSKEY"));
        assert!(wrong(&PUBLIC.replace("z.test. IN", "y.test. IN"), PRIVATE).contains("z.test"));
        assert!(wrong(&PUBLIC.replace("257 3 13", "257 3 8"), PRIVATE).contains("algorithm 8"));
        assert!(wrong(&PUBLIC.replace("257 3", "0 3"), PRIVATE).contains("flags 0"));
        assert!(wrong(PUBLIC, "").contains("PrivateKey"));
        assert!(wrong(PUBLIC, &PRIVATE.replace("m: 13", "m: 15")).contains("Algorithm is 15"));
        assert!(wrong(PUBLIC, &PRIVATE.replace("/V", "/W")).contains("belong"));
    }

    #[test]
    fn no_zone_name_leads_out_of_a_directory() {
        let name = Name::from_labels([b"../../etc".as_slice(), b"test"]).unwrap();
        assert!(!file_safe(&name).contains('/'));
    }
}
