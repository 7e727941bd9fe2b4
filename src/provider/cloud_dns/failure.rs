//! What a failed call means (providers.md §2): which calls changed nothing, which may have, and
//! what a person is to do.

use crate::{
    plan::Failure,
    provider::http::{self, said},
};
use reqwest::Response;
use serde_json::Value;
use std::{fmt, time::Duration};

/// Why a call brought nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// Without a token, nothing could be asked for.
    Before(Failure),
    /// It was never sent.
    Unsent(String),
    /// It was sent, and no answer came.
    Unanswered(String),
    /// The answer was no.
    Refused(Refusal),
}

/// An answer that says no.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// As programs are to read it.
    pub(super) reason: String,
    pub(super) message: String,
}

/// Of whom a call was asked, for what people are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) project: &'a str,
    pub(super) zone: &'a str,
}

impl From<reqwest::Error> for Failed {
    fn from(error: reqwest::Error) -> Self {
        let unsent = error.is_connect() || error.is_builder();
        let text = said(&error.without_url());
        if unsent { Self::Unsent(text) } else { Self::Unanswered(text) }
    }
}

impl Refusal {
    /// Reads the answer; one that is not JSON has no more than its status.
    pub(super) async fn read(answer: Response) -> Self {
        let status = answer.status().as_u16();
        let retry_after = http::retry_after(answer.headers());
        let body: Value = answer.json().await.unwrap_or_default();
        let (reason, message) = words(&body);
        Self { status, retry_after, reason, message }
    }

    /// Whether it is not in the services' form, and so perhaps not theirs.
    pub(super) fn is_silent(&self) -> bool {
        self.reason.is_empty() && self.message.is_empty()
    }

    /// A limit on calls, not on what they ask for; the services have said so with either status.
    pub(super) fn is_too_fast(&self) -> bool {
        let per_time = ["quota metric", "per minute", "per day", "per second"];
        let by_reason = self.reason.ends_with("ateLimitExceeded")
            || self.reason == "dailyLimitExceeded"
            || (self.reason == "quotaExceeded"
                && per_time.iter().any(|word| self.message.contains(word)));
        self.status == 429 || (self.status == 403 && by_reason)
    }

    /// Whether the project has not the API switched on.
    pub(super) fn is_disabled(&self) -> bool {
        let disabled = ["has not been used in project", "API has not been", "it is disabled"];
        self.reason == "accessNotConfigured"
            || disabled.iter().any(|word| self.message.contains(word))
    }
}

/// The services say `{error: {errors: [{reason}], status, message}}`, the token endpoints
/// `{error, error_description}` (RFC 6749 §5.2).
fn words(body: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let error = &body["error"];
    if error.is_string() {
        return (text(error), text(&body["error_description"]));
    }
    let reason = [&error["errors"][0]["reason"], &error["status"]];
    let reason = reason.into_iter().find(|value| value.is_string());
    (reason.map(text).unwrap_or_default(), text(&error["message"]))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.reason.as_str(), self.message.as_str()) {
            ("", "") => write!(f, "HTTP status {}", self.status),
            ("", message) => f.write_str(message),
            (reason, "") => f.write_str(reason),
            (reason, message) => write!(f, "{reason}: {message}"),
        }
    }
}

/// A read that broke is read again.
pub(super) fn reading(failed: Failed, asked: Asked<'_>) -> Failure {
    match writing(failed, asked) {
        Failure::Unknown(text) => Failure::Unavailable(text),
        other => other,
    }
}

/// Of a write without an answer nobody knows whether it was carried out.
pub(super) fn writing(failed: Failed, asked: Asked<'_>) -> Failure {
    match failed {
        Failed::Before(failure) => failure,
        Failed::Unsent(text) => Failure::Unavailable(format!("Cloud DNS: {text}")),
        Failed::Unanswered(text) => Failure::Unknown(format!("Cloud DNS: {text}")),
        Failed::Refused(refusal) => refused(&refusal, asked),
    }
}

fn refused(refusal: &Refusal, asked: Asked<'_>) -> Failure {
    let said = refusal.to_string();
    match refusal.status {
        _ if refusal.is_too_fast() => Failure::Throttled(refusal.retry_after, said),
        // What an organisation forbids is no race.
        412 if refusal.message.contains("constraints/") => Failure::Rejected(said),
        409 | 412 => Failure::Lost(said),
        404 if refusal.message.contains("entity.change") => Failure::Lost(said),
        403 if refusal.reason == "quotaExceeded" => Failure::Rejected(format!(
            "{said}; see the quotas of Cloud DNS in project {}",
            asked.project
        )),
        300..=399 | 408 | 500..=599 => Failure::Unknown(said),
        _ if refusal.is_silent() && refusal.status != 413 => Failure::Unavailable(format!(
            "{said}, in words that are not Cloud DNS'; check endpoint, and proxies on the way"
        )),
        401 | 403 => Failure::Denied(format!("{said}; {}", remedy(refusal, asked))),
        404 => Failure::Zone(missing(refusal, asked)),
        _ => Failure::Rejected(said),
    }
}

fn remedy(refusal: &Refusal, asked: Asked<'_>) -> String {
    let Asked { project, zone } = asked;
    if refusal.is_disabled() {
        return format!("enable the API dns.googleapis.com in project {project}");
    }
    if refusal.message.contains("authentication scopes") {
        return format!(
            "the credentials' tokens are not for Cloud DNS; they need the scope {SCOPE}"
        );
    }
    if refusal.status == 401 {
        return "check the credentials (credentialsFile)".to_owned();
    }
    format!(
        "the credentials need dns.managedZones.list, dns.resourceRecordSets.* and \
         dns.changes.create in project {project} for zone {zone}, as in the role roles/dns.admin; \
         check project as well"
    )
}

fn missing(refusal: &Refusal, asked: Asked<'_>) -> String {
    let Asked { project, zone } = asked;
    if refusal.message.contains("parameters.project") {
        return format!("Google Cloud has no project {project}; check project");
    }
    if refusal.message.contains("managedZone") {
        return format!(
            "Cloud DNS has no managed zone {zone} in project {project}; create it, or check zoneId \
             and project"
        );
    }
    format!(
        "Cloud DNS does not find what was asked for of zone {zone} in project {project}: {refusal}"
    )
}

// === Tokens ===

/// Without a token nothing is sent, so a token that could not be had changed nothing.
pub(super) fn token(failed: Failed, from: &str, remedy: &str) -> Failure {
    let refusal = match failed {
        Failed::Before(failure) => return failure,
        Failed::Unsent(text) | Failed::Unanswered(text) => {
            return Failure::Unavailable(format!("no token from {from}: {text}"));
        }
        Failed::Refused(refusal) => refusal,
    };
    let said = format!("no token from {from}: {refusal}");
    match refusal.status {
        429 => Failure::Throttled(refusal.retry_after, said),
        408 | 500..=599 => Failure::Unavailable(said),
        _ if of_the_clock(&refusal.message) => {
            Failure::Denied(format!("{said}; is this machine's clock off? set it by NTP"))
        }
        _ => Failure::Denied(format!("{said}; {remedy}")),
    }
}

/// What Google says of claims that are too old, or not yet good.
fn of_the_clock(message: &str) -> bool {
    ["reasonable timeframe", "iat and exp", "is stale", "not yet valid", "expired"]
        .iter()
        .any(|word| message.contains(word))
}

/// What tokens are asked for.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
/// The same for health checks.
pub(super) const COMPUTE_SCOPE: &str = "https://www.googleapis.com/auth/compute";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::FailureKind;

    fn kind(status: u16, reason: &str, message: &str) -> (FailureKind, String) {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        let refusal = Refusal { status, reason, message, retry_after: None };
        let asked = Asked { project: "p", zone: "z.test." };
        let failure = writing(Failed::Refused(refusal), asked);
        (failure.kind(), failure.to_string())
    }

    #[test]
    fn every_answer_has_its_kind_and_says_what_to_do() {
        use FailureKind::{Denied, Lost, Rejected, Throttled, Unknown, Zone};
        let condition = "Precondition not met for 'entity.change.deletions[0]'";
        let quota = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'";
        for (status, reason, message, own, word) in [
            (412, "conditionNotMet", condition, Lost, "deletions[0]"),
            (412, "conditionNotMet", "Constraint constraints/compute.x", Rejected, "constraints/"),
            (409, "alreadyExists", "it exists", Lost, "it exists"),
            (404, "notFound", "The 'entity.change.deletions[a.][A]' resource", Lost, "a."),
            (404, "notFound", "The 'parameters.managedZone' resource", Zone, "zoneId"),
            (404, "notFound", "The 'parameters.project' resource", Zone, "no project p"),
            (429, "rateLimitExceeded", quota, Throttled, "too many"),
            (403, "rateLimitExceeded", "Rate Limit Exceeded", Throttled, "too many"),
            (403, "userRateLimitExceeded", "", Throttled, "too many"),
            (403, "quotaExceeded", quota, Throttled, "too many"),
            (403, "quotaExceeded", "The change would exceed quota for", Rejected, "quotas"),
            (403, "forbidden", "Forbidden", Denied, "roles/dns.admin"),
            (403, "accessNotConfigured", "", Denied, "enable the API dns.googleapis.com"),
            (403, "PERMISSION_DENIED", "insufficient authentication scopes", Denied, SCOPE),
            (401, "authError", "Invalid", Denied, "credentialsFile"),
            (400, "invalid", "Invalid value for 'entity.change'", Rejected, "entity.change"),
            (413, "", "", Rejected, "413"),
            (400, "", "", FailureKind::Unavailable, "check endpoint"),
            (302, "", "", Unknown, "302"),
            (503, "backendError", "try again", Unknown, "try again"),
        ] {
            let (found, text) = kind(status, reason, message);
            assert_eq!(found, own, "{status} {reason}: {text}");
            assert!(text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn a_token_refused_for_its_time_hints_at_the_clock() {
        let refused = |message: &str| {
            let body =
                serde_json::json!({ "error": "invalid_grant", "error_description": message });
            let (reason, message) = words(&body);
            let refusal = Refusal { status: 400, reason, message, retry_after: None };
            token(Failed::Refused(refusal), "https://t", "make a new key").to_string()
        };
        assert!(refused("Token must be in a reasonable timeframe").contains("NTP"));
        assert!(refused("Invalid JWT Signature.").ends_with("make a new key"));
    }
}
