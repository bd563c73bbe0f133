#!/usr/bin/env python3
"""A ledger whose database somebody else has locked: who needs it waits or is refused, and holds up nobody else."""
import os
import sqlite3
import threading
import time

from vendors import MODEL, Double, Gateway, claim, finish

double = Double()
gateway = Gateway(double, model=MODEL)
free = gateway.new_key("free")["key"]
budgets = [gateway.new_key(f"budget-{i}", "--budget", "1")["key"] for i in range(24)]


def ask(model, key):
    begun = time.time()
    status, body, headers = gateway.request("POST", "/v1/chat/completions", {
        "model": model, "max_tokens": 2, "messages": [{"role": "user", "content": "hello"}]},
        {"authorization": "Bearer " + key})
    return status, time.time() - begun, headers.get("retry-after"), body


for key in (free, budgets[-1]):  # known here, and the model is loaded
    ask("hearth-small", key)
path = next(os.path.join(f, "ledger.db") for f, _, names in os.walk(gateway.path("home")) if "ledger.db" in names)
db = sqlite3.connect(path, isolation_level=None)
db.execute("BEGIN IMMEDIATE")
answers = []
threads = [threading.Thread(target=lambda k=k: answers.append(ask("via-openai", k))) for k in budgets[:-1]]
for t in threads:
    t.start()
time.sleep(0.5)
status, seconds, _, body = ask("hearth-small", free)
claim("who needs no ledger is served here meanwhile", status == 200 and seconds < 1.5, (status, seconds, body))
status, seconds, _, body = ask("via-openai", free)
claim("and by a vendor", status == 200 and seconds < 1.5, (status, seconds, body))
status, seconds, later, body = ask("via-openai", budgets[-1])
claim("who needs it is refused at once when many wait", status == 503 and seconds < 1 and later == "1", (status, seconds, later, body))
for t in threads:
    t.join()
claim("who waited is refused after a time", all(a[0] == 503 and a[2] for a in answers), answers)
claim("and only some did", sum(a[1] > 2 for a in answers) <= 4, sorted(a[1] for a in answers))
db.execute("ROLLBACK")
db.close()
end = time.time() + 20
while (status := ask("via-openai", budgets[0])[0]) != 200 and time.time() < end:
    time.sleep(0.1)
claim("when it is free again everybody is served", status == 200 and [ask("via-openai", k)[0] for k in budgets] == [200] * 24, status)
claim("it ends with 0", gateway.stop() == 0)
finish()
