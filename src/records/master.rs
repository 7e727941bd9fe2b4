//! Reads a master file (RFC 1035 §5): all its errors, each with file and line, not just the first.
//!
//! Pure: text that `$INCLUDE` names comes through a loader, which may refuse it.

use super::{
    Node, RecordType, Rrset, Zone,
    text::{self, Word},
};
use crate::model::{Key, Name, Ttl};
use std::{collections::BTreeMap, fmt};

/// Gives the text of a file that `$INCLUDE` names, or says why not.
pub type Loader<'l> = dyn FnMut(&str) -> Result<String, String> + 'l;

/// The records of a master file, and what was odd about them.
#[derive(Clone, Debug, Default)]
pub struct Records {
    nodes: BTreeMap<Key, Node>,
    /// Things that are not wrong but not as they seem.
    pub warnings: Vec<MasterError>,
}

/// What is wrong at one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MasterError {
    /// The file as the caller named it, or as `$INCLUDE` did.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What was found and what was expected.
    pub text: String,
}

impl fmt::Display for MasterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

impl Records {
    /// Reads `text`, which stands in `file`, for a zone at `apex`, which is the first `$ORIGIN`.
    ///
    /// # Errors
    /// Every line that cannot be read, up to [`MAX_ERRORS`].
    pub fn parse(
        file: &str,
        text: &str,
        apex: &Name,
        loader: &mut Loader<'_>,
    ) -> Result<Self, Vec<MasterError>> {
        let mut reader = Reader {
            apex,
            loader,
            origin: apex.clone(),
            default_ttl: None,
            last_ttl: None,
            owner: None,
            seen: BTreeMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            depth: 0,
        };
        reader.file(file, text);
        reader.finish()
    }

    /// A zone of these records alone; its SOA and NS must be among them.
    ///
    /// # Errors
    /// When the apex lacks its SOA or NS.
    pub fn into_zone(self, file: &str, apex: &Name) -> Result<Zone, Vec<MasterError>> {
        let top = self.nodes.get(&apex.key());
        let missing = |rtype: RecordType| {
            let has = top.is_some_and(|node| node.get(rtype).is_some());
            let text = format!("zone {apex} has no {rtype} record at its apex");
            (!has).then(|| MasterError { file: file.to_owned(), line: 1, text })
        };
        let errors: Vec<_> =
            [RecordType::SOA, RecordType::NS].into_iter().filter_map(missing).collect();
        if errors.is_empty() { Ok(Zone::new(apex.clone(), self.nodes)) } else { Err(errors) }
    }

    /// These records over a generated zone: each rrset takes the place of the generated one.
    #[must_use]
    pub fn over(self, generated: &Zone) -> Zone {
        let mut nodes: BTreeMap<Key, Node> =
            generated.nodes().map(|(key, node)| (key.clone(), node.clone())).collect();
        for (key, node) in self.nodes {
            let own = nodes.entry(key).or_default();
            node.iter().for_each(|rrset| own.put(rrset.clone()));
        }
        Zone::new(generated.apex().clone(), nodes)
    }
}

/// After so many errors the rest of a file is not read.
pub const MAX_ERRORS: usize = 20;
/// How deep `$INCLUDE` may nest.
const MAX_DEPTH: usize = 8;

/// Whether a path may be included: relative, and not leading out of the folder by its text.
///
/// # Errors
/// Says what is refused and what is allowed.
pub fn check_include(path: &str) -> Result<(), String> {
    let outside = path.starts_with(['/', '\\']) || path.split(['/', '\\']).any(|part| part == "..");
    if outside || path.is_empty() {
        return Err(format!(
            "$INCLUDE {path:?} leads out of the zone file's folder; name a file inside it"
        ));
    }
    Ok(())
}

/// The data of one rrset as they come in, with the line of the first.
struct Seen {
    ttl: Ttl,
    data: Vec<Vec<u8>>,
    file: String,
    line: usize,
}

struct Reader<'r, 'l> {
    apex: &'r Name,
    loader: &'r mut Loader<'l>,
    origin: Name,
    default_ttl: Option<Ttl>,
    last_ttl: Option<Ttl>,
    owner: Option<Name>,
    seen: BTreeMap<(Key, RecordType), Seen>,
    errors: Vec<MasterError>,
    warnings: Vec<MasterError>,
    depth: usize,
}

impl Reader<'_, '_> {
    fn file(&mut self, file: &str, text: &str) {
        for entry in entries(text) {
            if self.errors.len() >= MAX_ERRORS {
                return;
            }
            let line = entry.line;
            let outcome = entry.words.and_then(|words| self.entry(file, line, entry.blank, &words));
            if let Err(text) = outcome {
                self.errors.push(MasterError { file: file.to_owned(), line, text });
            }
        }
    }

    fn entry(
        &mut self,
        file: &str,
        line: usize,
        blank: bool,
        words: &[Word],
    ) -> Result<(), String> {
        let Some(first) = words.first() else { return Ok(()) };
        if !blank && !first.quoted && first.text.starts_with('$') {
            return self.directive(&first.text.to_ascii_uppercase(), &words[1..]);
        }
        let (owner, rest) = if blank {
            let owner = self.owner.clone();
            (owner.ok_or("a line without an owner needs one above it")?, words)
        } else {
            (text::absolute(&first.text, &self.origin)?, &words[1..])
        };
        self.owner = Some(owner.clone());
        self.record(file, line, &owner, rest)
    }

    fn directive(&mut self, directive: &str, words: &[Word]) -> Result<(), String> {
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        match (directive, texts.as_slice()) {
            ("$ORIGIN", [name]) => {
                self.origin = text::absolute(name, &self.origin)?;
                Ok(())
            }
            ("$TTL", [ttl]) => {
                let seconds = text::parse_ttl(ttl).ok_or_else(|| format!("{ttl:?} is no TTL"))?;
                self.default_ttl = Some(Ttl::from_secs(seconds));
                Ok(())
            }
            ("$INCLUDE", [path]) => self.include(path, None),
            ("$INCLUDE", [path, origin]) => {
                let origin = text::absolute(origin, &self.origin)?;
                self.include(path, Some(origin))
            }
            ("$ORIGIN" | "$TTL" | "$INCLUDE", _) => {
                Err(format!("{directive} has {} values; expected one", texts.len()))
            }
            _ => Err(format!("{directive} is unknown; expected $ORIGIN, $TTL or $INCLUDE")),
        }
    }

    /// RFC 1035 §5.1: the origin and owner go on after the file as they were before it.
    fn include(&mut self, path: &str, origin: Option<Name>) -> Result<(), String> {
        if self.depth >= MAX_DEPTH {
            return Err(format!("$INCLUDE {path:?} nests deeper than {MAX_DEPTH} files"));
        }
        check_include(path)?;
        let text = (self.loader)(path)?;
        let before = (self.origin.clone(), self.owner.clone());
        self.origin = origin.unwrap_or_else(|| self.origin.clone());
        self.depth += 1;
        self.file(path, &text);
        self.depth -= 1;
        (self.origin, self.owner) = before;
        Ok(())
    }

    /// `[<TTL>] [<class>] <type> <data>`, the first two in either order.
    fn record(
        &mut self,
        file: &str,
        line: usize,
        owner: &Name,
        mut words: &[Word],
    ) -> Result<(), String> {
        let mut ttl = None;
        for _ in 0..2 {
            let Some(word) = words.first() else { break };
            if let Some(seconds) = text::parse_ttl(&word.text).filter(|_| ttl.is_none()) {
                ttl = Some(Ttl::from_secs(seconds));
            } else if !is_class(&word.text)? {
                break;
            }
            words = &words[1..];
        }
        let (rtype, data) = words.split_first().ok_or("a record needs a type")?;
        let rtype: RecordType = rtype.text.parse()?;
        refuse_meta(rtype)?;
        let data = text::parse_rdata(rtype, data, &self.origin)?;
        let ttl = self.ttl(ttl, rtype, &data)?;
        if !owner.is_within(self.apex) {
            return Err(format!("{owner} is not within zone {}", self.apex));
        }
        self.add(file, line, owner, rtype, ttl, data)
    }

    /// Given, `$TTL`'s, the last one's (RFC 2308 §4), or for the SOA its MINIMUM (RFC 1035 §3.3.13).
    fn ttl(&mut self, given: Option<Ttl>, rtype: RecordType, data: &[u8]) -> Result<Ttl, String> {
        let minimum = (rtype == RecordType::SOA).then(|| data.last_chunk::<4>()).flatten();
        let minimum = minimum.map(|four| Ttl::from_secs(u32::from_be_bytes(*four)));
        let ttl = given.or(self.default_ttl).or(self.last_ttl).or(minimum);
        let ttl = ttl.ok_or("the record has no TTL, and no $TTL stands above it")?;
        self.last_ttl = Some(ttl);
        Ok(ttl)
    }

    fn add(
        &mut self,
        file: &str,
        line: usize,
        owner: &Name,
        rtype: RecordType,
        ttl: Ttl,
        data: Vec<u8>,
    ) -> Result<(), String> {
        if rtype == RecordType::SOA && owner != self.apex {
            return Err(format!("a SOA stands at {owner}; the zone's apex is {}", self.apex));
        }
        let seen = self.seen.entry((owner.key(), rtype)).or_insert_with(|| Seen {
            ttl,
            data: Vec::new(),
            file: file.to_owned(),
            line,
        });
        let single = matches!(rtype, RecordType::SOA | RecordType::CNAME | RecordType::DNAME);
        if single && seen.data.iter().any(|own| *own != data) {
            return Err(format!(
                "{owner} has a second {rtype}; the first stands in line {}",
                seen.line
            ));
        }
        if seen.ttl != ttl {
            let text = format!(
                "the {rtype} records of {owner} have different TTLs; the lowest, {}, is used \
                 (RFC 2181 §5.2)",
                seen.ttl.min(ttl)
            );
            self.warnings.push(MasterError { file: file.to_owned(), line, text });
            seen.ttl = seen.ttl.min(ttl);
        }
        seen.data.push(data);
        Ok(())
    }

    fn finish(mut self) -> Result<Records, Vec<MasterError>> {
        let aliases: Vec<_> =
            self.seen.keys().filter(|(_, rtype)| *rtype == RecordType::CNAME).cloned().collect();
        for (key, _) in aliases {
            let other = self
                .seen
                .iter()
                .find(|((own, rtype), _)| *own == key && *rtype != RecordType::CNAME);
            if let Some(((_, rtype), seen)) = other {
                let text = format!(
                    "{} has {rtype} beside a CNAME; an alias has no other data (RFC 1034 §3.6.2)",
                    key.to_name()
                );
                let (file, line) = (seen.file.clone(), seen.line);
                self.errors.push(MasterError { file, line, text });
            }
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let mut records = Records { warnings: self.warnings, ..Records::default() };
        for ((key, rtype), seen) in self.seen {
            if let Some(rrset) = Rrset::new(rtype, seen.ttl, seen.data) {
                records.nodes.entry(key).or_default().put(rrset);
            }
        }
        Ok(records)
    }
}

fn is_class(text: &str) -> Result<bool, String> {
    match text.to_ascii_uppercase().as_str() {
        "IN" | "CLASS1" => Ok(true),
        "CH" | "HS" | "CS" => Err(format!("class {text} is not served; expected IN")),
        _ => Ok(false),
    }
}

/// Types that exist in messages alone (RFC 6895 §3.1) cannot stand in a zone.
fn refuse_meta(rtype: RecordType) -> Result<(), String> {
    match rtype.0 {
        0 | 41 | 128..=255 => Err(format!("type {rtype} cannot stand in a zone")),
        _ => Ok(()),
    }
}

// === Words ===

/// One entry: the words of a line, or of several within parentheses.
struct Entry {
    line: usize,
    /// Whether it begins with white space: the owner is the last one's.
    blank: bool,
    words: Result<Vec<Word>, String>,
}

fn entries(text: &str) -> impl Iterator<Item = Entry> {
    let mut lexer = Lexer { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    std::iter::from_fn(move || lexer.entry())
}

struct Lexer<'t> {
    rest: &'t str,
    line: usize,
}

impl Lexer<'_> {
    fn entry(&mut self) -> Option<Entry> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let (line, blank) = (self.line, self.rest.starts_with([' ', '\t']));
            let words = self.words();
            if words.as_ref().map_or(true, |words| !words.is_empty()) {
                return Some(Entry { line, blank, words });
            }
        }
    }

    /// Reads up to the line's end that is not within parentheses.
    fn words(&mut self) -> Result<Vec<Word>, String> {
        let (mut words, mut open) = (Vec::new(), false);
        while let Some(letter) = self.next() {
            match letter {
                '\n' if !open => return Ok(words),
                '\n' | ' ' | '\t' | '\r' => {}
                '(' if open => return self.skip("a second ( before the first was closed"),
                ')' if !open => return self.skip(") without ("),
                '(' | ')' => open = letter == '(',
                ';' => self.comment(),
                '"' => match self.quoted() {
                    Some(text) => words.push(Word { text, quoted: true }),
                    None => return self.skip("a string has no closing quote on its line"),
                },
                first => words.push(Word { text: self.word(first), quoted: false }),
            }
        }
        if open { Err("( is not closed before the end of the file".to_owned()) } else { Ok(words) }
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        self.line += usize::from(letter == '\n');
        Some(letter)
    }

    fn comment(&mut self) {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }

    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        while !self.rest.starts_with('\n') {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.extend(['\\', self.next().filter(|letter| *letter != '\n')?]),
                other => text.push(other),
            }
        }
        None
    }

    fn word(&mut self, first: char) -> String {
        let mut text = String::from(first);
        let mut escaped = first == '\\';
        while let Some(letter) = self.rest.chars().next() {
            let ends = matches!(letter, ' ' | '\t' | '\r' | '(' | ')' | ';' | '"') && !escaped;
            if ends || letter == '\n' {
                break;
            }
            escaped = letter == '\\' && !escaped;
            text.push(letter);
            self.next();
        }
        text
    }

    /// Leaves the rest of a line that cannot be read.
    fn skip(&mut self, why: &str) -> Result<Vec<Word>, String> {
        while self.next().is_some_and(|letter| letter != '\n') {}
        Err(why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Records, Vec<MasterError>> {
        let apex: Name = "example.org".parse().unwrap();
        Records::parse("t.zone", text, &apex, &mut |path| match path {
            "sub.zone" => Ok("inner A 192.0.2.9\n".to_owned()),
            other => Err(format!("{other}: no such file")),
        })
    }

    fn shown(records: &Records) -> Vec<String> {
        let line = |(key, node): (&Key, &Node)| {
            let rrset = |rrset: &Rrset| {
                let data: Vec<_> =
                    rrset.rdata().map(|data| text::rdata_text(rrset.rtype, data)).collect();
                format!("{} {} {} {}", key.to_name(), rrset.ttl, rrset.rtype, data.join(", "))
            };
            node.iter().map(rrset).collect::<Vec<_>>()
        };
        records.nodes.iter().flat_map(line).collect()
    }

    #[test]
    fn s5_1_owners_classes_ttls_parentheses_and_comments() {
        let records = parse(
            "$TTL 1h ; default\n@ IN SOA ns1 host ( 1 ; serial\n 2h 15m 2w 30 )\n  NS ns1\n\
             ns1 300 IN A 192.0.2.1\n IN 300 A 192.0.2.2\n$ORIGIN sub\nwww CNAME @\n\
             $ORIGIN example.org.\n$INCLUDE sub.zone deep\ntxt TXT \"a;b\" c\\ d\n",
        )
        .unwrap();
        assert_eq!(
            shown(&records),
            [
                "example.org. 3600 NS ns1.example.org.",
                "example.org. 3600 SOA ns1.example.org. host.example.org. 1 7200 900 1209600 30",
                "inner.deep.example.org. 3600 A 192.0.2.9",
                "ns1.example.org. 300 A 192.0.2.1, 192.0.2.2",
                "www.sub.example.org. 3600 CNAME sub.example.org.",
                "txt.example.org. 3600 TXT \"a;b\" \"c d\"",
            ]
        );
    }

    #[test]
    fn every_error_names_its_line_and_what_was_expected() {
        let errors = parse(
            "www A 192.0.2.1\n$TTL 60\nwww A 192.0.2.300\nmail MX ten mx\nx FOO 1\n\
             other.net. A 192.0.2.1\na CNAME b\na CNAME c\nq TXT \"open\n$GENERATE 1-2 a\n\
             $INCLUDE ../secret\n$INCLUDE /etc/passwd\nz CH A 1\n",
        )
        .unwrap_err();
        let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "t.zone:1: the record has no TTL, and no $TTL stands above it",
                "t.zone:3: \"192.0.2.300\" is not an IPv4 address",
                "t.zone:4: preference \"ten\" is not a number in range",
                "t.zone:5: \"FOO\" is not a record type; unknown ones are TYPE<number>",
                "t.zone:6: other.net. is not within zone example.org.",
                "t.zone:8: a.example.org. has a second CNAME; the first stands in line 7",
                "t.zone:9: a string has no closing quote on its line",
                "t.zone:10: $GENERATE is unknown; expected $ORIGIN, $TTL or $INCLUDE",
                "t.zone:11: $INCLUDE \"../secret\" leads out of the zone file's folder; name a \
                 file inside it",
                "t.zone:12: $INCLUDE \"/etc/passwd\" leads out of the zone file's folder; name a \
                 file inside it",
                "t.zone:13: class CH is not served; expected IN",
            ]
        );
    }

    #[test]
    fn an_alias_has_no_other_data() {
        let errors = parse("$TTL 60\na CNAME b\na A 192.0.2.1\n").unwrap_err();
        assert!(errors[0].text.contains("beside a CNAME"), "{}", errors[0]);
        assert_eq!(errors[0].line, 3);
    }

    #[test]
    fn rfc2181_s5_2_the_lowest_ttl_is_used_and_said() {
        let records = parse("a 60 A 192.0.2.1\na 30 A 192.0.2.2\n").unwrap();
        assert_eq!(shown(&records), ["a.example.org. 30 A 192.0.2.1, 192.0.2.2"]);
        assert!(records.warnings[0].text.contains("the lowest, 30"));
    }

    #[test]
    fn a_zone_needs_its_soa_and_ns() {
        let apex: Name = "example.org".parse().unwrap();
        let errors = parse("a 60 A 192.0.2.1\n").unwrap().into_zone("t.zone", &apex).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(errors[0].text.contains("no SOA"));
    }

    proptest! {
        #[test]
        fn no_text_panics_or_loops(text in "[ -~\n\t]{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_shuffle_of_meaningful_words_panics(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "@", "a", "60", "IN", "A", "192.0.2.1", "TXT", "\"x\"", "(", ")", ";", "\n",
                    "\n ", "$TTL", "$ORIGIN", "$INCLUDE", "sub.zone", "\\", "\\#", "SOA", "MX",
                    "TYPE1", "HTTPS", "CAA", "NAPTR", "\"", "1h",
                ]),
                0..40,
            )
        ) {
            let _ = parse(&words.join(" "));
        }
    }
}
