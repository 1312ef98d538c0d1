"""Calls of the kernels for sequences."""

import numpy as np

import npkernels as nk

from .draw import Call, chance, pick, shape, size, values


def attention_operands(rng, dtype):
    """q, k, v, and the options; leading axes broadcast, of a mask all axes."""
    lq, lk, d, dv = size(rng), size(rng), min(40, size(rng)), min(40, size(rng))
    leading = shape(rng, int(rng.integers(3)), max(1, 20_000 // max(1, lq * lk)))
    sides = []
    for matrix in (lq, d), (lk, d), (lk, dv):
        axes = leading[int(rng.integers(len(leading) + 1)) if chance(rng, 0.2) else 0 :]
        sides.append((*(1 if chance(rng, 0.1) else s for s in axes), *matrix))
    options = {"causal": chance(rng, 0.4), "scale": pick(rng, None, None, 0.3, -1.0, 0)}
    if chance(rng, 0.5):
        most = (*np.broadcast_shapes(*(side[:-2] for side in sides)), lq, lk)
        axes = most[int(rng.integers(len(most) + 1)) if chance(rng, 0.3) else 0 :]
        axes = tuple(1 if chance(rng, 0.2) else s for s in axes)
        options["mask"] = np.array(rng.random(axes) < 0.7) if chance(rng, 0.5) else values(rng, axes, dtype)
    return [values(rng, side, dtype) for side in sides], options


def attention(rng, dtype):
    operands, options = attention_operands(rng, dtype)
    return Call(nk.attention, tuple(operands), options | {"training": chance(rng, 0.5)})


def attention_backward(rng, dtype):
    operands, options = attention_operands(rng, dtype)
    y, tape = nk.attention(*operands, **options, training=True)
    return Call(nk.attention_backward, (values(rng, y.shape, dtype), tape), {})


def indices(rng, m):
    kinds = [kind for kind in "bBhHiIqQ" if np.iinfo(kind).max >= m]
    sizes = shape(rng, int(rng.integers(4)), 5000)
    return np.array(rng.integers(m, size=sizes)).astype(pick(rng, *kinds))


def embedding(rng, dtype):
    m = size(rng, 1)
    return Call(nk.embedding, (indices(rng, m), values(rng, (m, size(rng)), dtype)), {})


def embedding_backward(rng, dtype):
    m = size(rng, 1)
    rows = indices(rng, m)
    return Call(nk.embedding_backward, (values(rng, (*rows.shape, size(rng)), dtype), rows, m), {})


CALLS = {draw.__name__: draw for draw in (attention, attention_backward, embedding, embedding_backward)}
