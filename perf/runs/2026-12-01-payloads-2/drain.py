#!/usr/bin/env python3
"""How many jobs a second a worker drains, by payload size, beside redis-benchmark's pipelined RPOP right before each run.

Usage: drain.py WORKER [RUNS], a program that takes the flags of jiggler-uring; redis-server and redis-benchmark on the PATH.
Beside the rates stands what a job costs Redis, the processor time of its main thread, which other work on the machine
changes less.
"""
import os, re, socket, statistics, subprocess, sys, tempfile, time

worker, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
PORT, QUEUE, TOTAL = 7913, "jiggler:list:default", 200_000_000
server = subprocess.Popen(
    ["redis-server", "--port", str(PORT), "--bind", "127.0.0.1", "--save", "", "--dir", tempfile.mkdtemp()],
    stdout=subprocess.DEVNULL)
while True:
    try:
        sock = socket.create_connection(("127.0.0.1", PORT))
        break
    except OSError:
        time.sleep(0.05)
file = sock.makefile("rb", 1 << 20)


def pack(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def read():
    line = file.readline()[:-2]
    if line[:1] == b"-":
        raise RuntimeError(line)
    if line[:1] == b"$":
        return None if line == b"$-1" else file.read(int(line[1:]) + 2)[:-2]
    return int(line[1:]) if line[:1] == b":" else line[1:]


def run(*words):
    sock.sendall(pack(*words))
    return read()


def processor_us():
    return int(open(f"/proc/{server.pid}/task/{server.pid}/schedstat").read().split()[0]) / 1e3


def fill(size, jobs):
    run("FLUSHALL")
    per_push = max(1, (1 << 20) // size)
    for first in range(0, jobs, per_push):
        payloads = []
        for at in range(first, min(jobs, first + per_push)):
            tail = b'"],"retries":0,"jid":"%016x"}' % at
            head = b'{"name":"Noop","args":["'
            payloads.append(head + b"x" * (size - len(head) - len(tail)) + tail)
        run("LPUSH", QUEUE, *payloads)


def rpop(size, jobs):
    fill(size, jobs)
    before = processor_us()
    said = subprocess.run(
        ["redis-benchmark", "-p", str(PORT), "-n", str(jobs), "-c", "1", "-P", "16", "--csv", "RPOP", QUEUE],
        capture_output=True, text=True, check=True).stdout
    assert run("LLEN", QUEUE) == 0
    return float(said.splitlines()[-1].split(",")[1].strip('"')), (processor_us() - before) / jobs


def drain(size, jobs):
    fill(size, jobs)
    before = processor_us()
    with open(os.devnull, "w") as log:
        process = subprocess.Popen(
            [worker, "--redis-url", f"redis://127.0.0.1:{PORT}", "--cores", "1", "-c", "10"], stdout=log, stderr=log)
    while run("LLEN", QUEUE) == jobs:
        time.sleep(0.001)
    begun, done = time.monotonic(), int(run("GET", "jiggler:stats:processed_counter") or 0)
    while int(run("GET", "jiggler:stats:processed_counter") or 0) < jobs:
        time.sleep(0.002)
    seconds, took = time.monotonic() - begun, (processor_us() - before) / jobs
    process.terminate()
    process.wait()
    return (jobs - done) / seconds, took


print("payload_bytes jobs rpop_per_s worker_per_s ratio rpop_redis_us worker_redis_us", flush=True)
for size in (2_000, 20_000, 200_000):
    jobs, ratios, costs = min(100_000, TOTAL // size), [], []
    for _ in range(runs):
        (popped, pop_us), (drained, drain_us) = rpop(size, jobs), drain(size, jobs)
        ratios.append(drained / popped)
        costs.append(pop_us / drain_us)
        print(size, jobs, round(popped), round(drained), f"{ratios[-1]:.2f} {pop_us:.1f} {drain_us:.1f}", flush=True)
    print(size, "median", f"{statistics.median(ratios):.2f}", "by redis's time", f"{statistics.median(costs):.2f}", flush=True)
server.terminate()
