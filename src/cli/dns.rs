//! How the DNS server is told what to do: the flags that every command which serves DNS shares.

use super::{tap::TapArgs, transports::TransportArgs};
use crate::{
    controller,
    server::{Budget, Clock, Cookies, Guard, Limiter, Listen, Rates, Secrets},
};
use anyhow::anyhow;
use clap::{Args, builder::RangedU64ValueParser};
use data_encoding::HEXLOWER_PERMISSIVE;
use ipnet::IpNet;
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

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
    /// Name that this server gives to those who ask which one it is (NSID, RFC 5001): text, or
    /// octets as in 0x6e7331
    #[arg(long, value_name = "TEXT", value_parser = nsid)]
    dns_nsid: Option<Nsid>,
    #[command(flatten)]
    cookies: CookieArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    transports: TransportArgs,
    #[command(flatten)]
    tap: TapArgs,
}

/// DNS cookies (RFC 7873).
#[derive(Args, Debug)]
struct CookieArgs {
    /// File of the secrets of DNS cookies, one of 32 hexadecimal digits on each line, the active
    /// one first; the same for all servers behind one address, read again when it changes
    #[arg(long, value_name = "FILE")]
    dns_cookie_secret_file: Option<PathBuf>,
    /// Answer clients that know DNS cookies over UDP only for a good one
    #[arg(long)]
    dns_cookie_require: bool,
    /// Ignore DNS cookies
    #[arg(long, conflicts_with_all = ["dns_cookie_secret_file", "dns_cookie_require"])]
    no_dns_cookies: bool,
}

/// Response-rate limiting.
#[derive(Args, Debug)]
struct LimitArgs {
    /// Answers per second over UDP to one address without a DNS cookie; networks get 2 to 4 times
    /// as many for each kind of answer
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=u64::from(Rates::MOST)))]
    dns_rrl_rate: u32,
    /// Of the answers above that, one in N is sent empty with TC, so that the client comes over
    /// TCP; 0 for none
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = RangedU64ValueParser::<u8>::new().range(0..=u64::from(Rates::MOST_SLIP)))]
    dns_rrl_slip: u8,
    /// Network that is not limited, beside loopback, nor its connections; once for each
    #[arg(long, value_name = "CIDR")]
    dns_rrl_exempt: Vec<IpNet>,
    /// Only count what would be held back
    #[arg(long)]
    dns_rrl_dry_run: bool,
    /// Limit no answers
    #[arg(long, conflicts_with_all = ["dns_rrl_rate", "dns_rrl_slip", "dns_rrl_dry_run"])]
    no_dns_rrl: bool,
    /// Microseconds of a processor per second that one address may use over connections (TCP, TLS,
    /// HTTPS and QUIC); networks get 2 to 4 times as many. What is above waits. 0 for no limit
    #[arg(long, value_name = "MICROS", default_value_t = Budget::PER_SECOND,
        value_parser = RangedU64ValueParser::<u32>::new().range(0..=u64::from(Budget::MOST)))]
    dns_connection_cpu: u32,
}

impl DnsArgs {
    /// The server's options.
    ///
    /// # Errors
    /// When the system has no randomness to give, or a certificate cannot be used.
    pub(super) fn listen(&self) -> anyhow::Result<Listen> {
        let guard = Guard {
            cookies: self.cookies.cookies()?,
            secrets: self.cookies.dns_cookie_secret_file.clone(),
            limiter: self.limits.limiter()?,
            budget: self.limits.budget()?,
            nsid: self.dns_nsid.clone().unwrap_or_default().0,
        };
        Ok(Listen {
            client_subnet: !self.no_client_subnet,
            guard: Arc::new(guard),
            proxies: self.transports.proxies(),
            udp_proxies: self.transports.udp_proxies(),
            secure: self.transports.secure()?,
            tap: self.tap.tap(),
            ..listen(self.dns_listen.clone())
        })
    }
}

impl CookieArgs {
    /// With a secret for the time until theirs are read.
    fn cookies(&self) -> anyhow::Result<Option<Cookies>> {
        if self.no_dns_cookies {
            return Ok(None);
        }
        Ok(Some(Cookies::new(Secrets::one(random()?), self.dns_cookie_require)))
    }
}

impl LimitArgs {
    fn limiter(&self) -> anyhow::Result<Option<Limiter>> {
        if self.no_dns_rrl {
            return Ok(None);
        }
        let rates = Rates {
            rate: self.dns_rrl_rate,
            slip: self.dns_rrl_slip,
            exempt: self.exempt(),
            dry_run: self.dns_rrl_dry_run,
        };
        Ok(Some(Limiter::new(rates, random()?)))
    }

    fn budget(&self) -> anyhow::Result<Option<Budget>> {
        match self.dns_connection_cpu {
            0 => Ok(None),
            micros => Ok(Some(Budget::new(micros, &self.exempt(), random()?))),
        }
    }

    /// Nobody outside can pretend to be this machine.
    fn exempt(&self) -> Vec<IpNet> {
        let loopback = [
            IpNet::from(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
            IpNet::from(ipnet::Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
        ];
        loopback.into_iter().chain(self.dns_rrl_exempt.iter().copied()).collect()
    }
}

fn random() -> anyhow::Result<[u8; 16]> {
    let mut octets = [0; 16];
    let filled = SystemRandom::new().fill(&mut octets);
    filled.map_err(|_| anyhow!("the system gives no random octets, which DNS cookies need"))?;
    Ok(octets)
}

/// A server's name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Nsid(Box<[u8]>);

fn nsid(text: &str) -> Result<Nsid, String> {
    let octets = match text.strip_prefix("0x") {
        None => text.as_bytes().to_vec(),
        Some(digits) => HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .map_err(|_| "after 0x, an even number of hexadecimal digits is expected".to_owned())?,
    };
    match octets.len() {
        1..=Guard::MOST_NSID => Ok(Nsid(octets.into())),
        other => Err(format!("1 to {} octets are expected, not {other}", Guard::MOST_NSID)),
    }
}

/// The defaults at those addresses.
pub(super) fn listen(addresses: Vec<SocketAddr>) -> Listen {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    Listen {
        workers,
        clock: Clock::new(controller::now).with_work(controller::worked),
        ..Listen::at(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        dns: DnsArgs,
    }

    fn parse(flags: &[&str]) -> Result<Guard, String> {
        let parsed = Command::try_parse_from([&["dns"], flags].concat());
        let listen = parsed.map_err(|error| error.to_string())?.dns.listen().unwrap();
        Ok(Arc::into_inner(listen.guard).unwrap())
    }

    #[test]
    fn cookies_and_limits_are_on_by_default_and_can_be_turned_off() {
        let guard = parse(&[]).unwrap();
        assert!(guard.cookies.is_some() && guard.limiter.is_some() && guard.nsid.is_empty());
        let guard = parse(&["--no-dns-cookies", "--no-dns-rrl"]).unwrap();
        assert!(guard.cookies.is_none() && guard.limiter.is_none());
    }

    #[test]
    fn the_time_of_connections_is_limited_by_default_and_the_limit_can_be_another_or_none() {
        assert!(parse(&[]).unwrap().budget.is_some());
        assert!(
            parse(&["--no-dns-rrl", "--dns-rrl-exempt", "192.0.2.0/24"]).unwrap().budget.is_some()
        );
        assert!(parse(&["--dns-connection-cpu", "5000"]).unwrap().budget.is_some());
        assert!(parse(&["--dns-connection-cpu", "0"]).unwrap().budget.is_none());
        parse(&["--dns-connection-cpu", "1000001"]).unwrap_err();
    }

    #[test]
    fn a_servers_name_is_text_or_octets() {
        assert_eq!(*parse(&["--dns-nsid", "ns1.fra"]).unwrap().nsid, *b"ns1.fra");
        assert_eq!(*parse(&["--dns-nsid", "0x00fF"]).unwrap().nsid, [0, 255]);
        for wrong in ["", "0x", "0x0", "0xzz", &"x".repeat(129)] {
            let error = parse(&["--dns-nsid", wrong]).unwrap_err();
            assert!(error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn numbers_out_of_range_and_flags_against_each_other_are_errors() {
        for wrong in [
            &["--dns-rrl-rate", "0"][..],
            &["--dns-rrl-rate", "100001"],
            &["--dns-rrl-slip", "11"],
            &["--dns-rrl-exempt", "192.0.2.1"],
            &["--no-dns-rrl", "--dns-rrl-dry-run"],
            &["--no-dns-cookies", "--dns-cookie-require"],
        ] {
            parse(wrong).unwrap_err();
        }
    }
}
