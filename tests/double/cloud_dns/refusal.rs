//! How Google refuses: a status, a message, and a reason that programs go by.

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

/// An answer that says no.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) body: Value,
    pub(super) retry_after: Option<u64>,
}

impl Refusal {
    /// The form that the services themselves answer with.
    pub(super) fn new(code: u16, reason: &str, message: &str) -> Self {
        let one = json!({ "message": message, "domain": "global", "reason": reason });
        let body = json!({ "error": { "code": code, "message": message, "errors": [one] } });
        Self { code, body, retry_after: None }
    }

    /// The form of what stands before the services, with a canonical status.
    fn outer(code: u16, reason: &str, message: &str, status: &str) -> Self {
        let mut refusal = Self::new(code, reason, message);
        refusal.body["error"]["status"] = json!(status);
        refusal
    }

    pub(super) fn required(parameter: &str) -> Self {
        let message = format!("The '{parameter}' parameter is required but was missing.");
        Self::new(400, "required", &message)
    }

    pub(super) fn invalid(path: &str, value: &str) -> Self {
        let value = if value.is_empty() { "<empty>" } else { value };
        Self::new(400, "invalid", &format!("Invalid value for '{path}': '{value}'"))
    }

    pub(super) fn not_found(parameter: &str, named: &str) -> Self {
        let message = format!("The '{parameter}' resource named '{named}' does not exist.");
        Self::new(404, "notFound", &message)
    }

    pub(super) fn exists(path: &str, named: &str) -> Self {
        let message = format!("The resource '{path}' named '{named}' already exists");
        Self::new(409, "alreadyExists", &message)
    }

    pub(super) fn condition(path: &str) -> Self {
        Self::new(412, "conditionNotMet", &format!("Precondition not met for '{path}'"))
    }

    pub(super) fn quota(of: &str) -> Self {
        let message = format!("The change would exceed quota for {of}.");
        Self::new(403, "quotaExceeded", &message)
    }

    pub(super) fn malformed(message: &str) -> Self {
        Self::outer(400, "badRequest", message, "INVALID_ARGUMENT")
    }

    pub(super) fn no_such_method() -> Self {
        Self::outer(404, "notFound", "Method not found.", "NOT_FOUND")
    }

    /// No credentials, or those that are not good, or not any more.
    pub(super) fn unauthenticated(given: bool) -> Self {
        let (reason, word, message) = match given {
            true => (
                "authError",
                "Invalid Credentials",
                "Request had invalid authentication credentials.",
            ),
            false => (
                "required",
                "Login Required.",
                "Request is missing required authentication credential.",
            ),
        };
        let message = format!(
            "{message} Expected OAuth 2 access token, login cookie or other valid authentication \
             credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
        );
        let mut refusal = Self::outer(401, reason, &message, "UNAUTHENTICATED");
        refusal.body["error"]["errors"][0] = json!({
            "message": word, "domain": "global", "reason": reason,
            "location": "Authorization", "locationType": "header",
        });
        refusal
    }

    /// A good token for something else.
    pub(super) fn scope(service: &str) -> Self {
        let message = "Request had insufficient authentication scopes.";
        let mut refusal = Self::outer(403, "insufficientPermissions", message, "PERMISSION_DENIED");
        refusal.body["error"]["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "domain": "googleapis.com",
            "metadata": { "service": service },
        }]);
        refusal
    }

    /// No right to do that.
    pub(super) fn forbidden() -> Self {
        Self::new(403, "forbidden", "Forbidden")
    }

    /// As compute.googleapis.com says it.
    pub(super) fn permission(permission: &str, on: &str) -> Self {
        Self::new(403, "forbidden", &format!("Required '{permission}' permission for '{on}'"))
    }

    /// Too many calls; `limit` is the quota's name.
    pub(super) fn throttled(service: &str, limit: &str, retry_after: Option<u64>) -> Self {
        let message = format!(
            "Quota exceeded for quota metric 'Queries' and limit '{limit}' of service \
             '{service}' for consumer 'project_number:{}'.",
            super::PROJECT_NUMBER
        );
        let mut refusal = Self::outer(429, "rateLimitExceeded", &message, "RESOURCE_EXHAUSTED");
        refusal.body["error"]["errors"][0]["domain"] = json!("usageLimits");
        refusal.body["error"]["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "RATE_LIMIT_EXCEEDED",
            "domain": "googleapis.com",
            "metadata": {
                "service": service,
                "quota_limit": limit,
                "consumer": format!("projects/{}", super::PROJECT_NUMBER),
            },
        }]);
        Self { retry_after, ..refusal }
    }

    /// Something of that status, as a fault that a test switched on.
    pub(super) fn status(code: u16) -> Self {
        let (reason, message, status) = match code {
            401 => return Self::unauthenticated(true),
            403 => return Self::forbidden(),
            429 => return Self::throttled("dns.googleapis.com", super::api::DNS_QUERIES, None),
            404 => ("notFound", "Requested entity was not found.", "NOT_FOUND"),
            409 => ("aborted", "The operation was aborted.", "ABORTED"),
            412 => ("conditionNotMet", "Precondition not met.", "FAILED_PRECONDITION"),
            500 => ("internalError", "Internal error encountered.", "INTERNAL"),
            503 => ("backendError", "The service is currently unavailable.", "UNAVAILABLE"),
            504 => {
                let message = "Deadline expired before operation could complete.";
                ("backendError", message, "DEADLINE_EXCEEDED")
            }
            _ => ("backendError", "The server could not carry out the request.", "UNKNOWN"),
        };
        Self::outer(code, reason, message, status)
    }

    /// As the token endpoints say it (RFC 6749 §5.2).
    pub(super) fn oauth(error: &str, description: &str) -> Self {
        let body = json!({ "error": error, "error_description": description });
        Self { code: 400, body, retry_after: None }
    }

    pub(super) fn response(&self) -> Response {
        let mut response = answer(StatusCode::from_u16(self.code).unwrap(), &self.body);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// JSON as the vendor sends it.
pub(super) fn answer(code: StatusCode, body: &Value) -> Response {
    Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json; charset=UTF-8")
        .body(Body::from(body.to_string()))
        .unwrap()
}
