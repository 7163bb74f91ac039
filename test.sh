#!/usr/bin/env bash
# Runs every test. Installs what they need from the system first, or says what is missing.
set -euo pipefail
cd "$(dirname "$0")"
.ci/install-tools
exec cargo test --workspace --no-fail-fast "$@"
