# Runs a scenario of loadgen with perf attached to the worker and to Redis. Sourced by flamegraph.sh and stat.sh, which
# define
#   attach NAME PID   starts perf on a process (NAME is worker or redis), its output in $PERF_DIR/NAME.$$.*, its commands
#                     from the fifos $PERF_DIR/NAME.$$.control and .ack
#   finish            makes of that output what is shown; $SCENARIO, $OUT and the scenario's options are set
#
# loadgen is given two small programs in the place of worker and Redis. Redis's notes its pid and becomes Redis by exec.
# The worker's attaches perf to itself and to that Redis and becomes the worker by exec: perf sees the worker from its
# first instruction, Redis while a worker lives, and loadgen not at all.
# In the scenario enqueue there is no worker: loadgen itself, which pushes, stands in its place, and Redis is seen whole.

# Starts perf on a process and returns when it records.
begin() {
  mkfifo "$PERF_DIR/$1.$$.control" "$PERF_DIR/$1.$$.ack"
  attach "$1" "$2" &
  echo $! >"$PERF_DIR/$1.$$.pid"
  echo enable >"$PERF_DIR/$1.$$.control"
  read -r _ <"$PERF_DIR/$1.$$.ack"
}

# Has perf stop and write what it has. Opened both ways, the fifo of one that has ended keeps nobody waiting.
end() {
  echo stop 1<>"$PERF_DIR/$1.$$.control"
}

case ${PERF_ROLE:-} in
redis)
  echo $$ >"$PERF_DIR/redis.pid"
  [ -z "${PERF_PRODUCER:-}" ] || begin redis $$ 2>>"$PERF_DIR/perf.log"
  exec redis-server "$@"
  ;;
producer)
  begin worker $$ 2>>"$PERF_DIR/perf.log"
  # It starts other programs, whose part is none of it.
  unset PERF_ROLE
  exec "$PERF_WORKER" "$@"
  ;;
worker)
  # shellcheck disable=SC2086 # A program and, for loadgen's own worker, its subcommand.
  [ "${1:-}" = --version ] && exec $PERF_WORKER "$@"
  begin redis "$(cat "$PERF_DIR/redis.pid")" 2>>"$PERF_DIR/perf.log"
  begin worker $$ 2>>"$PERF_DIR/perf.log"
  # Redis outlives the worker: its perf ends with it. The worker's own ends by itself, but not always.
  (tail --pid=$$ -f /dev/null; end redis; end worker) >/dev/null 2>&1 &
  # shellcheck disable=SC2086
  exec $PERF_WORKER "$@"
  ;;
esac

usage() {
  sed -n '/^# Usage:/,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "$0"
  exit "$1"
}

case ${1:-} in
-h | --help) usage 0 ;;
'' | -*) usage 2 >&2 ;;
esac
SCENARIO=$1
shift
OUT=
if [ "${1:-}" = -o ]; then
  OUT=${2:?-o needs a folder}
  shift 2
fi

command -v perf >/dev/null || { echo "perf is missing (Debian: apt install linux-perf)" >&2; exit 1; }
command -v redis-server >/dev/null || { echo "redis-server is missing (Debian: apt install redis-server)" >&2; exit 1; }
root=$(cd "$(dirname "$0")/.." && pwd)
PERF_DIR=$(mktemp -d)
trap 'rm -rf "$PERF_DIR"' EXIT

# One worker and nothing beside it, where the scenario would have more.
case $SCENARIO in
noop) [ $# -gt 0 ] || set -- --jobs 2_000_000 -c 100; set -- --runs 1 --no-limit "$@" ;;
cpu) [ $# -gt 0 ] || set -- --jobs 1_000 -c 10 --cores 1; set -- --runs 1 "$@" ;;
file | due | enqueue) set -- --runs 1 "$@" ;;
esac

# build PROFILE TARGET: the worker that the scenario needs, as words of a command, in $PERF_WORKER.
build() {
  case $SCENARIO in
  file | http | pg | latency | mixed | due | recovery) package=loadgen program="loadgen worker" ;;
  enqueue) package=loadgen program=loadgen ;;
  *) package=jiggler-uring program=jiggler-uring ;;
  esac
  cargo build --manifest-path "$root/Cargo.toml" --target-dir "$2" --profile "$1" -p $package --bin "${program%% *}"
  PERF_WORKER=$2/$1/$program
}

# run: measures, then waits until perf has written everything.
run() {
  cargo build --manifest-path "$root/Cargo.toml" --release -p loadgen
  for role in worker redis producer; do
    printf '#!/bin/sh\nPERF_ROLE=%s exec "%s" "$@"\n' $role "$root/perf/$(basename "$0")" >"$PERF_DIR/be-$role"
    chmod +x "$PERF_DIR/be-$role"
  done
  export PERF_DIR PERF_WORKER
  loadgen=$root/target/release/loadgen
  if [ "$SCENARIO" = enqueue ]; then
    loadgen=$PERF_DIR/be-producer
    export PERF_PRODUCER=yes
  else
    set -- "$@" --binary "$PERF_DIR/be-worker"
  fi
  "$loadgen" "$SCENARIO" "$@" --redis-server "$PERF_DIR/be-redis" --csv "$PERF_DIR/figures.csv"
  for pid in "$PERF_DIR"/*.*.pid; do
    tail --pid="$(cat "$pid")" -f /dev/null
  done
}
