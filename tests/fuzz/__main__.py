"""All fuzzers in turn, with random seeds, until the time is out: `python -m tests.fuzz --minutes 30 --seed 1`."""

import argparse
import importlib
import mmap
import multiprocessing
import sys
import time
import traceback

import npkernels as nk

from . import journal

# Modules with `run(seed, seconds)`, which returns the number of calls and raises AssertionError with what repeats it.
FUZZERS = ("layouts", "geometry", "poison", "tampering", "scikit_learn")
TURN = 20.0  # seconds of a fuzzer
GRACE = 120.0  # more, after which it hangs


def turn(name, isa, seed, seconds, page, pipe):
    """In a child process: what a kernel kills is not the parent."""
    journal.open_in(page)
    nk.use_isa(isa)
    try:
        pipe.send((importlib.import_module(f"{__package__}.{name}").run(seed, seconds), None))
    except Exception:
        pipe.send((0, traceback.format_exc(limit=-3)))


def supervised(name, isa, seed, seconds):
    """(calls, what went wrong or None) of one turn."""
    page = mmap.mmap(-1, 1 << 16)
    ours, theirs = multiprocessing.get_context("fork").Pipe(False)
    child = multiprocessing.get_context("fork").Process(target=turn, args=(name, isa, seed, seconds, page, theirs))
    child.start()
    theirs.close()
    try:
        calls, failure = ours.recv() if ours.poll(seconds + GRACE) else (0, "a call hangs")
    except EOFError:
        child.join()
        calls, failure = 0, f"the process ended with {child.exitcode}"
    child.kill()
    child.join()
    last = page[: page.find(b"\0")].decode()
    return calls, failure and f"{failure}\nlast call: {last}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="of the seeds of all turns (default: the time)"
    )
    parser.add_argument("--only", default=",".join(FUZZERS), help="of %(default)s")
    options = parser.parse_args()
    end, seed = time.monotonic() + 60 * options.minutes, options.seed
    fuzzers, isas = options.only.split(","), nk.available_isas()
    totals, failures = dict.fromkeys(fuzzers, 0), 0
    for number in range(2**31):
        seconds = min(TURN, end - time.monotonic())
        if seconds <= 0:
            break
        name, isa = fuzzers[number % len(fuzzers)], isas[number // len(fuzzers) % len(isas)]
        calls, failure = supervised(name, isa, seed + number, seconds)
        totals[name] += calls
        if failure:
            failures += 1
            print(f"--- {name}, isa {isa}, seed {seed + number}\n{failure}", flush=True)
    for name, calls in totals.items():
        print(f"{name}: {calls} calls")
    print(f"{failures} failures, seeds from {seed}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
