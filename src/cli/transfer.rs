//! How transfers are set up from the command line: keys, the catalog, and the zones that no
//! Federation speaks for.

use crate::{
    controller::TransferOptions,
    model::Name,
    transfer::{Allow, Target},
};
use clap::Args;
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// The flags of zone transfers.
#[derive(Args, Debug)]
#[command(next_help_heading = "Zone transfers")]
pub(super) struct TransferArgs {
    /// File with TSIG keys: key clauses as BIND has them, or lines name:algorithm:secret; read
    /// again with the configuration; once for each
    #[arg(long, value_name = "FILE")]
    tsig_key_file: Vec<PathBuf>,
    /// Serve a catalog zone (RFC 9432) of that name, which lists all zones served
    #[arg(long, value_name = "NAME")]
    catalog_zone: Option<Name>,
    /// Who may have the catalog and the zones of master files, as in KEY, 192.0.2.0/24 or
    /// KEY@192.0.2.0/24; with tls: before it, over TLS (RFC 9103) or QUIC alone; once for each
    #[arg(long, value_name = "WHO", value_parser = allow)]
    transfer_allow: Vec<Allow>,
    /// Who is told of their changes, as in 192.0.2.1, 192.0.2.1:53 or 192.0.2.1:53@KEY; once for
    /// each
    #[arg(long, value_name = "ADDR[@KEY]", value_parser = target)]
    transfer_notify: Vec<Target>,
    /// Transfers out at a time
    #[arg(long, value_name = "N", default_value_t = 10)]
    transfers: usize,
}

impl TransferArgs {
    pub(super) fn options(&self) -> TransferOptions {
        TransferOptions {
            key_files: self.tsig_key_file.clone(),
            catalog: self.catalog_zone.as_ref().map(Name::to_lowercase),
            allow: self.transfer_allow.clone(),
            notify: self.transfer_notify.clone(),
            places: self.transfers,
        }
    }
}

fn allow(text: &str) -> Result<Allow, String> {
    let (text, tls) = text.strip_prefix("tls:").map_or((text, false), |rest| (rest, true));
    if let Some(network) = network(text) {
        return Ok(Allow { key: None, networks: vec![network], tls });
    }
    let Some((key, networks)) = text.split_once('@') else {
        return Ok(Allow { key: Some(name(text)?), networks: Vec::new(), tls });
    };
    let network =
        network(networks).ok_or(format!("{networks:?} is not a network such as 192.0.2.0/24"))?;
    Ok(Allow { key: Some(name(key)?), networks: vec![network], tls })
}

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

fn target(text: &str) -> Result<Target, String> {
    let (address, key) = match text.split_once('@') {
        Some((address, key)) => (address, Some(name(key)?)),
        None => (text, None),
    };
    let plain = || address.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    let read = address.parse().ok().or_else(plain);
    let read = read.ok_or(format!("{address:?} is not an address such as 192.0.2.1:53"))?;
    Ok(Target { address: read, key })
}

fn name(text: &str) -> Result<Name, String> {
    text.to_lowercase().parse().map_err(|error| format!("{text:?} is not a key's name: {error}"))
}
