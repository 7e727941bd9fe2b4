#!/usr/bin/env bash
# Measures Meridian beside other authoritative servers on the same names and queries, in one run.
#
#   PEERS=path/to/peers.py benches/peers/run.sh [SERVER...]        default: gdnsd-geo nsd
#
# STEERED=1 gives each service a geo policy, as gdnsd-geo has; peers.py sends a client subnet with
# every query either way.
#
# SUITE="subnets dnssec tcp" runs scenarios of suite.py instead, which says what they are.
#
# peers.py starts the others (Debian's gdnsd and nsd; dnsperf makes the load); this script writes
# the same fleet as manifests and starts Meridian on CPU 0. Needs python3 with venv.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -gt 0 ] || set -- gdnsd-geo nsd
peers=${PEERS:?"set PEERS to peers.py"}
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT

cargo build --release --locked --manifest-path "$here/../../Cargo.toml"
target=${CARGO_TARGET_DIR:-$here/../../target}
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install dnspython==2.8.0 mmdb_writer==0.2.5
if [ -n "${SUITE:-}" ]; then
  # shellcheck disable=SC2086 # words
  "$work/venv/bin/python" "$here/suite.py" "$peers" "$target/release/meridian" "$work" $SUITE
  exit
fi
"$work/venv/bin/python" "$here/fleet.py" "$work" "${SERVICES:-1000}" ${STEERED:+steered}
taskset -c 0 "$target/release/meridian" run --no-state --config "$work/config" \
  --dns-listen 127.0.0.1:5499 --web-listen 127.0.0.1:5498 --no-dns-rrl 2>"$work/log" &
pid=$!
BENCH_MMDB="$work/country.mmdb" "$work/venv/bin/python" "$peers" --services "${SERVICES:-1000}" \
  --rounds 3 --seconds 3 "$@" --extra "meridian=5499=$pid"
