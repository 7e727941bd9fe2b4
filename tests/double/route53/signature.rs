//! Signatures of requests (AWS Signature Version 4): who does not sign as told is not heard.

use super::Refusal;
use axum::http::{Uri, request::Parts};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, time::Duration};

/// The one pair of credentials that the double knows.
pub(crate) const KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Refuses a request that is not signed, with another key, for another service, too long ago, or
/// other than it came; by a clock that is that far ahead.
pub(crate) fn verify(parts: &Parts, body: &[u8], ahead: Duration) -> Result<(), Refusal> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let missing =
        || Refusal::new(403, "MissingAuthenticationToken", "Missing Authentication Token");
    let authorization = header("authorization").ok_or_else(missing)?;
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(missing)?;
    let fields: BTreeMap<&str, &str> =
        fields.split(',').filter_map(|field| field.trim().split_once('=')).collect();
    let field = |name: &str| fields.get(name).copied().ok_or_else(missing);
    let (credential, signed) = (field("Credential")?, field("SignedHeaders")?);
    let given = field("Signature")?;
    let wrong = |why: &str| Refusal::new(403, "SignatureDoesNotMatch", why);

    let [key, day, region, service, "aws4_request"] = credential.split('/').collect::<Vec<_>>()[..]
    else {
        return Err(missing());
    };
    if key != KEY {
        let why = "The security token included in the request is invalid.";
        return Err(Refusal::new(403, "InvalidClientTokenId", why));
    }
    if (region, service) != ("us-east-1", "route53") {
        return Err(wrong("Credential should be scoped to us-east-1 and to route53."));
    }
    let at = header("x-amz-date").ok_or_else(missing)?;
    let ahead = i64::try_from(ahead.as_secs()).unwrap();
    match age(at).map(|age| age + ahead).filter(|_| at.starts_with(day)) {
        Some(-300..=300) => {}
        Some(301..) => return Err(wrong(&format!("Signature expired: {at} is now too early"))),
        _ => return Err(wrong(&format!("Signature not yet current: {at} is still too late"))),
    }
    let mut lines = Vec::new();
    for name in signed.split(';') {
        let values = parts.headers.get_all(name).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).map(squeezed).collect();
        lines.push(format!("{name}:{}\n", values.join(",")));
    }
    if !signed.split(';').any(|name| name == "host") {
        return Err(wrong("'Host' must be a 'SignedHeader' in the AWS Authorization."));
    }
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{signed}\n{}",
        parts.method,
        encoded_path(&parts.uri),
        sorted_query(&parts.uri),
        lines.concat(),
        HEXLOWER.encode(&Sha256::digest(body)),
    );
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let hash = HEXLOWER.encode(&Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{hash}");
    let mut own = hmac(format!("AWS4{SECRET}").as_bytes(), day.as_bytes());
    for part in [region, service, "aws4_request", &to_sign] {
        own = hmac(&own, part.as_bytes());
    }
    if HEXLOWER.encode(&own) != given {
        return Err(wrong(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method. Consult the service documentation for \
             details.",
        ));
    }
    Ok(())
}

/// How many seconds a time like 20260102T030405Z lies back.
fn age(at: &str) -> Option<i64> {
    let then = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", at).ok()?;
    let then = then.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(super::state::wall_clock().as_second() - then.timestamp().as_second())
}

/// A header's value with single spaces.
fn squeezed(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The path as it came, with its percent signs written once more.
fn encoded_path(uri: &Uri) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let one =
        |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    uri.path().bytes().map(one).collect()
}

fn sorted_query(uri: &Uri) -> String {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join("&")
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().to_vec()
}
