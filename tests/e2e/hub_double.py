#!/usr/bin/env python3
"""A Hugging Face hub on loopback, which tells every request that it got and misbehaves on demand.

    hub = HubDouble(); hub.add(Repository("acme/tiny", {"config.json": b"{}"}))
    HF_ENDPOINT=hub.endpoint hearth pull acme/tiny

Two listeners: the hub on 127.0.0.1, and the host that large files are redirected to on 127.0.0.2 (`other_port` is a
third one: the hub's own address under another port). Signatures in addresses are checked; a token that reaches another
host is refused and recorded. tests/e2e/test_hub_double.py has `huggingface_hub` download from it.
As a program it serves folders, one repository each: hub_double.py OWNER/NAME=FOLDER...
"""
import gzip
import os
import re
import secrets
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hub.faults import Fault, Faults  # noqa: E402
from hub.repository import File, Repository  # noqa: E402
from hub.routes import Routes  # noqa: E402


@dataclass
class Request:
    listener: str               # "hub", "cdn" or "other"
    method: str
    target: str
    range: str | None
    authorization: str | None
    host: str
    headers: dict
    at: float
    path: str = ""              # the file in its repository, once known
    sha256: str = ""            # of the content that was asked for
    status: int = 0
    sent: int = 0               # bytes of a file's content that left


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, name, hub):
        self.name, self.hub = name, hub
        super().__init__((address, 0), Handler)
        # What a client that dies has not read is not counted as served, if it never left.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # clients go away as they like


class HubDouble:
    def __init__(self, rate=None, connections=64):
        self.repositories, self.moved, self.requests = {}, {}, []
        self.faults, self.tokens = Faults(), {}      # tokens: {token: user}
        self.blobs, self.signatures = {}, {}         # by SHA-256; signature -> uses left
        self.signature_uses = 1 << 30                # how often a redirect's address can be used
        self.small_redirects = False                 # small files by a relative redirect, as the hub does since 2025
        self.anything = None                         # a File that is sent for every address without one of its own
        self.rate, self.next_free = rate, 0.0        # bytes a second, all connections together
        self.lock, self.slots = threading.Lock(), threading.BoundedSemaphore(connections)
        self.active = self.peak = 0                  # answers with file content under way
        self.cookie = "hub-session=" + secrets.token_hex(8)
        self.hub, self.cdn = Listener("127.0.0.1", "hub", self), Listener("127.0.0.2", "cdn", self)
        self.other = Listener("127.0.0.1", "other", self)
        self.endpoint = f"http://127.0.0.1:{self.hub.server_port}"
        self.cdn_url = f"http://127.0.0.2:{self.cdn.server_port}"
        self.other_url = f"http://127.0.0.1:{self.other.server_port}"

    def add(self, repository):
        self.repositories[repository.name] = repository
        return repository

    def fault(self, match="", **what):
        return self.faults.add(Fault(match, **what))

    def sign(self, sha256):
        """A path on the CDN that holds for `signature_uses` requests."""
        signature = "SIGNATURE" + secrets.token_hex(16)
        with self.lock:
            self.signatures[signature] = self.signature_uses
        return (f"/repos/9f/{sha256}?response-content-disposition=inline%3B+filename%3D%22m%22&Expires=1900000000"
                f"&X-Amz-Signature={signature}&Key-Pair-Id=K24")

    def signed(self, target):
        signature = re.search(r"X-Amz-Signature=(\w+)", target)
        with self.lock:
            left = self.signatures.get(signature[1], 0) if signature else 0
            if signature:
                self.signatures[signature[1]] = left - 1
            return left > 0

    def pace(self, n_bytes, rate):
        """Waits until n more bytes may leave."""
        if rate:  # one answer by itself
            time.sleep(n_bytes / rate)
        if self.rate:
            with self.lock:
                at = max(time.monotonic(), self.next_free)
                self.next_free = at + n_bytes / self.rate
            time.sleep(max(0, at - time.monotonic()))

    def mark(self):
        """Where the record stands now: since(mark) gives what came later."""
        return len(self.requests)

    def since(self, mark=0, listener=None, path=None):
        return [r for r in self.requests[mark:] if (listener is None or r.listener == listener)
                and (path is None or r.path == path)]

    def sent(self, mark=0, path=None, sha256=None):
        return sum(r.sent for r in self.requests[mark:] if (path is None or r.path == path)
                   and (sha256 is None or r.sha256 == sha256))

    def close(self):
        for listener in (self.hub, self.cdn, self.other):
            listener.shutdown()
            listener.server_close()


class Handler(Routes, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub = self.server.hub
        self.request_record = Request(self.server.name, self.command, self.path, self.headers.get("Range"),
                                      self.headers.get("Authorization"), self.headers.get("Host", ""),
                                      dict(self.headers.items()), time.monotonic())
        hub.requests.append(self.request_record)
        with hub.slots:
            try:
                self.route(hub, unquote(urlsplit(self.path).path))
            except OSError:
                self.close_connection = True

    # What the routes answer with.
    def answer(self, status, headers=None, body=b"", fault=None):
        self.request_record.status = status
        headers = dict({"Content-Length": str(len(body)), "Content-Type": "application/json; charset=utf-8"},
                       **(headers or {}))
        headers.update(fault.headers if fault else {})
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if headers.get("Content-Length") != str(len(body)):
            self.close_connection = True

    def error(self, status, code=None, message="", headers=None):
        headers = dict(headers or {}, **({"X-Error-Code": code} if code else {}))
        if message:
            headers["X-Error-Message"] = message
        self.answer(status, headers, b'{"error":"%s"}' % message.encode())

    def misbehave(self, fault):
        """The part of a fault that replaces the answer; False if the answer is to be given all the same."""
        if fault.wait_s:
            time.sleep(fault.wait_s)
        if fault.raw is not None:
            self.wfile.write(fault.raw)
            self.close_connection = True
        elif fault.close:
            self.close_connection = True
        elif fault.redirect is not None:
            self.answer(fault.status or 302, dict({"Location": fault.redirect.replace("{self}", self.path)},
                                                  **fault.headers))
        elif fault.status is not None or fault.body is not None:
            self.answer(fault.status or 200, fault.headers, b"" if fault.body is None else fault.body)
        else:
            return False
        return True

    def send_file(self, file, headers):
        """A file's content, all or the range asked for, with what is to go wrong."""
        hub, record, data = self.server.hub, self.request_record, file.data
        record.path, record.sha256 = file.path, file.sha256
        fault = hub.faults.take("data", file.path, record.range is not None)
        if fault and self.misbehave(fault):
            return
        fault = fault or Fault()
        if fault.data is not None:
            data = fault.data
        if fault.flip is not None:
            data = data[:fault.flip] + bytes([data[fault.flip] ^ 1]) + data[fault.flip + 1:]
        first, last, status = 0, len(data) - 1, 200
        asked = None if fault.ignore_range else re.fullmatch(r"bytes=(\d*)-(\d*)", record.range or "")
        headers = dict({"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes",
                        "ETag": f'"{file.etag}"'}, **headers)
        if asked and asked[0] != "bytes=-" and self.headers.get("If-Range", f'"{file.etag}"') == f'"{file.etag}"':
            first = int(asked[1]) if asked[1] else max(0, len(data) - int(asked[2]))
            last = min(last, int(asked[2])) if asked[1] and asked[2] else last
            if first > last:
                return self.answer(416, {"Content-Range": f"bytes */{len(data)}"})
            status, headers["Content-Range"] = 206, fault.content_range or f"bytes {first}-{last}/{len(data)}"
        body = data[first:last + 1] + fault.extra
        if fault.gzip:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        headers["Content-Length"] = None if fault.chunked else str(len(body))
        if fault.chunked:
            headers["Transfer-Encoding"] = "chunked"
        headers.update(fault.headers)
        record.status = status
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with hub.lock:
                hub.active += 1
                hub.peak = max(hub.peak, hub.active)
            try:
                self.send_body(body, fault)
            finally:
                with hub.lock:
                    hub.active -= 1

    def send_body(self, body, fault):
        hub, record, at = self.server.hub, self.request_record, 0
        rate = min(r for r in (fault.rate, hub.rate, 1 << 40) if r)
        step = max(1, min(65536, int(rate / 50)))
        end = min(len(body), *(n for n in (fault.cut_after, fault.stall_after, len(body)) if n is not None))
        while at < end:
            block = body[at:min(end, at + step)]
            hub.pace(len(block), fault.rate)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if fault.chunked else block)
            at += len(block)
            record.sent += len(block)
        if fault.stall_after is not None:
            self.connection.settimeout(60)
            self.connection.recv(1)  # until the client has had enough
        if fault.stall_after is not None or fault.cut_after is not None:
            if fault.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif fault.chunked:
            self.wfile.write(b"0\r\n\r\n")


def main(arguments):
    hub = HubDouble()
    for argument in arguments:
        name, folder = argument.split("=", 1)
        files = [os.path.relpath(os.path.join(d, f), folder) for d, _, names in os.walk(folder) for f in names]
        hub.add(Repository(name, [File(f, open(os.path.join(folder, f), "rb").read()) for f in sorted(files)]))
        print(f"HF_ENDPOINT={hub.endpoint} hearth pull {quote(name)}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
