//! Reads key files: `key` clauses as BIND, NSD's and Knot's key generators write them, and lines
//! `name:algorithm:secret`.

use super::key::{Algorithm, Key, Keys};
use data_encoding::BASE64;

/// What is wrong with a key file; never shows a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct KeyFileError {
    line: usize,
    text: String,
}

/// Shorter secrets can be guessed; tsig-keygen makes 32 octets.
const LEAST: usize = 16;

pub(super) fn parse(text: &str) -> Result<Keys, KeyFileError> {
    let mut words = words(text)?.into_iter();
    let mut keys = Keys::default();
    while let Some(word) = words.next() {
        let line = word.line;
        let key = match word.text.as_str() {
            ";" => continue,
            "key" => clause(line, &mut words)?,
            plain => colons(line, plain)?,
        };
        let name = key.name.clone();
        if !keys.put(key) {
            return Err(KeyFileError { line, text: format!("key {name} is given twice") });
        }
    }
    Ok(keys)
}

struct Word {
    line: usize,
    text: String,
}

/// Words, strings and the signs `{`, `}` and `;`. Comments begin where a word could, since a
/// secret may hold `//`.
fn words(text: &str) -> Result<Vec<Word>, KeyFileError> {
    let (mut all, mut line, mut rest) = (Vec::new(), 1, text);
    while let Some(letter) = rest.chars().next() {
        let (taken, word) = match letter {
            '\n' => {
                line += 1;
                (1, None)
            }
            '{' | '}' | ';' => (1, Some(letter.to_string())),
            '"' => {
                let inside = rest[1..].split_once(['"', '\n']).map_or(rest, |(inside, _)| inside);
                if rest.as_bytes().get(inside.len() + 1) != Some(&b'"') {
                    return Err(KeyFileError { line, text: "a string does not end".to_owned() });
                }
                (inside.len() + 2, Some(inside.to_owned()))
            }
            '#' => (until(rest, "\n"), None),
            '/' if rest.starts_with("//") => (until(rest, "\n"), None),
            '/' if rest.starts_with("/*") => {
                let length = (until(rest, "*/") + 2).min(rest.len());
                line += rest[..length].matches('\n').count();
                (length, None)
            }
            other if other.is_whitespace() => (other.len_utf8(), None),
            _ => {
                let ends = |letter: char| letter.is_whitespace() || "{};\"".contains(letter);
                let length = rest.find(ends).unwrap_or(rest.len());
                (length, Some(rest[..length].to_owned()))
            }
        };
        all.extend(word.map(|text| Word { line, text }));
        rest = &rest[taken..];
    }
    Ok(all)
}

fn until(text: &str, end: &str) -> usize {
    text.find(end).unwrap_or(text.len())
}

/// `key NAME { algorithm ALGORITHM; secret SECRET; };`, the two in any order.
fn clause(line: usize, words: &mut impl Iterator<Item = Word>) -> Result<Key, KeyFileError> {
    let wrong = |line: usize, text: &str| KeyFileError { line, text: text.to_owned() };
    let form = "expected key \"NAME\" { algorithm ALGORITHM; secret \"SECRET\"; };";
    let mut next = |at: usize| words.next().ok_or_else(|| wrong(at, form));
    let name = next(line)?;
    let (mut algorithm, mut secret) = (None, None);
    if next(name.line)?.text != "{" {
        return Err(wrong(name.line, form));
    }
    loop {
        let word = next(line)?;
        match word.text.as_str() {
            "}" => break,
            "algorithm" => algorithm = Some(next(word.line)?),
            "secret" => secret = Some(next(word.line)?),
            _ => return Err(wrong(word.line, form)),
        }
        if next(word.line)?.text != ";" {
            return Err(wrong(word.line, form));
        }
    }
    match (algorithm, secret) {
        (Some(algorithm), Some(secret)) => key(line, &name.text, &algorithm.text, &secret.text),
        _ => Err(wrong(line, form)),
    }
}

fn colons(line: usize, word: &str) -> Result<Key, KeyFileError> {
    match word.split(':').collect::<Vec<_>>()[..] {
        [name, algorithm, secret] => key(line, name, algorithm, secret),
        _ => {
            let text = "expected a key clause as BIND has it, or name:algorithm:secret";
            Err(KeyFileError { line, text: text.to_owned() })
        }
    }
}

fn key(line: usize, name: &str, algorithm: &str, secret: &str) -> Result<Key, KeyFileError> {
    let wrong = |text: String| KeyFileError { line, text };
    // dig and nsupdate put the algorithm first: then the name is what looks like one.
    if name.parse::<Algorithm>().is_ok() && algorithm.parse::<Algorithm>().is_err() {
        return Err(wrong(format!("{name} is an algorithm; the key's name comes first")));
    }
    let own = name.to_lowercase().parse();
    let own = own.map_err(|error| wrong(format!("{name:?} is not a domain name: {error}")))?;
    let algorithm = algorithm.parse().map_err(|()| {
        let all = Algorithm::ALL.map(Algorithm::as_str).join(", ");
        wrong(format!("key {name}: algorithm {algorithm:?} is not one of {all}"))
    })?;
    let secret = BASE64.decode(secret.as_bytes()).ok().filter(|secret| secret.len() >= LEAST);
    let secret = secret.ok_or_else(|| {
        wrong(format!(
            "key {name}: the secret is not {LEAST} octets or more in base 64, as tsig-keygen makes it"
        ))
    })?;
    Ok(Key::new(own, algorithm, &secret))
}
