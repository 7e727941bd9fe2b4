//! Keeps the certificate that DNS clients are shown as its files have it.

use super::controls::Reloads;
use crate::server::{BadCertificate, Certificate, Refreshed};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at: certificates are replaced days before they end.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two files that are written one after the other.
const SETTLE: Duration = Duration::from_secs(1);

/// Reads the files again whenever they change; a pair that cannot be used leaves the certificate as
/// it is.
pub(super) async fn follow(
    certificate: Arc<Certificate>,
    mut reloads: Reloads,
    shutdown: CancellationToken,
) {
    let mut told = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = reloads.next() => told = None,
            () = sleep(LOOK_EVERY) => {}
        }
        let said = look(&certificate).await.err().map(|error| error.to_string());
        if said != told
            && let Some(error) = &said
        {
            tracing::error!("{error}; clients are shown the certificate that was read before");
        }
        told = said.or(told);
    }
}

/// Looks once; and once more a little later where something is wrong, since the other file may not
/// be there yet.
async fn look(certificate: &Certificate) -> Result<(), BadCertificate> {
    let refreshed = match certificate.refresh() {
        Err(_) => {
            sleep(SETTLE).await;
            certificate.refresh()?
        }
        Ok(refreshed) => refreshed,
    };
    if refreshed == Refreshed::Replaced {
        tracing::info!(
            "DNS clients are shown the certificate of {} from now on",
            certificate.file().display()
        );
    }
    Ok(())
}
