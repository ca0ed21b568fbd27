"""dramatiq: no-op jobs, run by one worker of the library in this process.

noop.py enqueue URL JOBS
noop.py work URL THREADS JOBS    prints `first NS` and `last NS` of the monotonic clock, until it is ended
"""

import itertools
import signal
import sys
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

order, url, *numbers = sys.argv[1:]
jobs = int(numbers[-1])
dramatiq.set_broker(RedisBroker(url=url))
done = itertools.count(1)  # Its next() is atomic.


def mark(name):
    print(name, time.monotonic_ns(), flush=True)


@dramatiq.actor(max_retries=0)
def noop():
    number = next(done)
    if number == 1:
        mark("first")
    if number == jobs:
        mark("last")


if order == "enqueue":
    for _ in range(jobs):
        noop.send()
else:
    worker = dramatiq.Worker(dramatiq.get_broker(), worker_threads=int(numbers[0]))
    worker.start()
    signal.sigwait([signal.SIGTERM])
    worker.stop()
