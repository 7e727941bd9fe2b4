#!/usr/bin/env bash
# Finds or builds kube-apiserver, etcd and kubectl for tests/cluster/; prints their directory.
#
# KUBEBUILDER_ASSETS wins when it holds them. Else they are built once, from the pinned modules
# beside this script, into a cache directory named by what it is built from.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

complete() { [ -x "$1/kube-apiserver" ] && [ -x "$1/etcd" ] && [ -x "$1/kubectl" ]; }
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  if complete "$KUBEBUILDER_ASSETS"; then
    cd "$KUBEBUILDER_ASSETS" && pwd
    exit 0
  fi
  echo "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks kube-apiserver, etcd or kubectl; building them" >&2
fi

sum=$(cat "$here/go.mod" "$here/go.sum" "$here/build.sh" | sha256sum | cut -c1-16)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/meridian"
out="$cache/kube-assets-$sum"
if complete "$out"; then echo "$out"; exit 0; fi
mkdir -p "$cache"
exec 9>"$cache/kube-assets.lock"
flock 9
if complete "$out"; then echo "$out"; exit 0; fi

command -v go >/dev/null || PATH="$PATH:/usr/local/go/bin"
have=none
if command -v go >/dev/null; then
  have=$(cd / && GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//; s/ .*//') # such as 1.26.8
fi
need=$(awk '$1 == "go" { print $2; exit }' "$here/go.mod")
if [ "$have" = none ] || [ "$(printf '%s\n' "$need" "$have" | sort -V | head -n 1)" != "$need" ]; then
  echo "tests/cluster builds kube-apiserver once, with Go $need or later; found: $have. Install it, or" >&2
  echo "point KUBEBUILDER_ASSETS at a directory with kube-apiserver, etcd and kubectl" >&2
  exit 1
fi

kubernetes=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$here/go.mod")
minor=$(echo "$kubernetes" | cut -d. -f2)
v=k8s.io/component-base/version
stamp="-s -w -X $v.gitVersion=$kubernetes -X $v.gitMajor=1 -X $v.gitMinor=$minor -X $v.gitTreeState=clean"
tmp=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=readonly
cd "$here"
build() { # name, package, linker flags
  echo "building $1 ($(date +%T)); this is done once and takes some minutes" >&2
  go build -p 2 -trimpath -ldflags "$3" -o "$tmp/$1" "$2" >&2
}
build etcd go.etcd.io/etcd/server/v3 "-s -w"
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "$stamp"
build kubectl k8s.io/kubernetes/cmd/kubectl "$stamp"
chmod 755 "$tmp"
rm -rf "$out" # incomplete, or it would have been used
mv -T "$tmp" "$out"
trap - EXIT
echo "$out"
