//! What the doubles share: a server on loopback, a clock, token buckets, faults, a count of calls.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Serves HTTP on a port of loopback, in a thread of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
}

impl Served {
    pub(crate) fn start(app: axum::Router) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    served = axum::serve(listener, app) => served.unwrap(),
                    () = stopped.cancelled() => {}
                }
            });
        });
        Self { address, stop }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A record set as a double has it, in words that all of them share.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    /// In lower case, with its final dot.
    pub(crate) name: String,
    pub(crate) rtype: String,
    pub(crate) ttl: Option<u32>,
    /// As a master file has them, sorted.
    pub(crate) data: Vec<String>,
    /// Which of several of that name and type.
    pub(crate) set: Option<String>,
    /// The vendor's own fields: routing, alias, health check.
    pub(crate) extra: serde_json::Value,
}

/// What goes wrong with the next call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Refused as too fast, in the vendor's own words, with this many seconds of Retry-After.
    Throttled(Option<u64>),
    /// This status with a body of the vendor's form, or of none.
    Status(u16),
    /// Not carried out, and the connection is closed without an answer.
    TornBefore,
    /// Carried out, and the connection is closed without an answer.
    TornAfter,
    /// Answered after that long.
    Slow(Duration),
}

/// A token bucket of the vendor's documents, on the double's clock.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    burst: f64,
    per_second: f64,
    left: f64,
    at: Duration,
}

impl Bucket {
    pub(crate) fn new(burst: f64, per_second: f64) -> Self {
        Self { burst, per_second, left: burst, at: Duration::ZERO }
    }

    /// Takes that many tokens at that time; false when there are not as many.
    pub(crate) fn take(&mut self, now: Duration, tokens: f64) -> bool {
        let gained = now.saturating_sub(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + gained).min(self.burst);
        self.at = self.at.max(now);
        let enough = self.left >= tokens;
        if enough {
            self.left -= tokens;
        }
        enough
    }
}

/// The parts of a double that no vendor differs in.
#[derive(Debug)]
pub(crate) struct Control {
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What tests moved the clock by.
    moved: Duration,
    calls: BTreeMap<String, u64>,
    faults: VecDeque<(String, Fault)>,
    buckets: BTreeMap<String, Bucket>,
    unlimited: bool,
}

impl Control {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), inner: Mutex::default() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Since the double was started, and what tests moved it by.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed() + self.inner().moved
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.inner().moved += by;
    }

    /// Sets a limit of the vendor's; `name` is what [`Control::admit`] is asked with.
    pub(crate) fn limit(&self, name: &str, burst: f64, per_second: f64) {
        self.inner().buckets.insert(name.to_owned(), Bucket::new(burst, per_second));
    }

    /// Switches all limits off, for tests that are about something else.
    pub(crate) fn unlimited(&self) {
        self.inner().unlimited = true;
    }

    /// Counts a call of that name.
    pub(crate) fn count(&self, call: &str) {
        *self.inner().calls.entry(call.to_owned()).or_default() += 1;
    }

    /// Whether all these buckets have that many tokens, which are then taken from all or none.
    pub(crate) fn admit(&self, buckets: &[(&str, f64)]) -> bool {
        let now = self.now();
        let mut inner = self.inner();
        if inner.unlimited {
            return true;
        }
        let mut after = inner.buckets.clone();
        let mut enough = |(name, tokens): &(&str, f64)| {
            after.get_mut(*name).is_none_or(|own| own.take(now, *tokens))
        };
        let admitted = buckets.iter().all(&mut enough);
        if admitted {
            inner.buckets = after;
        }
        admitted
    }

    /// The next call of that name goes wrong (`*` for whichever is next).
    pub(crate) fn fail(&self, call: &str, fault: Fault) {
        self.inner().faults.push_back((call.to_owned(), fault));
    }

    /// The fault that is due for a call of that name, taken out.
    pub(crate) fn fault(&self, call: &str) -> Option<Fault> {
        let mut inner = self.inner();
        let at = inner.faults.iter().position(|(name, _)| name == "*" || name == call)?;
        inner.faults.remove(at).map(|(_, fault)| fault)
    }

    /// How many calls of each name there have been.
    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        self.inner().calls.clone()
    }

    /// How many calls there have been.
    pub(crate) fn total(&self) -> u64 {
        self.inner().calls.values().sum()
    }
}

/// Where a double takes clients to be, by their address.
pub(crate) fn country(client: std::net::IpAddr) -> Option<&'static str> {
    let std::net::IpAddr::V4(ip) = client else { return None };
    match ip.octets() {
        [91, ..] => Some("DE"),
        [12, ..] => Some("US"),
        [126, ..] => Some("JP"),
        _ => None,
    }
}

/// What the credentials in use are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Denied {
    /// Everything is allowed.
    #[default]
    None,
    /// They are not known.
    Credentials,
    /// They are known, and may nothing.
    Permission,
    /// They may read, and no more.
    ReadOnly,
}
