//! What is checked, how, and what can come of it: the words that probes and verdicts share.

use jiff::Timestamp;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// One address and how it is checked. Services that share both share one probe.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Target {
    /// A literal address: host names are resolved before, once, by us.
    pub address: IpAddr,
    /// How.
    pub check: Arc<Check>,
}

impl Target {
    /// The same text in every process that checks the same thing, whatever its interval.
    #[must_use]
    pub fn id(&self) -> String {
        let Check { protocol, port, .. } = &*self.check;
        let place = SocketAddr::new(self.address, *port);
        let tls = |tls: &Tls| if tls.insecure { " insecure" } else { "" };
        let http = |own: &Http| {
            let method = match own.method {
                Method::Get => "GET",
                Method::Head => "HEAD",
            };
            let statuses = own.statuses.0.iter().map(|(first, last)| format!("{first}-{last}"));
            let statuses: Vec<_> = statuses.collect();
            let body = own.body.as_deref().unwrap_or_default();
            format!(" {method} {} {} {} {body:?}", own.host, own.path, statuses.join(","))
        };
        match protocol {
            Protocol::Tcp => format!("tcp {place}"),
            Protocol::Http(own) => format!("http {place}{}", http(own)),
            Protocol::Https(own, judged) => format!("https {place}{}{}", http(own), tls(judged)),
            Protocol::Grpc(own, judged) => {
                let tls = judged
                    .as_ref()
                    .map_or("", |own| if own.insecure { " tls insecure" } else { " tls" });
                format!("grpc {place} {} {}{tls}", own.host, own.service)
            }
        }
    }
}

/// How an endpoint is checked, and how its outcomes are counted.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Check {
    /// What is spoken.
    pub protocol: Protocol,
    /// 1 to 65535.
    pub port: u16,
    /// From one check's start to the next.
    pub interval: Duration,
    /// For one check as a whole; less than the interval.
    pub timeout: Duration,
    /// Failures until it is down, 1 to 100.
    pub fall: u8,
    /// Successes until it is up again, 1 to 100.
    pub rise: u8,
}

impl Check {
    /// Seconds between checks when nothing else is said.
    pub const INTERVAL: Duration = Duration::from_secs(10);
    /// When nothing else is said.
    pub const TIMEOUT: Duration = Duration::from_secs(3);
    /// When nothing else is said.
    pub const FALL: u8 = 3;
    /// When nothing else is said.
    pub const RISE: u8 = 2;

    /// A check of that protocol with the defaults of `design.md` §7.
    #[must_use]
    pub const fn new(protocol: Protocol, port: u16) -> Self {
        let (interval, timeout) = (Self::INTERVAL, Self::TIMEOUT);
        Self { protocol, port, interval, timeout, fall: Self::FALL, rise: Self::RISE }
    }

    /// The longest that a failure can go unnoticed: the last check before it, and those that
    /// must fail.
    #[must_use]
    pub fn detection(&self) -> Duration {
        self.interval * u32::from(self.fall) + self.timeout
    }
}

/// What a check speaks.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// A connection that is accepted.
    Tcp,
    /// A request and its response.
    Http(Http),
    /// The same over TLS.
    Https(Http, Tls),
    /// `grpc.health.v1.Health/Check`, over HTTP/2; over TLS when that is given.
    Grpc(Grpc, Option<Tls>),
}

impl Protocol {
    /// How certificates are judged, where TLS is spoken.
    #[must_use]
    pub const fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Tcp | Self::Http(_) => None,
            Self::Https(_, tls) => Some(tls),
            Self::Grpc(_, tls) => tls.as_ref(),
        }
    }
}

/// An HTTP request and what is expected of the response. Redirects are never followed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Http {
    /// GET or HEAD.
    pub method: Method,
    /// Path and query, as in `/healthz?full=1`.
    pub path: Arc<str>,
    /// The Host header; with TLS also the server name (SNI) that the certificate must be for.
    pub host: Arc<str>,
    /// Which response codes are a success.
    pub statuses: Statuses,
    /// Text that must stand within the first [`Http::BODY`] octets of the body.
    pub body: Option<Arc<str>>,
}

impl Http {
    /// How much of a body is read, whatever its length.
    pub const BODY: usize = 5_120;
}

/// How an HTTP check asks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Method {
    /// With a body in the response.
    #[default]
    Get,
    /// Without.
    Head,
}

/// Ranges of response codes, both ends included; 200 to 399 unless said otherwise.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Statuses(pub Vec<(u16, u16)>);

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![(200, 399)])
    }
}

impl Statuses {
    /// Whether that code is a success.
    #[must_use]
    pub fn admit(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

/// The gRPC health protocol's request.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Grpc {
    /// The service asked about; empty for the server as a whole.
    pub service: Arc<str>,
    /// The `:authority`; with TLS also the server name.
    pub host: Arc<str>,
}

/// How certificates are judged.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tls {
    /// Set where any certificate will do; it is verified otherwise.
    pub insecure: bool,
    /// PEM certificates to trust in place of the system's.
    pub ca: Option<Arc<str>>,
}

/// What came of one check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// Of what.
    pub target: Target,
    /// How long it took.
    pub took: Duration,
    /// Success, or what was wrong.
    pub result: Result<(), Failure>,
    /// With TLS, after a success: when the certificate ends to be valid. A warning for people; it
    /// never makes a check fail before its time.
    pub expires: Option<Timestamp>,
}

/// Why a check failed, without a word from the other side's body.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// No connection came about.
    #[error("no connection: {0}")]
    Connect(String),
    /// The time was up; the word says in which part.
    #[error("timed out while {0}")]
    Timeout(&'static str),
    /// The TLS handshake failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// A response code that is not expected.
    #[error("answered with status {0}")]
    Status(u16),
    /// The first 5 KB do not hold the text.
    #[error("the body does not hold the expected text")]
    Body,
    /// A gRPC health status that is not SERVING, or a gRPC error.
    #[error("gRPC: {0}")]
    Grpc(String),
    /// What came back is not the protocol.
    #[error("not understood: {0}")]
    Protocol(String),
    /// We may not connect there; nothing was sent, so this says nothing about the endpoint.
    #[error("not checked: {0}")]
    Blocked(String),
    /// Our own side could not make the check: no sockets, no memory.
    #[error("not checked, for a reason of our own: {0}")]
    Local(String),
}

impl Failure {
    /// Whether it speaks about the endpoint at all.
    #[must_use]
    pub const fn counts(&self) -> bool {
        !matches!(self, Self::Blocked(_) | Self::Local(_))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Http(_) => "http",
            Self::Https(..) => "https",
            Self::Grpc(..) => "grpc",
        })
    }
}
