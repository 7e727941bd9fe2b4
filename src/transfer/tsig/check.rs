//! Signs a request of ours, and checks that all that answers it is signed as it must be
//! (RFC 8945 §5.1, §5.3.1).

use super::{
    FUDGE, TsigError,
    key::Key,
    wire::{self, Tsig},
};
use crate::model::Name;
use ring::hmac::Context;
use std::sync::Arc;

/// Most messages in a row that may come without a signature (§5.3.1).
const MOST_UNSIGNED: usize = 99;

/// Checks the answers to one request.
pub struct Checker {
    key: Arc<Key>,
    prior: Vec<u8>,
    /// What came since the last signature, as far as it is signed by the next.
    open: Option<Context>,
    unsigned: usize,
    first: bool,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checker({:?}, {} unsigned)", self.key, self.unsigned)
    }
}

impl Checker {
    /// Signs a request; checks its answers from then on.
    #[must_use]
    pub fn sign(key: Arc<Key>, message: &mut Vec<u8>, now: u64) -> Self {
        let algorithm = Name::from_wire(key.algorithm.wire()).unwrap_or_else(|_| Name::root());
        let mut tsig = Tsig {
            key: key.name.clone(),
            algorithm,
            time: now,
            fudge: FUDGE,
            mac: Vec::new(),
            original_id: [message[0], message[1]],
            error: 0,
            other: Vec::new(),
        };
        let mut context = key.begin();
        context.update(message);
        tsig.sign_variables(&mut context);
        tsig.mac = context.sign().as_ref().to_vec();
        tsig.write(message);
        Self { key, prior: tsig.mac, open: None, unsigned: 0, first: true }
    }

    /// Checks the next message; `at` is where its TSIG record begins.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn check(&mut self, packet: &[u8], at: Option<usize>, now: u64) -> Result<(), String> {
        let Some(at) = at else { return self.take_unsigned(packet) };
        let tsig = Tsig::read(packet, at).map_err(|error| error.to_string())?;
        let named = tsig.key == self.key.name
            && self.key.algorithm.wire().eq_ignore_ascii_case(tsig.algorithm.as_wire());
        if let Some(text) = said(&tsig) {
            return Err(text);
        }
        if !named {
            return Err(format!("it is signed with key {}, not {}", tsig.key, self.key.name));
        }
        let mut context = self.begin();
        context.update(&wire::without(packet, at, tsig.original_id));
        if self.first {
            tsig.sign_variables(&mut context);
        } else {
            context.update(&tsig.timers());
        }
        let tag = context.sign();
        if !self.key.same(tag.as_ref(), &tsig.mac) {
            return Err("its signature is wrong".to_owned());
        }
        if now.abs_diff(tsig.time) > u64::from(FUDGE) {
            return Err(format!(
                "it was signed more than {FUDGE} s from now; set the clocks by NTP"
            ));
        }
        (self.prior, self.first, self.unsigned) = (tsig.mac, false, 0);
        Ok(())
    }

    /// Whether all that has come is signed; a transfer is whole only then.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.first && self.unsigned == 0
    }

    fn take_unsigned(&mut self, packet: &[u8]) -> Result<(), String> {
        if self.first || self.unsigned >= MOST_UNSIGNED {
            return Err("it is not signed".to_owned());
        }
        let mut context = self.begin();
        context.update(packet);
        self.open = Some(context);
        self.unsigned += 1;
        Ok(())
    }

    fn begin(&mut self) -> Context {
        self.open.take().unwrap_or_else(|| {
            let mut context = self.key.begin();
            wire::sign_prior(&mut context, &self.prior);
            context
        })
    }
}

/// What the other side says of our signature. It cannot be trusted where it is unsigned, but a
/// refusal harms nobody.
fn said(tsig: &Tsig) -> Option<String> {
    let own = |error: TsigError| error.code() == tsig.error;
    match tsig.error {
        0 => None,
        _ if own(TsigError::BadKey) => {
            Some("the server does not know the TSIG key (BADKEY)".to_owned())
        }
        _ if own(TsigError::BadSig) => {
            Some("the TSIG secret is not the server's (BADSIG)".to_owned())
        }
        _ if own(TsigError::BadTime) => {
            Some("the clocks are too far apart (BADTIME); set them by NTP".to_owned())
        }
        other => Some(format!("the server gives TSIG error {other}")),
    }
}
