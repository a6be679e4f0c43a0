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
    cargo test -p firedrill-core -p firedrill-load -p firedrill-reports

# All tests, the booted stack included.
test:
    cargo test

# Certify the reference topology.
certify:
    cargo run --release -- certify

# The boot benchmark: five boots from empty volumes, images cached.
bench-boot runs="5":
    bash harness/engine/benches/boot.sh {{runs}}

# Ten kills of the database primary in a row.
ten-kills:
    cargo run --release -- run ten-kills

# The unit tests of the programs inside the images.
test-images:
    bash fixtures/images/test.sh
