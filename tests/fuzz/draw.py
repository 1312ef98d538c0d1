"""Random sizes and values: mostly tiny, ones and zeros often, now and then large enough for vectors and threads."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SPECIAL = (0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1e-40, -1e-310, 3e38, -1e30, 1e-20)


class Call(NamedTuple):
    """One call; arguments are arrays, lists of arrays, numbers, strings and generators."""

    function: Callable
    args: tuple
    kwargs: dict
    writes: tuple[int, ...] = ()  # places in `args` of arrays, or of a list of arrays, that are written


def chance(rng, probability):
    return bool(rng.random() < probability)


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def size(rng, least=0):
    u = rng.random()
    if u < 0.2:
        most = 1
    elif u < 0.85:
        most = 9
    else:
        most = 40 if u < 0.96 else 300
    return max(least, int(rng.integers(0 if most > 1 and chance(rng, 0.05) else 1, most, endpoint=True)))


def shape(rng, axes, most=60_000):
    """So many sizes, few enough elements; now and then more than one thread takes."""
    sizes = [size(rng) for _ in range(axes)]
    while math.prod(sizes) > most:
        i = int(np.argmax(sizes))
        sizes[i] = max(1, sizes[i] // 3)
    if axes and chance(rng, 0.02):
        sizes = [max(1, s) for s in sizes]
        i = int(rng.integers(axes))
        sizes[i] = 1 + 40_000 // max(1, math.prod(sizes) // sizes[i])
    return tuple(sizes)


def values(rng, shape, dtype, finite=False):
    """Numbers near 1, whole ones that tie, or, unless `finite`, some that are special."""
    u = rng.random()
    if u < 0.2:
        return rng.integers(-3, 4, shape).astype(dtype)
    x = np.array(rng.standard_normal(shape), dtype)
    if u > 0.9 and not finite and x.size:
        with np.errstate(over="ignore"):
            special = np.array(SPECIAL, dtype)
        x.flat[rng.integers(x.size, size=1 + x.size // 8)] = special[rng.integers(len(special))]
    return x


def positive(rng, shape, dtype):
    return np.array(rng.uniform(0.1, 2, shape), dtype)


def one_each(rng, count, dtype):
    """A number for each channel, or sometimes one of size 1 or a Python float."""
    u = rng.random()
    if u < 0.1:
        return float(rng.standard_normal())
    return values(rng, (1,) * int(rng.integers(0, 3)) if u < 0.3 else (count,), dtype)


def needs(rng, *names):
    return tuple(name for name in names if chance(rng, 0.85))


def int2(rng, least, most):
    """An int or a pair of ints."""
    pair = tuple(int(i) for i in rng.integers(least, most, 2, endpoint=True))
    return pick(rng, pair[0], pair, list(pair))


def both(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def pads(rng, most):
    """Padding in any of its forms: each side up to `most` (rows, columns)."""
    rows, columns = (tuple(int(i) for i in rng.integers(0, m, 2, endpoint=True)) for m in most)
    return pick(rng, 0, min(rows[0], columns[0]), (rows[0], columns[0]), (rows, columns))


def sides(padding):
    """((top, bottom), (left, right)) of a padding."""
    return tuple(both(side) for side in both(padding))
