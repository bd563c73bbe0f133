#!/usr/bin/env python3
"""Load on a server that speaks OpenAI's dialect, over HTTP and SSE: what its users would see.

    bench/serve_load.py http://127.0.0.1:8080 [--requests 32] [--rate 0] [--words 120] [--new 64] [--shared 0]
                        [--open 256] [--seconds 600] [--model NAME] [--chat] [--extra JSON] [--key KEY] [--seed 1]
                        [--name TEXT] [--json FILE]

--rate 0 sends all requests at once, else they arrive as a Poisson process of so many a second. At most --open are open
at a time (a later one waits here, and its time counts from its arrival); after --seconds all that still runs is cut.
Prompts are --words random common words, one token each for most vocabularies, behind --shared words that are the same in
all. /v1/completions is asked, with --chat /v1/chat/completions; --extra is merged into each request
('{"ignore_eos": true}' makes llama-server go on to the end). Refusals (429, 503) are counted and not sent again.

Printed: percentiles of the time to the first token, of gaps between two pieces of one stream, of each stream's worst
gap, and of whole requests; output tokens a second, as the server counts them (usage), else pieces. Only loopback
addresses are taken: this is no tool to bother others with. Standard library only.
"""
import argparse
import asyncio
import ipaddress
import json
import os
import random
import sys
import time
import urllib.parse

WORDS = ("the of and to in is that for it was on are as with his they at be this from have or by one had not but what all "
         "were when we there can an your which their if do will each how them then she many some so these would other into "
         "has more her two like him see time could no make than first been its who now people my made over did down only "
         "way find use may water long little very after called just where most know").split()
LINE_MAX = 1 << 20


class Failed(Exception):
    pass


def loopback(host):
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Request:
    """One request and when its pieces came."""

    def __init__(self, index, args):
        rng = random.Random(f"{args.seed}/{index}")
        shared = random.Random(args.seed)
        words = [shared.choice(WORDS) for _ in range(args.shared)]
        self.prompt = " ".join(words + [rng.choice(WORDS) for _ in range(args.words)])
        self.arrived = self.ended = None
        self.pieces = []
        self.held = []  # of each piece: it begins with half a character
        self.usage = {}
        self.status, self.retry_after, self.error = 0, None, None

    def body(self, args):
        body = {"model": args.model, "max_tokens": args.new, "stream": True, "temperature": 1, "seed": args.seed,
                "stream_options": {"include_usage": True}}
        if args.chat:
            body["messages"] = [{"role": "user", "content": self.prompt}]
        else:
            body["prompt"] = self.prompt
        body.update(args.extra)
        return json.dumps(body).encode()

    def take(self, data):
        """One event of the stream. False at its end."""
        if data == "[DONE]":
            return False
        event = json.loads(data)
        if "error" in event:
            raise Failed(f"error in the stream: {json.dumps(event['error'])[:200]}")
        if event.get("usage"):
            self.usage = event["usage"]
        for choice in event.get("choices", []):
            text = choice.get("text") if "text" in choice else (choice.get("delta") or {}).get("content")
            if text or (text == "" and choice.get("finish_reason") is None and "text" in choice):
                self.pieces.append(time.monotonic())
                self.held.append((text or "").startswith("\ufffd"))
        return True

    def tokens(self):
        return self.usage.get("completion_tokens", len(self.pieces))


async def read_head(reader):
    status = (await reader.readline()).split()
    if len(status) < 2 or not status[0].startswith(b"HTTP/1."):
        raise Failed("no HTTP answer")
    headers = {}
    while (line := await reader.readline()) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(status[1]), headers


async def body_parts(reader, headers):
    """The body's bytes as they come: chunked, of a known length, or up to the connection's end."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0] or b"0", 16):
            yield await reader.readexactly(size)
            await reader.readline()
        return
    left = int(headers.get("content-length", -1))
    while left and (part := await reader.read(65536 if left < 0 else min(left, 65536))):
        left -= len(part) if left > 0 else 0
        yield part


async def converse(request, args):
    reader, writer = await asyncio.open_connection(args.host, args.port, limit=LINE_MAX)
    try:
        body = request.body(args)
        path = args.path + ("/v1/chat/completions" if args.chat else "/v1/completions")
        head = [f"POST {path} HTTP/1.1", f"Host: {args.host}:{args.port}", "Content-Type: application/json",
                f"Content-Length: {len(body)}", "Accept: text/event-stream", "Connection: close"]
        if args.key:
            head.append(f"Authorization: Bearer {args.key}")
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        request.status, headers = await read_head(reader)
        request.retry_after = headers.get("retry-after")
        rest = b""
        async for part in body_parts(reader, headers):
            rest += part
            if request.status != 200:
                continue
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if line.startswith(b"data:") and not request.take(line[5:].strip().decode()):
                    return
        if request.status != 200:
            raise Failed(f"status {request.status}: {rest[:200].decode(errors='replace')}")
    finally:
        writer.close()


async def serve_one(request, args, room):
    async with room:
        try:
            await converse(request, args)
            if not request.pieces:
                raise Failed("no text came")
        except (Failed, OSError, ValueError, asyncio.IncompleteReadError) as e:
            request.error = str(e) or type(e).__name__
        except asyncio.CancelledError:
            request.error = "cut after --seconds"
            raise
        finally:
            request.ended = time.monotonic()


async def run(args):
    requests = [Request(i, args) for i in range(args.requests)]
    room = asyncio.Semaphore(args.open)
    arrivals = random.Random(args.seed)
    tasks, end = [], time.monotonic() + args.seconds
    for request in requests:
        if args.rate and tasks:
            await asyncio.sleep(min(arrivals.expovariate(args.rate), max(0, end - time.monotonic())))
        request.arrived = time.monotonic()
        tasks.append(asyncio.create_task(serve_one(request, args, room)))
    _, late = await asyncio.wait(tasks, timeout=max(0.1, end - time.monotonic()))
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return requests


def percentiles(values):
    values = sorted(values)
    at = lambda share: values[min(len(values) - 1, int(len(values) * share))]
    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "worst": values[-1]}


def summary(requests, args):
    good = [r for r in requests if not r.error]
    refused = [r for r in requests if r.status in (429, 503)]
    out = {"name": args.name, "requests": len(requests), "good": len(good), "refused": len(refused),
           "failed": len(requests) - len(good) - len(refused), "load": os.getloadavg()[0]}
    if refused:
        out["retry_after"] = sorted({r.retry_after for r in refused}, key=str)[:5]
    if not good:
        return out
    seconds = max(r.ended for r in good) - min(r.arrived for r in good)
    out["seconds"] = seconds
    out["output_tokens"] = sum(r.tokens() for r in good)
    out["tokens_per_s"] = out["output_tokens"] / seconds
    prompt = [r.usage["prompt_tokens"] for r in good if "prompt_tokens" in r.usage]
    if prompt:
        out["prompt_tokens"] = sum(prompt) / len(prompt)
    out["first_token_s"] = percentiles([r.pieces[0] - r.arrived for r in good])
    gaps = [[b - a for a, b in zip(r.pieces, r.pieces[1:])] or [0] for r in good]
    out["gap_s"] = percentiles([g for each in gaps for g in each])
    # A piece that begins with half a character was held back, in vain, for its other half: one token more than
    # the gap shows. Random weights do that, real ones hardly ever.
    of_kind = {True: [0], False: [0]}
    for r in good:
        for a, b, h in zip(r.pieces, r.pieces[1:], r.held[1:]):
            of_kind[h].append(b - a)
    out["held_back"] = {"n": len(of_kind[True]) - 1, "worst_s": max(of_kind[True])}
    out["worst_gap_but_held_back_s"] = max(of_kind[False])
    out["worst_gap_s"] = percentiles([max(each) for each in gaps])
    out["total_s"] = percentiles([r.ended - r.arrived for r in good])
    return out


def show(out, requests):
    print(f"{out['name']}: {out['requests']} requests, {out['good']} good, {out['refused']} refused, {out['failed']} failed; "
          f"load {out['load']:.1f}")
    for text in sorted({r.error for r in requests if r.error})[:5]:
        print(f"  {text}")
    if not out["good"]:
        return
    prompt = f", prompts of {out['prompt_tokens']:.0f} tokens" if "prompt_tokens" in out else ""
    print(f"  {out['tokens_per_s']:.1f} output tokens/s ({out['output_tokens']} in {out['seconds']:.2f} s{prompt})")
    for key, name in (("first_token_s", "first token"), ("gap_s", "gap"), ("worst_gap_s", "worst gap of a stream"),
                      ("total_s", "whole request")):
        values = "   ".join(f"{p} {v:8.3f}" for p, v in out[key].items())
        print(f"  {name:<22} {values} s")
    if out["held_back"]["n"]:
        print(f"  {out['held_back']['n']} pieces had waited for the other half of a character, at most "
              f"{out['held_back']['worst_s']:.3f} s; worst gap of the others {out['worst_gap_but_held_back_s']:.3f} s")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("url")
    p.add_argument("--requests", type=int, default=32)
    p.add_argument("--rate", type=float, default=0)
    p.add_argument("--words", type=int, default=120)
    p.add_argument("--new", type=int, default=64)
    p.add_argument("--shared", type=int, default=0)
    p.add_argument("--open", type=int, default=256)
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--model", default="default")
    p.add_argument("--chat", action="store_true")
    p.add_argument("--extra", type=json.loads, default={})
    p.add_argument("--key", default=os.environ.get("HEARTH_BENCH_KEY"))
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--name", default="server")
    p.add_argument("--json")
    args = p.parse_args()
    url = urllib.parse.urlsplit(args.url)
    args.host, args.port, args.path = url.hostname, url.port or 80, url.path.rstrip("/")
    if url.scheme != "http" or not args.host or not loopback(args.host):
        sys.exit(f"{args.url}: only http:// to a loopback address")
    for name, most in (("requests", 100000), ("open", 10000), ("words", 200000), ("new", 100000), ("shared", 200000)):
        if not 0 <= getattr(args, name) <= most:
            sys.exit(f"--{name}: not between 0 and {most}")
    if args.requests < 1 or args.open < 1 or args.rate < 0:
        sys.exit("--requests and --open are at least 1, --rate is not negative")
    requests = asyncio.run(run(args))
    out = summary(requests, args)
    show(out, requests)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(out, f, indent=1)
    return 0 if out["good"] == out["requests"] else 1


if __name__ == "__main__":
    sys.exit(main())
