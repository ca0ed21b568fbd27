#!/usr/bin/env python3
"""How long one call of a script holds Redis, by payload size: the processor time of its main thread from request to reply.

Usage: holds.py SCRIPTS_DIR [KINDS], with redis-server on the PATH. The processor time (/proc/PID/task/PID/schedstat) takes
reading the request and writing the reply along, and leaves out what other work on the machine takes; the wall time of the
longest call stands beside it. Kinds of payloads: `string` and `numbers` as the clients write them, the queue among the
last members; `early-numbers` and `early-objects` with the queue first, so that no script may look for it.
"""
import json, os, socket, subprocess, sys, tempfile, time

from redis_text import pack, read

scripts = sys.argv[1]
kinds = (sys.argv[2] if len(sys.argv) > 2 else "string,numbers,early-numbers,early-objects").split(",")
PORT, BYTES = 7912, 256 << 10
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
schedstat = f"/proc/{server.pid}/task/{server.pid}/schedstat"


def run(*words):
    sock.sendall(pack(*words))
    return read(file)


def source(head, *names):
    return head + b"".join(open(os.path.join(scripts, name + ".lua"), "rb").read() for name in names)


def load(*names, head=b""):
    return run("SCRIPT", "LOAD", source(head, *names))


def processor_ms():
    return int(open(schedstat).read().split()[0]) / 1e6


calls = []


def held(*words):
    request = pack(*words)
    before, began = processor_ms(), time.monotonic()
    sock.sendall(request)
    reply = read(file)
    wall = time.monotonic() - began
    calls.append((processor_ms() - before, wall * 1000))
    return reply


def tell(what, kind, size, jobs):
    processor = sorted(call[0] for call in calls)
    wall = max(call[1] for call in calls)
    print(what, kind, size, jobs, len(calls), f"{processor[-1]:.2f}", f"{processor[len(processor) // 2]:.2f}",
          f"{wall:.1f}", flush=True)
    calls.clear()


OWN = b"local own_queue\n"
due = load("undo", "same", "queue_of", "due", head=OWN)
page = load("page")
requeue = load("undo", "same", "queue_of", "seen", "requeue", head=OWN)
kill = load("undo", "same", "seen", "kill")
delete, outbox, prune = load("undo", "same", "seen", "delete"), load("outbox"), load("prune")
NAMES = b"local WAIT_LIST, OVERSIZE, SUSPECTS, POISON, RECOVERIES = ':w', ':o', ':s', ':p', '{%s}:recoveries:'\n"
reap = load("undo", "newest", "in_flight", "reap", head=NAMES)
reconcile = load("undo", "newest", "reconcile")
number = 0


def payload(size, kind):
    global number
    number += 1
    jid, early = b"j%015d" % number, kind.startswith("early")
    head = b'{"name":"Noop",' + (b'"queue":"q","jid":"%s",' % jid if early else b"") + b'"args":['
    tail = b'],"retries":0' + (b"" if early else b',"jid":"%s","queue":"q"' % jid) + b"}"
    room = size - len(head) - len(tail)
    word = {"numbers": b"1,", "objects": b'{"a":"bb"},'}.get(kind.split("-")[-1])
    body = b'"' + b"x" * (room - 2) + b'"' if word is None else word * (room // len(word)) + b"1"
    return head + body + tail


def named(entry, more=()):
    newer, score, size, job = entry
    ends = (job[:4096], job[-4096:]) if len(job) > 262144 else (job, b"")
    return (newer, score, size, *ends, *more)


print("script payload bytes jobs calls longest_processor_ms median_processor_ms longest_wall_ms")
for kind in kinds:
    for size, jobs in ((8 << 20, 10), (1 << 20, 20), (200_000, 60), (20_000, 600), (2_000, 3_000)):
        payloads = [payload(size, kind) for _ in range(jobs)]

        def fill():
            run("FLUSHALL")
            for at, job in enumerate(payloads):
                run("ZADD", "set", at + 1, job)

        fill()
        nothing = (0, 0, b"", b"", b"")
        told, more, reads = nothing, b"1", 0
        while more == b"1":
            reply = held("EVALSHA", due, 3, "lead", "set", "set2", 500, "default", "jiggler:list:", BYTES, 60, 50, "u",
                         1000, 0, 16 << 20, *told)
            more, told = reply[1], nothing
            if reply[6]:
                job = held("ZRANGE", "set", 0, 0)[0]
                told = (2, len(job), job[:4096], job[-4096:], "q")
        assert run("LLEN", "jiggler:list:q") == jobs
        tell("due", kind, size, jobs)
        fill()
        entries = []
        while len(entries) < jobs:
            found = held("EVALSHA", page, 1, "set", "zset", len(entries), 500, "newest", BYTES, 50, 23 << 20, 4096)[1:]
            for at in range(0, len(found), 3):
                entries.append((len(entries), found[at + 1], found[at], found[at + 2]))
        tell("page", kind, size, jobs)
        step = max(1, min(200, BYTES // size))
        for at in range(0, jobs, step):
            words = [word for entry in entries[at:at + step] for word in named(entry, ("q", 0, b""))]
            held("EVALSHA", requeue, 1, "set", "default", "jiggler:list:", *words)
        assert run("LLEN", "jiggler:list:q") == jobs
        tell("requeue", kind, size, jobs)
        fill()
        for at in range(0, jobs, step):
            words = [word for entry in entries[at:at + step] for word in named(entry, (b"",))]
            held("EVALSHA", kill, 2, "set", "dead", 10**9, 10**6, *words)
        assert run("ZCARD", "dead") == jobs
        tell("kill", kind, size, jobs)
        fill()
        for at in range(0, jobs, step):
            words = [word for entry in entries[at:at + step] for word in named(entry)]
            held("EVALSHA", delete, 1, "set", "zset", *words)
        assert run("ZCARD", "set") == 0
        tell("delete", kind, size, jobs)
        run("FLUSHALL")
        for job in payloads:
            held("LPUSH", "q", job)
        tell("plain-LPUSH", kind, size, jobs)
        for _ in payloads:
            held("RPOP", "q")
        tell("plain-RPOP", kind, size, jobs)
        step = max(1, min(1000, (1 << 20) // size))
        for at in range(0, jobs, step):
            words = [word for n, job in enumerate(payloads[at:at + step], at + 1) for word in (n, b"", job)]
            held("EVALSHA", outbox, 2, "q", "marker", 60, *words)
        assert run("LLEN", "q") == jobs
        tell("outbox", kind, size, jobs)
        assert held("EVALSHA", prune, 1, "q", "list") == jobs
        tell("prune", kind, size, jobs)
        run("FLUSHALL")
        for job in payloads:
            run("RPUSH", "i:w", job)
        run("ZADD", "leases", 1, "u:1:q")
        while held("EVALSHA", reap, 5, "leases", "q", "i", "i:w", "i:o", "u:1:q", 100, 1, 3, 1000, 500, 128 << 10)[4]:
            pass
        assert run("LLEN", "q") == jobs
        tell("reap", kind, size, jobs)
        run("FLUSHALL")
        for job in payloads:
            run("RPUSH", "i:1", job)
        run("HSET", "i", "1", jobs)
        turn = 1
        while held("EVALSHA", reconcile, 4, "q", "i", "i:1", "i", 1, turn, BYTES, 0, 0) < 0:
            turn += 1
        assert run("LLEN", "q") == jobs
        tell("hand-back", kind, size, jobs)
server.terminate()
