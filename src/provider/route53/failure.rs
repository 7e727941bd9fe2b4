//! What a failed call means (providers.md §1.1, §1.3).

use crate::{model::Name, plan::Failure};
use aws_sdk_route53::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use std::error::Error;

/// A read that broke is read again.
pub(super) fn reading<E>(error: &SdkError<E, HttpResponse>, zone: &Name) -> Failure
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match writing(error, zone) {
        Failure::Unknown(text) => Failure::Unavailable(text),
        other => other,
    }
}

/// Of a write without an answer nobody knows whether it was carried out.
pub(super) fn writing<E>(error: &SdkError<E, HttpResponse>, zone: &Name) -> Failure
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let status = error.raw_response().map_or(0, |answer| answer.status().as_u16());
    match error {
        SdkError::ConstructionFailure(_) => Failure::Denied(said(error)),
        // Credentials are looked for before anything is sent.
        SdkError::DispatchFailure(failure) if failure.is_other() && lacks_keys(&said(error)) => {
            Failure::Denied(said(error))
        }
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
            Failure::Unknown(said(error))
        }
        SdkError::ServiceError(own) => {
            let own = own.err();
            let text = own.message().map_or_else(|| said(error), str::to_owned);
            of_code(own.code().unwrap_or_default(), text, status, zone)
        }
        _ => Failure::Unknown(said(error)),
    }
}

fn of_code(code: &str, text: String, status: u16, zone: &Name) -> Failure {
    let said = format!("{code}: {text}");
    match code {
        "Throttling" | "ThrottlingException" | "PriorRequestNotComplete" | "TooManyRequests" => {
            Failure::Throttled(None, said)
        }
        "NoSuchHostedZone" => {
            Failure::Zone(format!("Route 53 has no such hosted zone as {zone}'s"))
        }
        "InvalidChangeBatch" | "InvalidInput" if lost(&text) => Failure::Lost(text),
        // A check that was read is gone, or its reference is spent: read again.
        "NoSuchHealthCheck" | "HealthCheckAlreadyExists" => Failure::Lost(said),
        "InvalidChangeBatch" | "InvalidInput" => Failure::Rejected(text),
        "TooManyHealthChecks" => Failure::Rejected(format!(
            "{said}; have the account's quota of health checks raised, or leave out healthChecks"
        )),
        "RequestExpired" | "RequestTimeTooSkewed" => {
            Failure::Denied(format!("{said}; this machine's clock is off, set it by NTP"))
        }
        "SignatureDoesNotMatch" if text.contains("expired") || text.contains("current") => {
            Failure::Denied(format!("{said}; this machine's clock is off, set it by NTP"))
        }
        _ if (500..600).contains(&status) => Failure::Unknown(said),
        _ if status == 429 => Failure::Throttled(None, said),
        _ if status == 401 || status == 403 => Failure::Denied(said),
        _ => Failure::Rejected(said),
    }
}

/// Whether keys were looked for in vain; a torn connection is of the same kind for the client.
fn lacks_keys(text: &str) -> bool {
    ["credential", "identity"].iter().any(|word| text.contains(word))
}

/// Whether a batch was refused because the zone is not as it was read.
fn lost(text: &str) -> bool {
    ["it was not found", "do not match the current values", "it already exists"]
        .iter()
        .any(|word| text.contains(word))
}

fn said<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    DisplayErrorContext(error).to_string()
}
