#!/bin/sh
# Writes ../src/sim/schema/kubernetes.table: what the simulated API server knows of the built-in kinds.
# Needs Go; the modules are fetched by the Go tool and are read, not compiled.
set -eu
cd "$(dirname "$0")"
staging=v0.36.3
kubernetes=v1.36.3
dir() { GOFLAGS=-mod=mod go mod download -json "$1@$2" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'; }
go run . \
  -api "$(dir k8s.io/api $staging)" \
  -apimachinery "$(dir k8s.io/apimachinery $staging)" \
  -apiextensions "$(dir k8s.io/apiextensions-apiserver $staging)" \
  -aggregator "$(dir k8s.io/kube-aggregator $staging)" \
  -kubernetes "$(dir k8s.io/kubernetes $kubernetes)" \
  > ../src/sim/schema/kubernetes.table
