//! Reads the lines of a master file into records (RFC 1035 §5.1, `$TTL` of RFC 2308 §4).

use super::{
    super::{
        RecordType,
        text::{Lexer, Line, TextError, Word, rdata_from_words, relative_name},
    },
    Loader, Notes, Place, Record,
};
use crate::model::{Name, Ttl};
use std::sync::Arc;

/// All records that can be read; what cannot is in `notes`.
pub(super) fn read(
    apex: &Name,
    file: &str,
    text: &str,
    load: &mut Loader<'_>,
    notes: &mut Notes,
) -> Vec<Record> {
    let mut reader = Reader { load, notes, records: Vec::new(), default_ttl: None, last_ttl: None };
    reader.file(File { name: file.into(), origin: apex.clone(), owner: None, depth: 0 }, text);
    reader.records
}

/// Seconds, or a sum of them like `1w2d3h4m5s`; `None` when it is neither or over 32 bits.
#[must_use]
pub fn period_from_text(text: &str) -> Option<u32> {
    let mut total: u32 = 0;
    let mut digits = String::new();
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let unit = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&letter))?.1;
        total = total.checked_add(digits.parse::<u32>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    match digits.as_str() {
        "" => (!text.is_empty()).then_some(total),
        rest => total.checked_add(rest.parse().ok()?),
    }
}

struct Reader<'r, 'l> {
    load: &'r mut Loader<'l>,
    notes: &'r mut Notes,
    records: Vec<Record>,
    /// Of the last `$TTL`.
    default_ttl: Option<Ttl>,
    /// Of the last record that named one (RFC 1035 §5.1).
    last_ttl: Option<Ttl>,
}

/// A file on the way through it.
struct File {
    name: Arc<str>,
    origin: Name,
    owner: Option<Name>,
    /// How many `$INCLUDE`s led here.
    depth: usize,
}

type Read<T> = Result<T, TextError>;

impl Reader<'_, '_> {
    fn file(&mut self, mut file: File, text: &str) {
        for line in Lexer::new(text) {
            if self.notes.is_full() {
                return;
            }
            let (number, problem) = match line {
                Ok(line) => match self.line(&mut file, &line) {
                    Ok(()) => continue,
                    Err(error) => (line.number, error.to_string()),
                },
                Err(slip) => (slip.number, slip.problem),
            };
            self.notes.fault(&Place { file: file.name.clone(), line: number }, problem);
        }
    }

    fn line(&mut self, file: &mut File, line: &Line<'_>) -> Read<()> {
        let first = line.words[0];
        if first.quoted || !first.text.starts_with('$') {
            return self.record(file, line);
        }
        let rest = &line.words[1..];
        match first.text.to_ascii_uppercase().as_str() {
            "$ORIGIN" => file.origin = name(one(rest, "a domain name")?, &file.origin)?,
            "$TTL" => self.default_ttl = Some(ttl(one(rest, TTL)?)?),
            "$INCLUDE" => self.include(file, line, rest)?,
            _ => return Err(TextError::expected("$ORIGIN, $TTL or $INCLUDE", first.text)),
        }
        Ok(())
    }

    /// The included file has an owner and, if one is named, an origin of its own; they end with it.
    fn include(&mut self, file: &File, line: &Line<'_>, words: &[Word<'_>]) -> Read<()> {
        let (path, origin) = match words {
            [path] => (path, file.origin.clone()),
            [path, origin] => (path, name(origin, &file.origin)?),
            _ => return Err(TextError::new("expected `$INCLUDE <file> [<origin>]`")),
        };
        if file.depth == MAX_DEPTH {
            let text = format!(
                "$INCLUDE is nested more than {MAX_DEPTH} deep: does a file include itself?"
            );
            return Err(TextError::new(text));
        }
        match (self.load)(path.text) {
            Ok(text) => {
                let depth = file.depth + 1;
                self.file(File { name: path.text.into(), origin, owner: None, depth }, &text);
            }
            Err(why) => {
                let place = Place { file: file.name.clone(), line: line.number };
                self.notes.fault(&place, format!("cannot include `{}`: {why}", path.text));
            }
        }
        Ok(())
    }

    fn record(&mut self, file: &mut File, line: &Line<'_>) -> Read<()> {
        let words = if line.indented {
            &line.words[..]
        } else {
            // Also when the rest is bad, so that what follows is not blamed on another name.
            file.owner = None;
            file.owner = Some(name(&line.words[0], &file.origin)?);
            &line.words[1..]
        };
        let owner = file.owner.clone().ok_or_else(|| {
            TextError::new("the line begins with white space, but no owner name stands before it")
        })?;
        let (written_ttl, words) = ttl_and_class(words)?;
        self.last_ttl = written_ttl.or(self.last_ttl);
        let (rtype, words) = record_type(words)?;
        let rdata = rdata_from_words(rtype, words, &file.origin)
            .map_err(|error| TextError::new(format!("{rtype} data: {error}")))?;
        let place = Place { file: file.name.clone(), line: line.number };
        let ttl = self.ttl(written_ttl, rtype, &rdata, &place)?;
        self.records.push(Record { place, owner, rtype, ttl, rdata });
        Ok(())
    }

    /// The record's own TTL, else `$TTL` (RFC 2308 §4), else the last one written (RFC 1035
    /// §5.1), else the SOA's MINIMUM, which was what that number meant once.
    fn ttl(
        &mut self,
        written: Option<Ttl>,
        rtype: RecordType,
        rdata: &[u8],
        place: &Place,
    ) -> Read<Ttl> {
        if let Some(ttl) = written.or(self.default_ttl).or(self.last_ttl) {
            return Ok(ttl);
        }
        let minimum = rdata.last_chunk().filter(|_| rtype == RecordType::SOA);
        let Some(minimum) = minimum else {
            let text = "the record has no TTL: write one before the type, or `$TTL` at the top";
            return Err(TextError::new(text));
        };
        let ttl = Ttl::from_secs(u32::from_be_bytes(*minimum));
        self.notes.warn(place, format!("there is no TTL; the SOA's last number, {ttl}, is used"));
        self.last_ttl = Some(ttl);
        Ok(ttl)
    }
}

/// `[ttl] [class]` in either order.
fn ttl_and_class<'w, 't>(words: &'w [Word<'t>]) -> Read<(Option<Ttl>, &'w [Word<'t>])> {
    let mut found = None;
    let mut class = false;
    let mut rest = words;
    while let Some((word, tail)) = rest.split_first() {
        if !class && is_class(word.text)? {
            class = true;
        } else if found.is_none() && word.text.starts_with(|first: char| first.is_ascii_digit()) {
            found = Some(ttl(word)?);
        } else {
            break;
        }
        rest = tail;
    }
    Ok((found, rest))
}

/// Whether the word is the class IN; other classes are not served.
fn is_class(text: &str) -> Read<bool> {
    let class = text.to_ascii_uppercase();
    let other = matches!(class.as_str(), "CH" | "HS" | "CS")
        || class.strip_prefix("CLASS").is_some_and(|number| number.parse::<u16>().is_ok());
    match class.as_str() {
        "IN" | "CLASS1" => Ok(true),
        _ if other => Err(TextError::expected("the class IN, the only one that is served", text)),
        _ => Ok(false),
    }
}

fn record_type<'w, 't>(words: &'w [Word<'t>]) -> Read<(RecordType, &'w [Word<'t>])> {
    let Some((word, rest)) = words.split_first() else {
        return Err(TextError::expected("a record type such as A", "the end of the line"));
    };
    let rtype: RecordType = word.text.parse()?;
    if word.quoted || !rtype.is_data() {
        return Err(TextError::expected("a type of records that a zone can hold", word.text));
    }
    Ok((rtype, rest))
}

fn one<'w, 't>(words: &'w [Word<'t>], what: &str) -> Read<&'w Word<'t>> {
    match words {
        [word] => Ok(word),
        [] => Err(TextError::expected(what, "the end of the line")),
        [_, second, ..] => Err(TextError::expected("the end of the line", second.text)),
    }
}

fn name(word: &Word<'_>, origin: &Name) -> Read<Name> {
    relative_name(word.text, origin)
        .map_err(|error| TextError::new(format!("`{}` is no domain name: {error}", word.text)))
}

fn ttl(word: &Word<'_>) -> Read<Ttl> {
    period_from_text(word.text)
        .filter(|seconds| *seconds <= Ttl::MAX.as_secs())
        .map(Ttl::from_secs)
        .ok_or_else(|| TextError::expected(TTL, word.text))
}

const TTL: &str = "a TTL: seconds up to 2147483647, or a time like 1h30m";

const UNITS: [(char, u32); 5] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];

/// Deeper than anybody nests on purpose; a file that includes itself ends here.
const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_seconds_or_sums() {
        assert_eq!(period_from_text("300"), Some(300));
        assert_eq!(period_from_text("1h30m"), Some(5_400));
        assert_eq!(period_from_text("1W2d3H4m5s"), Some(788_645));
        assert_eq!(period_from_text("1h30"), Some(3_630));
        for bad in ["", "h", "1x", "1h-", "4294967296", "9999w", "-1"] {
            assert_eq!(period_from_text(bad), None, "{bad:?}");
        }
    }
}
