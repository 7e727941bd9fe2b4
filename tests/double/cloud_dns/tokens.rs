//! Where tokens come from: a service account's signed claims, the metadata server, a foreign
//! token exchanged (workload identity federation), and a service account taken on.

use super::{PROJECT, PROJECT_NUMBER, refusal::Refusal, state::State};
use axum::http::HeaderMap;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rustls::{
    SignatureScheme,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// What a token that was given out is good for.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) scopes: Vec<String>,
    pub(super) until: Duration,
}

/// A form's or a query's fields.
pub(super) type Fields = BTreeMap<String, String>;

/// `POST /token`: a service account's claims, signed with its key (RFC 7523).
pub(super) fn service_account(
    state: &mut State,
    form: &Fields,
    aud: &str,
    now: Duration,
) -> Result<Value, Refusal> {
    let grant = form.get("grant_type").map_or("", String::as_str);
    if grant != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
        return Err(Refusal::oauth(
            "unsupported_grant_type",
            &format!("Invalid grant_type: {grant}"),
        ));
    }
    let invalid = |why: &str| Refusal::oauth("invalid_grant", why);
    let assertion = form.get("assertion").ok_or_else(|| {
        Refusal::oauth("invalid_request", "Missing required parameter: assertion")
    })?;
    let jwt = Jwt::read(assertion).ok_or_else(|| invalid("Bad JWT format."))?;
    if jwt.header["alg"] != "RS256" || jwt.header["typ"] != "JWT" {
        return Err(invalid("Invalid JWT: Only RS256 is allowed."));
    }
    if jwt.claims["iss"] != EMAIL {
        return Err(invalid("Invalid grant: account not found"));
    }
    if jwt.header["kid"] != key_id() || !jwt.signed_by_the_key() {
        return Err(invalid("Invalid JWT Signature."));
    }
    if jwt.claims["aud"] != aud && jwt.claims["aud"] != ENDPOINT {
        return Err(invalid("Invalid JWT: Token audience is not the token endpoint."));
    }
    let seconds = |claim: &str| jwt.claims[claim].as_i64();
    let (Some(from), Some(until)) = (seconds("iat"), seconds("exp")) else {
        return Err(invalid("Invalid JWT: iat and exp must be numbers."));
    };
    let wall = wall();
    if until <= from || until - from > 3600 || from > wall + 300 || until < wall {
        return Err(invalid(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
             timeframe. Check your iat and exp values in the JWT claim.",
        ));
    }
    let scope = jwt.claims["scope"].as_str().unwrap_or_default();
    let scopes = scopes(scope).ok_or_else(|| {
        Refusal::oauth("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    })?;
    let token = give(state, "ya29.c.", scopes, now, LIFETIME);
    Ok(json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
}

/// What the metadata server answers; it refuses who does not know whom they are speaking to.
pub(super) fn metadata(
    state: &mut State,
    path: &[&str],
    query: &Fields,
    headers: &HeaderMap,
    now: Duration,
) -> Result<Answer, Refusal> {
    let flavor = headers.get("metadata-flavor").is_some_and(|flavor| flavor == "Google");
    if path.is_empty() {
        return Ok(Answer::Text("computeMetadata/\n".to_owned()));
    }
    if !flavor || headers.contains_key("x-forwarded-for") {
        let body = json!({ "error": "Missing required header: Metadata-Flavor: Google" });
        return Err(Refusal { code: 403, body, retry_after: None });
    }
    let not_found = || Refusal { code: 404, body: json!("Not Found"), retry_after: None };
    match path {
        ["project", "project-id"] => Ok(Answer::Text(PROJECT.to_owned())),
        ["project", "numeric-project-id"] => Ok(Answer::Text(PROJECT_NUMBER.to_owned())),
        ["universe", "universe-domain"] => Ok(Answer::Text("googleapis.com".to_owned())),
        ["instance", "service-accounts", account, rest @ ..]
            if ["default", EMAIL].contains(account) =>
        {
            match rest {
                ["email"] => Ok(Answer::Text(EMAIL.to_owned())),
                ["scopes"] => Ok(Answer::Text(format!("{CLOUD_PLATFORM}\n"))),
                ["token"] => {
                    let asked = query
                        .get("scopes")
                        .map_or(CLOUD_PLATFORM, String::as_str)
                        .replace(',', " ");
                    let scopes = scopes(&asked).ok_or_else(not_found)?;
                    let token = give(state, "ya29.m.", scopes, now, LIFETIME);
                    let body = json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" });
                    Ok(Answer::Json(body))
                }
                [] | [""] => Ok(Answer::Json(json!({
                    "aliases": ["default"], "email": EMAIL, "scopes": [CLOUD_PLATFORM],
                }))),
                _ => Err(not_found()),
            }
        }
        _ => Err(not_found()),
    }
}

/// A metadata server's answer: bare text or JSON.
pub(super) enum Answer {
    Text(String),
    Json(Value),
}

/// `POST /v1/token` of sts.googleapis.com: a foreign token for one of Google's (RFC 8693).
pub(super) fn exchange(state: &mut State, form: &Fields, now: Duration) -> Result<Value, Refusal> {
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" {
        return Err(Refusal::oauth("unsupported_grant_type", "The grant type is not supported."));
    }
    if field("audience") != AUDIENCE {
        let said = "The audience does not match any known provider.";
        return Err(Refusal::oauth("invalid_target", said));
    }
    if field("requested_token_type") != "urn:ietf:params:oauth:token-type:access_token" {
        return Err(Refusal::oauth("invalid_request", "Invalid requested token type."));
    }
    if field("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt" {
        return Err(Refusal::oauth("invalid_request", "Invalid subject token type."));
    }
    let wrong = |why: &str| Refusal::oauth("invalid_grant", why);
    let jwt =
        Jwt::read(field("subject_token")).ok_or_else(|| wrong("Error parsing the credential."))?;
    let audiences = match &jwt.claims["aud"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    if !audiences.iter().any(|aud| aud.as_str().is_some_and(|aud| aud.ends_with(AUDIENCE))) {
        return Err(wrong("The audience in ID Token does not match the expected audience."));
    }
    if jwt.claims["exp"].as_i64().is_none_or(|until| until < wall())
        || !jwt.claims["sub"].is_string()
    {
        return Err(wrong("ID Token is stale to sign-in."));
    }
    let scopes = scopes(field("scope"))
        .ok_or_else(|| Refusal::oauth("invalid_scope", "The scope is missing or unknown."))?;
    let token = give(state, "ya29.d.", scopes, now, LIFETIME);
    Ok(json!({
        "access_token": token,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 3599,
    }))
}

/// `generateAccessToken` of iamcredentials.googleapis.com, by whom that account trusts.
pub(super) fn impersonate(
    state: &mut State,
    account: &str,
    body: &[u8],
    now: Duration,
) -> Result<Value, Refusal> {
    let asked: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::malformed(&format!("Invalid JSON payload received. {error}")))?;
    if account != EMAIL {
        return Err(Refusal::permission("iam.serviceAccounts.getAccessToken", account));
    }
    let list: Option<Vec<&str>> =
        asked["scope"].as_array().and_then(|list| list.iter().map(Value::as_str).collect());
    let scopes = list.and_then(|list| scopes(&list.join(" ")));
    let scopes = scopes.ok_or_else(|| Refusal::malformed("The scope is missing or unknown."))?;
    let lifetime = asked["lifetime"].as_str().unwrap_or("3600s").strip_suffix('s');
    let lifetime =
        lifetime.and_then(|text| text.parse().ok()).filter(|own| (1..=3600).contains(own));
    let seconds = lifetime.ok_or_else(|| Refusal::malformed("Invalid lifetime."))?;
    let token = give(state, "ya29.i.", scopes, now, Duration::from_secs(seconds));
    let until = jiff::Timestamp::now() + Duration::from_secs(seconds);
    let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Ok(json!({ "accessToken": token, "expireTime": until }))
}

/// What the vendor's libraries ask for beside their calls: where an account may be used from.
pub(super) fn allowed_locations() -> Value {
    json!({ "locations": ["europe-west3", "us-central1"], "encodedLocations": "0xA30" })
}

/// The key file of the double's service account.
pub(super) fn key_file(url: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": key_id(),
        "private_key": KEY,
        "client_email": EMAIL,
        "client_id": "100000000000000000001",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": format!("{url}/token"),
        "universe_domain": "googleapis.com",
    })
}

/// The configuration of a workload elsewhere, whose own token is in that file.
pub(super) fn external_account(url: &str, token_file: &str, impersonated: bool) -> Value {
    let mut file = json!({
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{url}/v1/token"),
        "credential_source": { "file": token_file },
        "universe_domain": "googleapis.com",
    });
    if impersonated {
        file["service_account_impersonation_url"] =
            json!(format!("{url}/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"));
    }
    file
}

/// A token as a cluster gives it to a pod, for the double's federation.
pub(super) fn subject_token() -> String {
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let header = part(json!({ "alg": "RS256", "kid": "cluster" }));
    let claims = part(json!({
        "iss": "https://cluster.test",
        "sub": "system:serviceaccount:meridian:meridian",
        "aud": [format!("https:{AUDIENCE}")],
        "iat": wall(),
        "exp": wall() + 3600,
    }));
    format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(b"signed elsewhere"))
}

fn give(
    state: &mut State,
    prefix: &str,
    scopes: Vec<String>,
    now: Duration,
    for_: Duration,
) -> String {
    let token = format!("{prefix}{}", state.number());
    state.tokens.insert(token.clone(), Token { scopes, until: now + for_ });
    token
}

fn scopes(text: &str) -> Option<Vec<String>> {
    let scopes: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    let known = |scope: &String| {
        scope
            .strip_prefix("https://www.googleapis.com/auth/")
            .is_some_and(|own| SCOPES.contains(&own))
    };
    (!scopes.is_empty() && scopes.iter().all(known)).then_some(scopes)
}

/// A token's three parts (RFC 7519).
struct Jwt {
    header: Value,
    claims: Value,
    signed: String,
    signature: Vec<u8>,
}

impl Jwt {
    fn read(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let part = |text: &str| {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
            serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object)
        };
        Some(Self {
            header: part(header)?,
            claims: part(claims)?,
            signed: signed.to_owned(),
            signature: BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?,
        })
    }

    fn signed_by_the_key(&self) -> bool {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let (_, ways) = algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256)
            .unwrap();
        let key = public_key();
        // A SubjectPublicKeyInfo of 2048 bits: 24 bytes that say so, then the key itself.
        ways.iter().any(|way| {
            way.verify_signature(&key[24..], self.signed.as_bytes(), &self.signature).is_ok()
        })
    }
}

fn public_key() -> Vec<u8> {
    let der = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = ring::sign::any_supported_type(&der).unwrap();
    key.public_key().unwrap().to_vec()
}

fn key_id() -> String {
    HEXLOWER.encode(&Sha256::digest(public_key())[..20])
}

fn wall() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A private key that is good for nothing but this double.
const KEY: &str = include_str!("key.pem");

pub(super) const EMAIL: &str = "meridian@meridian-test.iam.gserviceaccount.com";
pub(super) const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

const AUDIENCE: &str = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/fleet/providers/cluster";

/// What the vendor's own libraries say they speak to, wherever the key file sends them.
const ENDPOINT: &str = "https://oauth2.googleapis.com/token";

const LIFETIME: Duration = Duration::from_secs(3599);

const SCOPES: [&str; 8] = [
    "cloud-platform",
    "cloud-platform.read-only",
    "ndev.clouddns.readwrite",
    "ndev.clouddns.readonly",
    "compute",
    "compute.readonly",
    "iam",
    "userinfo.email",
];
