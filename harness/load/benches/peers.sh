#!/usr/bin/env bash
# The load generator beside its peers: `just bench-load`, or in two steps `peers.sh build` and `peers.sh run`.
#
# `build` puts our benchmark program, oha, goose and Locust into target/; nginx and wrk are packages of the
# distribution and are asked for. `run` measures, one after the other on a machine that should be idle, and
# prints the table of docs/load-benchmark.md. What is missing is said in the table.
set -euo pipefail
cd "$(dirname "$0")/../../.."

OHA=1.16.0
LOCUST=2.47.0
peers=target/peers

build() {
    cargo build --release -p firedrill-load --example bench_load
    if ! "$peers/bin/oha" --version 2>/dev/null | grep -qF "$OHA"; then
        cargo install oha --version "$OHA" --locked --root "$peers" --target-dir "$peers/build/oha"
    fi
    cargo build --release --manifest-path harness/load/benches/goose/Cargo.toml --target-dir "$peers/build/goose"
    if ! "$peers/locust/bin/locust" --version 2>/dev/null | grep -qF "$LOCUST"; then
        python3 -m venv "$peers/locust"
        "$peers/locust/bin/pip" install --quiet "locust==$LOCUST"
    fi
    for tool in nginx wrk; do
        command -v "$tool" >/dev/null || echo "$tool is missing: install the package of that name" >&2
    done
}

run() {
    python3 harness/load/benches/peers.py "$@"
}

step="${1:-all}"
shift || true
case "$step" in
    build) build ;;
    run) run "$@" ;;
    all) build && run "$@" ;;
    *) echo "usage: peers.sh [build | run [--seconds N] [--rounds N]]" >&2 && exit 2 ;;
esac
