//! A double of Azure DNS (2018-05-01) and Traffic Manager (2022-04-01): one subscription with one
//! resource group, the endpoints that give tokens, and what name servers answer from all that.

mod answer;
mod dns;
mod endpoint;
mod endpoints;
mod geo;
mod http;
mod profile;
mod profiles;
mod records;
mod refused;
mod rules;
mod steer;
mod tls;
mod tokens;
mod world;
mod zones;

pub(crate) use tokens::{ASSERTION, CLIENT, SECRET, TENANT};
pub(crate) use world::{Denied, GROUP, SUBSCRIPTION};

use super::common::{Control, Served, Shown};
use records::Kind;
use serde_json::{Map, Value, json};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use world::{Set, World};

/// The double. Its ids are those of the Resource Manager.
#[derive(Debug)]
pub(crate) struct Azure {
    pub(crate) control: Arc<Control>,
    world: Arc<Mutex<World>>,
    plain: Served,
    secure: tls::Secure,
    dns: dns::Server,
}

impl Azure {
    pub(crate) fn start() -> Self {
        let control = Control::new();
        http::limits(&control, None);
        let world = Arc::new(Mutex::new(World::new()));
        let app = |scheme| {
            let (world, control) = (world.clone(), control.clone());
            axum::Router::new().fallback(move |request: axum::extract::Request| {
                http::serve(world.clone(), control.clone(), scheme, request)
            })
        };
        let (plain, secure) = (Served::start(app("http")), tls::Secure::start(app("https")));
        let answers = world.clone();
        let dns = dns::Server::start(move |name, rtype, client| {
            answers.lock().unwrap_or_else(PoisonError::into_inner).answer(name, rtype, client)
        });
        Self { control, world, plain, secure, dns }
    }

    /// Over plain HTTP.
    pub(crate) fn url(&self) -> String {
        self.plain.url()
    }

    /// The same over HTTPS, with a certificate of [`Azure::authority`].
    pub(crate) fn secure_url(&self) -> String {
        format!("https://{}", self.secure.address)
    }

    /// The certificate to trust, as PEM.
    pub(crate) fn authority(&self) -> &str {
        &self.secure.authority
    }

    /// Where its name server is, UDP.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.dns.address
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a zone with its SOA and NS records; its id.
    pub(crate) fn zone(&self, name: &str) -> String {
        let name = name.trim_end_matches('.');
        self.world().make_zone(name);
        format!("{}/dnszones/{name}", world::scope())
    }

    /// All record sets of a zone, by its id or its name.
    pub(crate) fn sets(&self, zone: &str) -> Vec<Shown> {
        let (world, zone) = (self.world(), key(zone));
        let Some(zone) = world.zones.get(&zone) else { return Vec::new() };
        zone.sets.values().map(|set| shown(&zone.name, set)).collect()
    }

    /// What a foreign hand writes, past the API and its checks. `extra` may have `alias` (the id of
    /// what it stands for) and `metadata`.
    pub(crate) fn put(&self, zone: &str, shown: Shown) {
        let Shown { name, rtype, ttl, data, extra, set: _ } = shown;
        let (mut world, zone) = (self.world(), key(zone));
        let name = relative(&zone, &name);
        world.plain_set(&zone, &name, &rtype, u64::from(ttl.unwrap_or(300)), &data);
        let at = (name, Kind::named(&rtype).unwrap().name);
        let set = world.zones.get_mut(&zone).unwrap().sets.get_mut(&at).unwrap();
        set.target = extra["alias"].as_str().map(str::to_owned);
        set.metadata = extra["metadata"].as_object().cloned();
    }

    /// Removes a record set past the API; `set` is for vendors that have several of a name.
    pub(crate) fn remove(&self, zone: &str, name: &str, rtype: &str, _set: Option<&str>) {
        let (mut world, zone) = (self.world(), key(zone));
        let at = (relative(&zone, name), Kind::named(rtype).unwrap().name);
        if let Some(zone) = world.zones.get_mut(&zone) {
            zone.sets.remove(&at);
        }
    }

    /// Removes all record sets that may be removed.
    pub(crate) fn empty(&self, zone: &str) {
        if let Some(zone) = self.world().zones.get_mut(&key(zone)) {
            zone.sets.retain(|_, set| zones::stays(set));
        }
    }

    pub(crate) fn drop_zone(&self, zone: &str) {
        self.world().zones.remove(&key(zone));
    }

    pub(crate) fn deny(&self, denied: Denied) {
        self.world().denied = denied;
    }

    /// Whether the checks of that target (an address or a name) succeed.
    pub(crate) fn well(&self, target: &str, well: bool) {
        let (mut world, target) = (self.world(), target.to_ascii_lowercase());
        if well {
            world.ill.remove(&target);
        } else {
            world.ill.insert(target);
        }
    }

    /// Someone else in the world has that name under trafficmanager.net.
    pub(crate) fn take_name(&self, relative: &str) {
        self.world().taken.insert(relative.to_ascii_lowercase());
    }

    /// A zone of that name in another resource group, too.
    pub(crate) fn twin(&self, zone: &str, group: &str) {
        self.world().twins.insert((key(zone), group.to_owned()));
    }

    /// Takes them away.
    pub(crate) fn no_twins(&self) {
        self.world().twins.clear();
    }

    /// How many profiles the subscription may have.
    pub(crate) fn most_profiles(&self, most: usize) {
        self.world().most_profiles = most;
    }

    /// All profiles, as the API shows them.
    pub(crate) fn profiles(&self) -> Vec<Value> {
        let (world, now) = (self.world(), self.control.now());
        world.profiles.values().map(|own| own.shown(&world, now)).collect()
    }

    /// The calls that were carried out, with what was sent and what was answered, oldest first.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.world().seen.iter().cloned().collect()
    }

    /// Writes a profile past the API and its rules; its id.
    pub(crate) fn put_profile(&self, name: &str, body: &Value) -> String {
        let (mut world, now) = (self.world(), self.control.now());
        let profile = profile::Profile::read(name, body, &world, now).unwrap();
        let id = profile.id();
        world.profiles.insert(name.to_ascii_lowercase(), profile);
        id
    }

    /// Removes a profile past the API.
    pub(crate) fn drop_profile(&self, name: &str) {
        let mut world = self.world();
        if let Some(gone) = world.profiles.remove(&name.to_ascii_lowercase()) {
            world.forget(&gone.id());
        }
    }

    /// What a client there is answered: the records of that type at the end of the chain, or the
    /// name that the chain leaves the double with.
    pub(crate) fn answer(
        &self,
        zone: &str,
        name: &str,
        rtype: &str,
        client: IpAddr,
    ) -> Vec<(u32, String)> {
        let mut world = self.world();
        if !world.zones.contains_key(&key(zone)) {
            return Vec::new();
        }
        let records = world.answer(name, rtype, client).records;
        let wanted: Vec<_> = records.iter().filter(|own| own.rtype == rtype).collect();
        let found = if wanted.is_empty() { records.last().into_iter().collect() } else { wanted };
        found.into_iter().map(|own| (own.ttl, own.data.clone())).collect()
    }
}

fn shown(zone: &str, set: &Set) -> Shown {
    let name = match set.name.as_str() {
        "@" => format!("{zone}."),
        name => format!("{name}.{zone}."),
    };
    let mut data: Vec<String> = set.records.iter().map(|own| set.kind.shown(own)).collect();
    data.sort();
    let mut extra = Map::new();
    if let Some(id) = &set.target {
        extra.insert("alias".to_owned(), json!(id));
    }
    if let Some(metadata) = &set.metadata {
        extra.insert("metadata".to_owned(), json!(metadata));
    }
    Shown {
        name: name.to_ascii_lowercase(),
        rtype: set.kind.name.to_owned(),
        ttl: Some(u32::try_from(set.ttl).unwrap()),
        data,
        set: None,
        extra: Value::Object(extra),
    }
}

/// A zone by its id or its name.
fn key(zone: &str) -> String {
    zone.rsplit('/').next().unwrap().trim_end_matches('.').to_ascii_lowercase()
}

fn relative(zone: &str, name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    match name.strip_suffix(zone).map(|rest| rest.trim_end_matches('.')) {
        Some("") => "@".to_owned(),
        Some(rest) => rest.to_owned(),
        None => name,
    }
}
