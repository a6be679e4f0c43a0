# Everyday commands. `just` without a name lists them.

default:
    @just --list

# What CI runs.
ci:
    bash .ci/run

# Formatting and lints, as CI demands them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Everything that needs no Docker: core, load, reports.
test-pure:
    cargo test -p firedrill-core -p firedrill-load -p firedrill-reports -p firedrill-synthetic

# All tests, the booted stack included.
test:
    cargo test

# Certify the reference topology.
certify:
    cargo run --release -- certify

# The boot benchmark: five boots from empty volumes, images cached.
bench-boot runs="5":
    bash harness/engine/benches/boot.sh {{runs}}

# The benchmark of injection instants: how late faults are.
bench-injection runs="200":
    bash harness/engine/benches/injection.sh {{runs}}

# Ten kills of the database primary in a row.
ten-kills:
    cargo run --release -- run ten-kills

# The unit tests of the programs inside the images.
test-images:
    bash fixtures/images/test.sh

# How punctual the fault `delay` is: 2,000 packets a row, idle and busy (docs/delay-accuracy.md).
bench-delay:
    cargo run --release -p firedrill-engine --example delay

# How fast histories of 1, 3 and 10 million purchases are read and judged, on one core (docs/measurements.md).
bench-judge *millions:
    bash harness/synthetic/benches/judge.sh {{millions}}

# The load generator beside wrk, oha, goose and Locust, on an idle machine (docs/load-benchmark.md).
bench-load *args:
    bash harness/load/benches/peers.sh build
    bash harness/load/benches/peers.sh run {{args}}

# Mutation testing of the checkers (`cargo install cargo-mutants --locked`; two hours on two cores). `just mutants -f
# '**/claims.rs'` is one of them, in minutes. What survives because properties see few cases here: PROPTEST_CASES=1000.
mutants *args="-f 'harness/core/src/checker/**'":
    CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0 INSTA_UPDATE=no PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 \
    PROPTEST_CASES=${PROPTEST_CASES:-16} \
    cargo mutants -p firedrill-core --timeout 60 {{args}} -- --lib --test checkers

# Takes the certificate of a run as a sample (`just sample runs/ID smoke`), with pictures where there is a Chromium.
sample run name:
    bash reports/samples/take.sh {{run}} {{name}}
