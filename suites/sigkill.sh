#!/usr/bin/env bash
# The dead man's switch, tried out: firedrill is killed with SIGKILL at random instants of a drill with a
# partition, a delay, a CPU limit and a pause, and nothing of them may be left 15 s later.
#
#     suites/sigkill.sh [TIMES] [SEED]          # 200 times takes about 30 minutes
#
# FIREDRILL is the program to try, instead of the one that is built for it.
#
# It boots the small topology `cache` once, kills a drill on it TIMES times, and looks from outside, without
# firedrill: the engine's view of pause, limits and helper containers, and rules, queueing disciplines and
# interfaces in each node's network namespace, must be what they were before. At the end the stack is
# removed and nothing that carries its label may be left.
set -euo pipefail
cd "$(dirname "$0")/.."

times=${1:-200}
RANDOM=${2:-2026}
limit_ms=15000
# From the first look at the stack until after the undo, on two cores.
drill_ms=${DRILL_MS:-9000}

firedrill=${FIREDRILL:-target/release/firedrill}
[ -n "${FIREDRILL:-}" ] || cargo build --release --quiet
work=$(mktemp -d)

now_ms() { date +%s%3N; }

# Everything that the faults of the drill can change on a node, as the kernel and the engine show it.
looks_like() {
  local node=$1 container="fd-$run-$1"
  docker inspect -f '{{.State.Status}} {{.HostConfig.NanoCpus}} {{.HostConfig.CpuQuota}} {{.HostConfig.CpuPeriod}} {{.HostConfig.Memory}}' "$container" |
    sed 's/ -1 / 0 /' # the engine's two ways to say "no quota"
  # A frozen or dead container cannot be joined: that alone is a difference.
  docker run --rm --network "container:$container" --cap-add NET_ADMIN --entrypoint sh firedrill/toolbox -c '
    for table in filter mangle nat; do
      iptables-save -t $table | grep -v "^#" | sed "s/\[[0-9:]*\]//; s/:[0-9]*$//"
    done
    tc qdisc show | sort
    ip -brief link show | sed "s/@[^ ]*//" | awk "{print \$1, \$2}" | sort' 2>&1 || true
}

helpers() { docker ps -aq --filter "label=io.firedrill.run=$run" --filter "name=toolbox" | wc -l; }

all_nodes() { for node in redis1 redis2 sentinel1; do echo "== $node"; looks_like "$node"; done; }

cleanup() { "$firedrill" down "$run" >/dev/null 2>&1 || true; rm -rf "$work"; }

"$firedrill" up --topology fixtures/topologies/cache >"$work/up" 2>&1
run=$(sed -n 's/ is up:$//p' "$work/up")
trap cleanup EXIT
all_nodes >"$work/before"

slowest=0
in_force=0
late=0
for ((i = 1; i <= times; i++)); do
  "$firedrill" run sigkill --on "$run" >"$work/drill" 2>&1 &
  harness=$!
  instant=$((RANDOM * RANDOM % drill_ms))
  # The experiment itself: a random instant.
  sleep "$(printf '%d.%03d' $((instant / 1000)) $((instant % 1000)))"
  kill -KILL "$harness" 2>/dev/null || true
  killed=$(now_ms)
  wait "$harness" 2>/dev/null || true
  if [ "$(ls "runs/.stacks/$run.undo" 2>/dev/null | wc -l)" -gt 0 ]; then in_force=$((in_force + 1)); fi
  while :; do
    looked=$(now_ms)
    left=$(helpers)
    all_nodes >"$work/after"
    # What a look shows was so at some time of it, and a look takes a second or more: its begin is a lower
    # bound, its end an upper one.
    least=$((looked - killed))
    took=$(($(now_ms) - killed))
    if [ "$left" -eq 0 ] && cmp -s "$work/before" "$work/after"; then break; fi
    if [ "$least" -gt "$limit_ms" ]; then
      echo "kill $i at $instant ms: still there after $took ms ($left helpers):" >&2
      diff "$work/before" "$work/after" >&2 || true
      exit 1
    fi
  done
  if [ "$took" -gt "$slowest" ]; then slowest=$took; fi
  if [ "$least" -gt "$limit_ms" ]; then late=$((late + 1)); fi
  printf 'kill %3d of %d at %5d ms: nothing left after %5d to %5d ms\n' "$i" "$times" "$instant" "$least" "$took"
done

"$firedrill" down "$run"
left=$(docker ps -aq --filter "label=io.firedrill.run=$run" | wc -l)
left=$((left + $(docker network ls -q --filter "label=io.firedrill.run=$run" | wc -l)))
left=$((left + $(docker volume ls -q --filter "label=io.firedrill.run=$run" | wc -l)))
echo "$times kills, $in_force of them with faults in force; nothing left, at the latest after $slowest ms ($late later than $limit_ms ms); $left things left of the stack"
[ "$left" -eq 0 ] && [ "$late" -eq 0 ]
