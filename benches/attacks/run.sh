#!/usr/bin/env bash
# What floods and hoarders cost, in a network namespace of its own (needs Linux's user namespaces, or
# root, and iproute2).
#
#   benches/attacks/run.sh [SECONDS] [ATTACK...]
#
# SECONDS for each attack, 10 where none are given; the attacks are those of benches/attacks/main.rs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo bench --locked --no-run --bench attacks
ulimit -n "$(ulimit -Hn)"
exec unshare -rn sh -c '
    ip link set lo up
    ip route add local 198.18.0.0/15 dev lo
    exec cargo bench --locked --offline --bench attacks -- "$@"' sh "$@"
