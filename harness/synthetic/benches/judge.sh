#!/usr/bin/env bash
# How fast histories of 1, 3 and 10 million purchases are read and judged, on one core. Prints a Markdown table.
# usage: judge.sh [MILLIONS...]; the histories go to $TMPDIR and are removed. WRONG="Altered 1" makes every purchase one that
# something is wrong with, WRONG="TwoCodes 100" every hundredth.
set -euo pipefail
cd "$(dirname "$0")/../../.."
cargo build --quiet --release -p firedrill-synthetic --example bench_judge
bench="${CARGO_TARGET_DIR:-target}/release/examples/bench_judge"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
core="$(($(nproc) - 1))"
echo "| million purchases | million records | file (MB) | read (s) | judge (s) | both (s) | s per million | peak memory (MB) | verdict |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for millions in "${@:-1 3 10}"; do
  for count in $millions; do
    "$bench" generate "${count}000000" "$folder/history" ${SOLD_PERCENT:-50} ${DATABASES:-2} ${WRONG:-}
    taskset -c "$core" "$bench" judge "$folder/history"
  done
done
