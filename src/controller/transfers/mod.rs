//! Transfers as configured: which keys, rules and catalog are in force, who is told of changes, and
//! what came of the zones that live elsewhere.

mod copy;
mod kept;
mod replica;
mod task;
mod telling;
mod whole;

pub(super) use copy::parse as parse_copy;

use super::{now, said::Said};
use crate::{
    config::Config,
    fleet::FleetConfig,
    model::{FederationName, Name, Serial},
    records::{Completeness, Zone, ZoneSet},
    server::{Notice, Transfers},
    transfer::{Allow, Key, Keys, Reading, Replicated, Rules, Stats, Target, ZoneRules, catalog},
};
use anyhow::Context;
use kept::Kept;
use replica::{Content, Replica, Report};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the command line says of transfers.
#[derive(Clone, Debug)]
pub struct TransferOptions {
    /// Files with TSIG keys; read again with the configuration.
    pub key_files: Vec<PathBuf>,
    /// The catalog zone that lists all zones served; none when `None`.
    pub catalog: Option<Name>,
    /// Who may have the zones that no Federation speaks for: the catalog, and master files.
    pub allow: Vec<Allow>,
    /// Who is told of changes of these.
    pub notify: Vec<Target>,
    /// Transfers at a time.
    pub places: usize,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            key_files: Vec::new(),
            catalog: None,
            allow: Vec::new(),
            notify: Vec::new(),
            places: 10,
        }
    }
}

/// News that waits; more than this and the senders wait.
const NEWS: usize = 256;

/// All that is known of transfers, the controller's own.
pub(super) struct Replication {
    options: TransferOptions,
    transfers: Arc<Transfers>,
    stats: Arc<Stats>,
    keys: Keys,
    told: watch::Sender<Arc<telling::Told>>,
    rules: Arc<Rules>,
    catalog: Option<Arc<Zone>>,
    replicas: BTreeMap<FederationName, Replica>,
    views: Arc<Mutex<Vec<Replicated>>>,
    place: replica::Place,
    /// `None` without a state directory.
    kept: Option<Kept>,
    /// The zones whose past was looked for on disk.
    remembered: BTreeSet<Name>,
    notices: mpsc::Receiver<Notice>,
    reports: mpsc::Receiver<Report>,
    /// As configured, without what was transferred.
    config: FleetConfig,
    /// What is wrong with what was configured, as it is found.
    found: BTreeSet<String>,
    said_of_rules: Said<String>,
    said_of_zones: Said<String>,
}

impl Replication {
    /// Starts what tells secondaries.
    ///
    /// # Errors
    /// When a key file cannot be read: a process that starts without its keys would refuse all.
    pub(super) fn start(
        options: TransferOptions,
        state: Option<PathBuf>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let keys = read_keys(&options.key_files)?;
        let (heard, notices) = mpsc::channel(NEWS);
        let (reported, reports) = mpsc::channel(NEWS);
        let stats = Arc::<Stats>::default();
        let transfers = Arc::new(Transfers::new(options.places, Some(heard), stats.clone()));
        let (told, changes) = watch::channel(Arc::default());
        tasks.spawn(telling::tell(changes, stats.clone(), tasks.clone(), shutdown.clone()));
        let directory = state.map(|own| own.join("transfers"));
        let kept = directory.clone().map(Kept::new);
        let place = replica::Place {
            directory,
            held: Arc::default(),
            reports: reported,
            stats: stats.clone(),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        };
        Ok(Self {
            options,
            transfers,
            stats,
            keys,
            told,
            rules: Arc::default(),
            catalog: None,
            replicas: BTreeMap::new(),
            views: Arc::default(),
            place,
            kept,
            remembered: BTreeSet::new(),
            notices,
            reports,
            config: FleetConfig::default(),
            found: BTreeSet::new(),
            said_of_rules: Said::default(),
            said_of_zones: Said::default(),
        })
    }

    /// What the server gives zones out with.
    pub(super) fn transfers(&self) -> Arc<Transfers> {
        self.transfers.clone()
    }

    /// What the metrics read.
    pub(super) fn reader(&self) -> impl Fn() -> Reading + Send + Sync + 'static {
        let (transfers, stats, views) =
            (self.transfers.clone(), self.stats.clone(), self.views.clone());
        move || Reading {
            stats: stats.view(),
            running: transfers.running(),
            journals: transfers.journals(),
            replicas: views.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Takes a configuration up; what the fleet is to know of it, with what was transferred.
    pub(super) fn take(&mut self, config: &Config, fleet: FleetConfig) -> FleetConfig {
        match read_keys(&self.options.key_files) {
            Ok(keys) => self.keys = keys,
            Err(error) => self.find(format!("{error:#}; the keys read before stay in force")),
        }
        self.config = fleet;
        self.list_zones(config);
        self.rule(config);
        self.run(config);
        self.said_of_rules.say(std::mem::take(&mut self.found));
        self.complete()
    }

    /// Ends with the configuration as it is once something came in; nothing is lost when it is
    /// dropped.
    pub(super) async fn changed(&mut self) -> Option<FleetConfig> {
        loop {
            tokio::select! {
                Some(notice) = self.notices.recv() => {
                    let own = self.replicas.values().filter(|own| own.zone == notice.zone);
                    own.for_each(|own| own.hear(notice.serial));
                }
                Some(report) = self.reports.recv() => {
                    if self.hear(report) {
                        return Some(self.complete());
                    }
                }
                else => return None,
            }
        }
    }

    /// Has secondaries told of what was published.
    pub(super) fn published(&self, served: &ZoneSet) {
        let targets = |zone: &Arc<Zone>| {
            let rules = self.rules.zones.get(zone.key())?;
            let complete = zone.completeness == Completeness::Complete;
            (complete && !rules.notify.is_empty()).then(|| (zone.clone(), rules.notify.clone()))
        };
        let zones: Vec<_> = served.iter().filter_map(targets).collect();
        let told = Arc::new(telling::Told { zones, rules: self.rules.clone() });
        self.told.send_if_modified(|own| {
            let differs = !own.same(&told);
            if differs {
                *own = told;
            }
            differs
        });
    }

    // === Out ===

    /// The catalog of what is served, with a new serial where that changed.
    fn list_zones(&mut self, config: &Config) {
        let Some(name) = &self.options.catalog else { return };
        let federations = config.federations.values().map(|own| &own.federation);
        let served = federations.filter(|own| own.served).map(|own| &own.zone);
        let members: BTreeSet<&Name> = served.chain(config.zones.keys()).collect();
        if members.contains(name) {
            self.find(format!(
                "--catalog-zone {name}: a zone of that name is configured; the catalog is left out"
            ));
            return;
        }
        let old = self.catalog.as_ref().map_or(Serial::default(), |own| own.serial());
        let seconds = u64::try_from(now().wall.as_second()).unwrap_or_default();
        let next = catalog(name, members.iter().copied(), old.next(seconds));
        let same = self.catalog.as_ref().is_some_and(|own| {
            let rest =
                |zone: &Zone| zone.nodes().skip(1).map(|(key, _)| key.clone()).collect::<Vec<_>>();
            rest(own) == rest(&next)
        });
        if !same {
            self.catalog = Some(Arc::new(next));
        }
        self.config.zones.extend(self.catalog.clone());
    }

    fn rule(&mut self, config: &Config) {
        let mut rules = Rules { keys: self.keys.clone(), ..Rules::default() };
        for own in config.federations.values() {
            let zone = &own.federation.zone;
            let what = format!("Federation {}", own.federation.name);
            rules.zones.insert(zone.key(), self.known(&what, own.transfer.clone()));
        }
        let others = ZoneRules {
            allow: self.options.allow.clone(),
            notify: self.options.notify.clone(),
            primary: None,
        };
        let others = self.known("the command line", others);
        let zones = self.config.zones.iter().map(|zone| zone.key().clone());
        rules.zones.extend(zones.map(|key| (key, others.clone())));
        self.rules = Arc::new(rules);
        self.remember();
        self.transfers.rule(self.rules.clone());
    }

    /// Hands over what is on disk of the zones that are given to somebody, each once.
    fn remember(&mut self) {
        let Some(kept) = &self.kept else { return };
        let given = self.rules.zones.keys().filter(|key| self.rules.is_given(key));
        for key in given {
            let apex = key.to_name();
            if !self.remembered.contains(&apex) {
                kept.read(&apex).into_iter().for_each(|past| {
                    self.transfers.remember(key.clone(), past);
                });
                self.remembered.insert(apex);
            }
        }
    }

    /// Writes down what became of zones, for the time after a restart.
    pub(super) fn save(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.save(&self.transfers);
        }
    }

    /// Writes no copies any more: another process has the directory. Waits for one that is under way.
    pub(super) fn rest(&self) {
        let mut held = self.place.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = replica::Held { is_now: true, times: held.times.wrapping_add(1) };
    }

    /// Writes copies again, and has the next save write all anew: another process has had the
    /// directory.
    pub(super) fn wake(&mut self) {
        self.place.held.lock().unwrap_or_else(PoisonError::into_inner).is_now = false;
        self.kept.iter_mut().for_each(Kept::forget);
    }

    /// The rules whose keys are known: who cannot sign is not let in, and not told. A primary stays:
    /// without it the zone would seem complete, and deny all that the primary has (invariant I13);
    /// that it is not asked without its key is the replica's to say.
    fn known(&mut self, what: &str, mut rules: ZoneRules) -> ZoneRules {
        let keys = self.keys.clone();
        let mut missing = BTreeSet::new();
        let mut has = |key: Option<&Name>| match key.filter(|key| keys.get(key).is_none()) {
            Some(key) => {
                missing.insert(key.clone());
                false
            }
            None => true,
        };
        rules.allow.retain(|own| has(own.key.as_ref()));
        rules.notify.retain(|own| has(own.key.as_ref()));
        for key in missing {
            self.find(format!(
                "{what}: TSIG key {key} is in no --tsig-key-file; what names it is left out"
            ));
        }
        rules
    }

    // === In ===

    /// Starts following the zones that live elsewhere, and stops following others.
    fn run(&mut self, config: &Config) {
        let mut wanted = BTreeMap::new();
        for (name, own) in &config.federations {
            let rules = self.rules.zones.get(&own.federation.zone.key());
            let Some(primary) = rules.and_then(|own| own.primary.clone()) else { continue };
            let key: Option<Arc<Key>> =
                primary.key.as_ref().and_then(|key| self.keys.get(key)).cloned();
            let lifetime = own.dnssec.as_ref().map(|dnssec| dnssec.lifetime);
            wanted.insert(name.clone(), (own.federation.zone.clone(), primary, key, lifetime));
        }
        self.replicas.retain(|name, own| {
            wanted.get(name).is_some_and(|(zone, primary, ..)| own.is_of(zone, primary))
        });
        for (name, (zone, primary, key, lifetime)) in wanted {
            if let Some(own) = self.replicas.get_mut(&name) {
                own.rekey(key);
                own.sign_for(lifetime);
                continue;
            }
            let mut own = Replica::start(&self.place, name.clone(), zone, primary, key);
            own.sign_for(lifetime);
            self.replicas.insert(name, own);
        }
        self.show();
    }

    /// Whether the fleet is to hear of it.
    fn hear(&mut self, report: Report) -> bool {
        let Some(own) = self.replicas.get_mut(&report.federation) else { return false };
        let changed = own.take(report);
        self.show();
        changed
    }

    fn show(&self) {
        let ends = self.replicas.values().filter_map(|own| Some((own.zone.key(), own.ends()?)));
        self.transfers.expire(ends.collect());
        let views = self.replicas.values().map(Replica::view).collect();
        *self.views.lock().unwrap_or_else(PoisonError::into_inner) = views;
    }

    /// The configuration with what was transferred in it.
    fn complete(&mut self) -> FleetConfig {
        let mut config = self.config.clone();
        let mut problems = Vec::new();
        for (federation, base) in &mut config.federations {
            let Some(own) = self.replicas.get_mut(&federation.name) else { continue };
            let (whole, problem) = own.over(base);
            *base = whole;
            problems.extend(problem.into_iter().chain(own.problem()));
        }
        config.problems.extend(problems.iter().cloned());
        self.said_of_zones.say(problems.into_iter().collect());
        config
    }

    fn find(&mut self, problem: String) {
        self.found.insert(problem);
    }
}

/// The keys of all files together.
fn read_keys(files: &[PathBuf]) -> anyhow::Result<Keys> {
    let mut keys = Keys::default();
    for file in files {
        let shown = || format!("--tsig-key-file {}", file.display());
        let text = fs::read_to_string(file).with_context(shown)?;
        for key in Keys::parse(&text).with_context(shown)?.iter() {
            if !keys.put(Key::clone(key)) {
                anyhow::bail!("{}: key {} is in another file too", shown(), key.name);
            }
        }
    }
    Ok(keys)
}

fn seconds() -> u64 {
    u64::try_from(now().wall.as_second()).unwrap_or_default()
}

impl Content {
    fn zone(&self) -> Option<&Arc<Zone>> {
        match self {
            Self::Usable(zone) => Some(zone),
            Self::Missing => None,
        }
    }
}
