#!/bin/sh
# Counts what worker and Redis do during a scenario of loadgen, in all and per job: CPU time, context switches, faults,
# system calls, entries into the ring, and instructions and cache misses where the machine shows them.
#
# Usage: perf/stat.sh SCENARIO [-o FILE] [options of loadgen SCENARIO ...]
#   perf/stat.sh noop                                  2,000,000 no-op jobs, 100 in flight
#   perf/stat.sh noop --jobs 1_000_000 -c 10 --transport unix
# PERF_BINARY: a worker to count instead of this workspace's release build.
set -eu

attach() {
  exec perf stat -x , -e "$PERF_EVENTS" -o "$PERF_DIR/$1.$$.stat" -p "$2" --delay=-1 \
    --control="fifo:$PERF_DIR/$1.$$.control,$PERF_DIR/$1.$$.ack"
}

. "$(dirname "$0")/under-load.sh"

# What a virtual machine does not have is left out; system calls need tracefs, so root.
PERF_EVENTS=task-clock
for event in context-switches cpu-migrations page-faults raw_syscalls:sys_enter syscalls:sys_enter_io_uring_enter \
  cycles instructions branch-misses cache-misses; do
  if perf stat -x , -e $event true 2>&1 | grep -q "^[0-9.]*,[^,]*,$event"; then
    PERF_EVENTS=$PERF_EVENTS,$event
  else
    echo "not counted here: $event" >&2
  fi
done
export PERF_EVENTS
if [ -n "${PERF_BINARY:-}" ]; then PERF_WORKER=$PERF_BINARY; else build release "$root/target"; fi
run "$@"

# Each run of a table of drained jobs has one line of its seconds, whose row ends with `N jobs`.
jobs=$(sed -n 's/.* \([0-9]*\) jobs",seconds,.*/\1/p' "$PERF_DIR/figures.csv" | awk '{ sum += $1 } END { print sum + 0 }')
[ "$jobs" -gt 0 ] || echo "this scenario has no fixed number of jobs: totals alone" >&2
table() {
  echo "| process | event | total | per job |"
  echo "|---|---|---|---|"
  for name in worker redis; do
    cat "$PERF_DIR/$name".*.stat | awk -F , -v name=$name -v jobs="$jobs" '
      /^[0-9]/ { if (!($3 in sum)) order[++events] = $3; sum[$3] += $1; unit[$3] = $2 }
      END {
        for (at = 1; at <= events; at++) {
          event = order[at]
          per_job = jobs > 0 ? sprintf("%.4f", sum[event] / jobs) : "-"
          if (event == "task-clock") {
            if (jobs > 0) per_job = sprintf("%.3f µs", sum[event] * 1000 / jobs)
            printf "| %s | CPU time | %.0f ms | %s |\n", name, sum[event], per_job
          } else printf "| %s | %s | %.0f | %s |\n", name, event, sum[event], per_job
        }
      }'
  done
}
table | tee ${OUT:+"$OUT"}
