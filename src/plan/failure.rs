//! How a call to a provider can fail, in the few kinds that call for different answers.

use serde::Serialize;
use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

/// Why a read or a write did not come about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// What was to be there was not: somebody else wrote. Read again, plan again.
    Lost(String),
    /// The provider refuses something in the batch; the whole batch was left.
    Rejected(String),
    /// Too fast; at least that long to wait.
    Throttled(Option<Duration>, String),
    /// Nothing was carried out: no connection, a refusal by an overloaded server.
    Unavailable(String),
    /// It may have been carried out: no answer came.
    Unknown(String),
    /// Credentials are wrong, or lack a right. People must act.
    Denied(String),
    /// There is no such zone, or more than one. People must act.
    Zone(String),
    /// Nothing was carried out, since health checks that it needs cannot be had; without them it
    /// could be written.
    Unchecked(Unchecked),
}

/// See [`Failure::Unchecked`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unchecked {
    /// Which checks, as sets name them; every one when `None`.
    pub which: Option<BTreeSet<Arc<str>>>,
    /// Why, and what people can do.
    pub reason: String,
    /// Whether that will stay so until somebody does something: a quota, a check that is refused.
    pub lasting: bool,
}

/// See [`Failure`], without the words.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// See [`Failure::Lost`].
    Lost,
    /// See [`Failure::Rejected`].
    Rejected,
    /// See [`Failure::Throttled`].
    Throttled,
    /// See [`Failure::Unavailable`].
    Unavailable,
    /// See [`Failure::Unknown`].
    Unknown,
    /// See [`Failure::Denied`].
    Denied,
    /// See [`Failure::Zone`].
    Zone,
    /// See [`Failure::Unchecked`].
    Unchecked,
}

impl Failure {
    /// Which kind.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Lost(_) => FailureKind::Lost,
            Self::Rejected(_) => FailureKind::Rejected,
            Self::Throttled(..) => FailureKind::Throttled,
            Self::Unavailable(_) => FailureKind::Unavailable,
            Self::Unknown(_) => FailureKind::Unknown,
            Self::Denied(_) => FailureKind::Denied,
            Self::Zone(_) => FailureKind::Zone,
            Self::Unchecked(_) => FailureKind::Unchecked,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(text) => write!(f, "somebody else wrote first: {text}"),
            Self::Rejected(text) => write!(f, "refused: {text}"),
            Self::Throttled(_, text) => write!(f, "too many calls: {text}"),
            Self::Unavailable(text) => write!(f, "out of reach: {text}"),
            Self::Unknown(text) => write!(f, "no answer, so it may have been carried out: {text}"),
            Self::Denied(text) => write!(f, "not allowed: {text}"),
            Self::Zone(text) => f.write_str(text),
            Self::Unchecked(own) => write!(f, "without health checks: {}", own.reason),
        }
    }
}
