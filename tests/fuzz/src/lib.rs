//! What every fuzz target does with its octets, apart from the engine that makes them up: libFuzzer
//! calls these functions (`fuzz_targets/`), and so does a plain test (`replay.rs`), with all that
//! was ever found worth keeping (`inputs/`).

pub mod edns;
pub mod master;
pub mod name;
pub mod packet;
pub mod proxy;
pub mod state;
pub mod stream;
pub mod transfer;
pub mod tsig;
pub mod work;
pub mod world;

/// One target.
pub struct Target {
    /// As the engine and `inputs/` call it.
    pub name: &'static str,
    /// Panics where something is wrong.
    pub run: fn(&[u8]),
    /// What to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const ALL: [Target; 9] = [
    Target { name: "packet", run: packet::run, seeds: packet::seeds },
    Target { name: "name", run: name::run, seeds: name::seeds },
    Target { name: "edns", run: edns::run, seeds: edns::seeds },
    Target { name: "stream", run: stream::run, seeds: stream::seeds },
    Target { name: "master", run: master::run, seeds: master::seeds },
    Target { name: "state", run: state::run, seeds: state::seeds },
    Target { name: "tsig", run: tsig::run, seeds: tsig::seeds },
    Target { name: "transfer", run: transfer::run, seeds: transfer::seeds },
    Target { name: "proxy", run: proxy::run, seeds: proxy::seeds },
];
