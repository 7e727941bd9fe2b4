//! Who calls: the token endpoint with a client's secret or a cluster's assertion, the machine's
//! own identity, and what a call without a good token is told.

use super::{
    http::Call,
    refused::{Refused, Reply},
    world::{Denied, World},
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

pub(crate) const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub(crate) const CLIENT: &str = "22222222-2222-2222-2222-222222222222";
pub(crate) const SECRET: &str = "a secret of the client";
/// What the cluster's projected file has; its middle part says who it is for.
pub(crate) const ASSERTION: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhcGk6Ly9BenVyZUFEVG9rZW5FeGNoYW5nZSJ9.c2lnbmVk";
/// How long a token is good for.
const LIFE: Duration = Duration::from_secs(3599);

/// `POST /{tenant}/oauth2/v2.0/token`.
pub(super) fn token(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    known(args)?;
    let form = form(&call.text);
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("grant_type") != "client_credentials" {
        return Err(Refused::token(
            400,
            "unsupported_grant_type",
            70003,
            "The app requested an unsupported grant type.",
        ));
    }
    if field("client_id") != CLIENT {
        let message = format!(
            "Application with identifier '{}' was not found in the directory '{TENANT}'.",
            field("client_id")
        );
        return Err(Refused::token(400, "unauthorized_client", 700016, &message));
    }
    let scope = field("scope");
    if !scope.ends_with("/.default") {
        let message = format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid: '{scope}'."
        );
        return Err(Refused::token(400, "invalid_scope", 70011, &message));
    }
    let assertion =
        field("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let refused = if assertion && field("client_assertion") != ASSERTION {
        Some((
            700213,
            "No matching federated identity record found for presented assertion subject.",
        ))
    } else if !assertion && !form.contains_key("client_secret") {
        Some((
            7000218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        ))
    } else if !assertion && field("client_secret") != SECRET || world.denied == Denied::Credentials
    {
        Some((
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
        ))
    } else {
        None
    };
    if let Some((number, message)) = refused {
        return Err(Refused::token(401, "invalid_client", number, message));
    }
    let token = issued(world, call);
    Reply::ok(json!({
        "token_type": "Bearer",
        "expires_in": LIFE.as_secs(),
        "ext_expires_in": LIFE.as_secs(),
        "access_token": token,
    }))
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`, which the vendor's client asks for first.
pub(super) fn openid(_: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    known(args)?;
    let tenant = format!("{}/{TENANT}", call.base);
    Reply::ok(json!({
        "token_endpoint": format!("{tenant}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{tenant}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{tenant}/oauth2/v2.0/devicecode"),
        "jwks_uri": format!("{tenant}/discovery/v2.0/keys"),
        "issuer": format!("{tenant}/v2.0"),
        "response_types_supported": ["code", "id_token", "token"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
    }))
}

/// `GET /metadata/identity/oauth2/token`, as a machine's own address 169.254.169.254 has it.
pub(super) fn machine(world: &mut World, call: &Call, _: &[String]) -> Result<Reply, Refused> {
    let plain = Refused::metadata;
    let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok());
    if header("metadata").is_none_or(|value| !value.eq_ignore_ascii_case("true")) {
        return Err(plain(400, "invalid_request", "Required metadata header not specified"));
    }
    if header("x-forwarded-for").is_some() {
        return Err(plain(
            400,
            "invalid_request",
            "Required metadata header not specified or not correct",
        ));
    }
    if call.query("api-version").is_none() {
        return Err(plain(
            400,
            "invalid_request",
            "Required query variable 'api-version' is missing",
        ));
    }
    let Some(resource) = call.query("resource") else {
        return Err(plain(400, "invalid_resource", "AADSTS50001: The resource is missing."));
    };
    if call.query("client_id").is_some_and(|id| id != CLIENT) || world.denied == Denied::Credentials
    {
        return Err(plain(400, "invalid_request", "Identity not found"));
    }
    let token = issued(world, call);
    let seconds = LIFE.as_secs().to_string();
    Reply::ok(json!({
        "access_token": token,
        "client_id": CLIENT,
        "expires_in": seconds,
        "expires_on": (EPOCH + call.now.as_secs() + LIFE.as_secs()).to_string(),
        "ext_expires_in": seconds,
        "not_before": (EPOCH + call.now.as_secs()).to_string(),
        "resource": resource,
        "token_type": "Bearer",
    }))
}

/// Refuses what bears no token that was issued here and is still good.
pub(super) fn check(world: &World, call: &Call) -> Result<(), Refused> {
    let challenge = |code: &str, message: &str| {
        Refused::arm(401, code, message).with(
            "www-authenticate",
            format!("Bearer authorization_uri=\"https://login.windows.net/{TENANT}\", error=\"invalid_token\", error_description=\"{message}\""),
        )
    };
    let Some(given) = call.headers.get("authorization").and_then(|own| own.to_str().ok()) else {
        return Err(challenge(
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        ));
    };
    let token = given.strip_prefix("Bearer ").unwrap_or_default();
    match world.tokens.get(token) {
        _ if world.denied == Denied::Credentials => {
            Err(challenge("InvalidAuthenticationToken", "The access token is invalid."))
        }
        None => Err(challenge("InvalidAuthenticationToken", "The access token is invalid.")),
        Some(until) if *until <= call.now => Err(challenge(
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than current UTC time.",
        )),
        Some(_) => Ok(()),
    }
}

fn known(args: &[String]) -> Result<(), Refused> {
    if args.first().is_some_and(|tenant| tenant == TENANT) {
        return Ok(());
    }
    let message = format!(
        "Tenant '{}' not found. Check to make sure you have the correct tenant ID.",
        args[0]
    );
    Err(Refused::token(400, "invalid_request", 90002, &message))
}

fn issued(world: &mut World, call: &Call) -> String {
    let token = format!("token-{}", world.next());
    world.tokens.insert(token.clone(), call.now + LIFE);
    token
}

fn form(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// What percent signs and plus signs stand for.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where the double's clock starts, far enough off for clients that know the time.
const EPOCH: u64 = 4_000_000_000;
