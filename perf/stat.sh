#!/bin/sh
# Counts what the worker does during `loadgen noop`: time, context switches, faults, system calls, and instructions
# and cache misses where the machine shows them.
#
# Usage: perf/stat.sh [options of loadgen noop ...]      default: --jobs 1_000_000 -c 100
# PERF_BINARY: a worker to count instead of this workspace's release build.
#
# See flamegraph.sh for how the script becomes the worker.
set -eu

if [ -n "${PERF_WORKER:-}" ]; then
  [ "${1:-}" = --version ] && exec "$PERF_WORKER" "$@"
  mkfifo "$PERF_DIR/control" "$PERF_DIR/ack"
  perf stat -e "$PERF_EVENTS" -o "$PERF_DIR/stat" -p $$ --delay=-1 \
    --control="fifo:$PERF_DIR/control,$PERF_DIR/ack" 2>"$PERF_DIR/perf.log" &
  echo $! >"$PERF_DIR/perf.pid"
  echo enable >"$PERF_DIR/control"
  read -r _ <"$PERF_DIR/ack"
  exec "$PERF_WORKER" "$@"
fi

root=$(cd "$(dirname "$0")/.." && pwd)
command -v perf >/dev/null || { echo "perf is missing (Debian: apt install linux-perf)" >&2; exit 1; }
PERF_DIR=$(mktemp -d)
trap 'rm -rf "$PERF_DIR"' EXIT
[ $# -gt 0 ] || set -- --jobs 1_000_000 -c 100

# What a virtual machine does not have is shown as not supported; system calls need tracefs, so root.
PERF_EVENTS=task-clock,context-switches,cpu-migrations,page-faults,cycles,instructions,branch-misses,cache-misses
perf stat -e raw_syscalls:sys_enter true 2>/dev/null && PERF_EVENTS=$PERF_EVENTS,raw_syscalls:sys_enter
export PERF_EVENTS
[ -n "${PERF_BINARY:-}" ] || cargo build --manifest-path "$root/Cargo.toml" --release --bin jiggler-uring
PERF_WORKER=${PERF_BINARY:-$root/target/release/jiggler-uring}
cargo build --manifest-path "$root/Cargo.toml" --release -p loadgen
PERF_WORKER=$PERF_WORKER PERF_DIR=$PERF_DIR "$root/target/release/loadgen" noop --runs 1 --no-limit \
  --binary "$root/perf/stat.sh" "$@"

tail --pid="$(cat "$PERF_DIR/perf.pid")" -f /dev/null
cat "$PERF_DIR/stat"
