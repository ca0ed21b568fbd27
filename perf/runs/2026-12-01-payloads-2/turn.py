#!/usr/bin/env python3
"""What a job costs Redis by turn.lua and by a pipelined RPOP, by payload size: processor time of its main thread.

Usage: turn.py PORT PID SCRIPTS_DIR BATCH_BYTES_MAX BATCH_BYTES_FIT, with an empty redis-server of that PID on that port. One
connection, two requests on the way, as a shard has them; nothing is done with what comes.
"""
import os, socket, sys, time

from redis_text import pack, read

port, pid, scripts = int(sys.argv[1]), sys.argv[2], sys.argv[3]
sock = socket.create_connection(("127.0.0.1", port))
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
file = sock.makefile("rb", 1 << 20)


def processor_us():
    return int(open(f"/proc/{pid}/task/{pid}/schedstat").read().split()[0]) / 1e3


def run(*words):
    sock.sendall(pack(*words))
    return read(file)


def source(*names):
    paths = [os.path.join(scripts, name + ".lua") for name in names]
    return b"".join(open(path, "rb").read() for path in paths if os.path.exists(path))


turn = run("SCRIPT", "LOAD", source("undo", "turn"))
BUDGET, FIT = int(sys.argv[4]), float(sys.argv[5])
LARGEST, BATCH = 16 << 20, 500
KEYS = ["processed", "failed", "retries", "dead", "q:i", "q", "q:i"]


def fill(size, jobs):
    run("FLUSHALL")
    for first in range(0, jobs, 100):
        sock.sendall(b"".join(pack("LPUSH", "q", b"x" * size) for _ in range(min(100, jobs - first))))
        for _ in range(min(100, jobs - first)):
            read(file)
    run("CONFIG", "RESETSTAT")
    run("SLOWLOG", "RESET")


def drain(size):
    wanted = max(1, min(BATCH, int(FIT * BUDGET / size)))
    number, settled, done, sent = 0, [], 0, []
    while True:
        while len(sent) < 2:
            number += 1
            wholes = [word for batch in settled for word in (1, batch)]
            count = sum(batch_jobs[batch] for batch in settled)
            head = [number, wanted, BUDGET, LARGEST, count, 0, 0, 100, "list", number - 1 if sent else 0]
            words = ["EVALSHA", turn, len(KEYS), *KEYS, *head, 0, 0, len(settled), *wholes]
            sock.sendall(pack(*words) + pack("LRANGE", "q:i:%d" % number, 0, -1))
            sent.append(number)
            settled = []
        one = sent.pop(0)
        reply, jobs = read(file), read(file)
        if not jobs:
            for _ in sent:
                read(file), read(file)
            return done
        done += len(jobs)
        batch_jobs[one] = len(jobs)
        settled.append(one)


batch_jobs = {}
print("payload_bytes jobs turn_us rpop_us ratio")
for size, jobs in ((2_000, 50_000), (20_000, 8_000), (200_000, 1_000)):
    for _ in range(3):
        fill(size, jobs)
        batch_jobs.clear()
        before = processor_us()
        assert drain(size) == jobs
        turn_us = (processor_us() - before) / jobs
        fill(size, jobs)
        step = max(1, min(16, BUDGET // size))
        before = processor_us()
        for first in range(0, jobs, step):
            count = min(step, jobs - first)
            sock.sendall(pack("RPOP", "q") * count)
            for _ in range(count):
                read(file)
        rpop_us = (processor_us() - before) / jobs
        print(size, jobs, f"{turn_us:.1f} {rpop_us:.1f} {rpop_us / turn_us:.2f}", flush=True)
