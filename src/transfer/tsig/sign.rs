//! Verifies a signed request, and signs what answers it (RFC 8945 §5.2, §5.3).

use super::{
    FUDGE, TsigError,
    key::{Key, Keys},
    wire::{self, Tsig},
};
use crate::model::Name;
use std::sync::Arc;

/// A request whose signature is good.
#[derive(Debug)]
pub struct Verified {
    /// The request without its signature.
    pub message: Vec<u8>,
    /// Signs what answers it; its key is who asks.
    pub signer: Signer,
}

/// Why a signed request is not heeded, and how that is said.
#[derive(Debug)]
pub enum Refused {
    /// FORMERR, without a signature.
    Malformed,
    /// NOTAUTH, with a TSIG record that names the error. It is signed where the key is proven:
    /// the clocks are apart, or the signature is cut short (§5.3.2).
    NotAuth {
        /// Which it is.
        error: TsigError,
        /// Writes the record.
        signer: Signer,
    },
}

/// Signs one answer after another, each chained to the one before (§5.3.1).
#[derive(Debug)]
pub struct Signer {
    /// None where the answer is not signed, since no key is proven.
    key: Option<Arc<Key>>,
    names: (Name, Name),
    prior: Vec<u8>,
    first: bool,
    original_id: [u8; 2],
    error: u16,
    /// What the record says in place of the time now: the request's own, with an error.
    time: Option<u64>,
    other: Vec<u8>,
}

/// Verifies the request whose TSIG record begins at `at`: the key by name and algorithm, then the
/// signature, then the time (§5.2), `now` in seconds since 1970.
///
/// # Errors
/// What to answer.
pub fn verify_request(
    keys: &Keys,
    packet: &[u8],
    at: usize,
    now: u64,
) -> Result<Verified, Refused> {
    let tsig = Tsig::read(packet, at).map_err(|_| Refused::Malformed)?;
    let key = keys
        .get(&tsig.key)
        .filter(|key| key.algorithm.wire().eq_ignore_ascii_case(tsig.algorithm.as_wire()));
    let Some(key) = key else { return Err(refused(&tsig, None, TsigError::BadKey, now)) };
    let whole = key.algorithm.length();
    // §5.2.2.1: longer than there is, or too short to prove anything.
    if tsig.mac.len() > whole || tsig.mac.len() < (whole / 2).max(10) {
        return Err(Refused::Malformed);
    }
    let message = wire::without(packet, at, tsig.original_id);
    let mut context = key.begin();
    context.update(&message);
    tsig.sign_variables(&mut context);
    let tag = context.sign();
    if !key.same(&tag.as_ref()[..tsig.mac.len()], &tsig.mac) {
        return Err(refused(&tsig, None, TsigError::BadSig, now));
    }
    if now.abs_diff(tsig.time) > u64::from(tsig.fudge.min(FUDGE)) {
        return Err(refused(&tsig, Some(key), TsigError::BadTime, now));
    }
    if tsig.mac.len() < whole {
        return Err(refused(&tsig, Some(key), TsigError::BadTrunc, now));
    }
    let signer = Signer::new(&tsig, Some(key.clone()));
    Ok(Verified { message, signer })
}

fn refused(tsig: &Tsig, key: Option<&Arc<Key>>, error: TsigError, now: u64) -> Refused {
    let mut signer = Signer::new(tsig, key.cloned());
    signer.error = error.code();
    signer.time = Some(tsig.time);
    if error == TsigError::BadTime {
        // §5.2.3: 48 bits of our own time.
        signer.other = now.to_be_bytes()[2..].to_vec();
    }
    Refused::NotAuth { error, signer }
}

impl Signer {
    fn new(tsig: &Tsig, key: Option<Arc<Key>>) -> Self {
        Self {
            key,
            names: (tsig.key.clone(), tsig.algorithm.clone()),
            prior: tsig.mac.clone(),
            first: true,
            original_id: tsig.original_id,
            error: 0,
            time: None,
            other: Vec::new(),
        }
    }

    /// The key that the request was signed with.
    #[must_use]
    pub fn key(&self) -> Option<&Name> {
        self.key.as_ref().map(|key| &key.name)
    }

    /// How many octets a record takes.
    #[must_use]
    pub fn room(&self) -> usize {
        let mac = self.key.as_ref().map_or(0, |key| key.algorithm.length());
        let names = self.names.0.as_wire().len() + self.names.1.as_wire().len();
        names + 10 + 16 + mac + self.other.len()
    }

    /// Appends the record that signs the message.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: u64) {
        let mut tsig = Tsig {
            key: self.names.0.clone(),
            algorithm: self.names.1.clone(),
            time: self.time.unwrap_or(now),
            fudge: FUDGE,
            mac: Vec::new(),
            original_id: self.original_id,
            error: self.error,
            other: self.other.clone(),
        };
        if let Some(key) = &self.key {
            let mut context = key.begin();
            wire::sign_prior(&mut context, &self.prior);
            // Signed is the id that was asked with, whoever passed the request on (§5.3.2).
            context.update(&self.original_id);
            context.update(message.get(2..).unwrap_or_default());
            if self.first {
                tsig.sign_variables(&mut context);
            } else {
                context.update(&tsig.timers());
            }
            tsig.mac = context.sign().as_ref().to_vec();
        }
        tsig.write(message);
        self.prior = tsig.mac;
        self.first = false;
    }
}
