//! One call to the Resource Manager: its token, its condition, and what became of it. Nothing is
//! tried again here but a call whose token had been taken back: retries are the writer's.

use super::{convert::Properties, failure, token::Tokens};
use crate::{
    model::Name,
    plan::Failure,
    provider::{Act, Leave, http},
};
use reqwest::{Client, Method, Response, StatusCode, Url, header::HeaderMap};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The Resource Manager at one endpoint.
#[derive(Debug)]
pub(super) struct Api {
    endpoint: String,
    tokens: Tokens,
    client: OnceCell<Client>,
}

/// What must hold for a call to be carried out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition<'v> {
    /// There is none of it.
    New,
    /// It has that version.
    Is(&'v str),
}

/// One call.
struct Wanted<'c> {
    zone: &'c Name,
    method: Method,
    url: Url,
    body: Option<Value>,
    condition: Option<Condition<'c>>,
    /// Of what changes something.
    leave: Option<(&'c Leave, Act)>,
}

impl Api {
    pub(super) fn new(endpoint: &str, tokens: Tokens) -> Self {
        Self { endpoint: endpoint.to_owned(), tokens, client: OnceCell::new() }
    }

    /// A path, which ends with `?` or `&` or is without a query.
    pub(super) fn url(&self, path: &str) -> Result<Url, Failure> {
        self.url_of(path, VERSION)
    }

    /// The same for a service of another version.
    pub(super) fn url_of(&self, path: &str, version: &str) -> Result<Url, Failure> {
        let joint = if path.contains('?') { "" } else { "?" };
        let text = format!("{}{path}{joint}api-version={version}", self.endpoint);
        let wrong = |error| Failure::Denied(format!("{text:?}: {error}; check endpoint"));
        Url::parse(&text).map_err(wrong)
    }

    /// Where a list goes on: on the same host, since the token goes with it.
    pub(super) fn link(&self, link: &str) -> Result<Url, Failure> {
        let own = self.url("/")?;
        let next = Url::parse(link).ok().filter(|next| next.origin() == own.origin());
        next.ok_or_else(|| {
            Failure::Unavailable(format!("a listing goes on at {link:?}, which is another host"))
        })
    }

    pub(super) async fn get(&self, zone: &Name, url: Url) -> Result<Vec<u8>, Failure> {
        let call =
            Wanted { zone, method: Method::GET, url, body: None, condition: None, leave: None };
        let (_, body) = self.send(&call).await?;
        Ok(body)
    }

    /// A call of a profile, which nothing is compared for.
    pub(super) async fn call(
        &self,
        zone: &Name,
        method: Method,
        url: Url,
        body: Option<Value>,
        leave: &Leave,
    ) -> Result<(), Failure> {
        let leave = Some((leave, Act::Profile));
        self.send(&Wanted { zone, method, url, body, condition: None, leave }).await.map(drop)
    }

    /// Puts a record set; its new version.
    pub(super) async fn put(
        &self,
        zone: &Name,
        path: &str,
        properties: &Properties,
        condition: Condition<'_>,
        leave: &Leave,
    ) -> Result<Arc<str>, Failure> {
        let body = Some(json!({"properties": properties}));
        let (url, condition) = (self.url(path)?, Some(condition));
        let call = Wanted {
            zone,
            method: Method::PUT,
            url,
            body,
            condition,
            leave: Some((leave, Act::Records)),
        };
        let (headers, body) = self.send(&call).await?;
        let read: Value = serde_json::from_slice(&body).unwrap_or_default();
        let header = headers.get("etag").and_then(|etag| etag.to_str().ok());
        let etag = read["etag"].as_str().or(header);
        etag.map(Arc::from).ok_or_else(|| {
            Failure::Unknown(format!("the answer to PUT {path} does not say the new version"))
        })
    }

    pub(super) async fn delete(
        &self,
        zone: &Name,
        path: &str,
        condition: Condition<'_>,
        leave: &Leave,
    ) -> Result<(), Failure> {
        let (url, condition) = (self.url(path)?, Some(condition));
        let (method, leave) = (Method::DELETE, Some((leave, Act::Records)));
        let call = Wanted { zone, method, url, body: None, condition, leave };
        self.send(&call).await.map(drop)
    }

    async fn send(&self, call: &Wanted<'_>) -> Result<(HeaderMap, Vec<u8>), Failure> {
        let token = self.tokens.token().await?;
        let mut answer = self.send_with(call, &token).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            // It may have been taken back before its end; a new one shows.
            self.tokens.forget(&token).await;
            let token = self.tokens.token().await?;
            answer = self.send_with(call, &token).await?;
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|error| failure::unanswered(&error))?;
        if status.is_success() {
            return Ok((headers, body.to_vec()));
        }
        let text = String::from_utf8_lossy(&body);
        Err(failure::refused(status, http::retry_after(&headers), &text, call.zone))
    }

    async fn send_with(&self, call: &Wanted<'_>, token: &str) -> Result<Response, Failure> {
        let client = self.client.get_or_try_init(async || connect()).await?;
        let mut request = client.request(call.method.clone(), call.url.clone()).bearer_auth(token);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        request = match call.condition {
            Some(Condition::New) => request.header("if-none-match", "*"),
            Some(Condition::Is(version)) => request.header("if-match", version),
            None => request,
        };
        call.leave.map_or(Ok(()), |(leave, act)| leave.go_on(act))?;
        request.send().await.map_err(|error| failure::unanswered(&error))
    }
}

fn connect() -> Result<Client, Failure> {
    http::client().build().map_err(|error| Failure::Unavailable(format!("HTTP client: {error}")))
}

const VERSION: &str = "2018-05-01";
