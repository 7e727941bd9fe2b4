//! Signs what is served: between the fleet's snapshot and its publication. Keeps each zone's keys
//! and how far they have come, signs what changed, and again what is due.

mod files;
mod job;
mod left;
mod orders;
mod people;
mod problems;
mod zone;

use super::now;
use crate::{
    config::Config,
    dnssec::{Settings, View},
    fleet::Snapshot,
    model::{Moment, Name},
    web::DnssecOrder,
};
use left::Left;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};
use zone::SignedZone;

/// All zones that are to be signed.
pub(super) struct Signing {
    state: Option<PathBuf>,
    zones: BTreeMap<Name, SignedZone>,
    /// Those that were signed, and are no more.
    left: BTreeMap<Name, Left>,
    /// The last snapshot as it came, and as it went.
    last: Option<(Arc<Snapshot>, Arc<Snapshot>)>,
    board: Board,
}

/// How each zone stands, for whoever asks meanwhile.
#[derive(Clone, Default)]
pub(super) struct Board(Arc<RwLock<BTreeMap<Name, View>>>);

impl Board {
    /// All zones, in order of names.
    pub(super) fn all(&self) -> Vec<View> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn put(&self, view: View) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(view.zone.clone(), view);
    }

    fn retain(&self, keep: impl Fn(&Name) -> bool) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|zone, _| keep(zone));
    }
}

impl Signing {
    /// With keys below that state directory.
    pub(super) fn new(state: Option<PathBuf>) -> Self {
        Self {
            state,
            zones: BTreeMap::new(),
            left: BTreeMap::new(),
            last: None,
            board: Board::default(),
        }
    }

    /// How the zones stand.
    pub(super) fn board(&self) -> Board {
        self.board.clone()
    }

    /// Signs exactly the zones that are configured so from now on. Keys that cannot be read leave
    /// those in force that were read before.
    pub(super) fn configure(&mut self, config: &Config) {
        let wanted: BTreeMap<&Name, &Settings> = config
            .federations
            .values()
            .filter_map(|own| Some((&own.federation.zone, own.dnssec.as_ref()?)))
            .collect();
        let left = self.zones.extract_if(.., |zone, _| !wanted.contains_key(zone));
        let left = left.filter_map(|(zone, own)| Some((zone, Left::new(own.serial()?))));
        self.left.extend(left);
        self.board.retain(|zone| wanted.contains_key(zone));
        for (zone, settings) in wanted {
            let own = self.zones.entry(zone.clone());
            let last = self.left.remove(zone).map(|own| own.last());
            let own = own.or_insert_with(|| SignedZone::new(zone.clone(), settings.clone(), last));
            own.configure(settings, self.state.as_deref(), now());
            self.board.put(own.view(now()));
        }
        self.last = None;
    }

    /// The snapshot with its zones signed.
    pub(super) fn sign(&mut self, snapshot: Arc<Snapshot>, at: Moment) -> Arc<Snapshot> {
        if self.zones.is_empty() && self.left.is_empty() {
            return snapshot;
        }
        let due: Vec<bool> = self.zones.values_mut().map(|zone| zone.tick(at)).collect();
        if let Some((came, went)) = &self.last
            && Arc::ptr_eq(came, &snapshot)
            && !due.contains(&true)
        {
            return went.clone();
        }
        let mut next = Snapshot::clone(&snapshot);
        for (name, zone) in &mut self.zones {
            let Some(source) = snapshot.served.get(name) else { continue };
            if let Some(signed) = zone.sign(source, at, &self.board) {
                next.served.put(signed);
            }
            self.board.put(zone.view(at));
        }
        let seconds = u64::try_from(at.wall.as_second()).unwrap_or_default();
        for (name, left) in &mut self.left {
            let Some(source) = snapshot.served.get(name) else { continue };
            left.raise(source, seconds).into_iter().for_each(|zone| next.served.put(zone));
        }
        let own = self.zones.values().flat_map(|zone| zone.problems.iter().map(str::to_owned));
        next.problems = next.problems.iter().cloned().chain(own).collect();
        let next = Arc::new(next);
        self.last = Some((snapshot, next.clone()));
        next
    }

    /// Does what an operator orders.
    pub(super) fn carry_out(&mut self, order: DnssecOrder) {
        match order {
            DnssecOrder::Roll { zone, role, reply } => {
                let outcome = self.of(&zone).and_then(|own| own.roll(role, now()));
                drop(reply.send(outcome));
            }
            DnssecOrder::ChangeAlgorithm { zone, reply } => {
                let outcome = self.of(&zone).and_then(|own| own.change_algorithm(now()));
                drop(reply.send(outcome));
            }
            DnssecOrder::DsSeen { zone, tags, reply } => {
                let outcome = self.of(&zone).and_then(|own| own.ds_seen(&tags, now()));
                drop(reply.send(outcome));
            }
        }
        self.last = None;
    }

    fn of(&mut self, zone: &Name) -> Result<&mut SignedZone, String> {
        let all: Vec<String> = self.zones.keys().map(ToString::to_string).collect();
        self.zones.get_mut(zone).ok_or_else(|| match all.is_empty() {
            true => "no zone is signed; a Federation's spec.dnssec says that one is".to_owned(),
            false => format!("zone {zone} is not signed; there is {}", all.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Loader,
        model::{Serial, Ttl},
        records::{Denial, Node, RecordType, Rrset, Zone, compact_nsec},
        transfer::{Delta, Record},
    };
    use std::{fs, path::Path, time::Duration};

    const FEDERATION: &str = "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {name: \
        fed}\nspec: {zone: z.test, nameServers: [{name: ns.example.net}], dnssec: {}}\n";

    struct Place {
        directory: tempfile::TempDir,
        at: Moment,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir(directory.path().join("config")).unwrap();
            fs::write(directory.path().join("config/fed.yaml"), FEDERATION).unwrap();
            Self { directory, at: now() }
        }

        /// With that as the object's `dnssec`, or none.
        fn write(&self, dnssec: &str) {
            let text = FEDERATION.replace(", dnssec: {}", dnssec);
            fs::write(self.directory.path().join("config/fed.yaml"), text).unwrap();
        }

        fn config(&self) -> Config {
            Loader::new(self.directory.path().join("config")).load().config
        }

        fn state(&self) -> &Path {
            self.directory.path()
        }

        fn begin(&self) -> Signing {
            let mut signing = Signing::new(Some(self.state().to_owned()));
            signing.configure(&self.config());
            signing
        }

        /// A snapshot that serves the zone with one more name.
        fn snapshot(&self, name: &str, serial: u32) -> Arc<Snapshot> {
            let base = self.config().federations.values().next().unwrap().base.clone();
            let name: Name = name.parse().unwrap();
            let node = Node::new(Rrset::a(Ttl::SERVED, ["192.0.2.1".parse().unwrap()]));
            let mut snapshot = Snapshot::empty(self.at.wall);
            let zone = base.with([(name.key(), Some(node))], Serial(serial));
            snapshot.served.put(Arc::new(zone));
            Arc::new(snapshot)
        }
    }

    fn zone(snapshot: &Snapshot) -> Arc<Zone> {
        snapshot.served.get(&"z.test".parse().unwrap()).unwrap().clone()
    }

    fn keys(zone: &Zone) -> Rrset {
        zone.node(zone.key().as_bytes()).unwrap().get(RecordType::DNSKEY).unwrap().clone()
    }

    #[test]
    fn nothing_is_signed_again_for_nothing_and_the_serial_rises_with_every_signing() {
        let place = Place::new();
        let mut signing = place.begin();
        let snapshot = place.snapshot("a.z.test", 7);
        let first = signing.sign(snapshot.clone(), place.at);
        assert!(zone(&first).signed().is_some());
        assert!(zone(&first).serial().is_after(Serial(7)));
        assert!(Arc::ptr_eq(&first, &signing.sign(snapshot.clone(), place.at)));
        signing.configure(&place.config());
        let again = signing.sign(snapshot.clone(), place.at);
        assert!(Arc::ptr_eq(&zone(&first), &zone(&again)), "what was read again is the same");
        let changed = signing.sign(place.snapshot("b.z.test", 8), place.at);
        assert!(zone(&changed).serial().is_after(zone(&first).serial()));

        // A restart takes up the same keys, and its serials are ahead of those before.
        let later = place.at.after(Duration::from_secs(60));
        let restarted = place.begin().sign(snapshot, later);
        assert_eq!(keys(&zone(&restarted)), keys(&zone(&first)));
        assert!(zone(&restarted).serial().is_after(zone(&changed).serial()));
    }

    /// Else secondaries would keep signatures that end.
    #[test]
    fn the_serial_rises_also_where_nothing_but_signatures_changes() {
        let place = Place::new();
        let mut signing = place.begin();
        let snapshot = place.snapshot("a.z.test", 7);
        signing.sign(snapshot.clone(), place.at);
        let after = |days: u64| place.at.after(Duration::from_secs(days * 86_400));
        // By then the key is known everywhere, and the zone has CDS.
        let mut last = zone(&signing.sign(snapshot.clone(), after(2)));
        let ends = |zone: &Zone| {
            let names = zone.signed().unwrap().names().values();
            names.map(|own| own.until).min().unwrap()
        };
        for days in [13, 24, 35] {
            let next = zone(&signing.sign(snapshot.clone(), after(days)));
            assert!(next.serial().is_after(last.serial()), "after {days} days");
            assert!(ends(&next) > ends(&last));
            let delta = Delta::between(&last, &next).unwrap();
            let renewed = |own: &Record| own.rtype == RecordType::RRSIG;
            assert!(!delta.is_empty() && delta.added.iter().all(renewed));
            assert_eq!(delta.removed.len(), delta.added.len());
            last = next;
        }
    }

    /// Until when what is signed on demand holds, from the zone as it is served.
    fn denials_end(zone: &Zone) -> i64 {
        let Denial::Compact(online) = zone.signed().unwrap().denial() else {
            panic!("it is denied by a chain");
        };
        let nsec = compact_nsec(zone.apex(), &[], Ttl::SERVED).unwrap();
        let rrsig = online.sign(zone.apex(), &nsec).unwrap();
        let rdata = rrsig.rdata().next().unwrap();
        u32::from_be_bytes(*rdata[8..].first_chunk().unwrap()).into()
    }

    #[test]
    fn what_denies_on_demand_is_served_anew_before_its_signatures_end() {
        let place = Place::new();
        place.write(", dnssec: {denial: compact}");
        let mut signing = place.begin();
        let snapshot = place.snapshot("a.z.test", 7);
        for days in [0, 10, 11, 15, 22, 26, 37] {
            let at = place.at.after(Duration::from_secs(days * 86_400));
            let zone = zone(&signing.sign(snapshot.clone(), at));
            let left = denials_end(&zone) - at.wall.as_second();
            assert!(left >= 14 * 86_400 / 4, "after {days} days, {left} s are left");
        }
    }

    #[test]
    fn what_denies_on_demand_has_its_budget_every_second_also_after_it_was_made_anew() {
        let place = Place::new();
        place.write(", dnssec: {denial: compact}");
        let mut signing = place.begin();
        let snapshot = place.snapshot("a.z.test", 7);
        let mut asked = 0..;
        for seconds in [0, 10 * 86_400, 11 * 86_400, 11 * 86_400 + 1, 11 * 86_400 + 2] {
            let at = place.at.after(Duration::from_secs(seconds));
            let zone = zone(&signing.sign(snapshot.clone(), at));
            let Denial::Compact(online) = zone.signed().unwrap().denial() else {
                panic!("it is denied by a chain");
            };
            for number in asked.by_ref().take(2_000) {
                let name: Name = format!("n{number}.z.test").parse().unwrap();
                let nsec = compact_nsec(&name, &[], Ttl::SERVED).unwrap();
                assert!(online.sign(&name, &nsec).is_some(), "{name} after {seconds} s");
            }
        }
    }

    #[test]
    fn what_was_denied_on_demand_once_is_not_signed_again_for_that() {
        let place = Place::new();
        place.write(", dnssec: {denial: compact}");
        let mut signing = place.begin();
        let snapshot = place.snapshot("a.z.test", 7);
        signing.sign(snapshot.clone(), place.at);
        place.write(", dnssec: {}");
        signing.configure(&place.config());
        let after = |seconds: u64| place.at.after(Duration::from_secs(12 * 86_400 + seconds));
        let first = signing.sign(snapshot.clone(), after(0));
        assert!(Arc::ptr_eq(&zone(&first), &zone(&signing.sign(snapshot, after(1)))));
    }

    #[test]
    fn the_serial_never_falls_back_when_the_zone_is_denied_otherwise_or_signed_no_more() {
        let place = Place::new();
        let mut signing = place.begin();
        // Ahead of the clock, as after many changes in a second.
        let ahead = u32::try_from(place.at.wall.as_second()).unwrap() + 50;
        let snapshot = place.snapshot("a.z.test", ahead);
        let mut last = zone(&signing.sign(snapshot.clone(), place.at)).serial();
        let steps = [", dnssec: {denial: compact}", ", dnssec: {}", "", ", dnssec: {}", ""];
        for dnssec in steps {
            place.write(dnssec);
            signing.configure(&place.config());
            let next = signing.sign(snapshot.clone(), place.at);
            assert_eq!(zone(&next).signed().is_some(), !dnssec.is_empty());
            assert!(zone(&next).serial().is_after(last), "{dnssec:?}");
            last = zone(&next).serial();
            let again = signing.sign(snapshot.clone(), place.at);
            assert!(Arc::ptr_eq(&zone(&next), &zone(&again)), "and rises once");
        }
        let newer = place.snapshot("b.z.test", ahead + 100);
        let next = signing.sign(newer.clone(), place.at);
        assert!(Arc::ptr_eq(&zone(&next), &zone(&newer)), "its own serial is ahead");
    }

    #[test]
    fn a_key_that_cannot_be_read_leaves_the_one_before_in_force_and_is_a_problem() {
        let place = Place::new();
        let mut signing = place.begin();
        let first = signing.sign(place.snapshot("a.z.test", 7), place.at);
        let folder = place.state().join("dnssec/z.test.");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "private") {
                fs::write(path, "no key").unwrap();
            }
        }
        signing.configure(&place.config());
        let next = signing.sign(place.snapshot("b.z.test", 8), place.at);
        assert_eq!(keys(&zone(&next)), keys(&zone(&first)));
        assert!(zone(&next).signed().is_some());
        let problem = next.problems.first().unwrap();
        assert!(problem.contains(".private") && problem.contains("stay in force"), "{problem}");
        assert_eq!(signing.board().all()[0].problem.as_ref(), Some(problem));

        // Whoever never read one serves the zone without signatures, and says so.
        let mut other = place.begin();
        let plain = other.sign(place.snapshot("a.z.test", 7), place.at);
        assert!(zone(&plain).signed().is_none());
        assert!(plain.problems[0].contains("without signatures"), "{:?}", plain.problems);
    }

    fn name() -> Name {
        "z.test".parse().unwrap()
    }

    #[test]
    fn a_step_that_cannot_be_written_down_is_a_problem_until_it_can_be() {
        let place = Place::new();
        let mut signing = place.begin();
        let snapshot = place.snapshot("a.z.test", 7);
        signing.sign(snapshot.clone(), place.at);
        let folder = place.state().join("dnssec/z.test.");
        let written = || fs::read_to_string(folder.join("rollover.json")).unwrap();
        let hinders = folder.join("rollover.json.new");
        fs::create_dir(&hinders).unwrap();
        let after = |seconds: u64| place.at.after(Duration::from_secs(2 * 86_400 + seconds));
        for seconds in 0..3 {
            let next = signing.sign(snapshot.clone(), after(seconds));
            assert!(signing.board().all()[0].keys[0].state.contains("Ready"));
            assert!(next.problems[0].contains("rollover.json"), "{:?}", next.problems);
            signing.configure(&place.config());
            let problem = signing.board().all()[0].problem.clone();
            assert_eq!(problem.as_ref(), next.problems.first(), "it is still there");
        }
        assert!(!written().contains("ready"));
        fs::remove_dir(&hinders).unwrap();
        let next = signing.sign(snapshot.clone(), after(3));
        assert!(written().contains("ready") && next.problems.is_empty(), "{:?}", next.problems);
        assert_eq!(signing.board().all()[0].problem, None);
    }

    #[test]
    fn a_key_without_a_successor_is_a_problem_as_long_as_its_time_is_over() {
        let place = Place::new();
        place.write(", dnssec: {keys: split}");
        place.begin();
        let given = ", dnssec: {keys: split, keyDirectory: ../dnssec/z.test., zskLifetime: 240h}";
        place.write(given);
        let mut signing = place.begin();
        let snapshot = place.snapshot("a.z.test", 7);
        assert!(signing.sign(snapshot.clone(), place.at).problems.is_empty());
        let after = |seconds: u64| place.at.after(Duration::from_secs(11 * 86_400 + seconds));
        let next = signing.sign(snapshot.clone(), after(0));
        assert!(next.problems[0].contains("zskLifetime"), "{:?}", next.problems);
        signing.configure(&place.config());
        let problem = signing.board().all()[0].problem.clone();
        assert_eq!(problem.as_ref(), next.problems.first(), "it was not over meanwhile");
        place.write(&given.replace("240h", "720h"));
        signing.configure(&place.config());
        let next = signing.sign(snapshot, after(1));
        assert!(next.problems.is_empty(), "{:?}", next.problems);
    }

    /// The algorithms of the DNSKEY rrset, and of the signatures over the SOA.
    fn algorithms(zone: &Zone) -> (Vec<u8>, Vec<u8>) {
        let sorted = |all: &mut dyn Iterator<Item = u8>| {
            let all: std::collections::BTreeSet<u8> = all.collect();
            all.into_iter().collect::<Vec<u8>>()
        };
        let dnskeys = keys(zone);
        let own = zone.signed().unwrap().name(zone.key().as_bytes()).unwrap();
        let soa = own.rrsig(RecordType::SOA).unwrap();
        (sorted(&mut dnskeys.rdata().map(|own| own[3])), sorted(&mut soa.rdata().map(|own| own[2])))
    }

    /// Signs hour by hour until that is so.
    fn until(
        signing: &mut Signing,
        snapshot: &Arc<Snapshot>,
        at: &mut Moment,
        is_so: impl Fn(&View, &Zone) -> bool,
    ) -> Arc<Zone> {
        for _ in 0..2_000 {
            *at = at.after(Duration::from_secs(3_600));
            let zone = zone(&signing.sign(snapshot.clone(), *at));
            if zone.signed().is_some() && is_so(&signing.board().all()[0], &zone) {
                return zone;
            }
        }
        panic!("{:?}", signing.board().all());
    }

    #[test]
    fn an_algorithm_is_changed_when_it_is_ordered_signatures_before_keys() {
        let place = Place::new();
        let mut signing = place.begin();
        let snapshot = place.snapshot("a.z.test", 7);
        let mut at = place.at;
        until(&mut signing, &snapshot, &mut at, |view, _| view.keys[0].state.contains("Ready"));
        let old = signing.board().all()[0].keys[0].tag;
        signing.of(&name()).unwrap().ds_seen(&[old], at).unwrap();
        let refused = signing.of(&name()).unwrap().change_algorithm(at).unwrap_err();
        assert!(refused.contains("ECDSAP256SHA256 already"), "{refused}");

        place.write(", dnssec: {algorithm: ED25519}");
        signing.configure(&place.config());
        let told = signing.sign(snapshot.clone(), at).problems[0].clone();
        assert!(told.contains("roll --algorithm"), "{told}");
        assert_eq!(algorithms(&zone(&signing.sign(snapshot.clone(), at))), (vec![13], vec![13]));
        signing.of(&name()).unwrap().change_algorithm(at).unwrap();
        signing.last = None;
        let step = zone(&signing.sign(snapshot.clone(), at));
        assert_eq!(algorithms(&step), (vec![13], vec![13, 15]), "signatures first");
        // A restart goes on where it was.
        drop(signing);
        let mut signing = place.begin();
        let both = |_: &View, zone: &Zone| algorithms(zone).0 == [13, 15];
        let step = until(&mut signing, &snapshot, &mut at, both);
        assert_eq!(algorithms(&step), (vec![13, 15], vec![13, 15]));
        let ready = |view: &View, _: &Zone| view.keys.iter().any(|own| own.state.contains("Ready"));
        until(&mut signing, &snapshot, &mut at, ready);
        let view = signing.board().all()[0].clone();
        let new = view.keys.iter().find(|own| own.algorithm == "ED25519").unwrap().tag;
        assert!(view.ds.len() == 1 && view.ds[0].starts_with(&format!("{new} 15 ")), "{view:?}");
        let refused = signing.of(&name()).unwrap().ds_seen(&[old, new], at).unwrap_err();
        assert!(refused.contains(&format!("take DS {old} out first")), "{refused}");
        signing.of(&name()).unwrap().ds_seen(&[new], at).unwrap();
        let withdrawn = |_: &View, zone: &Zone| algorithms(zone).0 == [15];
        let step = until(&mut signing, &snapshot, &mut at, withdrawn);
        assert_eq!(algorithms(&step), (vec![15], vec![13, 15]), "signatures last");
        let over = |_: &View, zone: &Zone| algorithms(zone).1 == [15];
        until(&mut signing, &snapshot, &mut at, over);
        assert_eq!(signing.board().all()[0].keys.len(), 1);
        assert_eq!(signing.board().all()[0].problem, None);
    }

    #[test]
    fn a_zsk_goes_by_itself_when_its_time_is_over_and_the_ksk_stays() {
        let place = Place::new();
        place.write(", dnssec: {keys: split, zskLifetime: 240h}");
        let mut signing = place.begin();
        let snapshot = place.snapshot("a.z.test", 7);
        let mut at = place.at;
        signing.sign(snapshot.clone(), at);
        let of = |view: &View, role| {
            let own = view.keys.iter().filter(|own| own.role == role);
            own.map(|own| own.tag).collect::<Vec<u16>>()
        };
        let first = signing.board().all()[0].clone();
        let (ksk, mut zsk) =
            (of(&first, crate::dnssec::Role::Ksk), of(&first, crate::dnssec::Role::Zsk));
        for _ in 0..3 {
            let began = at;
            let other = |view: &View, _: &Zone| {
                let now = of(view, crate::dnssec::Role::Zsk);
                now.len() == 1 && now != zsk
            };
            until(&mut signing, &snapshot, &mut at, other);
            zsk = of(&signing.board().all()[0], crate::dnssec::Role::Zsk);
            let hours = at.mono.saturating_duration_since(began.mono).as_secs() / 3_600;
            assert!((216..=260).contains(&hours), "{hours} hours");
        }
        assert_eq!(of(&signing.board().all()[0], crate::dnssec::Role::Ksk), ksk);
    }

    /// A snapshot with so many names that they are signed in the background.
    fn large(place: &Place, serial: u32, more: &str) -> Arc<Snapshot> {
        let base = place.config().federations.values().next().unwrap().base.clone();
        let node = Node::new(Rrset::a(Ttl::SERVED, ["192.0.2.1".parse().unwrap()]));
        let names = (0..5_100).map(|number| format!("n{number}.z.test")).chain([more.to_owned()]);
        let all = names.map(|own| (own.parse::<Name>().unwrap().key(), Some(node.clone())));
        let mut snapshot = Snapshot::empty(place.at.wall);
        snapshot.served.put(Arc::new(base.with(all, Serial(serial))));
        Arc::new(snapshot)
    }

    fn wait_for(signing: &mut Signing, snapshot: &Arc<Snapshot>, at: Moment) -> Arc<Zone> {
        for _ in 0..20_000 {
            let zone = zone(&signing.sign(snapshot.clone(), at));
            if zone.signed().is_some() {
                return zone;
            }
            std::thread::yield_now();
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("it is never signed");
    }

    #[test]
    fn all_of_a_large_zone_is_signed_beside_what_goes_on_and_what_changes_meanwhile_after() {
        use crate::records::Completeness;
        let place = Place::new();
        let mut signing = place.begin();
        let first = zone(&signing.sign(large(&place, 7, "a.z.test"), place.at));
        assert!(first.signed().is_none() && first.completeness == Completeness::Complete);
        let ahead = u32::try_from(place.at.wall.as_second()).unwrap() + 100;
        let newer = large(&place, ahead, "b.z.test");
        let second = zone(&signing.sign(newer.clone(), place.at));
        assert!(second.signed().is_none() && second.serial() == Serial(ahead));
        let signed = wait_for(&mut signing, &newer, place.at);
        assert!(signed.serial().is_after(Serial(ahead)), "what is signed is another version");
        let b: Name = "b.z.test".parse().unwrap();
        let has = |name: &Name| signed.signed().unwrap().name(name.key().as_bytes()).is_some();
        assert!(has(&b) && !has(&"a.z.test".parse().unwrap()));
        assert_eq!(signed.signed().unwrap().names().len(), 5_102);

        // Once its DS is at the parent, a restart serves nothing of it without signatures.
        let mut at = place.at;
        until(&mut signing, &newer, &mut at, |view, _| view.keys[0].state.contains("Ready"));
        let tag = signing.board().all()[0].keys[0].tag;
        signing.of(&name()).unwrap().ds_seen(&[tag], at).unwrap();
        drop(signing);
        let mut again = place.begin();
        let waiting = zone(&again.sign(newer.clone(), at));
        assert_eq!(waiting.completeness, Completeness::Pending);
        assert!(wait_for(&mut again, &newer, at).serial().is_after(signed.serial()));

        // Denied otherwise, it is served as it was signed until it is signed anew.
        place.write(", dnssec: {denial: compact}");
        again.configure(&place.config());
        let before = zone(&again.sign(newer.clone(), at));
        assert!(matches!(before.signed().unwrap().denial(), crate::records::Denial::Chain));
    }
}
