"""Norms where arrays lie in other ways, or are shared out: the same bits."""

import functools

import numpy as np
import pytest

import npkernels as nk


def problem(rng, dtype, shape, features):
    x, dy = (rng.standard_normal(shape) * 2 + offset for offset in (3, 0))
    return tuple(a.astype(dtype) for a in (x, dy, rng.standard_normal(features), rng.standard_normal(features)))


def channels_last(a):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1)


@pytest.mark.parametrize(
    "shape",
    [
        (67, 70),
        (2, 3000),
        (1, 5),
        (1100, 90),
        (700, 3, 2),
        (2, 500, 3),
        (5, 3, 4, 5),
        (33, 20, 9, 7),
        (3, 40, 20, 21),
        (2, 3, 70, 65),
    ],
)
@pytest.mark.parametrize("ordinary", [True, False])
def test_batch_norm_gives_the_same_bits_for_layouts_and_threads(
    isa, dtype, rng, layouts, same_for_any_threads, shape, ordinary
):
    x, dy, gamma, beta = problem(rng, dtype, shape, shape[1])
    if not ordinary:  # a channel whose squares overflow, and one of zeros
        x[:, 1] *= np.finfo(dtype).max / 64
        x[:, 2] = 0

    def run(x, dy):
        y, mean, var = nk.batch_norm(x, gamma, beta)
        inferred = nk.batch_norm_inference(x, gamma, beta, mean, var)
        return (y, mean, var, inferred, *nk.batch_norm_backward(dy, x, gamma, mean, var))

    expected = same_for_any_threads(lambda: run(x, dy))
    variants = [
        *zip(layouts(x), layouts(dy), strict=True),
        (channels_last(x), channels_last(dy)),
        (channels_last(x), dy),
    ]
    variants.append((x, np.asfortranarray(dy)))
    for a, b in variants:
        for got, wanted in zip(same_for_any_threads(functools.partial(run, a, b)), expected, strict=True):
            assert got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("shape", [(300, 70), (3, 5, 40), (7, 9001), (20, 2000)])
def test_layer_norm_gives_the_same_bits_for_layouts_and_threads(isa, dtype, rng, layouts, same_for_any_threads, shape):
    x, dy, gamma, beta = problem(rng, dtype, shape, shape[-1])

    def run(x, dy):
        y, mean, var = nk.layer_norm(x, gamma, beta)
        return (y, mean, var, *nk.layer_norm_backward(dy, x, gamma, mean, var))

    expected = same_for_any_threads(lambda: run(x, dy))
    for a, b in zip(layouts(x), layouts(dy), strict=True):
        for got, wanted in zip(run(a, b), expected, strict=True):
            assert got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("shape", [(9, 40), (3, 4, 25), (2, 3, 300)])
def test_inference_may_write_over_x(isa, dtype, rng, shape):
    x, _, gamma, beta = problem(rng, dtype, shape, shape[1])
    mean, var = gamma + 1, np.abs(beta)
    expected = nk.batch_norm_inference(x, gamma, beta, mean, var)
    out = np.empty_like(x)
    assert nk.batch_norm_inference(x, gamma, beta, mean, var, out=out) is out
    assert out.tobytes() == expected.tobytes()
    assert nk.batch_norm_inference(x, gamma, beta, mean, var, out=x) is x
    assert x.tobytes() == expected.tobytes()
    memory = np.zeros(x.size + 1, dtype)
    x, out = memory[:-1].reshape(shape), memory[1:].reshape(shape)
    with pytest.raises(ValueError, match="out must not overlap x"):
        nk.batch_norm_inference(x, gamma, beta, mean, var, out=out)
