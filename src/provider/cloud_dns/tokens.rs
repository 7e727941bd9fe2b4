//! Where tokens come from, each kept until shortly before its end:
//!
//! ```text
//! a service account's key ─▶ claims, signed ─▶ its token endpoint ─▶ token
//! an account elsewhere ─▶ its own token ─▶ STS ─▶ token ─▶ (service account taken on) ─▶ token
//! neither ─▶ the metadata server ─▶ token
//! ```

use super::{
    call::{Clients, body, form, send},
    credentials::{External, GoogleCredentials, Key, Kind, Source},
    failure::{self, COMPUTE_SCOPE, Failed, SCOPE},
};
use crate::{model::Moment, plan::Failure, provider::Clock};
use data_encoding::BASE64URL_NOPAD;
use reqwest::{
    RequestBuilder,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use ring::{rand::SystemRandom, signature::RSA_PKCS1_SHA256};
use serde::Deserialize;
use serde_json::json;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// The tokens of one provider.
#[derive(Debug)]
pub(super) struct Tokens {
    /// The credential file; that of the environment when `None`.
    file: Option<PathBuf>,
    /// What they are for.
    scopes: &'static [&'static str],
    clock: Clock,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: String,
    until: Instant,
}

/// It stays out of logs.
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept(until {:?})", self.until)
    }
}

/// A token and how long it is good for.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// A service account's token, as iamcredentials gives it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    access_token: String,
    expire_time: jiff::Timestamp,
}

/// Google's own libraries renew this early; the metadata server keeps its tokens until then.
const EARLY: Duration = Duration::from_secs(225);
/// The most that the token endpoints take.
const LIFE: u32 = 3_600;
/// What a service account may be taken on with.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// For records alone, and for health checks, too.
const RECORDS: &[&str] = &[SCOPE];
const RECORDS_AND_CHECKS: &[&str] = &[SCOPE, COMPUTE_SCOPE];

impl Tokens {
    pub(super) fn new(file: Option<PathBuf>, checks: bool, clock: Clock) -> Self {
        let scopes = if checks { RECORDS_AND_CHECKS } else { RECORDS };
        Self { file, scopes, clock, kept: Mutex::new(None) }
    }

    /// A token that is good for a while.
    pub(super) async fn bearer(&self, clients: &Clients) -> Result<String, Failure> {
        let mut kept = self.kept.lock().await;
        let now = (self.clock)();
        if let Some(own) = kept.as_ref().filter(|own| now.mono < own.until) {
            return Ok(own.token.clone());
        }
        let (token, life) = match self.credentials().await? {
            Some((file, own)) => match &own.0 {
                Kind::Key(key) => of_key(clients, key, &file, self.scopes, now).await?,
                Kind::External(external) => {
                    of_external(clients, external, &file, self.scopes, now).await?
                }
            },
            None => of_metadata(clients, self.scopes).await?,
        };
        let good = life.saturating_sub(EARLY).max(life / 2);
        *kept = Some(Kept { token: token.clone(), until: now.mono + good });
        Ok(token)
    }

    /// Takes note that a token was refused before its end.
    pub(super) async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    /// The project that the credentials are of.
    pub(super) async fn project(&self, clients: &Clients) -> Result<String, Failure> {
        if let Some((file, own)) = self.credentials().await? {
            let project = own.project().map(str::to_owned);
            return project.ok_or_else(|| {
                Failure::Zone(format!("{file} names no project; say which with project"))
            });
        }
        let asked = metadata(clients, "project/project-id");
        let answer = send(asked).await.map_err(of_metadata_failure)?;
        let text = answer.text().await.map_err(|error| of_metadata_failure(error.into()))?;
        Ok(text.trim().to_owned())
    }

    /// The credential file, read anew each time, for it may have been replaced; `None` leaves it
    /// to the metadata server.
    async fn credentials(&self) -> Result<Option<(String, GoogleCredentials)>, Failure> {
        let of_environment = || std::env::var_os(VARIABLE).filter(|own| !own.is_empty());
        let Some(path) = self.file.clone().or_else(|| of_environment().map(PathBuf::from)) else {
            return Ok(None);
        };
        let file = format!("credentials file {}", path.display());
        let text = tokio::fs::read_to_string(&path).await;
        let text = text.map_err(|error| Failure::Denied(format!("{file}: {error}")))?;
        let own = text.parse().map_err(|error| Failure::Denied(format!("{file} {error}")))?;
        Ok(Some((file, own)))
    }
}

// === A service account's key ===

async fn of_key(
    clients: &Clients,
    key: &Key,
    file: &str,
    scopes: &[&str],
    now: Moment,
) -> Result<(String, Duration), Failure> {
    let assertion =
        assertion(key, scopes, now).map_err(|text| Failure::Denied(format!("{file}: {text}")))?;
    let request = clients.outside.post(&key.token_uri);
    let request = form(request, &[("grant_type", JWT_BEARER), ("assertion", &assertion)]);
    given(
        request,
        &key.token_uri,
        &format!("make a new key for service account {} and put it into {file}", key.client_email),
    )
    .await
}

/// Claims signed with the account's key (RFC 7523).
fn assertion(key: &Key, scopes: &[&str], now: Moment) -> Result<String, String> {
    let from = now.wall.as_second();
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key.private_key_id });
    let claims = json!({
        "iss": key.client_email, "scope": scopes.join(" "), "aud": key.token_uri,
        "iat": from, "exp": from + i64::from(LIFE),
    });
    let encoded = |part: &serde_json::Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let text = format!("{}.{}", encoded(&header), encoded(&claims));
    let pair = key.pair()?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| "private_key cannot sign".to_owned())?;
    Ok(format!("{text}.{}", BASE64URL_NOPAD.encode(&signature)))
}

// === An account elsewhere ===

async fn of_external(
    clients: &Clients,
    own: &External,
    file: &str,
    scopes: &[&str],
    now: Moment,
) -> Result<(String, Duration), Failure> {
    let records = scopes.join(" ");
    let subject = subject_token(clients, own, file).await?;
    let account = own.service_account_impersonation_url.as_deref();
    let user = own.workforce_pool_user_project.as_ref();
    let options = user.map(|project| json!({ "userProject": project }).to_string());
    let mut fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", own.audience.as_str()),
        ("scope", if account.is_some() { CLOUD_PLATFORM } else { &records }),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", own.subject_token_type.as_str()),
        ("subject_token", subject.as_str()),
    ];
    fields.extend(options.as_deref().map(|options| ("options", options)));
    let request = form(clients.outside.post(&own.token_url), &fields);
    let remedy = format!(
        "check that the pool's provider trusts who signs the token that {file} names, and its \
         audience {}",
        own.audience
    );
    let (token, life) = given(request, &own.token_url, &remedy).await?;
    let Some(account) = account else { return Ok((token, life)) };
    let life = own.service_account_impersonation.token_lifetime_seconds.unwrap_or(LIFE);
    take_on(clients, account, &token, (scopes, life), now).await
}

/// The account's own token.
async fn subject_token(clients: &Clients, own: &External, file: &str) -> Result<String, Failure> {
    let denied = |text: String| Failure::Denied(format!("{file}: credential_source: {text}"));
    let held = match own.source().map_err(denied)? {
        Source::File(path) => {
            let text = tokio::fs::read_to_string(path).await;
            text.map_err(|error| denied(format!("{path}: {error}")))?
        }
        Source::Url(url, headers) => {
            let mut all = HeaderMap::new();
            for (name, value) in headers {
                let name: HeaderName =
                    name.parse().map_err(|_| denied(format!("{name:?} is no header")))?;
                let value: HeaderValue = value
                    .parse()
                    .map_err(|_| denied(format!("the value of header {name} is none")))?;
                all.insert(name, value);
            }
            let remedy = format!("check credential_source of {file}");
            let failed = |failed: Failed| failure::token(failed, url, &remedy);
            let answer = send(clients.beside.get(url).headers(all)).await.map_err(failed)?;
            answer.text().await.map_err(|error| failed(error.into()))?
        }
    };
    match own.token(&held).map_err(denied)? {
        token if token.is_empty() => Err(denied("there is no token in it".to_owned())),
        token => Ok(token),
    }
}

/// A token of the service account, with one of who may take it on.
async fn take_on(
    clients: &Clients,
    url: &str,
    token: &str,
    (scopes, life): (&[&str], u32),
    now: Moment,
) -> Result<(String, Duration), Failure> {
    let asked = json!({ "scope": scopes, "lifetime": format!("{life}s") });
    let request = clients.outside.post(url).bearer_auth(token).json(&asked);
    let remedy = "give the federated identity the role roles/iam.workloadIdentityUser on the \
                  service account";
    let failed = |failed: Failed| failure::token(failed, url, remedy);
    let answer = send(request).await.map_err(failed)?;
    let taken: Taken = body(answer).await.map_err(failed)?;
    let life = taken.expire_time.duration_since(now.wall);
    Ok((taken.access_token, Duration::try_from(life).unwrap_or_default()))
}

// === The metadata server ===

async fn of_metadata(clients: &Clients, scopes: &[&str]) -> Result<(String, Duration), Failure> {
    let path = format!("instance/service-accounts/default/token?scopes={}", scopes.join(","));
    let answer = send(metadata(clients, &path)).await.map_err(of_metadata_failure)?;
    let given: Given = body(answer).await.map_err(of_metadata_failure)?;
    Ok((given.access_token, Duration::from_secs(given.expires_in)))
}

fn metadata(clients: &Clients, path: &str) -> RequestBuilder {
    let host = std::env::var("GCE_METADATA_HOST").ok().filter(|host| !host.is_empty());
    let host = host.as_deref().unwrap_or("metadata.google.internal");
    let url = format!("http://{host}/computeMetadata/v1/{path}");
    clients.beside.get(url).header("Metadata-Flavor", "Google")
}

fn of_metadata_failure(failed: Failed) -> Failure {
    let remedy = "give this workload a service account";
    let unreached = matches!(&failed, Failed::Unsent(_));
    match failure::token(failed, "the metadata server", remedy) {
        Failure::Unavailable(text) if unreached => Failure::Unavailable(format!(
            "{text}; outside of Google Cloud, say credentialsFile or set {VARIABLE}"
        )),
        other => other,
    }
}

async fn given(
    request: RequestBuilder,
    from: &str,
    remedy: &str,
) -> Result<(String, Duration), Failure> {
    let failed = |failed: Failed| failure::token(failed, from, remedy);
    let answer = send(request).await.map_err(failed)?;
    let given: Given = body(answer).await.map_err(failed)?;
    Ok((given.access_token, Duration::from_secs(given.expires_in)))
}

const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
