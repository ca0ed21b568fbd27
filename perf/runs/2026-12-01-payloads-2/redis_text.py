"""Requests and replies of Redis, for the scripts in this folder."""


def pack(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def read(file):
    line = file.readline()[:-2]
    kind, rest = line[:1], line[1:]
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else file.read(int(rest) + 2)[:-2]
    if kind == b"*":
        return [read(file) for _ in range(int(rest))]
    if kind == b"-":
        raise RuntimeError(line)
    return rest
