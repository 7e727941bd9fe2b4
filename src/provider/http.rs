//! What the wires over HTTP share: how long they wait, whom they follow, how an error reads.

use reqwest::{
    Client, ClientBuilder,
    header::{HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use std::{error::Error, time::Duration};

/// A call that takes longer has no answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// A connection that takes longer does not come about.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// A client that follows nobody: who sends tokens on to where a redirect points gives them away.
pub(super) fn client() -> ClientBuilder {
    Client::builder().timeout(PATIENCE).connect_timeout(CONNECT).redirect(Policy::none())
}

/// The pause that an answer asks for, in seconds (RFC 9110 §10.2.3); a date is not read.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// An error with what caused it, each said once.
pub(super) fn said(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(own) = cause {
        let own_text = own.to_string();
        if !text.contains(&own_text) {
            text = format!("{text}: {own_text}");
        }
        cause = own.source();
    }
    text
}
