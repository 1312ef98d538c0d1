"""Memory that nobody wrote: the bits of every result are the same whatever it holds.

Scratch memory and the results that Cython allocates are filled with a byte by the core (NPKERNELS_POISON,
kernels/README.md), what Python allocates by a function in place of `np.empty`.
"""

import contextlib
import time

import numpy as np

import npkernels as nk
from npkernels._kernels import runtime as _runtime

from .journal import note
from .run import NAMES, draw, results, same
from .sharing import shared_by

BYTES = 0x00, 0x7F, 0xFF  # zeros, large numbers, NaN or -1


@contextlib.contextmanager
def poisoned(byte):
    """Every new array and all scratch memory hold this byte."""
    empty = np.empty, np.empty_like

    def fill(array):
        if not array.dtype.hasobject and array.flags.c_contiguous:
            array.reshape(-1).view(np.uint8)[...] = byte
        return array

    np.empty = lambda *args, **kwargs: fill(empty[0](*args, **kwargs))
    np.empty_like = lambda *args, **kwargs: fill(empty[1](*args, **kwargs))
    _runtime.poison(byte)
    try:
        yield
    finally:
        np.empty, np.empty_like = empty
        _runtime.poison(-1)


def check(name, seed, threads=1):
    """Raises AssertionError, with what repeats it, where results depend on what lay in memory."""
    text = f"poison.check({name!r}, {seed}, {threads})  # isa {nk.isa()}"
    note(text)
    with shared_by(threads):
        expected = results(draw(name, seed))
        for byte in BYTES:
            call = draw(name, seed)
            with poisoned(byte):
                found = results(call)
            assert same(found, expected), f"other bits with {byte:#04x}: {text}"


def run(seed, seconds):
    """Random calls until the time is out; the number of calls compared."""
    rng, end, count = np.random.default_rng(seed), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        check(str(rng.choice(NAMES)), int(rng.integers(2**31)), int(rng.choice([1, 3])))
        count += 1
    return count
