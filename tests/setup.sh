#!/usr/bin/env bash
# Installs what the tests use beside cargo: DNS tools from Debian's packages, the API server and
# etcd for tests/cluster (built once, cached by content). `setup.sh cargo-deny` prints where
# cargo-deny is, after building it once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/meridian"

if [ "${1:-}" = cargo-deny ]; then
  version=0.19.0
  if command -v cargo-deny >/dev/null; then command -v cargo-deny; exit 0; fi
  root="$cache/cargo-deny-$version"
  if [ ! -x "$root/bin/cargo-deny" ]; then
    echo "building cargo-deny $version; this is done once" >&2
    cargo install cargo-deny --version "$version" --locked --root "$root" >&2
  fi
  echo "$root/bin/cargo-deny"
  exit 0
fi

missing=()
for need in dig:bind9-dnsutils kdig:knot-dnsutils named-checkzone:bind9-utils \
  /usr/sbin/gdnsd:gdnsd /usr/sbin/knotd:knot \
  /usr/sbin/named:bind9 /usr/sbin/nsd:nsd mmdblookup:mmdb-bin \
  dnstap-read:bind9-dnsutils fstrm_capture:fstrm-bin ldns-verify-zone:ldnsutils /usr/sbin/unbound:unbound dnsviz:dnsviz; do
  command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
if ! ls /usr/lib/*/knot/modules-*/geoip.so >/dev/null 2>&1; then missing+=(knot-module-geoip); fi
if [ ! -e /usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql ]; then
  missing+=(pdns-backend-sqlite3)
fi
if [ ${#missing[@]} -gt 0 ]; then
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    # The tests start servers themselves; Debian's packages must not start one on port 53.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod 755 "$policy"
      trap 'rm -f "$policy"' EXIT
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  else
    echo "install ${missing[*]} (Debian's names) to run the tests that use them" >&2
  fi
fi
"$here/cluster/assets/build.sh" >/dev/null
