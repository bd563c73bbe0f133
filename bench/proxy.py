#!/usr/bin/env python3
"""What a proxy adds: the same load on the double of the vendors alone, on `hearth serve` before it, and on LiteLLM's
proxy before it, interleaved in one run; prints a table for docs/performance/serving.md.

    bench/proxy.py [--rounds 5] [--seconds 4] [--rate 2000] [--litellm FOLDER] [--no-litellm] [--json FILE]

Everything runs on this machine: the double (make double), the load (bench/proxy_load.c) and the proxy share its cores,
as they do for "the double alone". Hearth runs with a key, a price table and its ledger. --litellm is the folder that
tools/litellm-venv made. "Added" is the difference of a percentile through the proxy and of the same percentile of the
double alone in the same round; the table has the median over the rounds and, behind it, the least. Nothing is sent
beyond loopback.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
from vendors import KEY, Double, Gateway  # noqa: E402

LOAD = os.path.join(ROOT, "build/release/bench/proxy_load")
TICKS = os.sysconf("SC_CLK_TCK")


def processes_of(pid):
    """A process and all of its children's."""
    found, new = {pid}, {pid}
    while new:
        children = set()
        for p in os.listdir("/proc"):
            if p.isdigit():
                try:
                    with open(f"/proc/{p}/stat") as f:
                        if int(f.read().rsplit(")", 1)[1].split()[1]) in new:
                            children.add(int(p))
                except (OSError, ValueError):
                    pass
        new = children - found
        found |= new
    return found


def cpu_seconds(pid):
    total = 0
    for p in processes_of(pid):
        try:
            with open(f"/proc/{p}/stat") as f:
                words = f.read().rsplit(")", 1)[1].split()
            total += int(words[11]) + int(words[12])
        except OSError:
            pass
    return total / TICKS


def memory_mb(pid):
    """Proportional set size: what is shared is not counted twice."""
    total = 0
    for p in processes_of(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += [int(line.split()[1]) for line in f if line.startswith("Pss:")][0]
        except (OSError, IndexError):
            pass
    return total / 1024


class Litellm:
    def __init__(self, folder, double):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        config = {"model_list": [{"model_name": "m", "litellm_params": {
            "model": "openai/m", "api_base": double.url + "/v1", "api_key": KEY}}],
            "general_settings": {"master_key": "sk-litellm"}, "litellm_settings": {"telemetry": False}}
        path = os.path.join(self.folder.name, "config.yaml")
        with open(path, "w") as f:
            json.dump(config, f)
        self.log = open(os.path.join(self.folder.name, "log"), "wb")
        env = dict(os.environ, HOME=self.folder.name, LITELLM_LOG="ERROR", LITELLM_MODE="PRODUCTION",
                   LITELLM_LOCAL_MODEL_COST_MAP="True", DO_NOT_TRACK="1")
        self.process = subprocess.Popen([os.path.join(folder, "bin/litellm"), "--config", path, "--host", "127.0.0.1",
                                         "--port", str(self.port), "--num_workers", "1", "--telemetry", "False"],
                                        env=env, stdout=self.log, stderr=self.log)
        self.key = "sk-litellm"
        end = time.time() + 180
        while time.time() < end and self.process.poll() is None:
            try:
                if urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/liveliness", timeout=2).status == 200:
                    return
            except OSError:
                time.sleep(0.5)
        sys.exit("LiteLLM's proxy did not start: " + open(self.log.name).read()[-2000:])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def free_port():
    import socket
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    return port


class Target:
    def __init__(self, name, port, key, model, pid):
        self.name, self.port, self.key, self.model, self.pid = name, port, key, model, pid

    def load(self, rate, seconds, *words):
        cpu = cpu_seconds(self.pid)
        r = subprocess.run([LOAD, "--port", str(self.port), "--key", self.key, "--model", self.model, "--rate",
                            str(rate), "--seconds", str(seconds), *map(str, words)], capture_output=True, text=True)
        if r.returncode:
            sys.exit(f"{self.name}: {r.stdout} {r.stderr}")
        out = json.loads(r.stdout)
        out["cpu_us"] = (cpu_seconds(self.pid) - cpu) * 1e6 / max(out["answered"], 1)
        out["target"], out["words"] = self.name, [rate, seconds, *words]
        if out["errors"] or set(out["statuses"]) - {"200"}:
            print(f"{self.name} {rate}: {out['errors']} errors, {out['statuses']}", file=sys.stderr)
        return out


def differences(rounds, name, what, point):
    """Median and least over the rounds of what a target adds to the double alone, in microseconds."""
    added = [r[name][what][point] - r["double"][what][point] for r in rounds if name in r]
    return (statistics.median(added), min(added)) if added else (None, None)


def shown(pair, unit=1e3, digits=2):
    return "–" if pair[0] is None else f"{pair[0] / unit:.{digits}f} ({pair[1] / unit:.{digits}f})"


def median_of(rounds, name, *path):
    values = []
    for r in rounds:
        v = r.get(name)
        for p in path:
            v = v[p] if v else None
        if v is not None:
            values.append(v)
    return statistics.median(values) if values else None


def print_tables(args, small, streams, most, memory, slow):
    def number(v, digits=0):
        return "–" if v is None else f"{v:,.{digits}f}"
    names = [n for n in ("hearth", "litellm") if n in memory]
    print(f"Small requests, {args.rate} a second, in ms: added, median of {len(small)} rounds (least)\n")
    print("| | double alone p50 | p99 | added p50 | p90 | p99 | p99.9 | CPU µs a request |")
    print("|---|---|---|---|---|---|---|---|")
    cells = [shown(differences(small, "hearth", "total_us", p)) for p in ("p50", "p90", "p99", "p999")]
    print(f"| Hearth | {number(median_of(small, 'double', 'total_us', 'p50') / 1e3, 2)} | "
          f"{number(median_of(small, 'double', 'total_us', 'p99') / 1e3, 2)} | {' | '.join(cells)} | "
          f"{number(median_of(small, 'hearth', 'cpu_us'))} |")
    if slow:
        cells = [shown(differences(slow, "litellm", "total_us", p)) for p in ("p50", "p90", "p99", "p999")]
        print(f"| LiteLLM, {args.slow_rate} a second | {number(median_of(slow, 'double', 'total_us', 'p50') / 1e3, 2)} |"
              f" {number(median_of(slow, 'double', 'total_us', 'p99') / 1e3, 2)} | {' | '.join(cells)} | "
              f"{number(median_of(slow, 'litellm', 'cpu_us'))} |")
    print(f"\nStreams of {args.chunks} chunks, one each {args.wait} ms, {args.streams} a second: added to each chunk, ms\n")
    print("| | p50 | p90 | p99 | to the first byte, p50 |\n|---|---|---|---|---|")
    for name in names:
        cells = [shown(differences(streams, name, "chunk_us", p), digits=3) for p in ("p50", "p90", "p99")]
        print(f"| {name} | {' | '.join(cells)} | {shown(differences(streams, name, 'first_us', 'p50'))} |")
    print(f"\nAs many as go, {args.connections} connections\n")
    print("| | requests a second, median (most) | memory after, MB |\n|---|---|---|")
    for name in ["double"] + names:
        all_rates = [r[name]["per_second"] for r in most if name in r]
        print(f"| {name} | {number(statistics.median(all_rates))} ({number(max(all_rates))}) | "
              f"{number(memory.get(name), 1)} |")
    if "litellm" in memory:
        ratio = median_of(most, "hearth", "per_second") / median_of(most, "litellm", "per_second")
        print(f"\nHearth: {ratio:.1f} times LiteLLM's throughput, {memory['hearth'] / memory['litellm']:.3f} of its memory.")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=4)
    p.add_argument("--rate", type=float, default=2000)
    p.add_argument("--slow-rate", type=float, default=20, dest="slow_rate", help="of LiteLLM's latencies")
    p.add_argument("--streams", type=float, default=50)
    p.add_argument("--chunks", type=int, default=20)
    p.add_argument("--wait", type=int, default=5)
    p.add_argument("--connections", type=int, default=32)
    p.add_argument("--litellm", default=os.environ.get("HEARTH_LITELLM_VENV",
                                                       os.path.expanduser("~/.cache/hearth-litellm")))
    p.add_argument("--no-litellm", action="store_true", dest="no_litellm")
    p.add_argument("--json")
    args = p.parse_args()
    double = Double("--no-log")
    gateway = Gateway(double, options=("--quiet",))
    key = gateway.new_key("bench")["key"]
    targets = {"double": Target("double", double.port, KEY, "m", double.process.pid),
               "hearth": Target("hearth", gateway.port, key, "via-openai", gateway.process.pid)}
    litellm = None
    if not args.no_litellm and os.path.exists(os.path.join(args.litellm, "bin/litellm")):
        litellm = Litellm(args.litellm, double)
        targets["litellm"] = Target("litellm", litellm.port, litellm.key, "m", litellm.process.pid)
    fast = {n: t for n, t in targets.items() if n != "litellm"}
    small, streams, most, slow = [], [], [], []
    for i in range(args.rounds):
        print(f"round {i + 1} of {args.rounds}", file=sys.stderr)
        small.append({n: t.load(args.rate, args.seconds, "--connections", 64) for n, t in fast.items()})
        # LiteLLM does not keep up with so many streams: what it adds is measured at a tenth of them.
        rates = {n: args.streams if n != "litellm" else args.streams / 10 for n in targets}
        streams.append({n: t.load(rates[n], args.seconds, "--chunks", args.chunks, "--wait", args.wait,
                                  "--connections", 64) for n, t in targets.items()})
        most.append({n: t.load(0, args.seconds, "--connections", args.connections) for n, t in targets.items()})
        if litellm:
            slow.append({n: targets[n].load(args.slow_rate, args.seconds, "--connections", 8)
                         for n in ("double", "litellm")})
    memory = {n: memory_mb(t.pid) for n, t in targets.items()}
    with open("/proc/cpuinfo") as f:
        cpu = [line.split(":")[1].strip() for line in f if line.startswith("model name")][0]
    print(f"{cpu}, {os.cpu_count()} cores, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}\n")
    print_tables(args, small, streams, most, memory, slow)
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"small": small, "streams": streams, "most": most, "slow": slow, "memory": memory}, f)
    print(f"\nrows in the ledger: {len(gateway.rows())}", file=sys.stderr)
    if litellm:
        litellm.stop()
    gateway.stop()
    double.stop()


main()
