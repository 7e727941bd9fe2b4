//! Planning and writing over a zone in memory that others change too: random histories hold the
//! invariants after every single write.

use super::*;
use crate::{
    model::{ClusterName, Key, Moment, Name, Ttl},
    records::RecordType,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

// === A small world ===

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn zone() -> Name {
    name("z.test")
}

fn owner(id: &str, instance: &str) -> Owner {
    Owner::new(id, instance, &[id.as_bytes().repeat(32)[..32].to_vec()]).unwrap()
}

fn a(at: &str, last: &[u8]) -> RecordSet {
    let data = last.iter().map(|octet| [1, 2, 3, *octet]);
    RecordSet::plain(&name(at), RecordType::A, Ttl::WRITTEN, data)
}

fn alias(at: &str, to: &str) -> RecordSet {
    RecordSet::plain(&name(at), RecordType::CNAME, Ttl::WRITTEN, [name(to).as_wire()])
}

fn text(at: &str, text: &str) -> RecordSet {
    RecordSet::text(&name(at), Ttl::WRITTEN, text)
}

fn say(sets: Vec<RecordSet>) -> Say {
    let clusters: BTreeSet<ClusterName> = ["aws".into()].into();
    Say {
        object: "service prod/shop".into(),
        clusters: Arc::new(clusters),
        sets: Some(sets),
        unchecked: None,
    }
}

fn wanting(sets: impl IntoIterator<Item = RecordSet>) -> Rendered {
    let mut names: BTreeMap<Key, Say> = BTreeMap::new();
    for set in sets {
        let entry = names.entry(set.key.owner.clone()).or_insert_with(|| say(vec![]));
        entry.sets.as_mut().unwrap().push(set);
    }
    let fresh = ["aws".into()].into();
    let sight = Sight { fresh, blind: BTreeMap::new() };
    Rendered { names, switches: Switches::default(), degraded: vec![], sight }
}

/// How the provider behaves at the next write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Throttled,
    Unavailable,
    /// The batch is carried out, and no answer comes.
    LostAnswer,
    /// Neither.
    LostCall,
}

struct World {
    at: Moment,
    there: Listing,
    calls: usize,
    poison: Option<Key>,
    /// Whether what is refused was left whole.
    whole: bool,
}

impl World {
    fn new(sets: impl IntoIterator<Item = RecordSet>) -> Self {
        let at = Moment { mono: start(), wall: jiff::Timestamp::UNIX_EPOCH };
        Self { at, there: Listing::whole(zone(), sets), calls: 0, poison: None, whole: true }
    }

    fn pass(&mut self, time: Duration) {
        self.at = self.at.after(time);
    }

    fn write(&mut self, batch: &Permitted, fault: Fault) -> Result<Versions, Failure> {
        self.calls += 1;
        let text = "for the test".to_owned();
        match fault {
            Fault::Throttled => return Err(Failure::Throttled(None, text)),
            Fault::Unavailable => return Err(Failure::Unavailable(text)),
            Fault::LostCall => return Err(Failure::Unknown(text)),
            Fault::None | Fault::LostAnswer => {}
        }
        if !self.there.fits(batch) {
            return Err(Failure::Lost(text));
        }
        let poisoned = |set: &RecordSet| Some(&set.key.owner) == self.poison.as_ref();
        if batch.creates().any(poisoned) {
            if !self.whole {
                self.there.put(batch.epoch().1.clone());
            }
            return Err(Failure::Rejected(text));
        }
        self.there = self.there.clone().after(batch);
        match fault {
            Fault::LostAnswer => Err(Failure::Unknown(text)),
            _ => Ok(Vec::new()),
        }
    }

    /// Carries out one step; false when there is nothing to do now.
    fn step(&mut self, writer: &mut Writer, fault: Fault) -> bool {
        match writer.next(self.at) {
            Step::Read => {
                self.calls += 1;
                writer.read(self.at, Ok(self.there.clone()));
                true
            }
            Step::Write(batch) => {
                let outcome = self.write(&batch, fault);
                writer.wrote(self.at, outcome);
                true
            }
            Step::Sleep(_) => false,
        }
    }

    /// Until there is nothing to do for an hour.
    fn settle(&mut self, writer: &mut Writer) {
        for _ in 0..200 {
            while self.step(writer, Fault::None) {}
            match writer.next(self.at) {
                Step::Sleep(Some(until)) if until < self.at.mono + Duration::from_secs(900) => {
                    let wait = until - self.at.mono;
                    self.pass(wait);
                }
                _ => return,
            }
        }
        panic!("it never comes to rest: {:?}", writer.status());
    }

    fn data(&self) -> Vec<String> {
        let data = self.there.sets().filter(|set| !is_bookkeeping(&set.key));
        data.map(|set| format!("{} {set}", set.key.name())).collect()
    }
}

#[allow(clippy::disallowed_methods)] // some instant to start from
fn start() -> std::time::Instant {
    std::time::Instant::now()
}

fn writer(instance: &str) -> Writer {
    Writer::new(owner("one", instance), zone(), Capabilities::MEMORY, Manner::default())
}

fn wrote(sets: impl IntoIterator<Item = RecordSet>) -> (World, Writer) {
    let (mut world, mut writer) = (World::new([]), writer("i1"));
    writer.want(Ok(Arc::new(wanting(sets))));
    world.settle(&mut writer);
    (world, writer)
}

fn want(writer: &mut Writer, sets: impl IntoIterator<Item = RecordSet>) {
    writer.want(Ok(Arc::new(wanting(sets))));
}

fn many(count: u8) -> Vec<RecordSet> {
    (0..count).map(|one| a(&format!("n{one}.z.test"), &[one])).collect()
}

// === Stories ===

#[test]
fn a_first_fill_writes_everything_and_then_is_silent() {
    let (mut world, mut writer) = wrote([a("a.z.test", &[1, 2]), alias("b.z.test", "a.z.test")]);
    assert_eq!(world.data(), ["a.z.test. A 180 1.2.3.1,1.2.3.2", "b.z.test. CNAME 180 a.z.test."]);
    assert_eq!(writer.status().phase, Phase::InStep);
    let calls = world.calls;
    for _ in 0..20 {
        world.pass(Duration::from_secs(60));
        while world.step(&mut writer, Fault::None) {}
    }
    assert_eq!(world.calls, calls, "steady state makes no calls");
}

#[test]
fn a_change_of_one_name_is_one_call() {
    let (mut world, mut writer) = wrote(many(50));
    let calls = world.calls;
    let mut sets = many(50);
    sets[7] = a("n7.z.test", &[7, 77]);
    want(&mut writer, sets);
    world.settle(&mut writer);
    assert_eq!(world.calls, calls + 1);
}

#[test]
fn another_kind_of_record_comes_in_the_batch_in_which_the_old_one_goes() {
    let (mut world, mut writer) = wrote([a("a.z.test", &[1])]);
    want(&mut writer, [alias("a.z.test", "b.z.test")]);
    let Step::Write(batch) = writer.next(world.at) else { panic!("a write") };
    assert_eq!(batch.changes().len(), 1);
    let outcome = world.write(&batch, Fault::None);
    writer.wrote(world.at, outcome);
    assert_eq!(world.data(), ["a.z.test. CNAME 180 b.z.test."]);
}

#[test]
fn foreign_records_are_left_alone_and_named() {
    let mut world = World::new([a("a.z.test", &[9]), text("b.z.test", "theirs")]);
    let mut writer = writer("i1");
    want(&mut writer, [a("a.z.test", &[1]), a("b.z.test", &[1]), alias("c.z.test", "a.z.test")]);
    world.settle(&mut writer);
    assert_eq!(
        world.data(),
        [
            "a.z.test. A 180 1.2.3.9",
            "b.z.test. A 180 1.2.3.1",
            "b.z.test. TXT 180 \"theirs\"",
            "c.z.test. CNAME 180 a.z.test.",
        ]
    );
    let conflicts = writer.status().conflicts;
    assert_eq!(conflicts.len(), 1);
    assert!(conflicts[0].reason.contains("has `A 180 1.2.3.9`"), "{}", conflicts[0].reason);
    want(&mut writer, []);
    world.settle(&mut writer);
    assert_eq!(world.data(), ["a.z.test. A 180 1.2.3.9", "b.z.test. TXT 180 \"theirs\""]);
}

#[test]
fn a_forged_mark_gives_nothing_away() {
    let (at, thief) = (name("a.z.test"), Owner::new("one", "x", &[vec![9; 32]]).unwrap());
    let mark = Mark {
        owner: "one".into(),
        object: "0".into(),
        generation: 1,
        types: [RecordType::A].into(),
    };
    let mut world = World::new([a("a.z.test", &[9]), mark.set(&thief, &zone(), &at)]);
    let before = world.there.clone();
    let mut writer = writer("i1");
    want(&mut writer, []);
    world.settle(&mut writer);
    want(&mut writer, [a("a.z.test", &[1])]);
    world.settle(&mut writer);
    assert_eq!(world.there, before);
    assert!(writer.status().conflicts[0].reason.contains("not signed with its key"));
}

#[test]
fn removing_much_waits_for_a_person_while_additions_flow() {
    let (mut world, mut writer) = wrote(many(30));
    let mut sets = many(10);
    sets.push(a("new.z.test", &[1]));
    want(&mut writer, sets.clone());
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 31);
    assert_eq!(writer.status().held.len(), 20);
    assert!(writer.status().held[0].reason.contains("--approve 20"));
    let until = world.at.wall + Duration::from_secs(600);
    writer.approve(Approval { ceiling: 19, by: None, until });
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 31, "a ceiling below what would go removes nothing");
    writer.approve(Approval { ceiling: 20, by: Some("ann".into()), until });
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 11);
    let entries = writer.take_entries();
    assert_eq!(entries.iter().filter(|one| one.approved.as_deref() == Some("ann")).count(), 20);
}

#[test]
fn a_ceiling_is_for_all_that_goes_under_it() {
    let can = Capabilities {
        batch: BatchLimits { sets: 22, records: 22, characters: 32_000 },
        ..Capabilities::MEMORY
    };
    let mut world = World::new([]);
    let mut writer = Writer::new(owner("one", "i1"), zone(), can, Manner::default());
    want(&mut writer, many(60));
    world.settle(&mut writer);
    want(&mut writer, many(35));
    let until = world.at.wall + Duration::from_secs(600);
    writer.approve(Approval { ceiling: 25, by: None, until });
    assert!(world.step(&mut writer, Fault::None), "a first batch of ten");
    assert_eq!(world.data().len(), 50);
    // Ten more are no longer wanted: twenty-five would still go, and fifteen are left.
    want(&mut writer, many(25));
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 50);
}

#[test]
fn an_approval_that_is_over_approves_nothing() {
    let (mut world, mut writer) = wrote(many(30));
    want(&mut writer, many(10));
    writer.approve(Approval { ceiling: 20, by: None, until: world.at.wall });
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 30);
}

#[test]
fn many_small_removals_within_an_hour_are_one_large_one() {
    let (mut world, mut writer) = wrote(many(40));
    for left in (0..36).rev() {
        want(&mut writer, many(left));
        world.settle(&mut writer);
        world.pass(Duration::from_secs(30));
    }
    assert!(world.data().len() >= 28, "{} left", world.data().len());
    assert!(!writer.status().held.is_empty());
}

#[test]
fn what_a_cluster_out_of_sight_offered_is_not_gone() {
    let (mut world, mut writer) = wrote(many(30));
    let mut blind = wanting(many(25));
    blind.sight.blind.insert("aws".into(), "is Unreachable".into());
    writer.want(Ok(Arc::new(blind)));
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 30);
    assert!(writer.status().held[0].reason.contains("cluster aws is Unreachable"));
    let mut other = wanting(many(25));
    other.sight.blind.insert("gke".into(), "is Unreachable".into());
    writer.want(Ok(Arc::new(other)));
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 25, "what aws alone offered, aws can withdraw");
}

#[test]
fn a_view_that_is_not_whole_writes_nothing() {
    let (mut world, mut writer) = wrote(many(3));
    let calls = world.calls;
    writer.want(Err("cluster gke has not been seen yet".into()));
    world.pass(Duration::from_secs(7_200));
    world.settle(&mut writer);
    assert_eq!((world.calls, writer.status().phase), (calls, Phase::Incomplete));
}

#[test]
fn a_freeze_stops_writes_at_once_and_a_thaw_goes_on() {
    let (mut world, mut writer) = wrote(many(3));
    want(&mut writer, many(5));
    writer.freeze(Some("incident 7".into()));
    let calls = world.calls;
    world.settle(&mut writer);
    assert_eq!((world.calls, writer.status().phase), (calls, Phase::Frozen));
    writer.freeze(None);
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 5);
}

/// AWS, October 2025: a writer with an old plan wakes up after a newer one was written.
#[test]
fn a_paused_writer_that_wakes_with_an_old_plan_loses() {
    let (mut world, mut old) = wrote(many(3));
    want(&mut old, [a("n0.z.test", &[66])]);
    let Step::Write(stale) = old.next(world.at) else { panic!("a write") };
    // The same instance from before a restart of the process: only the generation tells.
    let mut new = writer("i1");
    want(&mut new, many(4));
    world.settle(&mut new);
    let before = world.there.clone();
    let outcome = world.write(&stale, Fault::None);
    assert!(matches!(outcome, Err(Failure::Lost(_))));
    assert_eq!(world.there, before);
    old.wrote(world.at, outcome);
    assert_eq!(old.status().lost, 1);
}

#[test]
fn a_second_installation_with_the_same_id_writes_nothing() {
    let (mut world, _) = wrote(many(3));
    let mut second = writer("i2");
    want(&mut second, many(1));
    let calls = world.calls;
    world.settle(&mut second);
    assert_eq!(world.calls, calls + 1, "it reads, and that is all");
    let status = second.status();
    assert_eq!(status.phase, Phase::Refused);
    assert!(status.problem.unwrap().contains("--take-over i1"));
    second.take_over("i1");
    want(&mut second, [many(3), vec![a("more.z.test", &[1])]].concat());
    world.settle(&mut second);
    assert_eq!(world.data().len(), 4);
}

#[test]
fn a_refused_name_is_found_where_batches_are_carried_out_in_part() {
    let mut world = World::new([]);
    (world.whole, world.poison) = (false, Some(name("n13.z.test").key()));
    let can = Capabilities { atomic: false, ..Capabilities::MEMORY };
    let mut writer = Writer::new(owner("one", "i1"), zone(), can, Manner::default());
    want(&mut writer, many(40));
    for _ in 0..60 {
        while world.step(&mut writer, Fault::None) {}
        world.pass(Duration::from_secs(1));
    }
    let status = writer.status();
    assert_eq!(world.data().len(), 39, "{status:?}");
    assert_eq!((status.set_aside.len(), status.lost, status.drift), (1, 0, 0));
    // Once nothing is refused any more, batches are as long as ever.
    let calls = world.calls;
    want(
        &mut writer,
        many(60).into_iter().filter(|set| Some(&set.key.owner) != world.poison.as_ref()),
    );
    while world.step(&mut writer, Fault::None) {}
    assert_eq!((world.data().len(), world.calls), (59, calls + 1));
}

#[test]
fn a_mark_covers_both_while_one_type_takes_the_other_s_place() {
    let (mut world, mut writer) = wrote([a("a.z.test", &[1])]);
    let at = name("a.z.test");
    let new = RecordSet::plain(&at, RecordType::AAAA, Ttl::WRITTEN, [[1; 16]]);
    want(&mut writer, [new.clone()]);
    let Step::Write(batch) = writer.next(world.at) else { panic!("a write") };
    let types = |world: &World| {
        let key = SetKey::plain(&mark_name(&zone(), &at), RecordType::TXT);
        match read_mark(&owner("one", "i1"), &zone(), &at, world.there.get(&key)) {
            Marked::Ours(mark) => mark.types.into_iter().collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let outcome = world.write(&batch, Fault::None);
    assert_eq!(types(&world), [RecordType::A, RecordType::AAAA]);
    writer.wrote(world.at, outcome);
    world.settle(&mut writer);
    assert_eq!(types(&world), [RecordType::AAAA]);
    assert_eq!(world.there.get(&new.key), Some(&new));
    assert_eq!(world.data().len(), 1);
}

#[test]
fn one_bad_record_holds_back_itself_alone() {
    let mut world = World::new([]);
    world.poison = Some(name("n13.z.test").key());
    let mut writer = writer("i1");
    want(&mut writer, many(60));
    while world.step(&mut writer, Fault::None) {}
    assert_eq!(world.data().len(), 59);
    let status = writer.status();
    assert_eq!(status.set_aside[0].0, name("n13.z.test"));
    assert!(status.set_aside[0].1.contains("the provider refuses it"));
    assert!(world.calls < 20, "{} calls", world.calls);
    // Something else is tried at once.
    world.poison = None;
    let mut sets = many(60);
    sets[13] = a("n13.z.test", &[99]);
    want(&mut writer, sets);
    while world.step(&mut writer, Fault::None) {}
    assert_eq!(world.data().len(), 60);
}

#[test]
fn what_somebody_changes_is_put_right_once_and_then_reported() {
    let (mut world, mut writer) = wrote(many(3));
    let look = Duration::from_secs(2_000);
    world.there.put(a("n1.z.test", &[200]));
    world.pass(look);
    world.settle(&mut writer);
    assert!(world.data().contains(&"n1.z.test. A 180 1.2.3.1".to_owned()));
    world.there.put(a("n1.z.test", &[200]));
    writer.look();
    world.settle(&mut writer);
    assert!(world.data().contains(&"n1.z.test. A 180 1.2.3.200".to_owned()));
    assert!(writer.status().set_aside[0].1.contains("changed it again"));
}

#[test]
fn a_zone_emptied_by_hand_is_filled_again() {
    let (mut world, mut writer) = wrote(many(30));
    world.there = Listing::whole(zone(), []);
    world.pass(Duration::from_secs(2_000));
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 30);
}

#[test]
fn a_record_whose_mark_was_removed_is_no_longer_ours() {
    let (mut world, mut writer) = wrote([a("a.z.test", &[1])]);
    let mark = mark_name(&zone(), &name("a.z.test"));
    world.there.take(&SetKey::plain(&mark, RecordType::TXT)).unwrap();
    writer.look();
    want(&mut writer, []);
    world.settle(&mut writer);
    assert_eq!(world.data(), ["a.z.test. A 180 1.2.3.1"]);
}

#[test]
fn failures_are_waited_out_with_growing_pauses() {
    let (mut world, mut writer) = wrote(many(3));
    want(&mut writer, many(4));
    let mut pauses = Vec::new();
    for _ in 0..6 {
        assert!(world.step(&mut writer, Fault::Throttled));
        let Step::Sleep(Some(until)) = writer.next(world.at) else { panic!("a pause") };
        pauses.push((until - world.at.mono).as_secs_f64());
        world.pass(until - world.at.mono);
        assert!(matches!(writer.status().failure, Some(FailureKind::Throttled)));
    }
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert!(*pauses.last().unwrap() > 20.0, "{pauses:?}");
    world.settle(&mut writer);
    assert_eq!(world.data().len(), 4);
}

#[test]
fn the_write_layer_refuses_what_has_no_mark() {
    let (world, _) = wrote([a("a.z.test", &[1])]);
    let mut there = world.there.clone();
    there.put(a("theirs.z.test", &[9]));
    let change = |action, delete: Vec<RecordSet>, create: Vec<RecordSet>| Change {
        name: delete.first().or(create.first()).unwrap().key.name(),
        action,
        object: "a test".into(),
        delete,
        create,
    };
    let own = owner("one", "i1");
    let refused = |change: Change| permit(&own, &there, vec![change], None).unwrap_err().reason;
    let theirs = || vec![a("theirs.z.test", &[9])];
    assert!(refused(change(Action::Remove, theirs(), vec![])).contains("without a mark"));
    assert!(refused(change(Action::Create, vec![], vec![a("b.z.test", &[1])])).contains("mark"));
    assert!(refused(change(Action::Create, vec![], vec![a("a.z.test", &[2])])).contains("replace"));
    let stale = change(Action::Update, vec![a("a.z.test", &[5])], vec![a("a.z.test", &[6])]);
    assert!(refused(stale).contains("not read so"));
    let emptied = change(Action::Update, vec![a("a.z.test", &[1])], vec![]);
    assert!(refused(emptied).contains("without a value"));
    let beside = Change {
        name: name("a.z.test"),
        ..change(Action::Remove, vec![a("theirs.z.test", &[9])], vec![])
    };
    assert!(refused(beside).contains("does not cover"));
}

#[test]
fn batches_keep_names_whole_and_within_limits() {
    let (_, mut writer) = wrote([]);
    want(&mut writer, many(200));
    let limits = BatchLimits { sets: 20, records: 20, characters: 32_000 };
    let world = World::new([]);
    let plan = diff(&wanting(many(200)), &world.there, &owner("one", "i1"));
    let all = batches(plan.changes, &limits);
    assert_eq!(all.iter().map(Vec::len).sum::<usize>(), 200);
    assert!(all.iter().all(|batch| batch.len() <= 9), "two sets each, and the generation record");
}

// === Random histories ===

#[derive(Clone, Debug)]
enum Event {
    Want(Vec<(u8, u8)>),
    Foreign(u8, u8),
    ForeignText(u8),
    Vandal(u8),
    Pass(u16),
    Step(Fault),
    Restart,
    Blind(bool),
    Approve(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let fault = prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::Throttled),
        1 => Just(Fault::Unavailable),
        1 => Just(Fault::LostAnswer),
        1 => Just(Fault::LostCall),
    ];
    prop_oneof![
        3 => prop::collection::vec((0..12_u8, 0..4_u8), 0..14).prop_map(Event::Want),
        1 => (0..12_u8, any::<u8>()).prop_map(|(at, octet)| Event::Foreign(at, octet)),
        1 => (0..12_u8).prop_map(Event::ForeignText),
        1 => (0..12_u8).prop_map(Event::Vandal),
        2 => (0..4_000_u16).prop_map(Event::Pass),
        8 => fault.prop_map(Event::Step),
        1 => Just(Event::Restart),
        1 => any::<bool>().prop_map(Event::Blind),
        1 => (0..14_u8).prop_map(Event::Approve),
    ]
}

fn generation(world: &World) -> u64 {
    match epoch(&world.there, &owner("one", "i1")) {
        Written::Last(last) => last.generation,
        Written::Never | Written::Forged => 0,
    }
}

/// Sets that carry no valid mark of ours.
fn foreign(there: &Listing) -> BTreeMap<SetKey, RecordSet> {
    let own = owner("one", "i1");
    let ours = |set: &RecordSet| {
        let name = set.key.name();
        let key = SetKey::plain(&mark_name(&zone(), &name), RecordType::TXT);
        is_bookkeeping(&set.key)
            || matches!(read_mark(&own, &zone(), &name, there.get(&key)),
                Marked::Ours(mark) if mark.types.contains(&set.key.rtype))
    };
    there.sets().filter(|set| !ours(set)).map(|set| (set.key.clone(), set.clone())).collect()
}

fn wished(names: &[(u8, u8)]) -> Vec<RecordSet> {
    let names: BTreeMap<u8, u8> = names.iter().copied().collect();
    let set = |(at, kind): (u8, u8)| {
        let at = format!("n{at}.z.test");
        match kind {
            0 => vec![alias(&at, "elsewhere.test")],
            1 => vec![a(&at, &[1])],
            2 => vec![a(&at, &[1, 2]), text(&at, "about it")],
            _ => vec![a(&at, &[kind])],
        }
    };
    names.into_iter().flat_map(set).collect()
}

proptest! {
    /// Foreign records stay as they are, a name that stays wanted never loses its last value, the
    /// generation never falls, and once nobody interferes the zone is as wanted and calls cease.
    #[test]
    fn whatever_happens_the_zone_is_safe_and_comes_to_rest(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let (mut world, mut own) = (World::new([]), writer("i1"));
        let mut wish = wished(&[]);
        let mut blind = false;
        want(&mut own, []);
        for event in events {
            let (theirs, last) = (foreign(&world.there), generation(&world));
            let before = world.there.clone();
            let mut by_hand = false;
            match event {
                Event::Want(names) => wish = wished(&names),
                Event::Foreign(at, octet) => {
                    by_hand = true;
                    world.there.put(a(&format!("n{at}.z.test"), &[octet]));
                }
                Event::ForeignText(at) => {
                    by_hand = true;
                    world.there.put(text(&format!("n{at}.z.test"), "theirs"));
                }
                Event::Vandal(at) => {
                    by_hand = true;
                    let key = name(&format!("n{at}.z.test")).key();
                    let keys: Vec<_> =
                        world.there.sets().map(|set| set.key.clone()).filter(|one| one.owner == key).collect();
                    keys.iter().for_each(|key| drop(world.there.take(key)));
                }
                Event::Pass(seconds) => world.pass(Duration::from_secs(u64::from(seconds))),
                Event::Step(fault) => drop(world.step(&mut own, fault)),
                Event::Restart => own = writer("i1"),
                Event::Blind(now) => blind = now,
                Event::Approve(ceiling) => {
                    let until = world.at.wall + Duration::from_secs(600);
                    own.approve(Approval { ceiling: usize::from(ceiling), by: None, until });
                }
            }
            let mut wanted = wanting(wish.clone());
            if blind {
                wanted.sight.blind.insert("aws".into(), "is Unreachable".into());
            }
            own.want(Ok(Arc::new(wanted)));
            if by_hand {
                continue;
            }
            for (key, set) in &theirs {
                prop_assert_eq!(world.there.get(key), Some(set), "{} is somebody else's", key);
            }
            prop_assert!(generation(&world) >= last);
            for set in &wish {
                let has = |there: &Listing| there.sets().any(|one| one.key.owner == set.key.owner);
                prop_assert!(!has(&before) || has(&world.there), "{} was emptied", set.key.name());
            }
        }
        // Nobody interferes any more.
        let until = world.at.wall + Duration::from_secs(1_000_000);
        own.freeze(None);
        for _ in 0..4 {
            want(&mut own, wish.clone());
            own.approve(Approval { ceiling: 1_000, by: None, until });
            world.pass(Duration::from_secs(4_000));
            world.settle(&mut own);
        }
        let calls = world.calls;
        world.pass(Duration::from_secs(600));
        while world.step(&mut own, Fault::None) {}
        prop_assert!(world.calls <= calls + 1, "one look at most");
        let theirs = foreign(&world.there);
        let taken = |set: &RecordSet| theirs.keys().any(|key| key.owner == set.key.owner);
        for set in wish.iter().filter(|set| !taken(set)) {
            let there = world.there.get(&set.key);
            prop_assert!(there.is_some_and(|one| one.says_as(set)), "{} is missing", set);
        }
        let kept: BTreeSet<_> = wish.iter().map(|set| set.key.owner.clone()).collect();
        for set in world.there.sets().filter(|set| !is_bookkeeping(&set.key)) {
            prop_assert!(
                kept.contains(&set.key.owner) || theirs.contains_key(&set.key),
                "{} is left over", set.key
            );
        }
    }
}
