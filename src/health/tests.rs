//! The rules of verdicts, one by one, and what holds for any history.

use super::*;
use crate::model::Moment;
use jiff::Timestamp;
use proptest::prelude::*;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_secs(10);

#[allow(clippy::disallowed_methods)] // the one reading that a test's moments count from
fn start() -> Moment {
    let wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    Moment { mono: Instant::now() + Duration::from_secs(100_000), wall }
}

fn target(last: u8) -> Target {
    let check = Arc::new(Check::new(Protocol::Tcp, 443));
    Target { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), check }
}

/// A tracker and a clock; every step is one interval.
struct World {
    tracker: Tracker,
    now: Moment,
}

impl World {
    fn new(targets: u8) -> Self {
        Self::with(targets, Settings::default())
    }

    fn with(targets: u8, settings: Settings) -> Self {
        let (mut tracker, now) = (Tracker::new(settings), start());
        tracker.want(now, &(1..=targets).map(target).collect());
        Self { tracker, now }
    }

    fn pass(&mut self, time: Duration) -> Vec<Target> {
        self.now = self.now.after(time);
        self.tracker.tick(self.now)
    }

    fn outcome(&mut self, last: u8, result: Result<(), Failure>) -> bool {
        let outcome =
            Outcome { target: target(last), took: Duration::from_millis(5), result, expires: None };
        self.tracker.observe(self.now, &outcome)
    }

    fn check(&mut self, last: u8, well: bool) -> bool {
        let failure = || Failure::Connect("refused".to_owned());
        self.outcome(last, if well { Ok(()) } else { Err(failure()) })
    }

    /// Checks one target in each interval, as `ox` says: o for well.
    fn checks(&mut self, last: u8, story: &str) {
        for letter in story.chars() {
            self.pass(INTERVAL);
            self.check(last, letter == 'o');
        }
    }

    fn state(&self, last: u8) -> State {
        self.verdict(last).state
    }

    fn verdict(&self, last: u8) -> Verdict {
        self.tracker.verdict(self.now, &target(last))
    }

    fn hear(&mut self, vantage: &str, votes: &[(u8, bool)]) -> Vec<Target> {
        let vote = |(last, up): &(u8, bool)| ReportedVote {
            target: target(*last).id().into(),
            up: *up,
            age: 0,
            flips_in: 20_000,
        };
        let report = Report { isolated: false, votes: votes.iter().map(vote).collect() };
        self.tracker.hear(self.now, vantage, &report).unwrap()
    }
}

// === Rise and fall ===

#[test]
fn the_first_success_decides_at_once() {
    let mut world = World::new(1);
    assert_eq!(world.state(1), State::Unknown);
    world.checks(1, "o");
    assert_eq!(world.state(1), State::Up);
}

#[test]
fn before_the_first_success_it_takes_all_failures_to_be_down() {
    let mut world = World::new(1);
    world.checks(1, "xx");
    assert_eq!(world.state(1), State::Unknown);
    world.checks(1, "x");
    assert_eq!(world.state(1), State::Down);
}

#[test]
fn three_failures_take_it_down_and_two_successes_bring_it_back() {
    let mut world = World::new(1);
    world.checks(1, "oxx");
    assert_eq!(world.state(1), State::Up);
    world.checks(1, "x");
    assert_eq!(world.state(1), State::Down);
    world.checks(1, "o");
    assert_eq!(world.state(1), State::Down);
    world.checks(1, "o");
    assert_eq!(world.state(1), State::Up);
}

#[test]
fn a_target_that_loses_every_second_check_goes_down() {
    let mut world = World::new(1);
    world.checks(1, "ooxoxox");
    assert_eq!(world.state(1), State::Down);
}

#[test]
fn enough_successes_in_a_row_make_up_for_failures() {
    let mut world = World::new(1);
    world.checks(1, "oxxooxxooxx");
    assert_eq!(world.state(1), State::Up);
}

#[test]
fn a_check_that_could_not_be_made_says_nothing_about_the_target() {
    let mut world = World::new(1);
    world.checks(1, "o");
    for _ in 0..10 {
        world.outcome(1, Err(Failure::Blocked("a private address".to_owned())));
    }
    let verdict = world.verdict(1);
    assert_eq!(verdict.state, State::Up);
    assert!(verdict.reason.contains("a private address"), "{}", verdict.reason);
    assert_eq!(verdict.flips_in, None);
}

#[test]
fn a_steady_target_is_told_of_once() {
    let mut world = World::new(1);
    assert!(world.check(1, true));
    for _ in 0..10 {
        assert!(!world.check(1, true));
    }
    assert!(world.check(1, false), "what may turn soon is news");
}

// === Time ===

#[test]
fn the_verdict_says_how_long_it_may_be_believed() {
    let mut world = World::new(1);
    assert_eq!(world.verdict(1).flips_in, Some(Duration::ZERO), "not known: it may turn at once");
    world.checks(1, "o");
    assert_eq!(world.verdict(1).flips_in, Some(INTERVAL * 3));
    world.checks(1, "x");
    assert_eq!(world.verdict(1).flips_in, Some(INTERVAL * 2));
    world.checks(1, "xx");
    assert_eq!(world.verdict(1).flips_in, Some(INTERVAL * 2));
    world.checks(1, "o");
    assert_eq!(world.verdict(1).flips_in, Some(INTERVAL));
}

#[test]
fn without_checks_it_stays_as_it_was_and_says_so() {
    let mut world = World::new(1);
    world.checks(1, "oxxx");
    world.pass(Duration::from_secs(3_600));
    let verdict = world.verdict(1);
    assert_eq!(verdict.state, State::Down);
    assert!(verdict.reason.contains("no check has ended"), "{}", verdict.reason);
}

#[test]
fn the_second_time_down_is_held_and_each_further_time_twice_as_long() {
    let mut world = World::new(1);
    world.checks(1, "oxxxoo");
    assert_eq!(world.state(1), State::Up, "the first time is not held");
    let mut held = Vec::new();
    for _ in 0..7 {
        world.checks(1, "xxx");
        let from = world.now;
        while world.state(1) == State::Down {
            world.checks(1, "o");
        }
        held.push(world.now.mono.duration_since(from.mono).as_secs());
    }
    assert_eq!(held, [30, 60, 120, 240, 480, 600, 600]);
}

#[test]
fn long_enough_up_and_earlier_times_down_are_forgotten() {
    let mut world = World::new(1);
    world.checks(1, "oxxxooxxx");
    world.checks(1, &"o".repeat(70));
    assert_eq!(world.state(1), State::Up);
    world.checks(1, "xxxoo");
    assert_eq!(world.state(1), State::Up, "not held");
}

#[test]
fn what_comes_back_warms_up_in_steps_and_what_was_never_seen_down_does_not() {
    let mut world = World::new(1);
    world.checks(1, "o");
    assert!((world.verdict(1).ramp - 1.0).abs() < f64::EPSILON);
    world.checks(1, "xxxoo");
    let mut ramps = vec![world.verdict(1).ramp];
    for _ in 0..60 {
        let touched = world.pass(Duration::from_secs(1));
        let ramp = world.verdict(1).ramp;
        assert!(ramp <= *ramps.last().unwrap() || !touched.is_empty(), "a step is told");
        if ramp > *ramps.last().unwrap() {
            ramps.push(ramp);
        }
    }
    assert_eq!(ramps.first(), Some(&0.1));
    assert_eq!(ramps.last(), Some(&1.0));
    assert!(ramps.len() >= 9, "{ramps:?}");
}

// === Vantage points ===

#[test]
fn two_vantage_points_must_both_find_it_down() {
    let mut world = World::new(1);
    world.checks(1, "o");
    for _ in 0..5 {
        world.hear("b", &[(1, true)]);
        world.checks(1, "x");
    }
    world.hear("b", &[(1, true)]);
    assert_eq!(world.state(1), State::Up);
    assert!(world.verdict(1).reason.contains("1 of 2 vantage points"), "{:?}", world.verdict(1));
    world.hear("b", &[(1, false)]);
    assert_eq!(world.state(1), State::Down);
}

#[test]
fn what_another_vantage_says_is_news_even_if_the_verdict_stays() {
    let mut world = World::new(2);
    world.checks(1, "oxxx");
    assert_eq!(world.state(1), State::Down, "nobody else was heard yet");
    assert_eq!(world.hear("b", &[(1, false)]), [target(1)]);
    assert!(world.verdict(1).reason.contains("2 of 2 vantage points"), "{:?}", world.verdict(1));
    assert_eq!(world.hear("b", &[(1, false)]), [], "the same again is none");
    let silenced = world.pass(INTERVAL * 3 + Duration::from_secs(5));
    assert_eq!(silenced, [target(1)], "its silence is");
    assert!(!world.verdict(1).reason.contains("vantage points"), "{:?}", world.verdict(1));
}

#[test]
fn with_others_it_may_be_believed_until_enough_of_them_could_turn() {
    let mut world = World::new(1);
    world.checks(1, "o");
    world.hear("b", &[(1, true)]);
    assert_eq!(world.verdict(1).flips_in, Some(INTERVAL * 3), "both must turn: 20 s and 30 s");
    world.hear("c", &[(1, true)]);
    assert_eq!(world.verdict(1).flips_in, Some(INTERVAL * 2), "two of three: 20 s and 20 s");
}

#[test]
fn of_three_a_majority_decides() {
    let mut world = World::new(1);
    world.checks(1, "o");
    world.hear("b", &[(1, false)]);
    world.hear("c", &[(1, true)]);
    assert_eq!(world.state(1), State::Up);
    world.hear("c", &[(1, false)]);
    assert_eq!(world.state(1), State::Down, "though this process finds it up");
}

#[test]
fn a_vote_that_is_too_old_no_longer_counts() {
    let mut world = World::new(1);
    world.hear("b", &[(1, true)]);
    world.checks(1, "xxx");
    assert_eq!(world.state(1), State::Up, "b was heard three intervals ago, and may be under way");
    world.pass(Duration::from_secs(5));
    assert_eq!(world.state(1), State::Down);
}

#[test]
fn a_vantage_that_finds_everything_down_abstains_when_another_does_not() {
    let mut world = World::new(4);
    for last in 1..=4 {
        world.check(last, true);
    }
    for _ in 0..4 {
        world.pass(INTERVAL);
        world.hear("b", &[(1, true), (2, true), (3, true), (4, false)]);
        for last in 1..=4 {
            world.check(last, false);
        }
    }
    world.hear("b", &[(1, true), (2, true), (3, true), (4, false)]);
    world.pass(Duration::from_secs(1));
    let states: Vec<State> = (1..=4).map(|last| world.state(last)).collect();
    assert_eq!(states, [State::Up, State::Up, State::Up, State::Down]);
    assert!(world.tracker.report(world.now).isolated);
    assert!(world.verdict(1).reason.contains("finds everything down"));
}

#[test]
fn another_vantage_that_finds_everything_down_is_not_counted() {
    let mut world = World::new(4);
    (1..=4).for_each(|last| world.checks(last, "o"));
    world.hear("b", &[(1, false), (2, false), (3, false), (4, false)]);
    world.hear("c", &[(1, false), (2, false), (3, false), (4, false)]);
    assert!((1..=4).all(|last| world.state(last) == State::Up));
}

#[test]
fn alone_it_believes_itself_also_when_all_is_down() {
    let mut world = World::new(4);
    (1..=4).for_each(|last| world.checks(last, "xxx"));
    assert!((1..=4).all(|last| world.state(last) == State::Down));
}

#[test]
fn a_report_beyond_all_measure_is_refused_and_what_was_heard_stands() {
    let mut world = World::new(1);
    world.hear("b", &[(1, true)]);
    let vote = ReportedVote { target: "x".repeat(9_000).into(), up: false, age: 0, flips_in: 0 };
    let report = Report { isolated: false, votes: vec![vote] };
    let error = world.tracker.hear(world.now, "b", &report).unwrap_err();
    assert!(error.to_string().contains("9000 octets"), "{error}");
    assert_eq!(world.state(1), State::Up);
    for vantage in 0..100 {
        let _ = world.tracker.hear(world.now, &vantage.to_string(), &Report::default());
    }
    assert!(world.tracker.hear(world.now, "one more", &Report::default()).is_err());
}

#[test]
fn what_one_process_reports_another_takes_in() {
    let (mut one, mut other) = (World::new(2), World::new(2));
    other.now = one.now;
    one.checks(1, "o");
    one.checks(2, "xxx");
    let report = serde_json::to_string(&one.tracker.report(one.now)).unwrap();
    let report: Report = serde_json::from_str(&report).unwrap();
    other.now = one.now;
    other.tracker.hear(other.now, "one", &report).unwrap();
    assert_eq!([other.state(1), other.state(2)], [State::Unknown, State::Down]);
}

// === A restart ===

#[test]
fn verdicts_survive_a_restart_until_checks_say_otherwise() {
    let mut world = World::new(2);
    world.checks(1, "oxxx");
    world.checks(2, "o");
    let saved = serde_json::to_string(&world.tracker.save(world.now)).unwrap();
    let mut again = Tracker::new(Settings::default());
    again.restore(world.now, serde_json::from_str(&saved).unwrap());
    assert_eq!(again.verdict(world.now, &target(1)).state, State::Down, "before it is wanted");
    again.want(world.now, &[target(1), target(2)].into());
    world.tracker = again;
    assert_eq!([world.state(1), world.state(2)], [State::Down, State::Up]);
    world.checks(1, "oo");
    assert_eq!(world.state(1), State::Up);
}

#[test]
fn verdicts_older_than_a_quarter_of_an_hour_are_not_believed() {
    let mut world = World::new(1);
    world.checks(1, "xxx");
    let saved = world.tracker.save(world.now);
    let later = world.now.after(Duration::from_secs(901));
    let mut again = Tracker::new(Settings::default());
    again.restore(later, saved);
    assert_eq!(again.verdict(later, &target(1)).state, State::Unknown);
}

#[test]
fn a_target_that_goes_is_forgotten_and_one_that_stays_is_not() {
    let mut world = World::new(2);
    world.checks(1, "xxx");
    world.checks(2, "xxx");
    world.tracker.want(world.now, &[target(2)].into());
    world.tracker.want(world.now, &[target(1), target(2)].into());
    assert_eq!([world.state(1), world.state(2)], [State::Unknown, State::Down]);
}

// === An operator's word ===

#[test]
fn a_word_ends_at_its_time_and_reads_as_a_sentence() {
    let since = start().wall;
    let until = "2026-01-01T02:00:00Z".parse().unwrap();
    let word = Override {
        kind: Forced::Drain,
        reason: "upgrade".into(),
        by: Some("ana".into()),
        since,
        until: Some(until),
    };
    assert_eq!(word.to_string(), "drained by ana until 2026-01-01T02:00:00Z: upgrade");
    assert!(!word.expired(since) && word.expired(until));
}

#[test]
fn readiness_is_a_part_of_what_is_expected() {
    let all = [(0, 4), (1, 4), (4, 4), (9, 4), (0, 0)].map(|(ready, all)| readiness(ready, all));
    assert_eq!(all, [0.0, 0.25, 1.0, 1.0, 1.0]);
}

#[test]
fn the_same_check_has_the_same_name_everywhere_whatever_its_interval() {
    let slow = Check { interval: INTERVAL * 6, ..Check::new(Protocol::Tcp, 443) };
    let slow = Target { check: Arc::new(slow), ..target(1) };
    assert_eq!(slow.id(), target(1).id());
    assert_ne!(target(1).id(), target(2).id());
}

// === Any history ===

proptest! {
    #[test]
    fn a_verdict_never_turns_sooner_than_it_said(story in proptest::collection::vec(any::<bool>(), 1..200)) {
        let mut world = World::new(1);
        let (mut believed, mut since) = (world.verdict(1), world.now);
        for well in story {
            world.pass(INTERVAL);
            world.check(1, well);
            let now = world.verdict(1);
            if now.state != believed.state && believed.state != State::Unknown {
                let took = world.now.mono.duration_since(since.mono);
                let said = believed.flips_in.unwrap();
                prop_assert!(took >= said, "turned after {took:?}, {said:?} was said");
            }
            (believed, since) = (now, world.now);
        }
    }

    #[test]
    fn without_two_successes_in_a_row_three_failures_take_anything_down(
        gaps in proptest::collection::vec(any::<bool>(), 3..40),
    ) {
        let mut world = World::new(1);
        world.checks(1, "oo");
        for gap in &gaps {
            world.checks(1, if *gap { "ox" } else { "x" });
        }
        prop_assert_eq!(world.state(1), State::Down);
    }

    #[test]
    fn the_order_in_which_vantage_points_are_heard_does_not_matter(
        votes in proptest::collection::vec(any::<bool>(), 1..6),
        own in any::<bool>(),
    ) {
        let states = [false, true].map(|backwards| {
            let none = Settings { hold_down: Duration::ZERO, ..Settings::default() };
            let mut world = World::with(1, none);
            world.checks(1, if own { "ooo" } else { "xxx" });
            let mut all: Vec<(usize, bool)> = votes.iter().copied().enumerate().collect();
            if backwards {
                all.reverse();
            }
            for (name, up) in all {
                world.hear(&name.to_string(), &[(1, up)]);
            }
            world.state(1)
        });
        let down = votes.iter().chain([&own]).filter(|up| !**up).count();
        let expected = if down * 2 > votes.len() + 1 { State::Down } else { State::Up };
        prop_assert_eq!(states, [expected; 2]);
    }

    #[test]
    fn what_is_saved_is_what_is_restored(story in proptest::collection::vec((1_u8..5, any::<bool>()), 0..60)) {
        let mut world = World::new(4);
        for (last, well) in story {
            world.pass(Duration::from_secs(1));
            world.check(last, well);
        }
        let mut again = Tracker::new(Settings::default());
        again.restore(world.now, world.tracker.save(world.now));
        again.want(world.now, &(1..=4).map(target).collect());
        for last in 1..=4 {
            prop_assert_eq!(again.verdict(world.now, &target(last)).state, world.state(last));
        }
        prop_assert_eq!(again.save(world.now), world.tracker.save(world.now));
    }

    #[test]
    fn no_report_can_do_harm(
        votes in proptest::collection::vec((".{0,40}", any::<bool>(), any::<u64>()), 0..20),
        isolated in any::<bool>(),
    ) {
        let mut world = World::new(3);
        (1..=3).for_each(|last| world.checks(last, "o"));
        let votes = votes.into_iter().map(|(target, up, age)| ReportedVote { target: target.into(), up, age, flips_in: age });
        let report = Report { isolated, votes: votes.collect() };
        world.tracker.hear(world.now, "b", &report).unwrap();
        world.pass(Duration::from_secs(1));
        prop_assert!((1..=3).all(|last| world.state(last) == State::Up));
    }
}

#[test]
fn ten_thousand_targets_are_tracked() {
    let targets: BTreeSet<Target> = (0..10_000_u32)
        .map(|at| Target {
            address: IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + at)),
            ..target(1)
        })
        .collect();
    let (mut tracker, now) = (Tracker::new(Settings::default()), start());
    tracker.want(now, &targets);
    for target in &targets {
        let result = Err(Failure::Timeout("connecting"));
        for _ in 0..3 {
            let outcome = Outcome {
                target: target.clone(),
                took: INTERVAL,
                result: result.clone(),
                expires: None,
            };
            tracker.observe(now, &outcome);
        }
    }
    assert!(targets.iter().all(|target| tracker.verdict(now, target).state == State::Down));
}
