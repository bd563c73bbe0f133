"""A forward proxy on loopback: absolute-form GET only, names of hosts mapped to listeners of the double."""
import http.client
import socketserver
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit


@dataclass
class Proxied:
    host: str
    target: str
    credentials: str | None
    authorization: str | None


class Proxy:
    def __init__(self, hosts=None, limit=32):
        """`hosts`: {"hub.example": ("127.0.0.1", 1234)}; what is not in it must be on loopback."""
        self.hosts, self.requests, self.slots = hosts or {}, [], threading.BoundedSemaphore(limit)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def log_message(self, *_):
                pass

            def do_GET(self):
                with proxy.slots:
                    proxy.forward(self)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler, bind_and_activate=True)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.port = self.server.server_address[1]

    def forward(self, client):
        url = urlsplit(client.path)
        self.requests.append(Proxied(url.netloc, client.path, client.headers.get("Proxy-Authorization"),
                                     client.headers.get("Authorization")))
        host, port = self.hosts.get(url.netloc) or (url.hostname, url.port or 80)
        if not url.scheme == "http" or not (host or "").startswith("127."):
            client.close_connection = True
            return client.send_error(502)
        upstream = http.client.HTTPConnection(host, port, timeout=60)
        try:
            headers = {k: v for k, v in client.headers.items() if not k.lower().startswith("proxy-")}
            upstream.request("GET", url.path + ("?" + url.query if url.query else ""), headers=headers)
            answer = upstream.getresponse()
            client.send_response_only(answer.status)
            for name, value in answer.getheaders():
                client.send_header(name, value)
            client.end_headers()
            while block := answer.read(65536):
                client.wfile.write(block)
        except (OSError, http.client.HTTPException):
            client.close_connection = True
        finally:
            upstream.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
