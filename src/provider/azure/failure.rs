//! What a failed call means, in words that say which setting or which right is wrong
//! (providers.md §3.2, §3.5).

use crate::{model::Name, plan::Failure, provider::http::said};
use reqwest::StatusCode;
use serde_json::Value;
use std::time::Duration;

/// A call that was refused.
pub(super) fn refused(
    status: StatusCode,
    after: Option<Duration>,
    body: &str,
    zone: &Name,
) -> Failure {
    let (code, message) = code_and_message(body);
    let said = match (code.is_empty(), message.is_empty()) {
        (true, true) => format!("HTTP {status}"),
        (true, false) => message.clone(),
        _ => format!("{code}: {message}"),
    };
    match (status.as_u16(), code.as_str()) {
        (429, _) => Failure::Throttled(after, said),
        (412, _) => Failure::Lost(message),
        (401, _) => Failure::Denied(format!(
            "{said}; the token is not taken: check tenant-id, and that this machine's clock is set \
             by NTP"
        )),
        (403, _) | (_, "ScopeLocked" | "ReadOnlyDisabledSubscription") => {
            Failure::Denied(denied(&code, &said))
        }
        (404, "SubscriptionNotFound" | "InvalidSubscriptionId") => Failure::Zone(format!(
            "{message} {zone} is looked for there; check subscription-id or subscriptionId"
        )),
        (404, "ResourceGroupNotFound") => {
            Failure::Zone(format!("{message} {zone} is looked for there; check resourceGroup"))
        }
        (404, "ParentResourceNotFound" | "ResourceNotFound" | "NotFound") => {
            Failure::Zone(format!(
                "Azure DNS has no zone {zone} there ({said}); create it, or check resourceGroup"
            ))
        }
        // Another set of that name, which a CNAME cannot stand beside: somebody wrote it.
        (409, "Conflict") => Failure::Lost(message),
        (409 | 408, _) | (500..=599, _) => Failure::Unknown(said),
        _ => Failure::Rejected(said),
    }
}

fn denied(code: &str, said: &str) -> String {
    match code {
        "ScopeLocked" => format!("{said}; remove the lock from the zone or its resource group"),
        "ReadOnlyDisabledSubscription" => format!("{said}; the subscription is disabled"),
        "RequestDisallowedByPolicy" => format!("{said}; an Azure Policy forbids it"),
        _ => format!(
            "{said}; give this identity the role DNS Zone Contributor on the zone or its resource \
             group"
        ),
    }
}

/// The token endpoint refused.
pub(super) fn token(status: StatusCode, body: &str) -> Failure {
    let read: Value = serde_json::from_str(body).unwrap_or_default();
    let said = read["error_description"].as_str().or(read["error"].as_str());
    // What follows are trace ids.
    let said = said.map_or_else(|| format!("HTTP {status}"), |own| first_part(own).to_owned());
    if status.is_server_error() {
        return Failure::Unavailable(format!("no token: {said}"));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Failure::Throttled(None, format!("no token: {said}"));
    }
    let number = said.strip_prefix("AADSTS").and_then(|rest| rest.split(':').next());
    let hint = match number.unwrap_or_default() {
        "7000215" => "check secret: it is the secret's value, not its id",
        "7000222" => "the secret has ended; make a new one",
        "700016" => "check client-id",
        "90002" | "900023" => "check tenant-id",
        "70021" | "700211" | "700212" | "700213" => {
            "the identity's federated credential must name this cluster's issuer and service account"
        }
        "700024" | "500133" => {
            "this machine's clock is off, set it by NTP; or the token file is old"
        }
        _ => "check tenant-id, client-id and secret",
    };
    Failure::Denied(format!("{said}; {hint}"))
}

/// The machine's own endpoint refused.
pub(super) fn machine(status: StatusCode, body: &str) -> Failure {
    let read: Value = serde_json::from_str(body).unwrap_or_default();
    let said = read["error_description"].as_str().unwrap_or_default();
    // RFC 6585 and the endpoint's own document: these are passing.
    if status.is_server_error() || [404, 410, 429].contains(&status.as_u16()) {
        return Failure::Unavailable(format!("the machine's identity: HTTP {status} {said}"));
    }
    Failure::Denied(format!(
        "the machine's identity: {said}; give the machine or cluster a managed identity, and check \
         client-id if it has several"
    ))
}

/// A call without an answer: nothing was sent, or nobody knows.
pub(super) fn unanswered(error: &reqwest::Error) -> Failure {
    let text = said(error);
    if error.is_connect() || error.is_builder() {
        return Failure::Unavailable(text);
    }
    Failure::Unknown(text)
}

/// A read that broke is read again.
pub(super) fn reading(failure: Failure) -> Failure {
    match failure {
        Failure::Unknown(text) | Failure::Lost(text) => Failure::Unavailable(text),
        other => other,
    }
}

/// The Resource Manager has them within `error`, Azure DNS at the top.
fn code_and_message(body: &str) -> (String, String) {
    let read: Value = serde_json::from_str(body).unwrap_or_default();
    let own = if read["error"].is_object() { &read["error"] } else { &read };
    let word = |name: &str| own[name].as_str().unwrap_or_default().to_owned();
    (word("code"), word("message"))
}

fn first_part(text: &str) -> &str {
    let end = text.find(" Trace ID:").or_else(|| text.find(['\r', '\n']));
    end.map_or(text, |end| &text[..end]).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::FailureKind;

    #[test]
    fn answers_become_kinds_with_advice() {
        let zone: Name = "z.test".parse().unwrap();
        let cases = [
            (429, "TooManyRequests", FailureKind::Throttled, "TooManyRequests"),
            (412, "PreconditionFailed", FailureKind::Lost, "text"),
            (401, "ExpiredAuthenticationToken", FailureKind::Denied, "NTP"),
            (403, "AuthorizationFailed", FailureKind::Denied, "DNS Zone Contributor"),
            (409, "ScopeLocked", FailureKind::Denied, "lock"),
            (404, "SubscriptionNotFound", FailureKind::Zone, "subscription-id"),
            (404, "ResourceGroupNotFound", FailureKind::Zone, "resourceGroup"),
            (404, "ParentResourceNotFound", FailureKind::Zone, "z.test"),
            (409, "Conflict", FailureKind::Lost, "text"),
            (400, "BadRequest", FailureKind::Rejected, "BadRequest: text"),
            (503, "ServiceUnavailable", FailureKind::Unknown, "ServiceUnavailable"),
        ];
        for (status, code, kind, words) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            for body in [
                format!("{{\"code\": \"{code}\", \"message\": \"text\"}}"),
                format!("{{\"error\": {{\"code\": \"{code}\", \"message\": \"text\"}}}}"),
            ] {
                let failure = refused(status, None, &body, &zone);
                assert_eq!(failure.kind(), kind, "{code}");
                assert!(failure.to_string().contains(words), "{failure}");
            }
        }
        let bare = refused(StatusCode::BAD_GATEWAY, None, "<html>", &zone);
        assert_eq!(bare, Failure::Unknown("HTTP 502 Bad Gateway".to_owned()));
    }

    #[test]
    fn refused_tokens_say_which_setting() {
        for (number, words) in [
            ("7000215", "check secret"),
            ("700016", "check client-id"),
            ("90002", "check tenant-id"),
            ("700024", "clock"),
            ("700213", "federated credential"),
        ] {
            let body = format!(
                "{{\"error\": \"invalid_client\", \"error_description\": \"AADSTS{number}: No. \
                 Trace ID: x\"}}"
            );
            let text = token(StatusCode::UNAUTHORIZED, &body).to_string();
            assert!(text.contains(words) && !text.contains("Trace"), "{text}");
        }
        let busy = token(StatusCode::BAD_GATEWAY, "");
        assert_eq!(busy.kind(), FailureKind::Unavailable);
    }
}
