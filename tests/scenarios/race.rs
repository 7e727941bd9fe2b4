//! The race that took a region's DNS away in October 2025, as a model whose every order of steps is
//! tried: a planner, two enactors that may pause anywhere, and a cleanup of old plans.
//!
//! Plans are kept beside the zone, as AWS kept them, and an applied record points at its plan. Without
//! compare-and-set an enactor checks once that its plan is newer and writes later: an old plan can win
//! over a new one, and cleanup then leaves the record empty. With it, a write carries the generation
//! that it was made from, and the zone takes it only if that still stands.

use stateright::{Checker, Expectation, Model, Property};

/// Newer plans than this need not be tried: two overtaking each other show it all.
const PLANS: u8 = 3;
/// Cleanup keeps this many plans behind the newest that was applied.
const KEPT: u8 = 1;

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Step {
    Idle,
    /// Has taken a plan, having checked that the zone is at an older one.
    Taken {
        plan: u8,
        seen: u8,
    },
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    /// The newest plan.
    planned: u8,
    /// Plans that still exist.
    plans: Vec<u8>,
    /// The plan that the zone's record comes from; 0 is the first.
    zone: u8,
    /// Generation record of the zone.
    generation: u8,
    enactors: [Step; 2],
    /// Set when an older plan took the place of a newer one.
    went_back: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Plan,
    Take(usize, u8),
    Write(usize),
    Clean,
}

struct Race {
    compare_and_set: bool,
}

impl Model for Race {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let enactors = [Step::Idle; 2];
        vec![State {
            planned: 0,
            plans: vec![0],
            zone: 0,
            generation: 0,
            enactors,
            went_back: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.planned < PLANS {
            actions.push(Action::Plan);
        }
        for (at, step) in state.enactors.iter().enumerate() {
            match step {
                Step::Idle => {
                    // The check that is made once, and may be stale by the time of the write.
                    let newer = state.plans.iter().filter(|plan| **plan > state.zone);
                    actions.extend(newer.map(|plan| Action::Take(at, *plan)));
                }
                Step::Taken { .. } => actions.push(Action::Write(at)),
            }
        }
        if state.plans.iter().any(|plan| plan + KEPT < state.zone) {
            actions.push(Action::Clean);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Plan => {
                next.planned += 1;
                next.plans.push(next.planned);
            }
            Action::Take(at, plan) => {
                next.enactors[at] = Step::Taken { plan, seen: state.generation };
            }
            Action::Write(at) => {
                let Step::Taken { plan, seen } = state.enactors[at] else { return None };
                next.enactors[at] = Step::Idle;
                if self.compare_and_set && seen != state.generation {
                    return Some(next);
                }
                next.went_back |= plan < state.zone;
                next.zone = plan;
                next.generation += 1;
            }
            Action::Clean => next.plans.retain(|plan| plan + KEPT >= state.zone),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always("the record is never empty", |_, state| {
                state.plans.contains(&state.zone)
            }),
            Property::<Self>::always(
                "an older plan never takes a newer one's place",
                |_, state| !state.went_back,
            ),
            Property::<Self>::sometimes("the newest plan is applied", |_, state| {
                state.zone == PLANS
            }),
        ]
    }
}

fn found(compare_and_set: bool) -> Vec<&'static str> {
    let model = Race { compare_and_set };
    let checker = model.checker().spawn_bfs().join();
    assert!(checker.unique_state_count() > 100, "{} states", checker.unique_state_count());
    let broken = |property: &&Property<Race>| {
        matches!(property.expectation, Expectation::Always)
            && checker.discovery(property.name).is_some()
    };
    let properties = checker.model().properties();
    assert!(checker.discovery("the newest plan is applied").is_some());
    properties.iter().filter(broken).map(|property| property.name).collect()
}

#[test]
fn with_compare_and_set_no_order_of_steps_loses_a_record_or_goes_back() {
    assert_eq!(found(true), [""; 0]);
}

#[test]
fn without_it_the_race_is_found() {
    assert_eq!(
        found(false),
        ["the record is never empty", "an older plan never takes a newer one's place"]
    );
}
