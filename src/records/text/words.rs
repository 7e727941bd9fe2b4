//! Cuts master file text into lines of words (RFC 1035 §5.1): quotes, comments, parentheses and
//! escapes are dealt with here and nowhere else.

use super::TextError;
use crate::model::{Name, NameError};
use smallvec::SmallVec;
use std::{fmt, str::FromStr};

/// One entry of a master file: a line, or several that parentheses hold together.
#[derive(Debug)]
pub(in crate::records) struct Line<'t> {
    /// Where it begins, from 1.
    pub(in crate::records) number: usize,
    /// Whether it begins with white space, so that it speaks of the last owner.
    pub(in crate::records) indented: bool,
    pub(in crate::records) words: SmallVec<[Word<'t>; 8]>,
}

/// Text between white space or quotes, its escapes still in it.
#[derive(Clone, Copy, Debug)]
pub(in crate::records) struct Word<'t> {
    pub(in crate::records) text: &'t str,
    pub(in crate::records) quoted: bool,
}

/// A line that cannot be cut into words.
#[derive(Debug)]
pub(in crate::records) struct Slip {
    pub(in crate::records) number: usize,
    pub(in crate::records) problem: String,
}

/// Yields the lines that are not empty; goes on behind a line with a slip.
pub(in crate::records) struct Lexer<'t> {
    rest: &'t str,
    number: usize,
}

impl<'t> Lexer<'t> {
    pub(in crate::records) fn new(text: &'t str) -> Self {
        Self { rest: text, number: 1 }
    }

    fn line(&mut self) -> Result<Line<'t>, Slip> {
        let indented = self.rest.starts_with([' ', '\t']);
        let mut line = Line { number: self.number, indented, words: SmallVec::new() };
        let mut open: SmallVec<[usize; 2]> = SmallVec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => {
                    self.newline();
                    if open.is_empty() {
                        return Ok(line);
                    }
                }
                b' ' | b'\t' | b'\r' => self.skip(1),
                b';' => self.skip_comment(),
                b'(' => {
                    open.push(self.number);
                    self.skip(1);
                }
                b')' if open.pop().is_some() => self.skip(1),
                b')' => return Err(self.slip("found `)`, expected a `(` before it")),
                _ => {
                    if line.words.is_empty() {
                        line.number = self.number;
                    }
                    line.words.push(self.word()?);
                }
            }
        }
        match open.pop() {
            Some(number) => {
                let problem = "found the end of the file, expected a `)` for this `(`".to_owned();
                Err(Slip { number, problem })
            }
            None => Ok(line),
        }
    }

    fn word(&mut self) -> Result<Word<'t>, Slip> {
        if self.peek() != Some(b'"') {
            let length = self.plain_length()?;
            return Ok(Word { text: self.take(length), quoted: false });
        }
        let length = self.quoted_length(1)?;
        let text = self.take(length);
        Ok(Word { text: &text[1..length - 1], quoted: true })
    }

    /// Up to what ends a word; a quote right behind `=` belongs to it (RFC 9460 §2.1).
    fn plain_length(&mut self) -> Result<usize, Slip> {
        let bytes = self.rest.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' if matches!(bytes.get(at + 1), None | Some(b'\n')) => {
                    return Err(self
                        .slip("found `\\` at the end of a line, expected a character behind it"));
                }
                b'\\' => at += 2,
                b'"' if at > 0 && bytes[at - 1] == b'=' => at = self.quoted_length(at + 1)?,
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                _ => at += 1,
            }
        }
        Ok(at)
    }

    /// Up to and with the quote that ends the string which begins at `at`.
    fn quoted_length(&mut self, mut at: usize) -> Result<usize, Slip> {
        let bytes = self.rest.as_bytes();
        loop {
            match bytes.get(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => at += 2,
                Some(b'\n') | None => {
                    return Err(self
                        .slip("found the end of the line, expected a `\"` that ends the string"));
                }
                Some(_) => at += 1,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.bytes().next()
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn skip(&mut self, length: usize) {
        self.take(length);
    }

    fn newline(&mut self) {
        self.skip(1);
        self.number += 1;
    }

    fn skip_comment(&mut self) {
        self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
    }

    /// Gives the rest of the line up.
    fn slip(&mut self, problem: &str) -> Slip {
        let slip = Slip { number: self.number, problem: problem.to_owned() };
        self.skip_comment();
        if self.peek().is_some() {
            self.newline();
        }
        slip
    }
}

impl<'t> Iterator for Lexer<'t> {
    type Item = Result<Line<'t>, Slip>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.line() {
                Ok(line) if line.words.is_empty() => {}
                other => return Some(other),
            }
        }
        None
    }
}

// === Words ===

/// The words of one record's data, taken one after the other.
pub(super) struct Words<'w, 't> {
    rest: &'w [Word<'t>],
    origin: &'w Name,
}

impl<'w, 't> Words<'w, 't> {
    pub(super) fn new(words: &'w [Word<'t>], origin: &'w Name) -> Self {
        Self { rest: words, origin }
    }

    pub(super) fn peek(&self) -> Option<Word<'t>> {
        self.rest.first().copied()
    }

    /// The next word as an error names it.
    pub(super) fn describe(&self) -> &'t str {
        self.peek().map_or(LINE_END, |word| word.text)
    }

    pub(super) fn take(&mut self, what: &str) -> Result<Word<'t>, TextError> {
        let (first, rest) =
            self.rest.split_first().ok_or_else(|| TextError::expected(what, LINE_END))?;
        self.rest = rest;
        Ok(*first)
    }

    /// All that are left.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Word<'t>> + use<'w, 't> {
        std::mem::take(&mut self.rest).iter().copied()
    }

    /// Takes the next word if it is `\#`.
    pub(super) fn take_generic_mark(&mut self) -> bool {
        let found = self.peek().is_some_and(|word| word.text == "\\#" && !word.quoted);
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    /// The next word as whatever it should be.
    pub(super) fn number<N: FromStr>(&mut self, what: &str) -> Result<N, TextError> {
        let text = self.take(what)?.text;
        text.parse().map_err(|_| TextError::expected(what, text))
    }

    pub(super) fn name(&mut self) -> Result<Name, TextError> {
        let text = self.take("a domain name")?.text;
        relative_name(text, self.origin)
            .map_err(|error| TextError::new(format!("`{text}` is no domain name: {error}")))
    }

    /// The octets of the next word.
    pub(super) fn octets(&mut self) -> Result<SmallVec<[u8; 64]>, TextError> {
        unescape(self.take("a string")?.text)
    }
}

/// A name as a master file writes it: `@` is the origin, and without a final dot it is completed
/// by the origin (RFC 1035 §5.1).
pub(in crate::records) fn relative_name(text: &str, origin: &Name) -> Result<Name, NameError> {
    if text == "@" {
        return Ok(origin.clone());
    }
    let name = Name::from_str(text)?;
    if ends_in_dot(text) {
        Ok(name)
    } else {
        Name::from_labels(name.labels().chain(origin.labels()))
    }
}

fn ends_in_dot(text: &str) -> bool {
    text.strip_suffix('.')
        .is_some_and(|rest| rest.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0)
}

/// The octets that text with `\X` and `\DDD` stands for.
pub(super) fn unescape(text: &str) -> Result<SmallVec<[u8; 64]>, TextError> {
    let mut octets = SmallVec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let (octet, tail) = match first {
            b'\\' => escaped(tail).ok_or_else(|| {
                TextError::expected("a character or three digits up to 255 behind each `\\`", text)
            })?,
            plain => (*plain, tail),
        };
        octets.push(octet);
        rest = tail;
    }
    Ok(octets)
}

fn escaped(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (first, tail) = rest.split_first()?;
    if !first.is_ascii_digit() {
        return Some((*first, tail));
    }
    let (digits, tail) = rest.split_at_checked(3)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, tail))
}

/// Octets between quotes (RFC 1035 §5.1).
pub(super) fn write_quoted(f: &mut impl fmt::Write, octets: &[u8]) -> fmt::Result {
    f.write_char('"')?;
    for octet in octets {
        match octet {
            b'"' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
            b' '..=b'~' => f.write_char(char::from(*octet))?,
            other => write!(f, "\\{other:03}")?,
        }
    }
    f.write_char('"')
}

const LINE_END: &str = "the end of the line";
