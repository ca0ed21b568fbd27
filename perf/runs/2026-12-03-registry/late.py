"""How late the walk of a new worker finds a queue of others: one redis-server with ten million keys, as for measure.py."""

import subprocess
import sys
import time

P, B = sys.argv[1], sys.argv[2]
r = lambda *w: subprocess.run(["redis-cli", "-p", P, *w], capture_output=True, text=True).stdout.strip()
r("del", "jiggler:uring:queues", "jiggler:uring:processes", "jiggler:uring:walked")
log = open("late.log", "w")
w = subprocess.Popen([B, "--cores", "1", "-q", "served", "--redis-url", f"redis://127.0.0.1:{P}/0"], stdout=log, stderr=log)
t = time.time(); found = None
while time.time() - t < 200:
    if found is None and r("zscore", "jiggler:uring:queues", "foreign"):
        found = time.time() - t; print(f"after: the walk of a new worker found the queue of others {found:.0f} s after its start", flush=True)
    if r("exists", "jiggler:uring:walked") == "1":
        print(f"after: that walk ended {time.time() - t:.0f} s after the start", flush=True); break
    time.sleep(0.5)
w.terminate(); w.wait()
