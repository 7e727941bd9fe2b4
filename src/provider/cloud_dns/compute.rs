//! The calls of compute.v1: health checks listed, made, changed and deleted, each by an operation
//! that is asked for until it is done. What cannot be had is said in words for people; it never
//! keeps records back.

use super::{
    CloudDns,
    call::{self, body},
    check_text::HealthCheck,
    failure::{COMPUTE_SCOPE, Failed, Refusal},
};
use crate::plan::Failure;
use reqwest::{Client, Method, RequestBuilder, Url};
use serde::Deserialize;
use std::time::Duration;

/// Why a call to compute brought nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Too fast, or no token: the write is tried again as a whole.
    Wait(Failure),
    /// There is no such check.
    Missing,
    /// There is one of that name.
    Exists,
    /// Something uses it.
    Used,
    /// It is not known whether it was carried out.
    Unknown(String),
    /// No check at all can be had, and what to do.
    Denied(String),
    /// No more can be had.
    Full(String),
    /// This one cannot.
    Refused(String),
}

/// One page of checks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<HealthCheck>,
    next_page_token: Option<String>,
}

/// An `Operation`.
#[derive(Debug, Deserialize)]
pub(super) struct Operation {
    name: String,
    status: String,
    error: Option<Errors>,
}

#[derive(Debug, Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<OneError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OneError {
    code: String,
    message: String,
}

const ENDPOINT: &str = "https://compute.googleapis.com";
/// The most that a page holds.
const PAGE: &str = "500";
/// Checks that would fill more pages are others'.
const PAGES: usize = 100;
/// An operation is asked for so soon, then half as soon again each time.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LAST_LOOK: Duration = Duration::from_secs(3);
/// Looks at one operation: about a minute.
const LOOKS: usize = 30;

/// Compute's calls for one project.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compute<'c> {
    pub(super) dns: &'c CloudDns,
    pub(super) project: &'c str,
}

impl Compute<'_> {
    /// All checks whose names begin so.
    pub(super) async fn list(self, prefix: &str) -> Result<Vec<HealthCheck>, Trouble> {
        let filter = format!("name eq {prefix}.*");
        let (mut found, mut from): (Vec<HealthCheck>, Option<String>) = (Vec::new(), None);
        for _ in 0..PAGES {
            let mut url = self.url(&["healthChecks"])?;
            url.query_pairs_mut().append_pair("filter", &filter).append_pair("maxResults", PAGE);
            if let Some(from) = &from {
                url.query_pairs_mut().append_pair("pageToken", from);
            }
            let page: Page = self.call(|client| client.get(url.clone())).await?;
            found.extend(page.items);
            from = page.next_page_token.filter(|next| !next.is_empty());
            if from.is_none() {
                return Ok(found);
            }
        }
        Err(Trouble::Unknown("the listing of health checks does not end".to_owned()))
    }

    pub(super) async fn get(self, name: &str) -> Result<HealthCheck, Trouble> {
        let url = self.url(&["healthChecks", name])?;
        self.call(|client| client.get(url.clone())).await
    }

    /// Makes one; the same `request` makes it once, however often it is sent.
    pub(super) async fn insert(
        self,
        check: &HealthCheck,
        request: &str,
    ) -> Result<Operation, Trouble> {
        self.begin(Method::POST, &["healthChecks"], Some(check), request).await
    }

    pub(super) async fn patch(
        self,
        check: &HealthCheck,
        request: &str,
    ) -> Result<Operation, Trouble> {
        self.begin(Method::PATCH, &["healthChecks", &check.name], Some(check), request).await
    }

    pub(super) async fn delete(self, name: &str, request: &str) -> Result<Operation, Trouble> {
        self.begin(Method::DELETE, &["healthChecks", name], None, request).await
    }

    async fn begin(
        self,
        method: Method,
        path: &[&str],
        check: Option<&HealthCheck>,
        request: &str,
    ) -> Result<Operation, Trouble> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().append_pair("requestId", request);
        let asked = |client: &Client| {
            let asked = client.request(method.clone(), url.clone());
            check.into_iter().fold(asked, RequestBuilder::json)
        };
        self.call(asked).await
    }

    /// Waits for an operation.
    pub(super) async fn done(self, mut operation: Operation) -> Result<(), Trouble> {
        let mut pause = FIRST_LOOK;
        for _ in 0..LOOKS {
            if operation.status == "DONE" {
                return self.outcome(operation);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_LOOK);
            let url = self.url(&["operations", &operation.name])?;
            operation = self.call(|client| client.get(url.clone())).await?;
        }
        Err(Trouble::Unknown(format!("operation {} is not done after a minute", operation.name)))
    }

    async fn call<T: serde::de::DeserializeOwned>(
        self,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<T, Trouble> {
        let trouble = |failed: Failed| self.trouble(failed);
        let answer = self.dns.call(request).await.map_err(trouble)?;
        body(answer).await.map_err(trouble)
    }

    fn url(self, path: &[&str]) -> Result<Url, Trouble> {
        let base = self.dns.settings.compute_endpoint.as_deref().unwrap_or(ENDPOINT);
        let segments = ["compute", "v1", "projects", self.project, "global"];
        call::url(base, segments.iter().chain(path))
            .ok_or_else(|| Trouble::Denied(format!("{base} is no endpoint; check computeEndpoint")))
    }

    fn trouble(self, failed: Failed) -> Trouble {
        match failed {
            Failed::Before(failure) => Trouble::Wait(failure),
            Failed::Unsent(text) | Failed::Unanswered(text) => {
                Trouble::Unknown(format!("compute: {text}"))
            }
            Failed::Refused(refusal) => self.refused(&refusal),
        }
    }

    fn refused(self, refusal: &Refusal) -> Trouble {
        let text = refusal.to_string();
        match refusal.status {
            _ if refusal.is_too_fast() => {
                Trouble::Wait(Failure::Throttled(refusal.retry_after, format!("compute: {text}")))
            }
            404 => Trouble::Missing,
            409 => Trouble::Exists,
            400 if refusal.reason == "resourceInUseByAnotherResource" => Trouble::Used,
            403 if refusal.reason == "quotaExceeded" => Trouble::Full(self.quota(&text)),
            401 | 403 => Trouble::Denied(format!("{text}; {}", self.remedy(refusal))),
            _ if refusal.is_silent() => Trouble::Unknown(format!("compute: {text}")),
            300..=399 | 408 | 500..=599 => Trouble::Unknown(format!("compute: {text}")),
            _ => Trouble::Refused(format!("compute: {text}")),
        }
    }

    fn quota(self, text: &str) -> String {
        format!(
            "{text}; have the quota of health checks in project {} raised, or leave out healthChecks",
            self.project
        )
    }

    fn remedy(self, refusal: &Refusal) -> String {
        let project = self.project;
        if refusal.is_disabled() {
            return format!("enable the API compute.googleapis.com in project {project}");
        }
        if refusal.message.contains("authentication scopes") {
            return format!("the credentials' tokens need the scope {COMPUTE_SCOPE}");
        }
        format!(
            "the credentials need compute.healthChecks.list, get, create, update, delete and \
             compute.globalOperations.get in project {project}, as in the role \
             roles/compute.loadBalancerAdmin; or leave out healthChecks"
        )
    }

    fn outcome(self, operation: Operation) -> Result<(), Trouble> {
        let Some(error) = operation.error else { return Ok(()) };
        let OneError { code, message } = error.errors.into_iter().next().unwrap_or_default();
        let text = format!("compute: {code}: {message}");
        Err(match code.as_str() {
            "RESOURCE_ALREADY_EXISTS" => Trouble::Exists,
            "RESOURCE_NOT_FOUND" => Trouble::Missing,
            "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE" => Trouble::Used,
            "QUOTA_EXCEEDED" => Trouble::Full(self.quota(&text)),
            _ => Trouble::Refused(text),
        })
    }
}
