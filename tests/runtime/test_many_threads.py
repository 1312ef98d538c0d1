"""Every kernel called by many Python threads at once, with and without a GIL: bit for bit what one thread gets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import npkernels as nk

# In a process of its own, because filters of warnings, which `digest` sets, belong to the process.
CODE = """
import random, sys, threading
import npkernels as nk
from fuzz.run import NAMES, digest, draw
free = not getattr(sys, '_is_gil_enabled', lambda: True)()
jobs = [(name, seed) for name in NAMES for seed in {seeds}]
nk.use_isa({isa!r})
wanted = {{job: digest(draw(*job)) for job in jobs}} if {compare} else None
faults, calls = [], []

def call(number):
    order = jobs.copy()
    random.Random(number).shuffle(order)
    for job in order:
        with nk.threads(1 + (number + len(calls)) % 4):
            try:
                found = digest(draw(*job))
                if wanted is not None and found != wanted[job]:
                    faults.append(job)
            except BaseException as error:
                faults.append((job, repr(error)))
        calls.append(job)

threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    if wanted is None:
        nk.use_isa(random.choice(nk.available_isas()))
    threads[0].join(0.001)
print(sorted(set(map(str, faults)))[:9], len(calls) == 6 * len(jobs))
assert free == (not getattr(sys, '_is_gil_enabled', lambda: True)())
"""


def run(**options):
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [sys.executable, "-c", CODE.format(isa=nk.isa(), **options)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_results_are_those_of_one_thread():
    assert run(compare=True, seeds=[0, 1, 2, 3]) == "[] True"


@pytest.mark.skipif(len(nk.available_isas()) < 2, reason="there is one instruction set")
def test_another_instruction_set_may_be_chosen_during_calls():
    assert run(compare=False, seeds=[0, 1, 2]) == "[] True"
