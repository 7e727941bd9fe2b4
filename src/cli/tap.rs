//! The flags of dnstap.

use crate::{
    controller,
    server::{Tap, TapTarget},
};
use clap::Args;
use std::sync::Arc;

#[derive(Args, Debug)]
pub(super) struct TapArgs {
    /// Record all queries and answers (dnstap): at unix:PATH or tcp:HOST:PORT, where a reader
    /// listens, or in file:PATH, which is opened anew on SIGHUP
    #[arg(long, value_name = "TARGET")]
    dnstap: Option<TapTarget>,
    /// Name of this server in each record; the machine's when not given
    #[arg(long, value_name = "TEXT", requires = "dnstap")]
    dnstap_identity: Option<String>,
}

impl TapArgs {
    pub(super) fn tap(&self) -> Option<Arc<Tap>> {
        let target = self.dnstap.clone()?;
        let machine = rustix::system::uname();
        let identity = match &self.dnstap_identity {
            Some(identity) => identity.into(),
            None => machine.nodename().to_string_lossy(),
        };
        let version = concat!("meridian ", env!("CARGO_PKG_VERSION"));
        Some(Arc::new(Tap::new(target, &identity, version, controller::now)))
    }
}
