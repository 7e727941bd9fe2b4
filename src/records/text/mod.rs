//! Record types and record data between text and wire (RFC 1035 §5.1, RFC 3597).
//!
//! Every type that has a row in [`types`] is read and printed in its own form, every other as
//! `TYPE123 \# 2 beef`, and that form is read for all of them. What is printed always reads back
//! as the same octets: data that the type's own form cannot say are printed as `\#`.

mod fields;
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
pub fn rdata_from_text(
    rtype: RecordType,
    text: &str,
    origin: &Name,
) -> Result<Vec<u8>, TextError> {
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
            if form.is_some_and(|form| fields::print(form, &rdata).is_none()) {
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
        None if rdata.len() > usize::from(u16::MAX) => {
            Err(TextError(format!("the data take {} octets, at most 65535 are allowed", rdata.len())))
        }
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
    Err(TextError(format!("found {} octets, expected the {length} that are announced", octets.len())))
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
