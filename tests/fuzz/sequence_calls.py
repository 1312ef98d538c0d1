"""Draws of recurrent layers. A gradient is drawn with the tape of a call of its own."""

import functools

import numpy as np

import npkernels as nk

from .draw import Call, chance, needs, pick, size, values

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def drawn(rng, dtype, name):
    """Arguments and options, not many numbers: h is what costs."""
    n, t, d, h = min(size(rng), 40), min(size(rng), 9), min(size(rng), 40), max(1, min(size(rng), 70))
    rows = GATES[name] * h
    args = [values(rng, (n, t, d), dtype), values(rng, (rows, d), dtype), values(rng, (rows, h), dtype)]
    args += [values(rng, (rows,), dtype) if chance(rng, 0.7) else None for _ in range(2)]
    options = {"reverse": chance(rng, 0.5), "training": False}
    if name == "rnn":
        options["activation"] = pick(rng, "tanh", "relu")
    if chance(rng, 0.5):
        states = [values(rng, (n, h), dtype) for _ in range(2)]
        options["state"] = states if name == "lstm" else states[0]
    if chance(rng, 0.5):
        options["lengths"] = rng.integers(0, t + 1, n).astype(pick(rng, "b", "H", "i", "q", "Q"))
    return args, options


def forward(rng, dtype, *, name):
    args, options = drawn(rng, dtype, name)
    return Call(getattr(nk, name), tuple(args), options)


def backward(rng, dtype, *, name):
    args, options = drawn(rng, dtype, name)
    with np.errstate(all="ignore"):
        y, state, tape = getattr(nk, name)(*args, **options | {"training": True})
    shape = state[0].shape if name == "lstm" else state.shape
    chosen = {"needs": needs(rng, "x", "state", "w_ih", "w_hh", "b")}
    if chance(rng, 0.5):
        pair = [values(rng, shape, dtype) for _ in range(2)]
        chosen["dstate"] = pair if name == "lstm" else pair[0]
    dy = values(rng, y.shape, dtype) if chance(rng, 0.9) else None
    return Call(getattr(nk, f"{name}_backward"), (dy, tape), chosen)


CALLS = {name: functools.partial(forward, name=name) for name in GATES} | {
    f"{name}_backward": functools.partial(backward, name=name) for name in GATES
}
