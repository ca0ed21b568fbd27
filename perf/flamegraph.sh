#!/bin/sh
# Draws a flame graph of the worker during `loadgen noop`.
#
# Usage: perf/flamegraph.sh [OUT.svg] [options of loadgen noop ...]
#   perf/flamegraph.sh                                     one run of 5,000,000 jobs, graph in the temporary directory
#   perf/flamegraph.sh /tmp/unix.svg --transport unix -c 50 --jobs 1_000_000
# PERF_BINARY: a worker to record instead of this workspace's.
#
# The script hands itself to loadgen as the program to measure. Started by loadgen it attaches perf to its own pid and
# becomes the worker by exec: perf sees the real process from its first instruction, and neither Redis nor loadgen.
set -eu

if [ -n "${PERF_WORKER:-}" ]; then
  [ "${1:-}" = --version ] && exec "$PERF_WORKER" "$@"
  mkfifo "$PERF_DIR/control" "$PERF_DIR/ack"
  # cpu-clock works without hardware counters too, as in most virtual machines.
  perf record --quiet -e cpu-clock -F 1999 -g -o "$PERF_DIR/perf.data" -p $$ --delay=-1 \
    --control="fifo:$PERF_DIR/control,$PERF_DIR/ack" 2>"$PERF_DIR/perf.log" &
  echo $! >"$PERF_DIR/perf.pid"
  # Returns once perf has answered, so the first instruction of the worker is recorded.
  echo enable >"$PERF_DIR/control"
  read -r _ <"$PERF_DIR/ack"
  exec "$PERF_WORKER" "$@"
fi

root=$(cd "$(dirname "$0")/.." && pwd)
command -v perf >/dev/null || { echo "perf is missing (Debian: apt install linux-perf)" >&2; exit 1; }
command -v inferno-flamegraph >/dev/null || cargo install --locked inferno

PERF_DIR=$(mktemp -d)
trap 'rm -rf "$PERF_DIR"' EXIT
svg=${TMPDIR:-/tmp}/jiggler-uring-$(date +%Y%m%d-%H%M%S).svg
case ${1:-} in
  *.svg) svg=$1; shift ;;
esac
[ $# -gt 0 ] || set -- --jobs 5_000_000 -c 100

# A target directory of its own: other flags would rebuild everything else. Frame pointers make stacks cheap to take.
target=$root/target/profiling-fp
[ -n "${PERF_BINARY:-}" ] || RUSTFLAGS="-C force-frame-pointers=yes" \
  cargo build --manifest-path "$root/Cargo.toml" --target-dir "$target" --profile profiling --bin jiggler-uring
PERF_WORKER=${PERF_BINARY:-$target/profiling/jiggler-uring}
cargo build --manifest-path "$root/Cargo.toml" --release -p loadgen
PERF_WORKER=$PERF_WORKER PERF_DIR=$PERF_DIR "$root/target/release/loadgen" noop --runs 1 --no-limit \
  --binary "$root/perf/flamegraph.sh" "$@"

# perf ends with the worker, but writes for a moment after it.
tail --pid="$(cat "$PERF_DIR/perf.pid")" -f /dev/null
perf script -i "$PERF_DIR/perf.data" 2>>"$PERF_DIR/perf.log" | inferno-collapse-perf --all >"$PERF_DIR/folded"
[ -s "$PERF_DIR/folded" ] || { echo "perf recorded nothing:" >&2; cat "$PERF_DIR/perf.log" >&2; exit 1; }
inferno-flamegraph --title "jiggler-uring: loadgen noop $*" "$PERF_DIR/folded" >"$svg"
cp "$PERF_DIR/folded" "${svg%.svg}.folded"
echo "$svg"
