#!/usr/bin/env bash
# Finds or builds kube-apiserver, etcd and kubectl for tests/cluster/; prints their directory.
#
# KUBEBUILDER_ASSETS wins when it holds them. Else they are built once, from the pinned modules
# beside this script, into a cache directory named by what it is built from.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  if [ -x "$KUBEBUILDER_ASSETS/kube-apiserver" ] && [ -x "$KUBEBUILDER_ASSETS/etcd" ]; then
    echo "$KUBEBUILDER_ASSETS"
    exit 0
  fi
  echo "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS holds no kube-apiserver and etcd; building them" >&2
fi

sum=$(cat "$here/go.mod" "$here/go.sum" "$here/build.sh" | sha256sum | cut -c1-16)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/meridian"
out="$cache/kube-assets-$sum"
mkdir -p "$cache"
exec 9>"$cache/kube-assets.lock"
flock 9
if [ -x "$out/kube-apiserver" ] && [ -x "$out/etcd" ] && [ -x "$out/kubectl" ]; then
  echo "$out"
  exit 0
fi

command -v go >/dev/null || PATH="$PATH:/usr/local/go/bin"
if ! command -v go >/dev/null; then
  echo "tests/cluster needs Go 1.26 or later to build kube-apiserver once; install it, or point" >&2
  echo "KUBEBUILDER_ASSETS at a directory with kube-apiserver and etcd" >&2
  exit 1
fi

kubernetes=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$here/go.mod")
minor=$(echo "$kubernetes" | cut -d. -f2)
v=k8s.io/component-base/version
stamp="-s -w -X $v.gitVersion=$kubernetes -X $v.gitMajor=1 -X $v.gitMinor=$minor -X $v.gitTreeState=clean"
tmp=$(mktemp -d "$cache/kube-assets.XXXXXX")
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
mv "$tmp" "$out"
trap - EXIT
chmod 755 "$out"
echo "$out"
