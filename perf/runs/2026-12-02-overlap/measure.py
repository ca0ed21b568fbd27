"""Time that the script of periodic jobs holds Redis up: measure.py PORT src/store/scripts [CASE]"""
import re, socket, statistics, sys, time


class Redis:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def run(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self.read()

    def read(self):
        line = self.file.readline()[:-2]
        if line[:1] in b"+-:":
            return line
        count = int(line[1:])
        if count < 0:
            return None
        return self.file.read(count + 2)[:-2] if line[:1] == b"$" else [self.read() for _ in range(count)]


redis = Redis(int(sys.argv[1]))
scripts, only = sys.argv[2] + "/", sys.argv[3:]
# What store/cron.rs puts before the files.
source = (
    "local QUEUES, QUEUE_PREFIX, LATER\n"
    "local WAIT_LIST, OVERSIZE, SUSPECTS, POISON, RECOVERIES = ':w', ':o', ':s', ':p', '{%s}:recoveries:'\n"
    "local IN_FLIGHT, IN_PROGRESS = '{%s}:inflight:%s:%d', '%s:in_progress:%s'\n"
) + "".join(open(scripts + name + ".lua").read() for name in ("undo", "lives", "cron"))
limits = open(scripts + "../../limits/cron.rs").read()


def limit(name):
    product = re.search(r"const CRON_LIVES_" + name + r": usize = ([\d_* ]+);", limits).group(1)
    return eval(product)


LOOK = [limit(name) for name in ("NEAR", "DEEP", "PAGES", "BYTES", "CALLS", "QUEUES", "SEARCHED")]
CRON = ["jiggler:uring:cron:" + key for key in ("ticks", "entries", "runs", "holders")]
SETS = ["jiggler:set:retries", "jiggler:set:scheduled"]
KEYS = CRON + ["jiggler:uring:leases"] + SETS


def job(number, bytes=150):
    return '{"name":"Report","args":["customer",%d,"%s"],"jid":"%024x"}' % (number, "x" * bytes, number)


def measure(label, entries, skips, queues=("q",)):
    redis.run("DEL", *CRON)
    now = int(time.time() * 1000) - 1000
    for entry in range(entries):
        redis.run("HSET", CRON[1], f"e{entry}", "{}")
    changes = []
    for entry in range(entries):
        unless = ["%024x" % (2 * 10**9 + entry), job(2 * 10**9 + entry), "left"] if skips else ["", "", ""]
        queue = "jiggler:list:" + queues[entry % len(queues)]
        change = [f"e{entry}", "{}", now, now, "", "", now + 60000, "ran", "", *unless, queue]
        changes.append(change + [1, job(10**9 + entry)])
    took, calls = [], 0
    for _ in range(15):
        for entry in range(entries):
            redis.run("ZADD", CRON[0], now, f"e{entry}")
        left, calls = changes, 0
        while left:
            redis.run("CONFIG", "RESETSTAT")
            reply = redis.run("EVAL", source, 7, *KEYS, 100, 16384, 1000, *LOOK, *sum(left, []))
            if isinstance(reply, bytes):
                sys.exit(reply.decode())
            stats = redis.run("INFO", "commandstats").decode()
            took.append(float(re.search(r"cmdstat_eval:calls=1,usec=(\d+)", stats).group(1)) / 1000)
            left = [change for change, result in zip(left, reply[1]) if result == b":4"]
            calls += 1
        for change in changes:
            redis.run("LPOP", change[12])
    how = "skip" if skips else "allow"
    print(
        f"{label}: {entries} entries, {how}: {calls} calls, each median {statistics.median(took):.2f} ms,"
        f" p90 {statistics.quantiles(took, n=10)[8]:.2f} ms, max {max(took):.2f} ms",
        flush=True,
    )


def both(label, queues=("q",)):
    for entries in (1, 100):
        for skips in (False, True):
            measure(label, entries, skips, queues)


def serve(processes, shards, queues, bytes=150):
    for process in range(processes):
        redis.run("ZADD", KEYS[4], 9e15, f"p{process}:{shards}:{','.join(queues)}")
        for shard in range(shards):
            index = f"{{jiggler:list:{queues[0]}}}:inflight:p{process}:{shard}"
            redis.run("HSET", index, 1, 1)
            redis.run("RPUSH", index + ":1", *[job(number, bytes) for number in range(5)])


def empty():
    both("empty database")


def flight():
    serve(50, 8, ["q"])
    both("50 processes of 8 shards with 5 jobs each in flight")


def others():
    serve(200, 8, ["p"])
    both("200 processes that serve another queue")


def full():
    serve(50, 8, ["q"])
    for key in SETS:
        for page in range(20):
            rows = [(page * 1000 + at, job(page * 1000 + at)) for at in range(1000)]
            redis.run("ZADD", key, *[word for row in rows for word in row])
    for page in range(60):
        redis.run("LPUSH", "jiggler:list:q", *[job(page * 1000 + at) for at in range(1000)])
    for number in range(10000):
        redis.run("SET", f"other:{number}", 1)
    both("besides 60,000 jobs waiting, 20,000 in each set, 10,000 other keys")


def many():
    queues = [f"q{number}" for number in range(20)]
    serve(50, 8, queues)
    for queue in queues:
        redis.run("LPUSH", "jiggler:list:" + queue, *[job(at) for at in range(2000)])
    both("20 queues of 2000 jobs, each served by 50 processes of 8 shards", queues)


def large():
    for number in range(1000):
        redis.run("LPUSH", "jiggler:list:q", job(number, 1 << 20))
    both("1000 jobs of 1 MB waiting")


def large_flight():
    serve(10, 8, ["q"], 1 << 20)
    both("80 shards with 5 jobs of 1 MB each in flight")


def mixed():
    for number in range(4000):
        redis.run("LPUSH", "jiggler:list:q", job(number, (1 << 20) if number % 16 == 15 else 150))
    both("4000 jobs waiting, each 16th of 1 MB")


print(redis.run("INFO", "server").decode().split("redis_version:")[1].split()[0])
for case in (empty, flight, others, full, many, large, large_flight, mixed):
    if only and case.__name__ not in only:
        continue
    redis.run("FLUSHALL")
    case()
