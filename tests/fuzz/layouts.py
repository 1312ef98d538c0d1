"""Layouts: the bits of every result are those of contiguous copies, whatever the strides of each operand.

Each array operand gets a layout of its own: axes in another order, reversed, with gaps, unaligned, with steps that are
no multiple of an element, with step 0, or overlapping windows of few numbers; axes of length 1 get any step at all.
Gaps hold NaN. What the layout makes of the values is copied, contiguous, for the call that it is compared with.
"""

import time
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

import npkernels as nk

from .calls import OUT
from .draw import Call, chance, pick
from .journal import note
from .run import NAMES, bits, draw, results, same
from .sharing import shared_by

OVER_X = {"softmax", "log_softmax", "batch_norm_inference"}  # beside the elementwise functions: may `out` be x?
OVER = {
    name: ("dy", "x") if name.endswith("_backward") else ("x",)
    for name in OUT
    if name.removesuffix("_backward") in nk.ACTIVATIONS or name in OVER_X
}
MOST_BYTES = 1 << 21  # of an array that gets gaps


class Plan(NamedTuple):
    """How to call a kernel."""

    seed: int  # of the call
    layouts: tuple[str, ...]  # of its operands, again from the first when they are used up
    details: int = 0  # seed of steps and orders
    shared: bool = False  # the same object for operands of one shape
    out: str = ""  # "": none; "plain"; "unaligned"; "x", "dy": over that operand
    threads: int = 1


def strided_copy(rng, array, order=None, most_gap=1, signs=(1,), offset=0, odd=0):
    """A copy whose axes lie in memory in `order`, the innermost first, with gaps of NaN."""
    order = range(array.ndim - 1, -1, -1) if order is None else order
    if array.nbytes > MOST_BYTES:
        most_gap, odd = 1, 0
    strides, span, start = [0] * array.ndim, array.itemsize + odd, offset
    for axis in order:
        step = span * int(rng.integers(1, most_gap, endpoint=True))
        strides[axis] = step * pick(rng, *signs)
        if strides[axis] < 0:
            start += step * max(0, array.shape[axis] - 1)
        span = step * max(1, array.shape[axis])
    memory = np.full(span + offset + array.itemsize, 255, np.uint8)
    copy = np.ndarray(array.shape, array.dtype, memory.data, start, strides)
    copy[...] = array
    return copy


def broadcast(rng, array):
    """Some axes, all of one element: step 0."""
    kept = tuple(slice(0, 1) if chance(rng, 0.6) else slice(None) for _ in array.shape)
    return np.broadcast_to(strided_copy(rng, array[kept], rng.permutation(array.ndim), 2), array.shape)


def windows(rng, array):
    """Overlapping windows over a few of the numbers."""
    if not array.size:
        return array
    steps = [int(s) for s in rng.integers(-1, 4, array.ndim)]
    spans = [s * (n - 1) for s, n in zip(steps, array.shape, strict=True)]
    first = -sum(s for s in spans if s < 0)
    numbers = np.resize(array, first + 1 + sum(s for s in spans if s > 0))
    return as_strided(numbers[first:], array.shape, [s * array.itemsize for s in steps])


LAYOUTS = {
    "as is": lambda rng, a: a,
    "fortran": lambda rng, a: strided_copy(rng, a, range(a.ndim)),
    "permuted": lambda rng, a: strided_copy(rng, a, rng.permutation(a.ndim)),
    "reversed": lambda rng, a: strided_copy(rng, a, signs=(-1, 1)),
    "gaps": lambda rng, a: strided_copy(rng, a, most_gap=3),
    "unaligned": lambda rng, a: strided_copy(rng, a, offset=int(rng.integers(1, 64))),
    "odd": lambda rng, a: strided_copy(rng, a, odd=int(rng.integers(1, 9))),
    "any": lambda rng, a: strided_copy(
        rng, a, rng.permutation(a.ndim), 2, (-1, 1), int(rng.integers(9)), int(rng.integers(3))
    ),
    "broadcast": broadcast,
    "windows": windows,
}
OWN_MEMORY = tuple(LAYOUTS)[:-2]  # no two elements in one place: what may be written


def any_steps(rng, array):
    """Steps that nobody takes: of axes of length 1, and of all if there is no element."""
    free = [not array.size or size == 1 for size in array.shape]
    if not any(free):
        return array
    far = 0, 3, array.itemsize, -array.itemsize, 4096, 2**40, -(2**40), 2**62, -(2**62)
    strides = [pick(rng, *far) if f else s for f, s in zip(free, array.strides, strict=True)]
    return as_strided(array, array.shape, strides, writeable=array.flags.writeable)


def laid_out(rng, array, layout, written):
    if written and layout not in OWN_MEMORY:
        layout = "any"
    view = LAYOUTS[layout](rng, array)
    if chance(rng, 0.5):
        view = any_steps(rng, view)
    if not written and chance(rng, 0.2):
        view = view.view()
        view.flags.writeable = False
    return view


def with_layouts(call, plan):
    """The call with its operands laid out."""
    rng, seen, count = np.random.default_rng(plan.details), [], 0

    def place(array, written):
        nonlocal count
        if plan.shared and not written:
            for other in seen:
                if other.shape == array.shape and other.dtype == array.dtype:
                    return other
        view = laid_out(rng, array, plan.layouts[count % len(plan.layouts)], written)
        count += 1
        if not written:
            seen.append(view)
        return view

    def each(value, written):
        if isinstance(value, list):
            return [each(one, written) for one in value]
        return place(value, written) if isinstance(value, np.ndarray) else value

    args = tuple(each(value, i in call.writes) for i, value in enumerate(call.args))
    return Call(call.function, args, {key: each(value, False) for key, value in call.kwargs.items()}, call.writes)


def operands(call):
    """The arrays among the arguments."""
    values = [
        one for value in (*call.args, *call.kwargs.values()) for one in (value if isinstance(value, list) else [value])
    ]
    return [value for value in values if isinstance(value, np.ndarray)]


def contiguous(call):
    """The call with copies of its operands."""

    def copy(value):
        if isinstance(value, list):
            return [copy(one) for one in value]
        return np.array(value, order="C") if isinstance(value, np.ndarray) else value

    args, kwargs = tuple(map(copy, call.args)), {key: copy(value) for key, value in call.kwargs.items()}
    return Call(call.function, args, kwargs, call.writes)


def add_out(name, call, plan, like):
    """The call with `out`, and `out`; None where the plan has none, or the operand that it names will not do."""
    if plan.out in ("plain", "unaligned"):
        rng = np.random.default_rng(plan.details)
        out = any_steps(rng, strided_copy(rng, np.full_like(like, -1), offset=3 * (plan.out == "unaligned")))
        return call._replace(kwargs=call.kwargs | {"out": out}), out
    if plan.out not in OVER.get(name, ()):
        return call, None
    place = OVER[name].index(plan.out)
    out = call.args[place]
    others = operands(call._replace(args=call.args[:place] + call.args[place + 1 :]))
    if not (out.flags.c_contiguous and out.flags.writeable) or any(np.may_share_memory(out, a) for a in others):
        return call, None
    return call._replace(kwargs=call.kwargs | {"out": out}), out


def check(name, plan):
    """Raises AssertionError, with what repeats it, where layouts change bits or operands."""
    text = f"layouts.check({name!r}, {plan})  # isa {nk.isa()}"
    note(text)
    call, out = with_layouts(draw(name, plan.seed), plan), None
    read = operands(call._replace(args=[a for i, a in enumerate(call.args) if i not in call.writes]))
    expected = results(contiguous(call))
    if name in OUT:
        call, out = add_out(name, call, plan, expected[0])
    saved = [(a, bits(a)) for a in read if a is not out]
    with shared_by(plan.threads):
        found = results(call)
    assert same(found, expected), f"other bits: {text}"
    assert all(bits(a) == before for a, before in saved), f"an operand was written: {text}"
    assert out is None or bits(out) == bits(expected[0]), f"out holds something else: {text}"


def random_plan(rng):
    layouts = tuple(str(name) for name in rng.choice(list(LAYOUTS), 6))
    out = pick(rng, "", "plain", "unaligned", "x", "dy")
    seed, details = (int(i) for i in rng.integers(2**31, size=2))
    return Plan(seed, layouts, details, chance(rng, 0.2), out, pick(rng, 1, 3))


def run(seed, seconds):
    """Random plans for random kernels until the time is out; the number of calls compared."""
    rng, end, count = np.random.default_rng(seed), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        check(str(rng.choice(NAMES)), random_plan(rng))
        count += 1
    return count
