#!/usr/bin/env bash
# The benchmark of injection instants: on the three containers of fixtures/topologies/cache each fault is
# planned 100 ms ahead, armed, and fired at that instant, N times; prints how many milliseconds after the
# planned instant the injecting call had returned, and for kill and stop when the node was dead by the
# kernel's word.
#
#   bash harness/engine/benches/injection.sh [N [FAULT...]]
#
# A FAULT is written as in a drill file, for example
#   bash harness/engine/benches/injection.sh 200 '{fault: partition, target: node(redis2)}'
# Without one: kill, kill-process, freeze-process, pause and stop. PROFILE=dev builds without optimisation.
set -euo pipefail
cd "$(dirname "$0")/../../.."
profile=${PROFILE:-release}
folder=$profile
[ "$profile" = dev ] && folder=debug
cargo build --quiet --profile "$profile"
cargo run --quiet --profile "$profile" -p firedrill-engine --example injection_lag -- "target/$folder/firedrill" "$@"
