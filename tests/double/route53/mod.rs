//! Route 53 as its documents have it: the REST API of 2013-04-01, its rules and its limits, and the
//! DNS that answers from what was written.
//!
//! Where the documents leave a choice, the double takes the stricter one: who pleases it pleases
//! the vendor. It never speaks of private zones' networks, traffic policies or delegation sets.

mod answer;
mod changes;
mod checks;
mod dns;
mod extras;
mod http;
mod names;
mod places;
mod rules;
mod shapes;
mod signature;
mod state;
mod values;
mod xml;
mod zones;

pub(crate) use signature::{KEY, SECRET};

use super::common::{Control, Denied, Served, Shown};
use state::{Set, State};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// A Route 53 of one's own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Route53 {
    served: Served,
    pub(crate) control: Arc<Control>,
    shared: Arc<Shared>,
    dns: dns::Server,
}

#[derive(Debug)]
struct Shared {
    control: Arc<Control>,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a call is answered with.
#[derive(Debug)]
struct Reply {
    status: u16,
    location: Option<String>,
    body: String,
}

/// What a call is refused with, in the vendor's code.
#[derive(Debug)]
struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

impl Route53 {
    pub(crate) fn start() -> Self {
        let control = Control::new();
        for (name, burst, per_second) in http::BUCKETS {
            control.limit(name, *burst, *per_second);
        }
        let mut state = State::default();
        state.propagation = Duration::from_millis(100);
        let shared = Arc::new(Shared { control: control.clone(), state: Mutex::new(state) });
        let served = Served::start(http::app(shared.clone()));
        let dns = dns::Server::start(shared.clone());
        Self { served, control, shared, dns }
    }

    pub(crate) fn url(&self) -> String {
        self.served.url()
    }

    /// Where its DNS listens, on UDP.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.dns.address
    }

    /// Creates a zone; gives its identifier.
    pub(crate) fn zone(&self, name: &str) -> String {
        let mut state = self.shared.state();
        let reference = format!("zone {}", state.zones.len());
        state.create_zone(&names::canonical(name).unwrap(), &reference)
    }

    /// A private zone, which shares its name with a public one more often than not.
    pub(crate) fn private_zone(&self, name: &str) -> String {
        let id = self.zone(name);
        self.shared.state().zones.get_mut(&id).unwrap().private = true;
        id
    }

    /// The identifiers of all zones.
    pub(crate) fn zones(&self) -> Vec<String> {
        self.shared.state().zones.keys().cloned().collect()
    }

    /// All sets of a zone, in the vendor's order.
    pub(crate) fn sets(&self, zone: &str) -> Vec<Shown> {
        let state = self.shared.state();
        state
            .zones
            .get(zone)
            .into_iter()
            .flat_map(|zone| zone.sets.values())
            .map(Set::shown)
            .collect()
    }

    /// Writes a set as a foreign hand does, past all rules.
    pub(crate) fn put(&self, zone: &str, shown: &Shown) {
        let set = Set::of(shown);
        self.shared.state().zones.get_mut(zone).unwrap().sets.insert(set.key(), set);
    }

    /// Takes a set away; false where there is none.
    pub(crate) fn remove(&self, zone: &str, name: &str, rtype: &str, set: Option<&str>) -> bool {
        let name = names::canonical(name).unwrap();
        let key = state::Key::new(&name, rtype, set.unwrap_or_default());
        self.shared.state().zones.get_mut(zone).unwrap().sets.remove(&key).is_some()
    }

    /// Takes all sets of a zone away but its SOA and NS.
    pub(crate) fn empty(&self, zone: &str) {
        let mut state = self.shared.state();
        let zone = state.zones.get_mut(zone).unwrap();
        let apex = names::order(&zone.name);
        zone.sets.retain(|key, _| key.order == apex && matches!(key.rtype.as_str(), "NS" | "SOA"));
    }

    pub(crate) fn drop_zone(&self, zone: &str) {
        self.shared.state().zones.remove(zone);
    }

    pub(crate) fn deny(&self, denied: Denied) {
        self.shared.state().denied = denied;
    }

    /// What the DNS answers a client there: TTL and data of the records asked for, behind whatever
    /// CNAMEs of the zone; where these lead out of the zone, the name that they lead to.
    pub(crate) fn answer(
        &self,
        zone: &str,
        name: &str,
        rtype: &str,
        client: IpAddr,
    ) -> Vec<(u32, String)> {
        let state = self.shared.state();
        let name = names::canonical(name).unwrap();
        let found = state.zones.get(zone).map(|zone| state.found(zone, &name, rtype, client));
        let records = found.unwrap_or_default().records;
        let reached = records.last().map(|last| last.rtype.clone()).unwrap_or_default();
        let last = |record: &answer::Record| record.rtype == reached;
        let mut ends: Vec<_> = records.into_iter().filter(last).collect();
        if reached == "CNAME" {
            ends.drain(..ends.len() - 1);
        }
        ends.into_iter().map(|record| (record.ttl, record.data)).collect()
    }

    // === What only a test can do ===

    /// What the vendor's checkers see of a check's endpoint, from now on.
    pub(crate) fn observe(&self, check: &str, up: bool) {
        self.shared.state().checks.get_mut(check).unwrap().up = up;
    }

    /// Whether a check says healthy.
    pub(crate) fn healthy(&self, check: &str) -> bool {
        self.shared.state().healthy(check)
    }

    /// All health checks: identifier, caller reference, configuration by the vendor's names.
    pub(crate) fn checks(&self) -> Vec<(String, String, serde_json::Value)> {
        let state = self.shared.state();
        let all = state.checks.values();
        all.map(|own| (own.id.clone(), own.reference.clone(), own.config.clone())).collect()
    }

    /// So many health checks of the account are others'.
    pub(crate) fn others_checks(&self, count: usize) {
        self.shared.state().others_checks = count;
    }

    /// A health check deleted by a foreign hand.
    pub(crate) fn remove_check(&self, check: &str) {
        self.shared.state().checks.remove(check);
    }

    /// What a load balancer's name resolves to.
    pub(crate) fn service(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        self.shared.state().services.insert(names::canonical(name).unwrap(), addresses);
    }

    /// The vendor's clock is that far ahead of ours.
    pub(crate) fn clock_ahead(&self, ahead: Duration) {
        self.shared.state().ahead = ahead;
    }

    /// Protects a name and type from changes.
    pub(crate) fn protect(&self, zone: &str, name: &str, rtype: &str) {
        let own = (names::canonical(name).unwrap(), rtype.to_owned());
        self.shared.state().zones.get_mut(zone).unwrap().protected.insert(own);
    }

    /// From now on elements must come in the order of the documents, which the vendor does not ask.
    pub(crate) fn in_order(&self) {
        self.shared.state().ordered = true;
    }

    /// How long changes are PENDING.
    pub(crate) fn propagate_in(&self, long: Duration) {
        self.shared.state().propagation = long;
    }

    /// How long after a change a zone takes no other.
    pub(crate) fn process_in(&self, long: Duration) {
        self.shared.state().processing = long;
    }
}
