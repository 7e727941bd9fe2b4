//! What servers of dynamic updates refuse, and how it is said.

use crate::{
    nameserver::NameServer,
    place::{Place, ZONE, global, wait_for},
    target::Target,
};
use meridian::{
    controller,
    model::{Moment, Name},
    plan::Failure,
    provider::{Reading, Rfc2136Settings, Settings, TsigAlgorithm, TsigKey},
};
use std::time::Duration;

fn settings(server: &NameServer, key: &str) -> Settings {
    let secret = data_encoding::BASE64.decode(server.secret.as_bytes()).unwrap();
    let key = TsigKey { name: key.parse().unwrap(), algorithm: TsigAlgorithm::Sha256, secret };
    Settings::Rfc2136(Rfc2136Settings {
        server: format!("127.0.0.1:{}", server.port),
        key: Some(key),
        reading: Reading::Axfr,
    })
}

fn read(settings: &Settings, clock: fn() -> Moment) -> Result<usize, Failure> {
    let zone: Name = ZONE.parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listing = runtime.block_on(settings.provider(clock).read(&zone, &[]))?;
    Ok(listing.len())
}

fn ten_minutes_slow() -> Moment {
    let now = controller::now();
    Moment { wall: now.wall - Duration::from_secs(600), ..now }
}

#[test]
fn a_clock_that_is_ten_minutes_off_is_said_to_be() {
    for server in [NameServer::bind(ZONE), NameServer::knot(ZONE)] {
        let failed = read(&settings(&server, "meridian"), ten_minutes_slow).unwrap_err();
        let Failure::Denied(text) = &failed else { panic!("{failed:?}") };
        assert!(text.contains("clocks are more than 300 s apart"), "{text}");
        assert_eq!(read(&settings(&server, "meridian"), controller::now), Ok(1), "NS alone");
    }
}

#[test]
fn a_key_that_the_server_does_not_know_is_named() {
    for server in [NameServer::bind(ZONE), NameServer::knot(ZONE)] {
        let failed = read(&settings(&server, "unknown"), controller::now).unwrap_err();
        let Failure::Denied(text) = &failed else { panic!("{failed:?}") };
        assert!(text.contains("BADKEY"), "{text}");
    }
}

#[test]
fn a_server_that_is_not_there_is_out_of_reach() {
    let server = NameServer::bind(ZONE);
    let gone = settings(&server, "meridian");
    drop(server);
    let failed = read(&gone, controller::now).unwrap_err();
    assert!(matches!(failed, Failure::Unavailable(_)), "{failed:?}");
}

#[test]
fn a_server_without_transfers_is_asked_name_by_name() {
    let server = NameServer::bind_without_transfer(ZONE);
    let place = Place::new(&server.publish());
    for (name, text) in server.files() {
        place.file(&name, &text);
    }
    place.serve("aws", "shop", &["1.2.3.1"]);
    let running = place.start();
    let problem =
        wait_for("the reason", || running.status()["problem"].as_str().map(str::to_owned));
    assert!(problem.contains("read: query"), "{problem}");
    place.configure(&server.publish().replace("look: 30s", "look: 30s, read: query"), "");
    let name = global("shop");
    let asked = |expected: &str| {
        wait_for(&format!("{expected}; {}", running.status()), || {
            (server.dig(&["+short", &name]).trim() == expected).then_some(())
        });
    };
    asked("1.2.3.1");
    place.serve("aws", "shop", &["1.2.3.2"]);
    asked("1.2.3.2");
    drop(running);
    let running = place.start();
    running.phase("inStep");
    place.delete("aws", "shop");
    wait_for(&format!("nothing; {}", running.status()), || {
        server.dig(&["+short", &name]).trim().is_empty().then_some(())
    });
}

#[test]
fn what_does_not_fit_one_message_is_written_in_several() {
    for server in [NameServer::bind(ZONE), NameServer::knot(ZONE), NameServer::powerdns(ZONE)] {
        let place = Place::new(&server.publish());
        for (name, text) in server.files() {
            place.file(&name, &text);
        }
        // Names and texts as long as may be: a hundred of them take more than 65,535 octets.
        let label = "y".repeat(60);
        let text = "z".repeat(250);
        let line = |one: u8| format!("n{one}.{label}.{label}.{label} 60 TXT \"{text}\"\n");
        place.file("more.zone", &(0..150).map(line).collect::<String>());
        place.configure(&server.publish(), "  masterFile: more.zone\n");
        let running = place.start();
        running.phase("inStep");
        let last = format!("n149.{label}.{label}.{label}.{ZONE}");
        assert!(server.dig(&["+short", &last, "TXT"]).contains(&text));
        assert_eq!(running.status()["setAside"].as_array().unwrap().len(), 0);
    }
}
