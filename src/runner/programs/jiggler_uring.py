"""Jobs for jiggler-uring: `from jiggler_uring import job`.

    @job("Resize", retries=3)
    def resize(image, width, format="png"):
        ...

The worker provides this module to its Python children. Elsewhere (editors, tests) a decorated function is just a
function, and `enqueue` raises.
"""

jobs = {}
_context = None


class Snooze(Exception):
    """Raised by a job that should run again later, as if it had not run."""

    def __init__(self, seconds):
        super().__init__(f"runs again in {seconds} s")
        self.seconds = seconds


class Discard(Exception):
    """Raised by a job that has become pointless."""


class Dead(Exception):
    """Raised by a job that no further attempt can fix."""


class RetryIn(Exception):
    """Raised by a job that failed and should be retried after this many seconds."""

    def __init__(self, seconds, message=""):
        super().__init__(message or f"retry in {seconds} s")
        self.seconds = seconds


class Cancelled(BaseException):
    """Raised in a job that nobody waits for any longer."""


def job(name=None, *, queue=None, retries=None, retry_queue=None):
    """Makes a function or coroutine function a job, under this name or its own."""

    def decorate(function):
        function.jiggler_name = name if isinstance(name, str) else function.__name__
        function.jiggler_options = {"queue": queue, "retries": retries}
        function.jiggler_retry_queue = retry_queue
        jobs[function.jiggler_name] = function
        return function

    return decorate(name) if callable(name) else decorate


def _count(number):
    return max(0, min(int(number), 2**53))


class Run:
    """The running job."""

    def __init__(self, number, info, payload, link):
        self.number, self.payload, self._link = number, payload, link
        self.name, self.jid = info["name"], info["jid"]
        self.queue, self.attempt = info["queue"], info["attempt"]

    def progress(self, done, total, note=""):
        """Records how far the job is."""
        self._link.say(["progress", self.number, _count(done), _count(total), str(note)])

    def log(self, text, level="info"):
        """Writes a line to the worker's log, with the job's jid."""
        self._link.say(["log", self.number, str(level), str(text)])

    def enqueue(self, to, *args, **options):
        """Pushes a job, given by its function or name; returns its jid. Options: queue, retries, jid, delay, at."""
        name, given = to, {}
        if callable(to):
            name, given = to.jiggler_name, to.jiggler_options
        fields = {"name": name, "args": list(args), **given, **options}
        if "delay" in fields:
            fields["in"] = fields.pop("delay")
        fields = {key: value for key, value in fields.items() if value is not None}
        return self._link.enqueue(self.number, fields)


def current():
    """The running job; None outside of one."""
    return _context.get() if _context else None


def enqueue(to, *args, **options):
    """Pushes a job from inside of one; see Run.enqueue."""
    run = current()
    if run is None:
        raise RuntimeError("enqueue() works inside a job; other programs push with a Redis client")
    return run.enqueue(to, *args, **options)
