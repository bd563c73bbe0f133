#!/usr/bin/env python3
"""Many connections: so many streams open at once, on a server that speaks OpenAI's dialect.

    bench/serve_streams.py http://127.0.0.1:8080 [--streams 5000] [--new 32] [--unread] [--hold 300] [--words 8]
                           [--model NAME] [--pid PID] [--seconds 600] [--warm 128] [--name TEXT] [--json FILE]

Opens all streams (POST /v1/chat/completions, "stream": true) and reads them to their ends. A stream that is refused, cut,
or ends without a finish_reason and [DONE] has failed. With --unread (which also asks for logprobs, so that a token is
2 KB) nobody reads anything until the server does nothing more, or for --hold seconds: then each stream waits in the
queue or for its reader. One other client asks and reads, and the time of its answer is told; then all are read.

--pid is the server's process: its resident memory is looked at before (after --warm streams came to their ends, so that
what is made once is there), and at the most while all are open; without unnamed mappings of 100 MiB or more, which are
the pool of keys and values. Only loopback addresses are taken. Standard library only.
"""
import argparse
import ipaddress
import json
import os
import random
import resource
import selectors
import socket
import time
import urllib.parse

WORDS = "the of and to in is that for it was on are as with his they at be this from have or by one had not but what".split()


def rss(pid):
    """Resident bytes of a process without its pool of keys and values; 0 without one."""
    total, size, named = 0, 0, False
    if not pid:
        return 0
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                named = len(words) > 5
            elif words[0] == "Size:":
                size = int(words[1])
            elif words[0] == "Rss:" and (named or size < 100 << 10):
                total += int(words[1]) << 10
    return total


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Stream:
    def __init__(self, index, args):
        rng = random.Random(index)
        text = " ".join(rng.choice(WORDS) for _ in range(args.words))
        long = {"logprobs": True, "top_logprobs": 20} if args.unread else {}
        body = json.dumps({**long, "model": args.model, "stream": True, "max_tokens": args.new, "temperature": 1,
                           "seed": index, "messages": [{"role": "user", "content": text}]}).encode()
        self.out = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: {args.netloc}\r\nContent-Type: application/json\r\n"
                    f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
        self.head, self.tail, self.got, self.finished = b"", b"", 0, False
        self.begun, self.first, self.error, self.ended = time.monotonic(), None, None, False
        self.sock = socket.socket(socket.AF_INET6 if ":" in args.host else socket.AF_INET)
        if args.unread:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.setblocking(False)
        self.sock.connect_ex((args.host, args.port))

    def send(self):
        """True when all was sent."""
        try:
            self.out = self.out[self.sock.send(self.out):]
        except BlockingIOError:
            pass
        except OSError as e:
            self.end(f"send: {e.strerror}")
        return not self.out or self.ended

    def take(self):
        """Reads what is there. False at the end."""
        try:
            part = self.sock.recv(65536)
        except BlockingIOError:
            return True
        except OSError as e:
            return self.end(f"read: {e.strerror}")
        if not part:
            good = self.finished and b"data: [DONE]" in self.tail and self.tail.endswith(b"0\r\n\r\n")
            return self.end(None if good else f"cut: {(self.tail or self.head)[-80:]!r}")
        if not self.first:
            self.first = time.monotonic()
        self.head = (self.head + part)[:200] if len(self.head) < 200 else self.head
        self.got += len(part)
        seen = self.tail + part
        self.finished = self.finished or b'"finish_reason":"length"' in seen or b'"finish_reason":"stop"' in seen
        self.tail = seen[-200:]
        if len(self.head) >= 12 and not self.head.startswith(b"HTTP/1.1 200"):
            return self.end("refused: " + self.head[:40].split(b"\r\n")[0].decode("latin-1"))
        return True

    def end(self, error):
        self.error, self.ended = error, True
        self.sock.close()
        return False


def run(args, n, unread):
    """Opens n streams and reads them to their ends."""
    most, sel, begun = 0, selectors.DefaultSelector(), time.monotonic()
    streams, sending, other, open_at = [], 0, None, 0
    deadline = begun + args.seconds
    left = n
    reading = not unread
    held = None
    looked = 0
    cpu = [0, 0]

    def drop(s):
        nonlocal left
        left -= 1

    while left and time.monotonic() < deadline:
        while len(streams) < n and sending < 256:
            s = Stream(len(streams), args)
            streams.append(s)
            sending += 1
            sel.register(s.sock, selectors.EVENT_WRITE, s)
        for key, _ in sel.select(0.05):
            s = key.data
            if s.out:
                sock = s.sock
                if s.send():
                    sending -= 1
                    if s.ended:
                        sel.unregister(key.fileobj)
                        drop(s)
                    elif reading:
                        sel.modify(sock, selectors.EVENT_READ, s)
                    else:
                        sel.unregister(sock)
            elif not s.take():
                sel.unregister(key.fileobj)
                drop(s)
        now = time.monotonic()
        if now - looked > 1:
            cpu = [cpu[1], cpu_seconds(args.pid) if args.pid else now]
            most, looked = max(most, rss(args.pid)), now
            open_at = max(open_at, sum(not s.ended and not s.out for s in streams) if len(streams) == n else 0)
        if len(streams) == n and not sending and not reading:
            held = held or now + args.hold
            if now > held or (now > held - args.hold + 3 and cpu[1] - cpu[0] < 0.05):
                other = ask(args)
                most = max(most, rss(args.pid))
                reading = True
                for s in streams:
                    if not s.ended:
                        sel.register(s.sock, selectors.EVENT_READ, s)
    for s in streams:
        if not s.ended:
            s.end("not ended in time")
    return streams, most, other, open_at, time.monotonic() - begun


def ask(args):
    """Seconds that one more client's answer takes."""
    begun = time.monotonic()
    one = argparse.Namespace(**dict(vars(args), new=4, unread=False))
    s = Stream(1 << 30, one)
    s.sock.setblocking(True)
    s.sock.settimeout(args.seconds)
    while not s.send():
        pass
    while s.take():
        pass
    return {"seconds": time.monotonic() - begun, "error": s.error}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("url")
    p.add_argument("--streams", type=int, default=5000)
    p.add_argument("--new", type=int, default=32)
    p.add_argument("--words", type=int, default=8)
    p.add_argument("--unread", action="store_true")
    p.add_argument("--hold", type=float, default=300)
    p.add_argument("--warm", type=int, default=128)
    p.add_argument("--model", default=None)
    p.add_argument("--pid", type=int, default=0)
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--name", default="streams")
    p.add_argument("--json")
    args = p.parse_args()
    url = urllib.parse.urlsplit(args.url)
    args.host, args.port, args.netloc = url.hostname, url.port or 80, url.netloc
    if args.host == "localhost":
        args.host = "127.0.0.1"
    if not ipaddress.ip_address(args.host).is_loopback:
        p.error("only loopback addresses are taken")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if args.warm:
        run(args, args.warm, False)
    before = rss(args.pid)
    streams, most, other, open_at, seconds = run(args, args.streams, args.unread)
    failed = [s.error for s in streams if s.error]
    firsts = sorted(s.first - s.begun for s in streams if s.first) or [0]
    out = {"name": args.name, "streams": len(streams), "failed": len(failed), "open_at_once": open_at, "seconds": seconds,
           "bytes": sum(s.got for s in streams), "first_byte_p50_s": firsts[len(firsts) // 2], "first_byte_worst_s": firsts[-1],
           "rss_before": before, "rss_most": most, "rss_per_stream": (most - before) / len(streams), "other": other}
    print(f"{args.name}: {len(streams)} streams, {open_at} open at once, {len(failed)} failed, {seconds:.1f} s, "
          f"{out['bytes'] / 1e6:.1f} MB")
    for text in sorted(set(failed))[:5]:
        print(f"  {failed.count(text)} x {text}")
    print(f"  first byte: p50 {out['first_byte_p50_s']:.2f} s, worst {out['first_byte_worst_s']:.2f} s")
    if args.pid:
        print(f"  resident: {before / 1e6:.1f} MB before, {most / 1e6:.1f} MB at the most, "
              f"{out['rss_per_stream'] / 1024:.1f} KiB a stream")
    if other:
        print(f"  another client meanwhile: {other['seconds']:.2f} s, {other['error'] or 'good'}")
    if args.json:
        with open(args.json, "w") as f:
            json.dump(out, f)
    raise SystemExit(1 if failed or (other and other["error"]) else 0)


if __name__ == "__main__":
    main()
