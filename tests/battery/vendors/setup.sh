#!/usr/bin/env bash
# Makes a Python environment with what a requirements file pins, once per content of the file, and
# prints its directory: setup.sh azure.txt
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
file="$1"
[ -e "$file" ] || file="$here/$1"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/meridian"
venv="$cache/vendors-$(sha256sum "$file" | cut -c 1-16)"
mkdir -p "$cache"
exec 9>"$venv.lock"
flock 9 # tests run side by side
if [ ! -e "$venv/complete" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$file" >&2
  touch "$venv/complete"
fi
echo "$venv"
