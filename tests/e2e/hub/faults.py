"""What the double does wrong on demand: to which requests, how often, and what.

`hub.fault("model.gguf", where="data", times=1, cut_after=1000)` cuts the first answer that carries the file's bytes
after 1,000 of them. Faults are tried in the order in which they were added; one that is used up is passed over.
"""
import threading
from dataclasses import dataclass, field


@dataclass
class Fault:
    match: str = ""             # what the file's path (for the API: the target) must hold
    where: str = "data"         # "api", "resolve" (the hub's answer for a file) or "data" (whoever sends the bytes)
    times: int | None = 1       # None: always
    skip: int = 0               # so many matching requests pass unharmed first
    ranged: bool | None = None  # only requests with (True) or without (False) Range
    # The answer as a whole
    status: int | None = None
    headers: dict = field(default_factory=dict)  # added to the answer, or in place of what it had; None removes
    body: bytes | None = None
    redirect: str | None = None  # Location; "{self}" is the request's own target
    wait_s: float = 0           # before anything is said
    close: bool = False         # the connection is closed without a word
    raw: bytes | None = None    # these bytes in place of any HTTP
    # The bytes of a file
    cut_after: int | None = None    # bytes of body, then the connection is gone
    reset: bool = False             # the end of a cut connection is a reset
    stall_after: int | None = None  # bytes of body, then silence until the client goes away
    ignore_range: bool = False
    content_range: str | None = None
    data: bytes | None = None       # in place of the file's content
    flip: int | None = None         # the byte at this offset of the file is wrong
    rate: float | None = None       # bytes a second
    chunked: bool = False
    gzip: bool = False
    extra: bytes = b""              # after the end
    used: int = 0
    seen: int = 0


class Faults:
    def __init__(self):
        self.faults, self.lock = [], threading.Lock()

    def add(self, fault):
        with self.lock:
            self.faults.append(fault)
        return fault

    def clear(self):
        with self.lock:
            self.faults = []

    def take(self, where, text, ranged):
        """The fault for this request, or None; counts it as used."""
        with self.lock:
            for f in self.faults:
                if f.where != where or f.match not in text or (f.ranged is not None and f.ranged != ranged):
                    continue
                f.seen += 1
                if f.seen <= f.skip or (f.times is not None and f.used >= f.times):
                    continue
                f.used += 1
                return f
        return None
