//! The DNS server's flags for connections: proxies before it, and queries that nobody else can read.

use crate::server::{Certificate, Secure};
use anyhow::bail;
use clap::Args;
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

#[derive(Args, Debug)]
pub(super) struct TransportArgs {
    /// Proxy, or network of proxies, whose connections begin with a header that says whose they
    /// are (PROXY protocol, version 2; not UDP or QUIC); once for each
    #[arg(long, value_name = "CIDR", value_parser = network)]
    dns_proxy_from: Vec<IpNet>,
    /// Proxy, or network of proxies, whose datagrams begin with such a header; only where nobody
    /// can forge their addresses; once for each
    #[arg(long, value_name = "CIDR", value_parser = network)]
    dns_udp_proxy_from: Vec<IpNet>,
    /// Address to serve DNS over TLS on (RFC 7858; its usual port is 853); once for each
    #[arg(long, value_name = "ADDR:PORT", requires = "dns_tls_cert")]
    dot_listen: Vec<SocketAddr>,
    /// Address to serve DNS over HTTPS on, at /dns-query (RFC 8484; 443); once for each
    #[arg(long, value_name = "ADDR:PORT", requires = "dns_tls_cert")]
    doh_listen: Vec<SocketAddr>,
    /// Address to serve DNS over QUIC on (RFC 9250; 853 of UDP); once for each
    #[arg(long, value_name = "ADDR:PORT", requires = "dns_tls_cert")]
    doq_listen: Vec<SocketAddr>,
    /// File of the certificates that clients of these are shown, in PEM form, the server's own
    /// first; read again when it changes
    #[arg(long, value_name = "FILE", requires = "dns_tls_key")]
    dns_tls_cert: Option<PathBuf>,
    /// File of the private key of the first of them, in PEM form
    #[arg(long, value_name = "FILE", requires = "dns_tls_cert")]
    dns_tls_key: Option<PathBuf>,
}

impl TransportArgs {
    pub(super) fn proxies(&self) -> Vec<IpNet> {
        self.dns_proxy_from.clone()
    }

    pub(super) fn udp_proxies(&self) -> Vec<IpNet> {
        self.dns_udp_proxy_from.clone()
    }

    /// Where to listen for encrypted queries, and with what.
    ///
    /// # Errors
    /// When a file cannot be used, or would be for nothing.
    pub(super) fn secure(&self) -> anyhow::Result<Option<Secure>> {
        let (Some(chain), Some(key)) = (&self.dns_tls_cert, &self.dns_tls_key) else {
            return Ok(None);
        };
        let (tls, https, quic) =
            (self.dot_listen.clone(), self.doh_listen.clone(), self.doq_listen.clone());
        if tls.is_empty() && https.is_empty() && quic.is_empty() {
            bail!(
                "--dns-tls-cert {}: nothing would show it; say where with --dot-listen, \
                 --doh-listen or --doq-listen",
                chain.display()
            );
        }
        let certificate = Certificate::read(chain.clone(), key.clone())?;
        Ok(Some(Secure { certificate, tls, https, quic }))
    }
}

/// A network, or an address for itself.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| text.parse()).map_err(|_| {
        format!("{text:?} is neither a network, as in 192.0.2.0/24, nor an IP address")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        transports: TransportArgs,
    }

    fn parse(flags: &[&str]) -> Result<TransportArgs, String> {
        let parsed = Command::try_parse_from([&["dns"], flags].concat());
        parsed.map(|command| command.transports).map_err(|error| error.to_string())
    }

    #[test]
    fn encrypted_listeners_are_off_by_default_and_need_a_certificate_and_its_key() {
        assert!(parse(&[]).unwrap().secure().unwrap().is_none());
        for flag in ["--dot-listen", "--doh-listen", "--doq-listen"] {
            let error = parse(&[flag, "127.0.0.1:853"]).unwrap_err();
            assert!(error.contains("--dns-tls-cert"), "{error}");
        }
        let error = parse(&["--dns-tls-cert", "a"]).unwrap_err();
        assert!(error.contains("--dns-tls-key"), "{error}");
    }

    #[test]
    fn a_certificate_that_nothing_shows_and_one_that_is_not_there_are_errors() {
        let files = ["--dns-tls-cert", "/none/a", "--dns-tls-key", "/none/b"];
        let error = parse(&files).unwrap().secure().unwrap_err().to_string();
        assert!(error.contains("/none/a") && error.contains("--dot-listen"), "{error}");
        let listen = [&files[..], &["--dot-listen", "127.0.0.1:853"]].concat();
        let error = parse(&listen).unwrap().secure().unwrap_err().to_string();
        assert!(error.contains("--dns-tls-cert /none/a"), "{error}");
    }

    #[test]
    fn proxies_are_networks_or_addresses() {
        let flags = ["--dns-proxy-from", "192.0.2.0/24", "--dns-proxy-from", "2001:db8::1"];
        let shown: Vec<_> =
            parse(&flags).unwrap().proxies().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.0/24", "2001:db8::1/128"]);
        let error = parse(&["--dns-proxy-from", "everyone"]).unwrap_err();
        assert!(error.contains("neither a network"), "{error}");
    }
}
