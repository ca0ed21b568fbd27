"""What 10,000 periodic jobs cost: processor time of the worker while none is due, and lateness where 100 or 1,000 are due
at the same second. measure.py BINARY PORT [idle|late]; the redis-server at PORT is emptied."""
import datetime, json, os, signal, subprocess, sys, tempfile, time, socket

binary, port = sys.argv[1], int(sys.argv[2])
sock = socket.create_connection(("127.0.0.1", port)); stream = sock.makefile("rb")

def call(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    sock.sendall(out)
    return reply()

def reply():
    line = stream.readline()[:-2]
    kind, rest = line[:1], line[1:]
    if kind == b"$":
        return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2]
    if kind == b"*":
        return None if rest == b"-1" else [reply() for _ in range(int(rest))]
    return int(rest) if kind == b":" else rest

def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

def start(entries, cores):
    call("FLUSHALL")
    config = tempfile.NamedTemporaryFile("w", suffix=".yml", delete=False)
    config.write("cron:\n")
    for name, schedule, queue in entries:
        config.write(f'  - {{ name: {name}, schedule: "{schedule}", job: Noop, queue: {queue}, zone: UTC }}\n')
    config.close()
    begun = time.time()
    worker = subprocess.Popen([binary, "--redis-url", f"redis://127.0.0.1:{port}", "--cores", str(cores), "-q", "default",
                               "-C", config.name], stderr=subprocess.DEVNULL)
    while (call("ZCARD", table()) if table() else 0) < len(entries):
        time.sleep(0.05)
        if worker.poll() is not None:
            sys.exit(f"the worker ended: {worker.returncode}")
    print(f"{len(entries)} entries stored after {time.time() - begun:.2f} s", flush=True)
    return worker

def table():
    for key in call("KEYS", "*cron*"):
        if call("TYPE", key) == b"zset":
            return key
    return None

def evals():
    stats = call("INFO", "commandstats").decode()
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in stats.splitlines() if line.startswith("cmdstat_eval"))

def idle(count):
    hour = (time.gmtime().tm_hour + 12) % 24
    worker = start([(f"e{n}", f"{n % 60} {hour} * * *", "ticks") for n in range(count)], 1)
    time.sleep(5)
    rows = []
    for _ in range(3):
        before, calls, at = cpu(worker.pid), evals(), time.time()
        time.sleep(20)
        rows.append((100 * (cpu(worker.pid) - before) / (time.time() - at), evals() - calls))
    print(f"idle {count} entries, none due: " + ", ".join(f"{share:.2f} % of a core, {calls} scripts in 20 s" for share, calls in rows), flush=True)
    worker.send_signal(signal.SIGTERM); worker.wait()

def late(count, due):
    """`count` entries, `due` of them due at each second."""
    every = min(60, count // due)
    entries = []
    for n in range(count):
        second = n % every
        schedule = "* * * * * *" if every == 1 else f"{second % 60} * * * * *"
        entries.append((f"e{n}", schedule, "ticks"))
    worker = start(entries, 1)
    time.sleep(3)
    call("DEL", "jiggler:list:ticks")
    lates, begun, used, calls = [], time.time(), cpu(worker.pid), evals()
    while time.time() < begun + 30:
        popped = call("BLMPOP", "1", "1", "jiggler:list:ticks", "RIGHT", "COUNT", "1000")
        now = time.time()
        for job in popped[1] if popped else []:
            tick = json.loads(job)["cron"]["tick"]
            lates.append(1000 * (now - datetime.datetime.fromisoformat(tick.replace("Z", "+00:00")).timestamp()))
    lates.sort()
    share = 100 * (cpu(worker.pid) - used) / 30
    print(f"due {due} a second of {count}: {len(lates)} ticks in 30 s, late p50 {lates[len(lates)//2]:.1f} p99 {lates[len(lates)*99//100]:.1f} "
          f"most {lates[-1]:.1f} ms, {share:.1f} % of a core, {evals() - calls} scripts", flush=True)
    worker.send_signal(signal.SIGTERM); worker.wait()

if "late" not in sys.argv:
    for count in (1, 10000):
        idle(count)
if "idle" not in sys.argv:
    for count, due in ((1, 1), (600, 10), (6000, 100), (10000, 166)):
        late(count, due)
