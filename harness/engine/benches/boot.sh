#!/usr/bin/env bash
# The boot benchmark: N boots of pretix-ha from empty volumes with cached images, each removed again; for
# every step of the breakdown the minimum, median and maximum of the seconds since the boot began.
#
#   bash harness/engine/benches/boot.sh [N]
set -euo pipefail
cd "$(dirname "$0")/../../.."
runs=${1:-5}
cargo build --release --quiet
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for ((i = 0; i < runs; i++)); do
  CI=true ./target/release/firedrill up 2>>"$log" >/dev/null
  ./target/release/firedrill down >/dev/null
done
python3 - "$log" <<'PY'
import collections, re, statistics, sys
steps = collections.defaultdict(list)
for line in open(sys.argv[1]):
    found = re.search(r"boot: +([0-9.]+) s  (.*)", line)
    if found:
        steps[found[2]].append(float(found[1]))
print(f"{'step':<60} {'min':>6} {'median':>6} {'max':>6}  n")
for step, times in sorted(steps.items(), key=lambda item: statistics.median(item[1])):
    print(f"{step:<60} {min(times):6.1f} {statistics.median(times):6.1f} {max(times):6.1f}  {len(times)}")
PY
