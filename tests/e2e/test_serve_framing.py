#!/usr/bin/env python3
"""What of a request leaves open where it ends, for whom it is or what it wants: refused, and the connection closed."""
import json

from server import MODEL_ID, Server, claim, finish

s = Server("--timeout", "5")
HOST = b"Host: localhost\r\n"
BODY = json.dumps({"model": MODEL_ID, "prompt": "x", "max_tokens": 1}).encode()
NEXT = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def chunked(body):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def post(headers, body, host=HOST, version=b"1.1"):
    return b"POST /v1/completions HTTP/" + version + b"\r\n" + host + headers + b"\r\n" + body


def get(target, host=HOST, more=b"", version=b"1.1"):
    return b"GET " + target + b" HTTP/" + version + b"\r\n" + host + more + b"\r\n"


def answers(data):
    """The statuses that come back until the server closes."""
    got = s.raw(data, timeout=15)
    return [int(p.split()[0]) for p in got.split(b"HTTP/1.1 ")[1:]], got


def refused(name, data, status=400):
    """One answer of this status; what was sent behind it is no request."""
    seen, got = answers(data + NEXT)
    head = got.split(b"\r\n\r\n")[0].lower()
    claim(f"{name}: {status}", seen == [status], got)
    claim(f"{name}: and closed", b"connection: close" in head and b"<timeout>" not in got, got)
    claim(f"{name}: an error as others are", b'"error"' in got, got)


def taken(name, data, statuses=(200, 200)):
    seen, got = answers(data + NEXT)
    claim(f"{name}: taken", seen == list(statuses), got)


n = len(BODY)
lengths = [b"Content-Length: %d\r\n" % i for i in (n, n + 1)]
taken("a plain request", post(lengths[0], BODY))
taken("the same length twice", post(lengths[0] * 2, BODY))
taken("in chunks", post(b"Transfer-Encoding: Chunked\r\n", chunked(BODY)))
refused("two lengths", post(lengths[0] + lengths[1], BODY))
refused("two lengths, the larger first", post(lengths[1] + lengths[0], BODY))
refused("a length and a coding", post(lengths[0] + b"Transfer-Encoding: chunked\r\n", chunked(BODY)))
refused("a coding and a length", post(b"Transfer-Encoding: chunked\r\n" + lengths[0], chunked(BODY)))
refused("two codings", post(b"Transfer-Encoding: chunked\r\n" * 2, chunked(BODY)))
refused("a coding in HTTP/1.0", post(b"Transfer-Encoding: chunked\r\n", chunked(BODY), version=b"1.0"))
for coding in (b"xchunked", b"gzip, chunked", b"identity", b"chunked, chunked", b""):
    refused(f"coding {coding.decode()!r}", post(b"Transfer-Encoding: " + coding + b"\r\n", chunked(BODY)), 501)
for line in (b"Transfer-Encoding : chunked\r\n", b"Content-Length\t: 5\r\n", b"X y: 1\r\n", b"X(: 1\r\n", b": 1\r\n"):
    refused(f"a name {line!r}", post(line + lengths[0], BODY))
refused("a space before the colon of Host", get(b"/health", b"Host : localhost\r\n"))
refused("a continued line", post(b"X: a\r\n b\r\n" + lengths[0], BODY))
refused("a name made of two lines", post(b"Content-Len: 0\r\n gth\r\n" + lengths[0], BODY))
refused("a NUL in a value", post(b"X: a\0b\r\n" + lengths[0], BODY))
refused("a NUL in the last value", post(b"Content-Length: %d\0 9\r\n" % n, BODY))
refused("no Host", get(b"/health", b""))
refused("two Hosts", get(b"/health", HOST * 2))
taken("no Host in HTTP/1.0", get(b"/health", b"", version=b"1.0"), (200,))
for target in (b"/health\0x", b"/health%00x", b"/health x", b"/v1/models?a=\0b", b"http://a%41/health",
               b"http:///health", b"http://me@localhost/health", b"http://%00/"):
    refused(f"target {target!r}", get(target))
taken("an absolute target", get(b"http://127.0.0.1:%d/health" % s.port))
taken("in capitals, with a query", get(b"HTTP://localhost/v1/models?a=b"))
taken("of the root", get(b"http://localhost"))
seen, got = answers(get(b"http://evil.example/health", more=b"Connection: close\r\n"))
claim("an absolute target of another host is another host", seen == [403], got)
seen, got = answers(get(b"http://localhost/health", b"Host: evil.example\r\n", b"Connection: close\r\n"))
claim("and counts, whatever Host says", seen == [200], got)

for method, path, allow in (("POST", "/health", "GET, HEAD"), ("GET", "/v1/chat/completions", "POST"),
                            ("DELETE", "/v1/models", "GET, HEAD"), ("PUT", "/admin/keys", "GET, HEAD, POST"),
                            ("GET", "/admin/keys/x", "DELETE"), ("POST", "/", "GET, HEAD"),
                            ("OPTIONS", "/v1/messages", "POST")):
    status, _, headers = s.request(method, path, headers={"Content-Length": "0"})
    claim(f"{method} {path} is a 405 that says what is allowed",
          status == 405 and headers.get("allow") == allow, (status, headers))
status, _, headers = s.request("PUT", "/nowhere", headers={"Content-Length": "0"})
claim("what is not there allows nothing", status == 404 and "allow" not in headers, (status, headers))
claim("it ends with 0", s.stop() == 0, s.logged()[-600:])
finish()
