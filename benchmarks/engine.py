"""How an operation is timed: its contenders on the same operands, checked against each other, then round after round.

Used by `pytest benchmarks` (one contender a test) and by report.py (the contenders of a row interleaved).
"""

import functools
import gc
import math
import time
from typing import ClassVar

import numpy as np
import rivals

import npkernels as nk

PAUSE = 0.005  # seconds before a contender's turn, in which the threads of the one before stop spinning
TURN = 0.002  # seconds a timing lasts at least: short calls are repeated


class Operation:
    """An operation at one layer: the operands made by `prepare`, and for each rival a method of the rival's name that
    returns the call to be timed, or None where the rival cannot do this layer or dtype."""

    layers: ClassVar = ()
    needs: ClassVar = ()  # the functions of npkernels that are called
    may_differ = 0.0  # the share of values that may differ between rivals, where rounding decides ties

    def __init__(self, layer, dtype="float32", threads=1):
        self.layer, self.dtype, self.threads = layer, np.dtype(dtype), threads
        self.rng = np.random.default_rng(0)
        self.prepare(layer)

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.name = "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__).strip("_")

    def prepare(self, layer):
        """Makes the operands of the layer."""
        raise NotImplementedError

    def normal(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    @classmethod
    def rivals(cls):
        return [name for name in rivals.INSTALLED if getattr(cls, name, None)]

    def contenders(self):
        """{rival: the call to be timed} of the rivals that can."""
        calls = {name: getattr(self, name)() for name in self.rivals()}
        return {name: call for name, call in calls.items() if call}

    def outcome(self, result):
        """The arrays of a result that the contenders must agree on."""
        parts = result if isinstance(result, tuple | list) else [result]
        return [np.asarray(part.detach() if hasattr(part, "detach") else part) for part in parts]

    def flop(self):
        """Floating-point operations by the definition, None where memory is what counts."""
        return None

    def moved(self):
        """Bytes that must be read and written: the operands once and the results once."""
        operands = [part for value in vars(self).values() for part in (value if isinstance(value, list) else [value])]
        results = self.npkernels()()
        results = results if isinstance(results, tuple | list) else [results]
        return sum(array.nbytes for array in [*operands, *results] if isinstance(array, np.ndarray))

    def facts(self, result):
        """{name: value} of what a benchmark states of a result beside its time."""
        return {}

    @functools.cached_property
    def expected(self):
        """The outcome by NumPy, or by npkernels where NumPy has no such function."""
        contender = self.numpy if "numpy" in self.rivals() else self.npkernels
        return self.outcome(contender()())

    def check(self, rival, call):
        """Raises if the rival's outcome is not the expected one up to rounding, sqrt(eps) of the largest value."""
        for wanted, given in zip(self.expected, self.outcome(call()), strict=True):
            limit = math.sqrt(np.finfo(self.dtype).eps) * np.abs(wanted).max(initial=0)
            if given.shape != wanted.shape or (~(abs(given - wanted) <= limit)).mean() > self.may_differ:
                raise ArithmeticError(f"{self.name}, {self.layer.name}, {self.dtype}: {rival} has another result")


def operations(module):
    """The operations that a module defines and npkernels has."""
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Operation)]
    return [kind for kind in kinds if kind.layers and all(hasattr(nk, name) for name in kind.needs)]


def measure(calls, rounds, seconds):
    """{name: seconds of its best round}: every call in turn, round after round, so that a drift of the machine's speed
    hits all alike. A call that has taken its `seconds` leaves after its second round."""
    best, spent = dict.fromkeys(calls, math.inf), dict.fromkeys(calls, 0.0)
    repeats = {name: max(1, math.ceil(TURN / max(timed(call, 1), 1e-7))) for name, call in calls.items()}
    for i in range(rounds):
        for name, call in calls.items():
            if i < 2 or spent[name] < seconds:
                time.sleep(PAUSE)
                call()
                once = timed(call, repeats[name])
                best[name] = min(best[name], once)
                spent[name] += once * repeats[name]
    return best


def timed(call, repeats):
    """Seconds a call takes, the mean of `repeats` in a row."""
    gc.disable()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    elapsed = time.perf_counter() - start
    gc.enable()
    return elapsed / repeats
