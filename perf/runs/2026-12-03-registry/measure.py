"""Times every command that shows what there is, against a database with ten million keys of others.

measure.py LABEL BINARY PORT [ROUNDS]

The redis-server on PORT is the caller's own; 10,000,000 keys were made with DEBUG POPULATE, and a queue, a retry set and a
worker's heartbeat are added here. Prints one line for each command: median and longest wall time of the whole process (or of
the request), in milliseconds, and how many SCANs Redis was asked for.
"""

import socket
import statistics
import subprocess
import sys
import time
import urllib.request

LABEL, BINARY, PORT = sys.argv[1], sys.argv[2], sys.argv[3]
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 7
URL = f"redis://127.0.0.1:{PORT}/0"
WEB = 7392


def redis(*words):
    return subprocess.run(["redis-cli", "-p", PORT, *words], capture_output=True, text=True, check=True).stdout


def scans():
    for line in redis("info", "commandstats").splitlines():
        if line.startswith("cmdstat_scan:"):
            return int(line.split("calls=")[1].split(",")[0])
    return 0


def run(*command):
    return subprocess.run([BINARY, *command, "--redis-url", URL], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def measure(name, act):
    taken = []
    before = scans()
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    per = (scans() - before) / ROUNDS
    print(f"{LABEL:7} {name:28} median {statistics.median(taken):9.1f} ms  longest {max(taken):9.1f} ms  scans {per:8.1f}", flush=True)


def get(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{WEB}{path}", timeout=120) as answer:
        return answer.read()


def main():
    redis("rpush", "jiggler:list:foreign", '{"name":"Nobody","jid":"one"}')
    redis("zadd", "jiggler:set:retries", "99999999999", '{"name":"Nobody","jid":"two"}')
    log = open(f"worker-{LABEL}.log", "w")
    worker = subprocess.Popen([BINARY, "--cores", "1", "-q", "served", "--redis-url", URL], stdout=log, stderr=log)
    time.sleep(3)
    began = time.perf_counter()
    first = run("queues")
    print(f"{LABEL:7} first queues: {(time.perf_counter() - began) * 1000:.0f} ms; {first.stderr.strip()}")
    print(first.stdout)
    commands = [
        ["summary"], ["queues"], ["processes"], ["top", "--once"], ["jobs", "foreign"], ["jobs", "retries"],
        ["why", "one"], ["show", "one"], ["doctor"], ["enqueue", "Noop", "--queue", "served"],
        ["pause", "queue", "served"], ["resume", "queue", "served"],
    ]
    for command in commands:
        measure(" ".join(command), lambda: run(*command))
    web = subprocess.Popen([BINARY, "web", "--web", f"127.0.0.1:{WEB}", "--redis-url", URL], stdout=log, stderr=log)
    while True:
        try:
            socket.create_connection(("127.0.0.1", WEB)).close()
            break
        except OSError:
            time.sleep(0.05)
    for path in ["/", "/queues", "/processes", "/metrics?fleet=1", "/api/v1/summary", "/api/v1/queues", "/api/v1/processes"]:
        try:
            measure("GET " + path, lambda: get(path))
        except Exception as error:
            print(f"{LABEL:7} GET {path}: {error}")
    web.terminate()
    web.wait()
    worker.terminate()
    worker.wait()


main()
