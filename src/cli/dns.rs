//! How the DNS server is told what to do: the flags that every command which serves DNS shares.

use crate::{
    controller,
    server::{Clock, Listen},
};
use clap::Args;
use std::net::SocketAddr;

/// The DNS server's flags.
#[derive(Args, Debug)]
#[command(next_help_heading = "DNS server")]
pub(super) struct DnsArgs {
    /// Address to serve DNS on (UDP and TCP); once for each
    #[arg(long, value_name = "ADDR:PORT", default_values = ["0.0.0.0:53", "[::]:53"])]
    dns_listen: Vec<SocketAddr>,
    /// Ignore the EDNS client subnet (RFC 7871): make answers for the resolver's address alone
    #[arg(long)]
    no_client_subnet: bool,
}

impl DnsArgs {
    /// The server's options.
    pub(super) fn listen(&self) -> Listen {
        Listen { client_subnet: !self.no_client_subnet, ..listen(self.dns_listen.clone()) }
    }
}

/// The defaults at those addresses.
pub(super) fn listen(addresses: Vec<SocketAddr>) -> Listen {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    Listen { workers, clock: Clock::new(controller::now), ..Listen::at(addresses) }
}
