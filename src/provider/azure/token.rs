//! Who we are to Azure: a client's secret, a cluster's own identity (workload identity), or the
//! machine's (managed identity). A token is kept until shortly before it ends.

use super::{AzureSettings, failure};
use crate::{
    plan::Failure,
    provider::{Clock, http},
};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use std::{
    fmt,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// What the environment says of identities, as Azure's own tools read it.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// Where a cluster's projected token is.
    pub(super) token_file: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) client: Option<String>,
    /// Where tokens are given, in place of the public cloud's.
    pub(super) authority: Option<String>,
    /// Where the machine's own identity is asked for.
    pub(super) machine: Option<String>,
}

impl Environment {
    pub(super) fn read() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            token_file: read("AZURE_FEDERATED_TOKEN_FILE"),
            tenant: read("AZURE_TENANT_ID"),
            client: read("AZURE_CLIENT_ID"),
            authority: read("AZURE_AUTHORITY_HOST"),
            machine: read("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
        }
    }
}

/// Gets tokens and keeps the last.
#[derive(Debug)]
pub(super) struct Tokens {
    settings: AzureSettings,
    environment: Environment,
    clock: Clock,
    last: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    until: Instant,
}

/// The token stays out of logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What is answered to who may have a token. Machines write the number as text.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: serde_json::Value,
}

impl Tokens {
    pub(super) fn new(settings: AzureSettings, environment: Environment, clock: Clock) -> Self {
        Self { settings, environment, clock, last: Mutex::default() }
    }

    /// One that is good for a while yet.
    pub(super) async fn token(&self) -> Result<String, Failure> {
        let mut last = self.last.lock().await;
        let now = (self.clock)().mono;
        if let Some(token) = last.as_ref().filter(|token| token.until > now) {
            return Ok(token.text.clone());
        }
        let granted = self.ask().await?;
        let text = granted.access_token.clone();
        *last = Some(Token { text: text.clone(), until: now + kept(&granted) });
        Ok(text)
    }

    /// That one is not taken any more.
    pub(super) async fn forget(&self, token: &str) {
        self.last.lock().await.take_if(|last| last.text == token);
    }

    async fn ask(&self) -> Result<Granted, Failure> {
        match (&self.settings.secret, &self.environment.token_file) {
            (Some(secret), _) => self.with(&[("client_secret", secret)]).await,
            (None, Some(path)) => {
                let read = tokio::fs::read_to_string(path).await;
                let assertion = read.map_err(|error| {
                    Failure::Denied(format!("AZURE_FEDERATED_TOKEN_FILE {path}: {error}"))
                })?;
                let kind = ("client_assertion_type", ASSERTION);
                self.with(&[kind, ("client_assertion", assertion.trim())]).await
            }
            (None, None) => self.of_machine().await,
        }
    }

    /// The token endpoint of the tenant.
    async fn with(&self, proof: &[(&str, &str)]) -> Result<Granted, Failure> {
        let (own, environment) = (&self.settings, &self.environment);
        let one = |own: &Option<String>, other: &Option<String>, key: &str, variable: &str| {
            own.clone().or_else(|| other.clone()).ok_or_else(|| {
                Failure::Denied(format!("Azure: neither {key} in configFile nor {variable} is set"))
            })
        };
        let tenant = one(&own.tenant_id, &environment.tenant, "tenant-id", "AZURE_TENANT_ID")?;
        let client = one(&own.client_id, &environment.client, "client-id", "AZURE_CLIENT_ID")?;
        let authority = environment.authority.as_deref().unwrap_or(AUTHORITY);
        let authority = authority.trim_end_matches('/');
        let url = format!("{authority}/{}/oauth2/v2.0/token", percent(&tenant));
        let scope = format!("{}/.default", own.endpoint());
        let fields =
            [("grant_type", "client_credentials"), ("client_id", &client), ("scope", &scope)];
        let form = form(fields.iter().chain(proof));
        let call = client_of(false)?.post(url).body(form);
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        let (status, text) = sent(call)
            .await
            .map_err(|error| Failure::Unavailable(format!("no token from {authority}: {error}")))?;
        if status.is_success() { granted(&text) } else { Err(failure::token(status, &text)) }
    }

    /// The endpoint that machines in Azure have for themselves.
    async fn of_machine(&self) -> Result<Granted, Failure> {
        let environment = &self.environment;
        let host = environment.machine.as_deref().unwrap_or(MACHINE).trim_end_matches('/');
        let resource = format!("{}/", self.settings.endpoint());
        let mut query = vec![("api-version", "2018-02-01"), ("resource", &resource)];
        let client = self.settings.client_id.as_ref().or(environment.client.as_ref());
        query.extend(client.map(|id| ("client_id", id.as_str())));
        let url = format!("{host}/metadata/identity/oauth2/token?{}", form(query.iter()));
        let call = client_of(true)?.get(url).header("metadata", "true");
        let (status, text) = sent(call).await.map_err(|error| {
            Failure::Denied(format!(
                "Azure: no credentials: configFile has no secret, AZURE_FEDERATED_TOKEN_FILE is not \
                 set, and the machine has no identity at {host}: {error}"
            ))
        })?;
        if status.is_success() { granted(&text) } else { Err(failure::machine(status, &text)) }
    }
}

/// Connections are made anew each time: a token lasts an hour. Machines' own endpoint is never
/// behind a proxy.
fn client_of(direct: bool) -> Result<Client, Failure> {
    let builder = if direct { http::client().no_proxy() } else { http::client() };
    builder.build().map_err(|error| Failure::Unavailable(format!("HTTP client: {error}")))
}

async fn sent(call: RequestBuilder) -> Result<(StatusCode, String), String> {
    let answer = call.send().await.map_err(|error| http::said(&error))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| http::said(&error))?;
    Ok((status, text))
}

fn granted(text: &str) -> Result<Granted, Failure> {
    // The answer is not shown: it may have a token in it.
    serde_json::from_str(text).map_err(|_| {
        Failure::Unavailable("Azure: the answer to the request for a token has none".to_owned())
    })
}

/// Until five minutes before its end, or half its life where that is short.
fn kept(granted: &Granted) -> Duration {
    let own = &granted.expires_in;
    let seconds = own.as_u64().or_else(|| own.as_str()?.parse().ok()).unwrap_or_default();
    let life = Duration::from_secs(seconds);
    (life / 2).max(life.saturating_sub(SPARE))
}

/// `name=value` pairs for a query or a form.
fn form<'f>(fields: impl Iterator<Item = &'f (&'f str, &'f str)>) -> String {
    let pairs = fields.map(|(name, value)| format!("{name}={}", percent(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Percent-encoded but for what is unreserved (RFC 3986 §2.3).
pub(super) fn percent(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
        out
    })
}

const AUTHORITY: &str = "https://login.microsoftonline.com";
const MACHINE: &str = "http://169.254.169.254";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Shorter than the five minutes that Azure's clock and ours may be apart.
const SPARE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        let fields = [("a", "x y&=+"), ("b", "é/~")];
        assert_eq!(form(fields.iter()), "a=x%20y%26%3D%2B&b=%C3%A9%2F~");
    }

    #[test]
    fn a_token_is_kept_until_shortly_before_its_end() {
        let of = |expires_in: serde_json::Value| {
            kept(&Granted { access_token: String::new(), expires_in }).as_secs()
        };
        assert_eq!(of(3_599.into()), 3_299);
        assert_eq!(of("3600".into()), 3_300);
        assert_eq!(of(60.into()), 30);
        assert_eq!(of(serde_json::Value::Null), 0);
    }
}
