#!/bin/sh
# Draws flame graphs of the worker and of Redis during a scenario of loadgen.
#
# Usage: perf/flamegraph.sh SCENARIO [-o DIR] [options of loadgen SCENARIO ...]
#   perf/flamegraph.sh noop                            2,000,000 no-op jobs, 100 in flight
#   perf/flamegraph.sh noop -o /tmp/unix --transport unix -c 50 --jobs 1_000_000
#   perf/flamegraph.sh latency --rate 1_000 -s 5 -r 1
# Writes worker.svg and redis.svg, and the folded stacks beside them, to DIR [default: a new temporary directory].
# PERF_BINARY: a worker to record instead of this workspace's.
set -eu

# cpu-clock works without hardware counters too, as in most virtual machines. Our build has frame pointers; packaged Redis
# has none, so its stacks are copied and unwound, which costs more: fewer of them.
attach() {
  case $1 in
  worker) stacks=fp rate=1999 ;;
  redis) stacks=dwarf,16384 rate=499 ;;
  esac
  exec perf record --quiet -e cpu-clock -F $rate --call-graph $stacks -o "$PERF_DIR/$1.$$.data" -p "$2" --delay=-1 \
    --control="fifo:$PERF_DIR/$1.$$.control,$PERF_DIR/$1.$$.ack"
}

draw() {
  for data in "$PERF_DIR/$1".*.data; do
    perf script --no-inline -i "$data" 2>>"$PERF_DIR/perf.log" | inferno-collapse-perf --all >>"$OUT/$1.folded"
  done
  [ -s "$OUT/$1.folded" ] || { echo "perf recorded nothing of the $1:" >&2; cat "$PERF_DIR/perf.log" >&2; exit 1; }
  # Samples of the CPU clock count nanoseconds. What is a pixel or two wide is left out: a start's deep stacks, no names.
  inferno-flamegraph --title "$1: loadgen $2" --countname ns --minwidth 0.2 "$OUT/$1.folded" >"$OUT/$1.svg"
  echo "$OUT/$1.svg"
}

. "$(dirname "$0")/under-load.sh"

command -v inferno-flamegraph >/dev/null || cargo install --locked inferno
# A target directory of its own: other flags would rebuild everything else. Frame pointers make stacks cheap to take.
if [ -n "${PERF_BINARY:-}" ]; then
  PERF_WORKER=$PERF_BINARY
else
  RUSTFLAGS="-C force-frame-pointers=yes"
  export RUSTFLAGS
  build profiling "$root/target/profiling-fp"
  unset RUSTFLAGS
fi
run "$@"
OUT=${OUT:-$(mktemp -d "${TMPDIR:-/tmp}/flamegraph-$SCENARIO-XXXXXX")}
mkdir -p "$OUT"
rm -f "$OUT/worker.folded" "$OUT/redis.folded"
draw worker "$SCENARIO $*"
draw redis "$SCENARIO $*"
