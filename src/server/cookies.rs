//! DNS cookies (RFC 7873) in the layout that all servers share (RFC 9018): who echoes one has
//! proven its address, as over TCP.
//!
//! ```text
//! client cookie (8) │ version 1 │ reserved (3) │ timestamp (4) │ hash (8)
//! hash = SipHash-2-4(client cookie │ version │ reserved │ timestamp │ client's address)
//! ```

use arc_swap::ArcSwap;
use data_encoding::HEXLOWER_PERMISSIVE;
use siphasher::sip::SipHasher24;
use std::{net::IpAddr, sync::Arc};

/// A COOKIE option as a query had it (RFC 7873 §4).
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookie<'p> {
    pub(super) client: [u8; CLIENT],
    /// Empty where the client has none of ours yet; else 8 to 32 octets.
    pub(super) server: &'p [u8],
}

impl<'p> Cookie<'p> {
    /// From the option's data; `None` where the length is none that §5.2.2 allows: FORMERR.
    pub(super) fn read(data: &'p [u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk::<CLIENT>()?;
        let allowed = server.is_empty() || (8..=32).contains(&server.len());
        allowed.then_some(Self { client: *client, server })
    }
}

const CLIENT: usize = 8;
const SERVER: usize = 16;
/// A client cookie and a server cookie: what an answer's option holds.
pub(super) const WHOLE: usize = CLIENT + SERVER;
/// The one layout there is (RFC 9018 §4.1).
const VERSION: u8 = 1;

/// What a server cookie was worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Worth {
    /// It is one of ours, for that address, and of this time.
    Good,
    /// It is not.
    Bad,
    /// There was a client cookie alone.
    New,
}

/// Makes and checks server cookies; the secrets may be changed while it does.
#[derive(Debug)]
pub struct Cookies {
    secrets: ArcSwap<Secrets>,
    /// Whether clients that know cookies get answers over UDP only for a good one.
    require: bool,
}

impl Cookies {
    /// With those secrets.
    #[must_use]
    pub fn new(secrets: Secrets, require: bool) -> Self {
        Self { secrets: ArcSwap::from_pointee(secrets), require }
    }

    /// Puts other secrets in force.
    pub fn replace(&self, secrets: Secrets) {
        self.secrets.store(Arc::new(secrets));
    }

    pub(super) fn require(&self) -> bool {
        self.require
    }

    /// What the client's cookie is worth, and the one that it gets: its own while that is fresh.
    pub(super) fn check(
        &self,
        cookie: &Cookie<'_>,
        from: IpAddr,
        now: u32,
    ) -> (Worth, [u8; WHOLE]) {
        let secrets = self.secrets.load();
        let from = from.to_canonical();
        let (worth, keep) = secrets.judge(cookie, from, now);
        let mut whole = [0; WHOLE];
        whole[..CLIENT].copy_from_slice(&cookie.client);
        let server = match keep {
            Some(own) => own,
            None => made(secrets.active, &cookie.client, [0; 3], now, from),
        };
        whole[CLIENT..].copy_from_slice(&server);
        (worth, whole)
    }
}

/// The secrets that all servers behind one address share (RFC 9018 §5).
#[derive(Clone, Copy)]
pub struct Secrets {
    /// Makes cookies.
    active: Secret,
    /// Also believed: before and after a change of the active one.
    others: [Option<Secret>; Self::MOST - 1],
}

type Secret = [u8; 16];

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// As many may be believed at once: each costs a hash for every bad cookie.
    pub const MOST: usize = 4;

    /// One alone.
    #[must_use]
    pub const fn one(active: [u8; 16]) -> Self {
        Self { active, others: [None; Self::MOST - 1] }
    }

    /// From a file's text: a secret of 32 hexadecimal digits on each line, the active one first;
    /// empty lines and what follows a `#` do not count.
    ///
    /// # Errors
    /// Says which line is wrong, and what was expected; never what stands there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut read: Option<Self> = None;
        let mut others = 0;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let secret = secret(line).ok_or_else(|| {
                format!(
                    "line {number} is no secret: 32 hexadecimal digits (16 octets) are expected"
                )
            })?;
            let Some(secrets) = &mut read else {
                read = Some(Self::one(secret));
                continue;
            };
            let place = secrets.others.get_mut(others).ok_or_else(|| {
                format!("line {number} is one too many: at most {} secrets are kept", Self::MOST)
            })?;
            *place = Some(secret);
            others += 1;
        }
        read.ok_or_else(|| "there is no secret in it: one line of 32 hexadecimal digits".into())
    }

    /// Also the cookie itself where it can go back as it came.
    fn judge(&self, cookie: &Cookie<'_>, from: IpAddr, now: u32) -> (Worth, Option<[u8; SERVER]>) {
        if cookie.server.is_empty() {
            return (Worth::New, None);
        }
        let Ok(server) = <[u8; SERVER]>::try_from(cookie.server) else { return (Worth::Bad, None) };
        let [version, r1, r2, r3, t1, t2, t3, t4, ..] = server;
        let (reserved, time) = ([r1, r2, r3], u32::from_be_bytes([t1, t2, t3, t4]));
        let Some(age) = age(time, now).filter(|_| version == VERSION) else {
            return (Worth::Bad, None);
        };
        let made_with = |secret| made(secret, &cookie.client, reserved, time, from) == server;
        if made_with(self.active) {
            let keep = reserved == [0; 3] && age <= FRESH;
            return (Worth::Good, keep.then_some(server));
        }
        // Whatever is as good, but made with another secret, is replaced.
        let believed = self.others.iter().flatten().any(|secret| made_with(*secret));
        (if believed { Worth::Good } else { Worth::Bad }, None)
    }
}

fn secret(line: &str) -> Option<Secret> {
    HEXLOWER_PERMISSIVE.decode(line.as_bytes()).ok()?.try_into().ok()
}

/// How old a cookie is, in serial arithmetic (RFC 9018 §4.3); `None` where it is too old, or of a
/// future that no clock's error explains.
fn age(time: u32, now: u32) -> Option<u32> {
    let age = now.wrapping_sub(time);
    match age.cast_signed() {
        0.. if age <= OLDEST => Some(age),
        ..0 if time.wrapping_sub(now) <= FUTURE => Some(0),
        _ => None,
    }
}

/// Seconds for which a cookie is good, for which it is not replaced, and by which another server's
/// clock may be ahead (RFC 9018 §4.3).
const OLDEST: u32 = 3_600;
const FRESH: u32 = 1_800;
const FUTURE: u32 = 300;

/// A server cookie (RFC 9018 §4).
fn made(
    secret: Secret,
    client: &[u8; CLIENT],
    reserved: [u8; 3],
    time: u32,
    from: IpAddr,
) -> [u8; SERVER] {
    let mut hashed = [0; CLIENT + SERVER / 2 + 16];
    hashed[..CLIENT].copy_from_slice(client);
    hashed[CLIENT] = VERSION;
    hashed[CLIENT + 1..CLIENT + 4].copy_from_slice(&reserved);
    hashed[CLIENT + 4..CLIENT + 8].copy_from_slice(&time.to_be_bytes());
    let end = match from {
        IpAddr::V4(v4) => {
            hashed[16..20].copy_from_slice(&v4.octets());
            20
        }
        IpAddr::V6(v6) => {
            hashed[16..].copy_from_slice(&v6.octets());
            32
        }
    };
    let hash = SipHasher24::new_with_key(&secret).hash(&hashed[..end]);
    let mut server = [0; SERVER];
    server[..8].copy_from_slice(&hashed[CLIENT..16]);
    server[8..].copy_from_slice(&hash.to_le_bytes());
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const TWO: &str = "445536bcd2513298075a5d379663c962";

    #[test]
    fn a_secret_stands_on_each_line_and_the_first_is_active() {
        let text = format!("# ours\n\n{ONE} # active\r\n  {}\n", TWO.to_uppercase());
        let secrets = Secrets::parse(&text).unwrap();
        assert_eq!(secrets.active, secret(ONE).unwrap());
        assert_eq!(secrets.others, [secret(TWO), None, None]);
    }

    #[test]
    fn a_wrong_line_is_named_and_not_shown() {
        for (text, expected) in [
            ("", "there is no secret in it"),
            ("# nothing\n", "there is no secret in it"),
            ("e5e973e5a6b2a43f48e7dc849e37bf", "line 1 is no secret"),
            ("e5e973e5a6b2a43f48e7dc849e37bfcf\n\nxyz", "line 3 is no secret"),
            (&format!("{ONE}\n").repeat(5), "line 5 is one too many"),
        ] {
            let error = Secrets::parse(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("e5e9"), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let cookies = Cookies::new(Secrets::one([0xab; 16]), false);
        assert!(!format!("{cookies:?}").contains("171"));
    }

    #[test]
    fn cookies_are_good_for_an_hour_and_from_clocks_five_minutes_ahead() {
        for (time, now, expected) in [
            (1_000, 1_000, Some(0)),
            (1_000, 4_600, Some(3_600)),
            (1_000, 4_601, None),
            (1_300, 1_000, Some(0)),
            (1_301, 1_000, None),
            (u32::MAX, 9, Some(10)),
            (9, u32::MAX, Some(0)),
            (0x8000_0000, 0, None),
        ] {
            assert_eq!(age(time, now), expected, "{time} {now}");
        }
    }
}
