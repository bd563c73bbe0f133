#!/usr/bin/env python3
"""A vendor over TLS: asked with its key where its certificate is trusted, and told nothing where it is not; redirects
are not followed."""
import http.server
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import threading

from server import BIN, claim, finish

KEY = "sk-acme-0123456789abcdef"


class Vendor(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    heard, redirect = [], None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Vendor.heard.append((self.path, self.headers.get("Authorization"), body))
        if Vendor.redirect:
            self.send_response(307)
            self.send_header("Location", Vendor.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        def chunk(delta, finish):
            return "data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                                          "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}) + "\n\n"
        text = chunk({"content": "good morning"}, None) + chunk({}, "stop") + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):  # a client that does not trust us leaves in the middle of a handshake
        pass


def serve(cert=None, key=None):
    s = Quiet(("127.0.0.1", 0), Vendor)
    if cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        s.socket = context.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s.server_address[1]


def certificate(folder, host):
    cert, key = f"{folder}/{host}.pem", f"{folder}/{host}-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-days", "2", "-keyout", key,
                    "-out", cert], check=True, capture_output=True)
    return cert, key


def ask(folder, url, **members):
    config = f"{folder}/hearth.yaml"
    with open(config, "w") as f:
        f.write(f"providers:\n  acme:\n    dialect: openai\n    base_url: {url}\n    key_env: ACME_KEY\n    retries: 0\n")
        f.writelines(f"    {k}: {v}\n" for k, v in members.items())
    Vendor.heard.clear()
    env = dict(os.environ, ACME_KEY=KEY, HEARTH_HOME=folder + "/home", HOME=folder, LC_ALL="C.UTF-8")
    r = subprocess.run([BIN, "run", "acme/m", "hello", "--config", config], env=env, capture_output=True, text=True,
                       timeout=120)
    claim("the key is in nothing that is printed", KEY not in r.stdout + r.stderr, r)
    return r


def main():
    if not shutil.which("openssl"):
        print("skip TLS of vendors: there is no openssl to make a certificate with")
        return
    with tempfile.TemporaryDirectory() as d:
        cert, key = certificate(d, "localhost")
        other, other_key = certificate(d, "vendor.example")
        url = f"https://localhost:{serve(cert, key)}/v1"
        r = ask(d, url, ca_file=cert)
        claim("a vendor whose certificate is trusted answers", r.returncode == 0 and "good morning" in r.stdout, r)
        claim("its key came in a header", [h[:2] for h in Vendor.heard] == [("/v1/chat/completions", "Bearer " + KEY)],
              Vendor.heard)
        r = ask(d, url)
        claim("one that nobody vouches for is told nothing", r.returncode != 0 and not Vendor.heard and
              "certificate is not trusted" in r.stderr, (r, Vendor.heard))
        r = ask(d, f"https://localhost:{serve(other, other_key)}/v1", ca_file=other)
        claim("nor is one with another's certificate", r.returncode != 0 and not Vendor.heard, (r, Vendor.heard))
        Vendor.redirect = f"http://127.0.0.1:{serve()}/v1/chat/completions"
        r = ask(d, url, ca_file=cert)
        claim("a redirect is not followed", r.returncode != 0 and len(Vendor.heard) == 1 and "redirects (307)" in r.stderr,
              (r, Vendor.heard))


main()
finish()
