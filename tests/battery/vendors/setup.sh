#!/bin/sh
# Prints the directory of a Python environment with what FILE (pinned requirements) lists, and makes
# it first where it is missing. Environments are cached by the content of FILE; a lock keeps tests
# that run beside each other from making the same one twice.
#
#   setup.sh FILE
set -eu

file=$1
cache=${MERIDIAN_CACHE:-$HOME/.cache/meridian}
hash=$(sha256sum "$file" | cut -c 1-16)
venv=$cache/vendors-$hash

mkdir -p "$cache"
exec 9>"$venv.lock"
flock 9
if [ ! -e "$venv/complete" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$file" >&2
    touch "$venv/complete"
fi
echo "$venv"
