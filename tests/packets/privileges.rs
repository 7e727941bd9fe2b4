//! Started as root: what is left of it once the sockets are bound.

use super::handover::{Place, Process, flood, over_tcp, wait};
use super::*;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

/// A place whose files others may read, and an address whose port asks for privileges; `None`, said
/// loudly, where the tests do not run as root.
fn place() -> Option<Place> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can start as root");
        return None;
    }
    let mut place = Place::new();
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Of each test and each run another: a port that is free now may be another test's in a moment.
    static NEXT: AtomicU8 = AtomicU8::new(2);
    let [run, ..] = std::process::id().to_le_bytes();
    let free = |address: &SocketAddr| {
        UdpSocket::bind(address).is_ok() && std::net::TcpListener::bind(address).is_ok()
    };
    place.dns = std::iter::repeat_with(|| NEXT.fetch_add(1, Relaxed))
        .map(|last| SocketAddr::from(([127, 77, run, last], 53)))
        .find(free)
        .unwrap();
    Some(place)
}

/// A line of what the kernel says of each thread.
fn of_each_thread(process: Pid, about: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).unwrap();
    let status = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("status")));
    let line = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(about)).unwrap().to_owned();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    status.map(|text| line(text.unwrap())).collect()
}

fn nobody() -> (u32, u32) {
    let id = |flag| {
        let output = Command::new("id").args([flag, "nobody"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    (id("-u"), id("-g"))
}

fn assert_is_nobody(process: Pid) {
    let (uid, gid) = nobody();
    for (about, expected) in [
        ("Uid:", [uid; 4].map(|own| own.to_string()).join(" ")),
        ("Gid:", [gid; 4].map(|own| own.to_string()).join(" ")),
        ("CapPrm:", "0000000000000000".to_owned()),
        ("CapEff:", "0000000000000000".to_owned()),
    ] {
        let threads = of_each_thread(process, about);
        assert!(threads.len() > 2, "its threads: {threads:?}");
        assert!(threads.iter().all(|own| *own == expected), "{about} {threads:?}");
    }
    let groups = of_each_thread(process, "Groups:");
    assert!(groups.iter().all(|own| *own == gid.to_string()), "{groups:?}");
}

#[test]
fn every_thread_is_another_user_for_good_and_it_answers_on_a_low_port_through_upgrades() {
    let Some(place) = place() else { return };
    let first = place.start(&["--user", "nobody"]);
    place.until_asked(&first);
    assert_is_nobody(first.pid());
    assert_eq!((over_tcp(place.dns, 3)(), flood(place.dns, 10)()), ((3, 0), (10, 0)));
    let state = place.folder.path().join("state");
    let owner = |path| fs::metadata(path).unwrap().uid();
    assert_eq!(owner(state.clone()), nobody().0);
    assert_eq!(owner(state.join("cookie-secret")), nobody().0);

    // One that is started by root, and one that has no more rights than the process before it.
    let second = place.start(&["--user", "nobody", "--take-over"]);
    place.until_asked(&second);
    assert_is_nobody(second.pid());
    ended_well(first);
    kill_process(second.pid(), Signal::USR2).unwrap();
    wait(|| place.serving_process().is_some_and(|pid| pid != second.pid()));
    let third = place.serving_process().unwrap();
    assert_is_nobody(third);
    ended_well(second);
    assert_eq!((over_tcp(place.dns, 3)(), flood(place.dns, 10)()), ((3, 0), (10, 0)));
    kill_process(third, Signal::INT).unwrap();
    wait(|| place.serving_process().is_none());
}

fn ended_well(mut process: Process) {
    process.ends_well();
}

#[test]
fn a_state_directory_that_the_user_cannot_write_is_an_error_that_says_what_to_do() {
    let Some(place) = place() else { return };
    fs::create_dir(place.folder.path().join("state")).unwrap();
    let mut process = place.start(&["--user", "nobody"]);
    assert!(!process.child.wait().unwrap().success());
    process.says("chown -R");
}
