#!/usr/bin/env python3
"""`hearth pull`, `list`, `show` and `rm` against a hub double on loopback (hub_double.py).

The cases are in hub/cases_*.py and run several at a time, each with a hub and a home of its own: most of them wait for
a slow or silent server. `test_pull.py WORD...` runs those whose name holds one of the words; PULL_TIMES=1 tells how
long each took.
"""
import os
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
tempfile.tempdir = tempfile.mkdtemp(prefix="hearth-test-pull-")

from hub import (cases_commands, cases_hostile, cases_machine, cases_network, cases_redirects,  # noqa: E402
                 cases_resume, cases_steps, cases_store, harness)

CASES = [  # those that wait longest first
    cases_network.stalled, cases_network.silent, *cases_network.endings, *cases_network.mended,
    cases_network.ranges, cases_network.expired, cases_network.dripping, cases_network.several, cases_network.refusals,
    cases_resume.killed, cases_resume.resumed, cases_resume.forged, cases_resume.interrupted, cases_resume.at_once,
    cases_resume.heir, cases_resume.side_by_side, cases_resume.unused_parts,
    cases_steps.pull_killed_at_each_step, cases_steps.update_killed_at_each_step, cases_steps.rm_killed_at_each_step,
    cases_steps.pull_failing_at_each_step, cases_steps.update_failing_at_each_step,
    cases_commands.pulled_gguf, cases_commands.pulled_checkout, cases_commands.choices, cases_commands.references,
    cases_store.shared, cases_store.names, cases_store.revisions, cases_store.paths, cases_store.damaged,
    cases_store.odd_names,
    cases_redirects.token_stays, cases_redirects.leads_away, cases_redirects.leads_nowhere, cases_redirects.loops,
    cases_redirects.token_sources, cases_redirects.not_in_ps,
    cases_hostile.file_names, cases_hostile.twice, cases_hostile.quantization_names, cases_hostile.entries,
    cases_hostile.answers, cases_hostile.too_large, cases_hostile.control_characters,
    cases_machine.disk_checked, cases_machine.disk_filled, cases_machine.disk_read_only, cases_machine.no_hard_links, cases_machine.file_limit,
    cases_machine.proxied, cases_machine.terminal, cases_machine.unsigned]


def main(words):
    cases = [c for c in CASES if not words or any(w in c.__name__ for w in words)]
    try:
        failed = harness.run_cases(cases)
    finally:
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)
    last = harness.Claims("secrets")
    last.claim("no output of any run held a token, a password or a signed address", not harness.secrets_seen,
               *harness.secrets_seen[:5])
    print("\n".join(last.lines))
    return 1 if failed or last.failed else 0


sys.exit(main(sys.argv[1:]))
