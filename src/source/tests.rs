//! Whole stories against an API server that follows a script.

mod stage;

use super::Timing;
use crate::model::{ClusterEvent, Kind, KindState, Object};
use serde_json::json;
use stage::{
    Answer, End, Fake, Story, bookmark, detail, event, list, quick, service, slice, status,
};
use std::{fs, time::Duration};
use tokio::time::timeout;

const SERVICES: &str = "/api/v1/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/ingresses";

// === Lists ===

#[tokio::test]
async fn a_list_of_many_pages_is_told_as_one() {
    let fake = Fake::default();
    fake.list(SERVICES, list(7, &[service("a", 1)], "next"));
    fake.list(SERVICES, list(7, &[service("b", 2)], ""));
    let mut story = Story::start(&fake).await;
    assert_eq!(story.listed(Kind::Service).await, ["shop/a", "shop/b"]);
    story.until(|_| fake.asked(SERVICES, "watch=true").len() == 1).await;
    let lists = fake.asked(SERVICES, "limit=500");
    assert!(lists[1].contains("continue=next"), "{lists:?}");
    assert!(fake.asked(SERVICES, "watch=true")[0].contains("resourceVersion=7"));
    assert_eq!(fake.asked(SLICES, "limit=250").len(), 1);
}

#[tokio::test]
async fn a_list_whose_token_expires_begins_again_without_a_word() {
    let fake = Fake::default();
    fake.list(SERVICES, list(7, &[service("a", 1)], "next"));
    fake.list(SERVICES, status(410, "the provided continue parameter is too old"));
    fake.list(SERVICES, list(9, &[service("a", 1), service("b", 8)], ""));
    let mut story = Story::start(&fake).await;
    assert_eq!(story.listed(Kind::Service).await, ["shop/a", "shop/b"]);
    assert!(!story.saw(|event| matches!(event, ClusterEvent::Kind(_, KindState::Failing(_)))));
}

#[tokio::test]
async fn a_list_that_breaks_half_way_is_no_list() {
    let fake = Fake::default();
    fake.list(SERVICES, Answer::Stream(vec!["{\"items\":[".into()], End::Reset));
    fake.list(SERVICES, list(7, &[service("a", 1)], ""));
    let mut story = Story::start(&fake).await;
    story.state(Kind::Service, |state| matches!(state, KindState::Failing(_))).await;
    assert_eq!(story.listed(Kind::Service).await, ["shop/a"]);
}

#[tokio::test]
async fn a_list_that_never_comes_is_given_up_and_said() {
    let fake = Fake::default();
    fake.list(SERVICES, Answer::Hang);
    let mut story = Story::start(&fake).await;
    let late = |state: &KindState| detail(state).contains("did not answer within");
    story.state(Kind::Service, late).await;
    story.listed(Kind::Service).await;
}

#[tokio::test]
async fn an_empty_list_is_believed_only_when_it_stands() {
    let fake = Fake::default();
    fake.list(SERVICES, list(7, &[service("a", 1)], ""));
    fake.watch(SERVICES, status(410, "too old"));
    fake.list(SERVICES, list(8, &[], ""));
    fake.list(SERVICES, list(9, &[service("a", 1)], ""));
    fake.watch(SERVICES, status(410, "too old"));
    fake.list(SERVICES, list(10, &[], ""));
    fake.list(SERVICES, list(11, &[], ""));
    let mut story = Story::start(&fake).await;
    assert_eq!(story.listed(Kind::Service).await, ["shop/a"]);
    assert_eq!(story.listed(Kind::Service).await, ["shop/a"]);
    assert!(story.listed(Kind::Service).await.is_empty());
}

// === Watches ===

#[tokio::test]
async fn events_are_told_and_the_next_watch_goes_on_behind_the_last_of_them() {
    let fake = Fake::default();
    fake.list(SERVICES, list(7, &[], ""));
    let lines = vec![
        event("ADDED", service("a", 8)),
        event("MODIFIED", service("a", 9)),
        event("DELETED", service("a", 10)),
        event("BOOKMARK", bookmark(42)),
    ];
    fake.watch(SERVICES, Answer::Stream(lines, End::InOrder));
    let mut story = Story::start(&fake).await;
    for _ in 0..2 {
        story.until(|event| matches!(event, ClusterEvent::Applied(Object::Service(_)))).await;
    }
    let gone = |event: &ClusterEvent| match event {
        ClusterEvent::Deleted(key) => key.to_string() == "Service shop/a",
        _ => false,
    };
    story.until(gone).await;
    story.until(|event| matches!(event, ClusterEvent::Contact(Kind::Service))).await;
    story.until(|_| fake.asked(SERVICES, "resourceVersion=42").len() == 1).await;
    assert_eq!(fake.asked(SERVICES, "limit=").len(), 1);
}

#[tokio::test]
async fn a_version_that_is_too_old_leads_to_a_new_list_as_event_and_as_status() {
    let fake = Fake::default();
    fake.list(SERVICES, list(7, &[service("a", 1)], ""));
    let expired = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
    fake.watch(SERVICES, Answer::Stream(vec![event("ERROR", expired)], End::Hang));
    fake.list(SERVICES, list(8, &[service("b", 8)], ""));
    fake.watch(SERVICES, status(410, "too old"));
    fake.list(SERVICES, list(9, &[service("c", 9)], ""));
    let mut story = Story::start(&fake).await;
    for name in ["shop/a", "shop/b", "shop/c"] {
        assert_eq!(story.listed(Kind::Service).await, [name]);
    }
}

#[tokio::test]
async fn a_silent_watch_is_begun_anew_and_after_a_second_one_all_is_listed() {
    let fake = Fake::default();
    fake.list(SERVICES, list(7, &[], ""));
    fake.list(SERVICES, list(3, &[service("a", 1)], ""));
    let quick = Timing { silence: Duration::from_millis(50), ..quick() };
    let mut story = Story::start_with(&fake, quick).await;
    story.listed(Kind::Service).await;
    assert_eq!(story.listed(Kind::Service).await, ["shop/a"]);
    assert_eq!(fake.asked(SERVICES, "resourceVersion=7").len(), 2);
}

#[tokio::test]
async fn one_broken_watch_is_mended_without_a_word() {
    let fake = Fake::default();
    fake.list(SERVICES, list(7, &[], ""));
    fake.watch(SERVICES, Answer::Stream(vec![event("ADDED", service("a", 8))], End::Reset));
    fake.watch(SERVICES, Answer::Stream(vec![event("ADDED", service("b", 9))], End::Hang));
    let mut story = Story::start(&fake).await;
    let applied = |name: &'static str| {
        move |event: &ClusterEvent| match event {
            ClusterEvent::Applied(object) => &*object.key().key.name == name,
            _ => false,
        }
    };
    story.until(applied("a")).await;
    story.until(applied("b")).await;
    assert_eq!(fake.asked(SERVICES, "resourceVersion=8").len(), 1);
    assert!(!story.saw(|event| matches!(event, ClusterEvent::Kind(_, KindState::Failing(_)))));
}

#[tokio::test]
async fn a_slice_that_leaves_its_service_is_gone() {
    let fake = Fake::default();
    let lines = vec![
        event("ADDED", slice("a", &json!({"kubernetes.io/service-name": "web"}))),
        event("MODIFIED", slice("a", &json!({}))),
    ];
    fake.watch(SLICES, Answer::Stream(lines, End::Hang));
    let mut story = Story::start(&fake).await;
    story.until(|event| matches!(event, ClusterEvent::Applied(Object::Slice(_)))).await;
    story.until(|event| matches!(event, ClusterEvent::Deleted(_))).await;
}

// === Refusals ===

#[tokio::test]
async fn a_kind_that_is_denied_leaves_the_others_alone() {
    let fake = Fake::default();
    for _ in 0..10 {
        fake.list(INGRESSES, status(403, "ingresses is forbidden: User \"m\" cannot list"));
    }
    let mut story = Story::start(&fake).await;
    let denied = |state: &KindState| matches!(state, KindState::Denied(text) if text.contains("User \"m\" cannot list"));
    story.state(Kind::Ingress, denied).await;
    assert!(story.saw(|event| matches!(event, ClusterEvent::Listed(Kind::Service, _))));
    story.listed(Kind::Ingress).await;
}

#[tokio::test]
async fn a_refusal_that_follows_an_outage_has_to_stand_like_any_other() {
    let fake = Fake::default();
    for _ in 0..20 {
        fake.list(SERVICES, status(500, "starting"));
    }
    for _ in 0..4 {
        fake.list(SERVICES, status(403, "roles are not read yet"));
    }
    let mut story = Story::start(&fake).await;
    story.listed(Kind::Service).await;
    assert!(!story.saw(|event| matches!(event, ClusterEvent::Kind(_, KindState::Denied(_)))));
}

#[tokio::test]
async fn a_kind_that_does_not_exist_is_missing() {
    let fake = Fake::default();
    for _ in 0..10 {
        fake.list(INGRESSES, Answer::text(404, "404 page not found"));
    }
    let mut story = Story::start(&fake).await;
    let missing = |state: &KindState| matches!(state, KindState::Missing(text) if text == "404 page not found (404)");
    story.state(Kind::Ingress, missing).await;
}

#[tokio::test]
async fn a_kind_that_may_be_listed_but_not_watched_is_listed_again_and_again() {
    let fake = Fake::default();
    for _ in 0..100 {
        fake.watch(SERVICES, status(403, "cannot watch"));
    }
    let mut story = Story::start(&fake).await;
    let said = |event: &ClusterEvent| match event {
        ClusterEvent::Problems(all) => all.iter().any(|text| text.contains("allow the verb watch")),
        _ => false,
    };
    story.until(said).await;
    story.listed(Kind::Service).await;
    story.listed(Kind::Service).await;
    assert!(!story.saw(|event| matches!(event, ClusterEvent::Kind(_, KindState::Denied(_)))));
}

#[tokio::test]
async fn a_busy_server_is_said_to_be_busy_and_left_alone_for_as_long_as_it_asks() {
    let fake = Fake::default();
    let mut busy = Answer::text(429, "Too many requests, please try again later.");
    busy.retry_after("1");
    fake.list(SERVICES, busy);
    let mut story = Story::start(&fake).await;
    let said = |state: &KindState| {
        detail(state).contains("busy: Too many requests") && detail(state).contains("(429)")
    };
    story.state(Kind::Service, said).await;
    let early = timeout(Duration::from_millis(500), story.listed(Kind::Service)).await;
    assert!(early.is_err(), "asked again before Retry-After");
    story.listed(Kind::Service).await;
}

// === Credentials ===

#[tokio::test]
async fn rotated_credentials_go_on_from_where_the_old_ones_stopped() {
    let fake = Fake::default();
    fake.list(SERVICES, list(7, &[], ""));
    let lines = vec![event("ADDED", service("a", 8))];
    fake.watch(SERVICES, Answer::Stream(lines, End::InOrder));
    let mut story = Story::start(&fake).await;
    story.until(|event| matches!(event, ClusterEvent::Applied(_))).await;
    fake.accept("new");
    let refused = |state: &KindState| detail(state).contains("refuses our credentials");
    story.state(Kind::Service, refused).await;
    story.write_kubeconfig("new");
    story.state(Kind::Service, |state| *state == KindState::Watching).await;
    assert_eq!(fake.asked(SERVICES, "limit=").len(), 1);
    assert!(!fake.asked(SERVICES, "resourceVersion=8").is_empty());
}

#[tokio::test]
async fn a_kubeconfig_that_breaks_leaves_the_connection_that_works() {
    let fake = Fake::default();
    let mut story = Story::start(&fake).await;
    story.listed(Kind::Service).await;
    fs::write(&story.kubeconfig, "clusters: [").unwrap();
    let said = |event: &ClusterEvent| match event {
        ClusterEvent::Problems(all) => all.iter().any(|text| text.contains("made before stands")),
        _ => false,
    };
    story.until(said).await;
    story.until(|event| matches!(event, ClusterEvent::Probed(true))).await;
    story.write_kubeconfig("token");
    story.until(|event| matches!(event, ClusterEvent::Problems(all) if all.is_empty())).await;
    assert!(!story.saw(|event| matches!(event, ClusterEvent::Refused(_))));
}

#[tokio::test]
async fn a_kubeconfig_that_appears_later_is_found() {
    let fake = Fake::default();
    let mut story = Story::idle(&fake).await;
    fs::remove_file(&story.kubeconfig).unwrap();
    story.run(quick());
    let refused = |event: &ClusterEvent| match event {
        ClusterEvent::Refused(reason) => reason.contains("config"),
        _ => false,
    };
    story.until(refused).await;
    story.write_kubeconfig("token");
    story.listed(Kind::Service).await;
}

// === Probes ===

#[tokio::test]
async fn an_old_server_is_probed_at_healthz_and_one_that_refuses_us_is_there() {
    for (readyz, healthz, ready) in
        [(200, 500, true), (404, 200, true), (404, 500, false), (500, 200, false), (403, 500, true)]
    {
        let fake = Fake::default();
        for _ in 0..10 {
            fake.push("/readyz", Answer::text(readyz, ""));
            fake.push("/healthz", Answer::text(healthz, ""));
        }
        let mut story = Story::start(&fake).await;
        let probed = |event: &ClusterEvent| matches!(event, ClusterEvent::Probed(_));
        let event = story.until(probed).await;
        assert!(
            matches!(event, ClusterEvent::Probed(now) if now == ready),
            "{readyz} {healthz}: {event:?}"
        );
    }
}
