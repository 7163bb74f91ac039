#!/usr/bin/env bash
# Runs every test. Installs what they need from the system first, or says what is missing. Where Go is there, the real tools are built too
# (ten minutes, once), and no test is passed over; where it is not, the tests that need them say SKIPPED.
set -euo pipefail
cd "$(dirname "$0")"
.ci/install-tools
if command -v go >/dev/null 2>&1 || [ -n "${CAPSTAN_REQUIRE_TOOLS:-}" ]; then
    # The program that builds them is built with the tests, so that nothing is compiled twice.
    cargo test --quiet --workspace --no-run
    "${CARGO_TARGET_DIR:-target}/debug/capstan-integration" tools
    export CAPSTAN_REQUIRE_TOOLS=1
fi
exec cargo test --workspace --no-fail-fast "$@"
