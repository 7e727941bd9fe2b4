//! A double of Google Cloud DNS v1, of the health checks it uses (compute.v1), and of where its
//! tokens come from.
//!
//! ```text
//! api ─▶ tokens              who asks
//!    ├─▶ dns_api ─▶ validate ─▶ state    zones, sets, changes
//!    └─▶ compute                         health checks, operations
//! name_server ─▶ answers                 what a client there is told
//! ```

mod answers;
mod api;
mod compute;
mod dns_api;
mod name_server;
mod places;
mod refusal;
mod state;
mod tokens;
mod validate;
mod values;
mod wire;

use super::common::{Control, Denied, Served, Shown};
use serde_json::{Value, json};
use state::{State, key};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};
use wire::Rrset;

/// The project that the double's zones and health checks are in.
pub(crate) const PROJECT: &str = "meridian-test";
pub(super) const PROJECT_NUMBER: &str = "123456789012";

/// The double; it serves until it is dropped.
#[derive(Debug)]
pub(crate) struct CloudDns {
    pub(crate) control: Arc<Control>,
    shared: Arc<Shared>,
    served: Served,
    name_server: name_server::NameServer,
}

/// What the servers' threads and the tests both hold.
#[derive(Debug)]
struct Shared {
    control: Arc<Control>,
    state: Mutex<State>,
    url: OnceLock<String>,
}

impl Shared {
    /// The state, at the clock's time.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.now = self.control.now();
        state
    }
}

impl CloudDns {
    pub(crate) fn start() -> Self {
        let control = Control::new();
        control.limit(api::DNS_QUERIES, 600.0, 10.0);
        control.limit(api::COMPUTE_QUERIES, 1500.0, 25.0);
        let shared = Arc::new(Shared {
            control: control.clone(),
            state: Mutex::new(State::new()),
            url: OnceLock::new(),
        });
        let served = Served::start(api::app(shared.clone()));
        shared.url.set(served.url()).unwrap();
        let name_server = name_server::NameServer::start(shared.clone());
        Self { control, shared, served, name_server }
    }

    /// Where all its services are: dns, compute, sts, iamcredentials, metadata, `/token`.
    pub(crate) fn url(&self) -> String {
        self.served.url()
    }

    /// Its name server, over UDP.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.name_server.address
    }

    /// The key file of its service account.
    pub(crate) fn key_file(&self) -> Value {
        tokens::key_file(&self.url())
    }

    /// The configuration of a workload with its own token in that file, which takes the service
    /// account on or not.
    pub(crate) fn external_account(&self, token_file: &str, impersonated: bool) -> Value {
        tokens::external_account(&self.url(), token_file, impersonated)
    }

    /// What such a file holds.
    pub(crate) fn subject_token(&self) -> String {
        tokens::subject_token()
    }

    /// Makes a zone for that domain, with SOA and NS; gives its id.
    pub(crate) fn zone(&self, name: &str) -> String {
        let dns_name = format!("{}.", name.to_ascii_lowercase().trim_end_matches('.'));
        self.shared.state().create(&dns_name)
    }

    /// Makes a zone of that id for a domain that another zone may be for already.
    pub(crate) fn zone_as(&self, id: &str, name: &str, visibility: &'static str) {
        let dns_name = format!("{}.", name.to_ascii_lowercase().trim_end_matches('.'));
        self.shared.state().create_as(id, &dns_name, visibility);
    }

    /// All record sets of a zone, in the order of its names.
    pub(crate) fn sets(&self, zone: &str) -> Vec<Shown> {
        let state = self.shared.state();
        state.zones.get(zone).map_or(Vec::new(), |zone| zone.sets.values().map(shown).collect())
    }

    /// Writes a set behind the API's back; in the form that the API would have given it.
    pub(crate) fn put(&self, zone: &str, set: Shown) {
        let Shown { name, rtype, ttl, data, mut extra, .. } = set;
        let mut fields = json!({ "name": name, "type": rtype, "ttl": ttl.unwrap_or(300) });
        match extra.get_mut("routingPolicy").map(Value::take) {
            Some(policy) => fields["routingPolicy"] = policy,
            None => fields["rrdatas"] = json!(data),
        }
        let set: Rrset = serde_json::from_value(fields).unwrap();
        let mut state = self.shared.state();
        let dns_name = state.zones[zone].dns_name.clone();
        let reader = validate::Reader { state: &state, path: "put".to_owned() };
        let set = reader.read(set, &dns_name).unwrap();
        state.store(zone, set);
    }

    /// Takes a set out behind the API's back; `set` tells none apart here.
    pub(crate) fn remove(&self, zone: &str, name: &str, rtype: &str, _set: Option<&str>) {
        let mut state = self.shared.state();
        state.zones.get_mut(zone).unwrap().sets.remove(&key(name, rtype));
    }

    /// Empties a zone down to its SOA and NS.
    pub(crate) fn empty(&self, zone: &str) {
        let mut state = self.shared.state();
        let zone = state.zones.get_mut(zone).unwrap();
        let apex = zone.dns_name.clone();
        zone.sets.retain(|_, set| set.name == apex && matches!(set.rtype.as_str(), "SOA" | "NS"));
    }

    /// Takes a zone away.
    pub(crate) fn drop_zone(&self, zone: &str) {
        self.shared.state().zones.remove(zone);
    }

    pub(crate) fn deny(&self, denied: Denied) {
        self.shared.state().denied = denied;
    }

    /// From now on, the checks of that endpoint fail, or do not.
    pub(crate) fn fails(&self, endpoint: IpAddr, fails: bool) {
        let mut state = self.shared.state();
        match fails {
            true => state.down.insert(endpoint.to_string()),
            false => state.down.remove(&endpoint.to_string()),
        };
    }

    /// Switches DNSSEC on for a zone.
    pub(crate) fn sign(&self, zone: &str) {
        self.shared.state().zones.get_mut(zone).unwrap().signed = true;
    }

    /// All health checks by name, as compute tells them.
    pub(crate) fn checks(&self) -> BTreeMap<String, Value> {
        let state = self.shared.state();
        state.checks.iter().map(|(name, own)| (name.clone(), own.resource.clone())).collect()
    }

    /// Changes a health check behind the API's back, or makes or takes one.
    pub(crate) fn change_checks(&self, change: impl FnOnce(&mut BTreeMap<String, Value>)) {
        let mut all = self.checks();
        change(&mut all);
        let made = all.into_iter().map(|(name, resource)| (name, compute::Check::there(resource)));
        self.shared.state().checks = made.collect();
    }

    /// Whether health checks may be made and seen, and how many of them.
    pub(crate) fn allow_checks(&self, allowed: bool, most: usize) {
        let mut state = self.shared.state();
        (state.checks_allowed, state.most_checks) = (allowed, most);
    }

    /// Sets a limit that `projects.get` tells, by its name there.
    pub(crate) fn quota(&self, name: &str, most: u64) {
        self.shared.state().quotas.insert(name.to_owned(), most);
    }

    /// What the zone's name servers answer a client there: the last set of a chain within the
    /// zone, with the least TTL on the way.
    pub(crate) fn answer(
        &self,
        zone: &str,
        name: &str,
        rtype: &str,
        client: IpAddr,
    ) -> Vec<(u32, String)> {
        let state = self.shared.state();
        let Ok(zone) = state.zone(zone) else { return Vec::new() };
        let found = answers::look_up(&state, zone, name, rtype, client);
        let Some(last) = found.records.last() else { return Vec::new() };
        let ttl = found.records.iter().map(|record| record.ttl).min().unwrap();
        let same =
            |record: &&answers::Record| record.name == last.name && record.rtype == last.rtype;
        found.records.iter().filter(same).map(|record| (ttl, record.data.clone())).collect()
    }
}

fn shown(set: &Rrset) -> Shown {
    let mut data = set.rrdatas.clone().unwrap_or_default();
    data.sort();
    let extra = match &set.routing_policy {
        Some(policy) => json!({ "routingPolicy": policy }),
        None => json!({}),
    };
    Shown {
        name: set.name.clone(),
        rtype: set.rtype.clone(),
        ttl: set.ttl.map(|ttl| u32::try_from(ttl).unwrap()),
        data,
        set: None,
        extra,
    }
}
