# Runs Python functions for jiggler-uring: python3 -c THIS MODULE-SOURCE PATH. The protocol is in the documentation of the
# crate, `runner`. As a server it loads the application once and forks; a child runs jobs in threads, coroutines in a loop.
import asyncio, contextvars, ctypes, importlib, inspect, json, math, os, queue, select, signal, socket, sys, threading, time, traceback, types

SOURCE, PATH = sys.argv[1], sys.argv[2]
THREADS = int(os.environ.get("JIGGLER_URING_THREADS", "1"))
MEMORY = "JIGGLER_URING_MEMORY" in os.environ
api = types.ModuleType("jiggler_uring", "Jobs for jiggler-uring.")
exec(compile(SOURCE, "jiggler_uring.py", "exec"), api.__dict__)
api._context = contextvars.ContextVar("jiggler_uring_run", default=None)
sys.modules["jiggler_uring"] = api


def load():
    path = os.path.abspath(PATH)
    folder, name = os.path.split(path.rstrip("/"))
    sys.argv = [path]
    sys.path[0:0] = [folder, os.getcwd()]
    return importlib.import_module(name[:-3] if name.endswith(".py") else name)


def line_of(message):
    # Neither a half of a surrogate pair nor NaN is JSON.
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str)
    return text.encode("utf-8", "replace") + b"\n"


class Link:
    """The socket to the shard. Any thread may write."""

    def __init__(self, sock):
        self.sock, self.lock, self.answers, self.references = sock, threading.Lock(), {}, 0

    def say(self, message):
        self.write(line_of(message))

    def write(self, line):
        try:
            with self.lock:
                self.sock.sendall(line)
        except OSError:
            os._exit(0)

    def enqueue(self, number, fields):
        box = queue.SimpleQueue()
        with self.lock:
            self.references += 1
            reference = self.references
            self.answers[reference] = box
        self.say(["enqueue", number, reference, fields])
        word, answer = box.get()
        if word == "refused":
            raise RuntimeError(answer)
        return answer

    def answered(self, word, reference, answer):
        box = self.answers.pop(reference, None)
        if box:
            box.put((word, answer))


def shown(value, most):
    try:
        return str(value)[:most]
    except BaseException:
        return "(it cannot be shown)"


def pause(seconds):
    # What is no time goes as text: the worker says so.
    is_time = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and math.isfinite(seconds)
    return seconds if is_time else shown(seconds, 100)


def failure(error, function=None):
    frames = traceback.extract_tb(error.__traceback__)
    backtrace = [f"{f.filename}:{f.lineno}:in {f.name}" for f in reversed(frames) if f.filename != "<string>"][:100]
    told = {"class": shown(type(error).__name__, 200), "message": shown(error, 10000), "backtrace": [b[:1000] for b in backtrace]}
    retry_queue = getattr(function, "jiggler_retry_queue", None)
    if retry_queue:
        told["retry_queue"] = shown(retry_queue, 200)
    return told


def verdict(number, error, function):
    if isinstance(error, api.Snooze):
        return ["snooze", number, pause(error.seconds)]
    if isinstance(error, api.Discard):
        return ["discard", number, failure(error)]
    told = failure(error, function)
    if isinstance(error, api.Dead):
        return ["dead", number, told]
    if isinstance(error, api.RetryIn):
        told["retry_in"] = pause(error.seconds)
    return ["failed", number, told]


def answer_of(number, error, function):
    """The line that says how a job failed, whatever its error does when it is looked at."""
    try:
        return line_of(verdict(number, error, function))
    except BaseException:
        return line_of(["failed", number, {"class": "JigglerUring::UntoldError", "message": "its error cannot be told"}])


class Unknown(Exception):
    pass


Unknown.__name__ = "JigglerUring::UnknownJob"


def cancelled(number):
    return line_of(["failed", number, {"class": "JigglerUring::Cancelled", "message": "it was cancelled"}])


def set_exception(thread, exception):
    """Raised when the thread runs Python code next, because a call into C is not interrupted. None takes it back."""
    exception = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)


class Jobs:
    def __init__(self, link, app):
        self.link, self.app, self.loop = link, app, None
        # Each job from when it was read to when it is answered, with what interrupts it; which ones were cancelled.
        self.guard, self.running, self.cancelled = threading.RLock(), {}, set()
        self.todo, self.looked = queue.SimpleQueue(), time.monotonic()

    def find(self, name):
        function = api.jobs.get(name)
        if function is None:
            function = getattr(self.app, name, None) if name.isidentifier() and not name.startswith("_") else None
        if not callable(function):
            raise Unknown(f"no function is registered for job {name}: decorate one with @job({name!r})")
        return function

    def start(self):
        for _ in range(THREADS):
            threading.Thread(target=self.work, daemon=True).start()

    def give(self, number, info, payload):
        self.running[number] = None
        self.todo.put((number, info, payload))

    def cancel(self, number):
        with self.guard:
            if number in self.running and number not in self.cancelled:
                self.cancelled.add(number)
                interrupt = self.running[number]
                if interrupt:
                    interrupt()

    def interruptible(self, number, interrupt):
        """From here on the job can be interrupted, by this."""
        with self.guard:
            self.running[number] = interrupt
            if number in self.cancelled:
                interrupt()

    def work(self):
        while True:
            number, info, payload = self.todo.get()
            token = api._context.set(api.Run(number, info, payload, self.link))
            try:
                answer = self.run(number, info["name"], payload)
            except BaseException:
                # It was interrupted while it was about to answer.
                answer = cancelled(number)
            while True:
                try:
                    with self.guard:
                        # What has not arrived yet is not for the next job, nor for a half-written line.
                        if number in self.cancelled:
                            set_exception(threading.get_ident(), None)
                        self.running.pop(number, None)
                        self.cancelled.discard(number)
                    break
                except api.Cancelled:
                    # A job is interrupted once, so nothing comes after this.
                    pass
            api._context.reset(token)
            self.link.write(answer)
            self.look_at_memory()

    def run(self, number, name, payload):
        function = None
        try:
            function = self.find(name)
            args = payload.get("args") or []
            if inspect.iscoroutinefunction(function):
                self.run_coroutine(number, function, args)
            else:
                thread = threading.get_ident()
                self.interruptible(number, lambda: set_exception(thread, api.Cancelled))
                function(*args)
            return line_of(["done", number])
        except (api.Cancelled, asyncio.CancelledError):
            return cancelled(number)
        except BaseException as error:
            return answer_of(number, error, function)

    def run_coroutine(self, number, function, args):
        """Runs it in the one loop of this child, and waits for its own end, whatever happens to it."""
        run, ended, loop = api.current(), queue.SimpleQueue(), self.event_loop()
        tasks = []

        async def wrapped():
            api._context.set(run)
            try:
                await function(*args)
            except BaseException as error:
                # Raised here, SystemExit would end the loop.
                return error

        def begin():
            tasks.append(loop.create_task(wrapped()))
            tasks[0].add_done_callback(ended.put)

        # In this order: what interrupts it finds the task.
        loop.call_soon_threadsafe(begin)
        self.interruptible(number, lambda: loop.call_soon_threadsafe(lambda: tasks[0].cancel()))
        task = ended.get()
        # A task that was cancelled before its first step raises that here.
        error = task.result()
        if error is not None:
            raise error

    def event_loop(self):
        with self.guard:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                threading.Thread(target=self.loop.run_forever, daemon=True).start()
            return self.loop

    def look_at_memory(self):
        now = time.monotonic()
        if MEMORY and now - self.looked > 1:
            self.looked = now
            try:
                with open("/proc/self/smaps_rollup") as file:
                    kb = next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
                self.link.say(["memory", kb * 1024])
            except (OSError, StopIteration):
                pass


def parent_death():
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except (OSError, AttributeError):
        pass


def child(sock, app):
    link = Link(sock)
    jobs = Jobs(link, app)
    jobs.start()
    link.say(["hello", {"protocol": 1, "language": "python " + sys.version.split()[0]}])
    for line in sock.makefile("rb"):
        message = json.loads(line.decode("utf-8", "surrogateescape"))
        word = message[0]
        if word == "job":
            jobs.give(*message[1:])
        elif word == "cancel":
            jobs.cancel(message[1])
        elif word in ("enqueued", "refused"):
            link.answered(*message)
        elif word == "bye":
            break
    sys.stdout.flush()
    sys.stderr.flush()


def reap(pid):
    """Takes note of the end of a child, and ends what is left of its process group before its number is free again."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def server(control, app):
    # By the descriptors of their processes.
    parent, pids, events = os.getpid(), {}, select.poll()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    events.register(control, select.POLLIN)
    control.sendall(b'["ready",1]\n')
    while True:
        ready = [fd for fd, _ in events.poll()]
        for fd in ready:
            if fd in pids:
                reap(pids.pop(fd))
                events.unregister(fd)
                os.close(fd)
        if control.fileno() not in ready:
            continue
        line, fds, _, _ = socket.recv_fds(control, 4096, 2)
        if not line:
            return
        number = json.loads(line)[1]
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setpgid(0, 0)
                parent_death()
                if os.getppid() != parent:
                    os._exit(0)
                control.close()
                for fd in pids:
                    os.close(fd)
                os.dup2(fds[1], 1)
                os.dup2(fds[1], 2)
                os.close(fds[1])
                child(socket.socket(fileno=fds[0]), app)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        process = os.pidfd_open(pid)
        pids[process] = pid
        events.register(process, select.POLLIN)
        for fd in fds:
            os.close(fd)
        control.sendall(json.dumps(["forked", number, pid]).encode() + b"\n")


os.set_inheritable(int(os.environ["JIGGLER_URING_FD"]), False)
# The worker blocks the signals that it reads itself.
signal.pthread_sigmask(signal.SIG_SETMASK, [])
link_socket = socket.socket(fileno=int(os.environ["JIGGLER_URING_FD"]))
application = load()
if os.environ.get("JIGGLER_URING_ROLE") == "server":
    server(link_socket, application)
else:
    child(link_socket, application)
