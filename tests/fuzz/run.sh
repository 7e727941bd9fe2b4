#!/usr/bin/env bash
# Fuzzes every target (or those named) for so many seconds each, two (JOBS) at a time, and keeps what
# found something new in tests/fuzz/inputs/.
#
#   [JOBS=N] tests/fuzz/run.sh [SECONDS] [TARGET...]
#
# Needs a nightly toolchain (rustup toolchain install nightly) and cargo-fuzz (cargo install
# cargo-fuzz --locked). No sanitizer: the crate has no unsafe code, and without one it is twice as
# fast. What fails is left in tests/fuzz/artifacts/TARGET/.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-600}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls inputs)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fuzz() { (cd ../.. && cargo +nightly fuzz "$1" --fuzz-dir tests/fuzz --sanitizer none "${@:2}"); }

# An input on each line, in base 64; the engine wants a file for each.
unpack() {
    mkdir -p "$work/$1" "$work/$1.least"
    local at=0
    while read -r line; do
        base64 -d <<< "$line" > "$work/$1/$((at += 1))"
    done < "inputs/$1"
}

pack() {
    for file in "$work/$1.least"/*; do
        base64 -w0 "$file"
        echo
    done | awk 'length < 12000' | LC_ALL=C sort -u | awk '{ print length, $0 }' | sort -n -s -k1,1 | cut -d' ' -f2- > "$work/$1.packed"
    # Short ones say most; the rest would only make the repository large.
    head -c 140000 "$work/$1.packed" | sed '$d' > "$work/$1.short"
    if [ "$(wc -c < "$work/$1.packed")" -le 140000 ]; then cp "$work/$1.packed" "$work/$1.short"; fi
    cp "$work/$1.short" "inputs/$1"
}

one() {
    unpack "$1"
    local status=0
    fuzz run "$1" "$work/$1" -- -max_total_time="$seconds" -max_len=8192 -timeout=60 \
        -rss_limit_mb=4096 -print_final_stats=1 > "$work/$1.log" 2>&1 || status=$?
    fuzz cmin "$1" "$work/$1" > "$work/$1.cmin" 2>&1 && cp "$work/$1"/* "$work/$1.least" && pack "$1"
    echo "$1: $(grep -E 'cov: ' "$work/$1.log" | tail -1 | tr -s '\t ' ' '); $(grep -E 'number_of_executed_units' "$work/$1.log" | tr -s ' '); kept $(wc -l < "inputs/$1")"
    [ "$status" = 0 ] || { echo "$1 FAILED:"; tail -40 "$work/$1.log"; }
    return "$status"
}

fuzz build
failed=0
pids=()
for target in "${targets[@]}"; do
    if [ "${#pids[@]}" -ge "${JOBS:-2}" ]; then
        wait -n || failed=1
        pids=("${pids[@]:1}")
    fi
    one "$target" &
    pids+=("$!")
done
for _ in "${pids[@]}"; do wait -n || failed=1; done
exit "$failed"
