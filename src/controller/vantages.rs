//! Other vantage points: processes like this one, whose findings are asked for again and again.

use crate::health::Report;
use anyhow::{Context, bail};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// One vantage's report.
#[derive(Debug)]
pub(super) struct Heard {
    /// Which: its URL.
    pub(super) vantage: String,
    /// What it finds.
    pub(super) report: Report,
}

/// Starts asking each of them; a task per vantage.
///
/// # Errors
/// Names a URL that is none.
pub(super) fn listen(
    vantages: &[String],
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> anyhow::Result<mpsc::Receiver<Heard>> {
    let (send, heard) = mpsc::channel(vantages.len().max(1));
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    for vantage in vantages {
        let base = vantage.trim_end_matches('/');
        let url =
            reqwest::Url::parse(&format!("{base}/api/v1/health/report")).with_context(|| {
                format!("--vantage {vantage:?} is not a URL as in http://10.0.0.2:8080")
            })?;
        let asker =
            Asker { vantage: vantage.clone(), url, client: client.clone(), send: send.clone() };
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            shutdown.run_until_cancelled(asker.run()).await;
        });
    }
    Ok(heard)
}

struct Asker {
    vantage: String,
    url: reqwest::Url,
    client: reqwest::Client,
    send: mpsc::Sender<Heard>,
}

impl Asker {
    async fn run(self) {
        let mut silent = false;
        loop {
            match self.ask().await {
                Ok(report) => {
                    silent = false;
                    let vantage = self.vantage.clone();
                    if self.send.send(Heard { vantage, report }).await.is_err() {
                        return;
                    }
                }
                Err(error) if !silent => {
                    silent = true;
                    tracing::warn!(
                        "vantage {} cannot be heard ({error:#}); what it found counts as long as \
                         it is fresh",
                        self.vantage
                    );
                }
                Err(_) => {}
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn ask(&self) -> anyhow::Result<Report> {
        let mut answer = self.client.get(self.url.clone()).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST {
                bail!("its report is longer than {MOST} octets");
            }
        }
        serde_json::from_slice(&body).context("its report is not understood")
    }
}

/// From one report to the next; what counts as fresh allows for it.
const EVERY: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(4);
/// Some hundred octets for each of 100,000 targets.
const MOST: usize = 32 << 20;
