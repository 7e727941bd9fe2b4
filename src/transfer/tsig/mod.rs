//! Signatures over messages (TSIG, RFC 8945): requests verified and their answers signed, and the
//! other way round for what we ask of others.

mod check;
mod file;
mod key;
mod sign;
mod wire;

pub use check::Checker;
pub use file::KeyFileError;
pub use key::{Algorithm, Key, Keys};
pub use sign::{Refused, Signer, Verified, verify_request};

/// Seconds that the two clocks may be apart (RFC 8945 §10).
pub const FUDGE: u16 = 300;

/// What a TSIG record says is wrong (RFC 8945 §3).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TsigError {
    /// The signature does not match.
    BadSig,
    /// No key of that name and algorithm.
    BadKey,
    /// The clocks are further apart than the fudge.
    BadTime,
    /// The signature is cut shorter than we take.
    BadTrunc,
}

impl TsigError {
    /// Its number.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::BadSig => 16,
            Self::BadKey => 17,
            Self::BadTime => 18,
            Self::BadTrunc => 22,
        }
    }

    /// Its mnemonic.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadSig => "BADSIG",
            Self::BadKey => "BADKEY",
            Self::BadTime => "BADTIME",
            Self::BadTrunc => "BADTRUNC",
        }
    }
}

#[cfg(test)]
mod tests;
