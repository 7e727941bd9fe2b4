//! One call over HTTP: sent once, and whatever is no answer told apart.

use super::failure::{Failed, Refusal};
use crate::{
    plan::Failure,
    provider::http::{self, said},
};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

/// What calls go out by.
#[derive(Debug)]
pub(super) struct Clients {
    /// By the proxy of the environment, where there is one.
    pub(super) outside: Client,
    /// To the metadata server, which stands behind none.
    pub(super) beside: Client,
}

impl Clients {
    pub(super) fn new() -> Result<Self, Failure> {
        let built = |client: reqwest::Result<Client>| {
            client.map_err(|error| Failure::Unavailable(said(&error)))
        };
        let (outside, beside) =
            (built(http::client().build())?, built(http::client().no_proxy().build())?);
        Ok(Self { outside, beside })
    }
}

/// An endpoint's URL with that path; `None` where it is none.
pub(super) fn url<'s>(base: &str, path: impl IntoIterator<Item = &'s &'s str>) -> Option<Url> {
    let mut url = Url::parse(base).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(path);
    Some(url)
}

/// An answer that says yes.
pub(super) async fn send(request: RequestBuilder) -> Result<Response, Failed> {
    let answer = request.send().await?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    Err(Failed::Refused(Refusal::read(answer).await))
}

/// What an answer holds.
pub(super) async fn body<T: DeserializeOwned>(answer: Response) -> Result<T, Failed> {
    let bytes = answer.bytes().await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failed::Unanswered(format!("the answer cannot be read: {error}")))
}

/// `application/x-www-form-urlencoded`.
pub(super) fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut url = Url::parse("form://fields").expect("these letters are a URL");
    let text = url.query_pairs_mut().extend_pairs(fields).finish().query();
    let text = text.unwrap_or_default().to_owned();
    request.header("content-type", "application/x-www-form-urlencoded").body(text)
}
