//! Asks a running process over its web listener.

use super::Server;
use anyhow::{Context, bail};
use serde::{Serialize, de::DeserializeOwned};

/// The answer as text.
pub(super) fn text(server: &Server, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
    send(server, path, query, reqwest::Client::get)
}

/// Has something done; the outcome as a value.
pub(super) fn post<T: DeserializeOwned>(
    server: &Server,
    path: &str,
    body: &impl Serialize,
) -> anyhow::Result<T> {
    value(&send(server, path, &[], |client, url| client.post(url).json(body))?)
}

/// Has something ended; the outcome as a value.
pub(super) fn delete<T: DeserializeOwned>(server: &Server, path: &str) -> anyhow::Result<T> {
    value(&send(server, path, &[], reqwest::Client::delete)?)
}

fn send(
    server: &Server,
    path: &str,
    query: &[(&str, &str)],
    request: impl FnOnce(&reqwest::Client, reqwest::Url) -> reqwest::RequestBuilder,
) -> anyhow::Result<String> {
    super::runtime()?.block_on(async {
        let base = server.server.trim_end_matches('/');
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut url = reqwest::Url::parse(&format!("{base}{path}"))
            .with_context(|| format!("--server {:?} is not a URL", server.server))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let answer = request(&client, url).send().await.with_context(|| {
            format!(
                "no process answers at {base}; is `meridian run` or `meridian demo` running, and \
                 is --server (MERIDIAN_SERVER) its --web-listen address?"
            )
        })?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{}", text.trim_end());
        }
        Ok(text)
    })
}

/// The answer as a value.
pub(super) fn json<T: DeserializeOwned>(
    server: &Server,
    path: &str,
    query: &[(&str, &str)],
) -> anyhow::Result<T> {
    value(&text(server, path, query)?)
}

fn value<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).context("the process speaks another version of the API")
}
