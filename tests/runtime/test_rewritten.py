"""Integers that another thread rewrites while a kernel uses them as places: a wrong number may come of it, no access
outside the arrays."""

import subprocess
import sys

import pytest

import npkernels as nk

# `call` runs while a thread fills `places`, whole, with numbers that are in range and out of it by turns.
RACE = """
import threading, time
import numpy as np, npkernels as nk
rng = np.random.default_rng(0)
nk.use_isa({isa!r})
nk.set_num_threads(2)
{setup}
good, stop = places.copy(), threading.Event()
info = np.iinfo(places.dtype)
wrong = [np.full_like(good, value) for value in (info.max, info.min, info.max // 2 + 1, info.max // 3)]
def rewrite():
    while not stop.is_set():
        for bad in wrong:
            places[...] = bad
            places[...] = good
thread = threading.Thread(target=rewrite)
thread.start()
calls = refused = 0
end = time.monotonic() + 0.7
while time.monotonic() < end:
    try:
        {call}
    except ValueError:
        refused += 1
    calls += 1
stop.set()
thread.join()
print(calls, refused)
"""
# Long enough that some calls begin with numbers that are all in range.
ENTROPY = """
x = rng.standard_normal(({n}, {c}, {inner})).astype('f4')
places = rng.integers(0, {c}, ({n}, {inner}))
"""
POOLED = """
dy = rng.standard_normal({shape}).astype({real!r})
places = rng.integers(0, 81, dy.shape).astype({integer!r})
if {last}:
    places, dy = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, 3)), 3, 1) for a in (places, dy))
"""
CASES = {
    "cross_entropy of few classes": (ENTROPY.format(n=20000, c=10, inner=1), "nk.softmax_cross_entropy(x, places)"),
    "cross_entropy of many classes": (ENTROPY.format(n=4000, c=50, inner=1), "nk.softmax_cross_entropy(x, places)"),
    "cross_entropy in space": (ENTROPY.format(n=30, c=12, inner=300), "nk.softmax_cross_entropy(x, places)"),
    "its gradient": (ENTROPY.format(n=20000, c=10, inner=1), "nk.softmax_cross_entropy_with_grad(x, places)"),
    "its gradient of many": (
        ENTROPY.format(n=4000, c=50, inner=1),
        "nk.softmax_cross_entropy_with_grad(x, places, weight=np.ones(50, 'f4'), ignore_index=-1, label_smoothing=0.1)",
    ),
    "maxout": (
        "dy = np.ones((200, 30, 30))\nplaces = rng.integers(0, 3, dy.shape).astype('i4')",
        "nk.maxout_backward(dy, places, 3)",
    ),
}
for real, integer, last in [
    ("f4", "i4", False), ("f8", "i4", False), ("f4", "i4", True), ("f4", "i8", False), ("f8", "u8", False),
    ("f4", "u4", False), ("f4", "i2", False), ("f4", "u1", False),
]:  # fmt: skip
    CASES[f"max_pool2d {real} {integer}{' channels last' * last}"] = (
        POOLED.format(shape=(8, 16, 40, 40), real=real, integer=integer, last=last),
        "nk.max_pool2d_backward(dy, places, (9, 9))",
    )


@pytest.mark.parametrize("case", CASES)
def test_no_access_outside_the_arrays(case):
    setup, call = CASES[case]
    code = RACE.format(setup=setup, call=call, isa=nk.isa())
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, (ended.returncode, ended.stderr)
