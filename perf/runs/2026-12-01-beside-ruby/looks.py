"""How often the gem's look-ups go wrong beside our keys: `looks.py PORT`, a redis-server that may be emptied.

The keys are written under the names that a fleet has, with new uuids each time, for a key's place in a SCAN goes by its name. Then
the two look-ups are made as jiggler 0.1.0 makes them: `Support::Helper#scan_all` (SCAN with MATCH and no COUNT, until a page
is empty) twice for the requeuer, and one page for `Jiggler.summary`.
"""

import os
import random
import socket
import sys

TRIALS = 200
QUEUES = ["default", "mails", "img", "low", "high", "reports"]


class Redis:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        words = [str(word).encode() for word in words]
        parts = [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(parts))
        return self.reply()

    def reply(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return rest


def scan_all(redis, mask):
    start, found = b"0", []
    while True:
        start, page = redis("SCAN", start.decode(), "MATCH", mask)
        if not page:
            break
        found += page
        if start == b"0":
            break
    return [key.decode() for key in found]


def stale(redis):
    """Lists that the requeuer would empty."""
    lists = scan_all(redis, "*in_progress*")
    living = {key.split(":")[2] for key in scan_all(redis, "jiggler:svr:*")}
    return [key for key in lists if key.split(":in_progress:")[-1] not in living]


def summary(redis):
    """Heartbeats that `Jiggler.summary` would see."""
    return redis("SCAN", "0", "MATCH", "jiggler:svr:*")[1]


def uuid():
    return os.urandom(6).hex()


def fill(redis, ours, shards, busy, lists_lead):
    """Two living Ruby servers with jobs of two queues each, and `ours` workers that are busy in so many queues."""
    redis("FLUSHALL")
    redis("SET", "jiggler:stats:processed_counter", 1)
    redis("SET", "jiggler:stats:failures_counter", 1)
    redis("ZADD", "jiggler:set:retries", 1, "x")
    queues = ",".join(QUEUES)
    for _ in range(2):
        server = uuid()
        redis("SET", f"jiggler:svr:{server}:10:25:{queues}:1:1795300143:13895:vm", 1)
        for queue in random.sample(QUEUES, 2):
            redis("LPUSH", f"jiggler:list:{queue}:in_progress:{server}", 1)
    for _ in range(ours):
        process = uuid()
        redis("SET", f"jiggler:svr:{process}:20:25:{queues}:1:1795300143:138:vm", 1)
        redis("SET", f"jiggler:uring:process:{process}", 1)
        for shard in range(shards):
            for number, queue in enumerate(QUEUES):
                index = f"{{jiggler:list:{queue}}}:inflight:{process}:{shard}"
                if number == 0 or number < busy:
                    redis("HSET", index, "t", 1)
                if number < busy:
                    redis("LPUSH", f"{index}:7", 1)
    if ours:
        redis("ZADD", "jiggler:uring:leases", 1, "x")
        redis("SET", "jiggler:uring:poller", 1)
        if lists_lead:
            redis("SET", "jiggler:uring:ruby_lists_leader", 1)


def measure(redis, name, **fleet):
    wrong = blind = 0
    for _ in range(TRIALS):
        fill(redis, **fleet)
        wrong += bool(stale(redis))
        blind += not summary(redis)
    keys = int(redis("DBSIZE"))
    print(f"| {name} | {keys} | {wrong} | {blind} |")


def main():
    redis = Redis(int(sys.argv[1]))
    print(f"| beside two Ruby servers | keys | living taken for stale, of {TRIALS} | summary saw no process, of {TRIALS} |")
    print("|---|---|---|---|")
    measure(redis, "nothing", ours=0, shards=0, busy=0, lists_lead=False)
    for ours, shards in [(1, 1), (1, 2), (2, 1), (2, 2)]:
        for busy in [0, 1, 6]:
            for lists_lead in [True, False]:
                state = f"busy in {busy} queue{'s' * (busy > 1)}" if busy else "idle"
                when = "before" if lists_lead else "after"
                name = f"{ours} of ours, {shards} shard{'s' * (shards > 1)}, {state}, {when}"
                measure(redis, name, ours=ours, shards=shards, busy=busy, lists_lead=lists_lead)


main()
