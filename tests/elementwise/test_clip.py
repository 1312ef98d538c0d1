"""Clipping gradients by their norm."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference


def test_clip_grad_norm_scales_all_by_one_factor(isa, dtype, rng, eps, layouts):
    for shapes in ([(3,)], [(5, 7), (), (0,), (2, 3, 4)], [(3000, 7)]):
        grads = [np.array(rng.standard_normal(shape), dtype) for shape in shapes]
        wide = [g.astype(np.float64) for g in grads]
        norm = np.sqrt(sum((g**2).sum() for g in wide))
        assert nk.clip_grad_norm(grads, 2 * norm) == pytest.approx(norm, rel=1e-13)
        assert all((g == w).all() for g, w in zip(grads, wide, strict=True))
        copies = [next(layouts(g)) for g in grads]
        nk.clip_grad_norm(copies, 0.5)
        for copy, w in zip(copies, wide, strict=True):
            np.testing.assert_allclose(copy, w * (0.5 / (norm + 1e-6)), rtol=2 * eps)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-160, 1e-3, 1e30, 1e160, 1e300])
def test_norm_of_huge_and_tiny_values(isa, dtype, size):
    if dtype == np.float32:
        size = min(max(size, 1e-37), 1e38)
    g = [np.full(3, size, dtype), np.full((2, 3), size, dtype)]
    assert nk.clip_grad_norm(g, np.inf) == pytest.approx(3 * float(g[0][0]), rel=1e-14)
    assert reference.clip_grad_norm(g, np.inf) == pytest.approx(3 * float(g[0][0]), rel=1e-14)


def test_norm_of_millions_of_elements_is_accurate(isa, dtype, same_for_any_threads):
    g = np.full((1000, 3001), 0.1, dtype)
    wanted = float(g[0, 0]) * np.sqrt(g.size)
    norm = same_for_any_threads(lambda: nk.clip_grad_norm([g], np.inf))
    assert abs(norm - wanted) <= 32 * np.finfo(np.float64).eps * wanted  # chains of at most 512 additions, then a tree


def test_norms_that_are_not_finite(isa, dtype):
    g = np.array([1, np.inf], dtype)
    assert nk.clip_grad_norm([g], 1.0) == np.inf
    np.testing.assert_array_equal(g, np.array([0, np.nan], dtype))
    g = np.array([1, np.nan, 2], dtype)
    assert np.isnan(nk.clip_grad_norm([g], 1.0))
    assert np.isnan(g).all()
    assert nk.clip_grad_norm([], 1.0) == 0
    assert nk.clip_grad_norm([np.zeros(3, dtype)], 0.0) == 0


@pytest.mark.parametrize(
    ("grads", "max_norm", "error", "message"),
    [
        (np.ones(3), 1.0, TypeError, "grads must be a list of arrays, got ndarray"),
        ([np.ones(3), [1.0]], 1.0, TypeError, r"grads\[1\] must be a NumPy array, got list"),
        ([np.ones(3), np.ones(3, "f4")], 1.0, TypeError, r"grads\[1\] must be float64 like grads\[0\], got float32"),
        ([np.ones(3, int)], 1.0, TypeError, r"grads\[0\] must be float32 or float64, got int64"),
        ([np.ones(3), np.broadcast_to(1.0, 3)], 1.0, ValueError, r"grads\[1\] must be writeable, got a read-only"),
        ([np.ones(3)] * 2, 1.0, ValueError, r"grads\[1\] must not overlap grads\[0\]"),
        ([np.ones(3)], -1.0, ValueError, "max_norm must be at least 0, got -1"),
        ([np.ones(3)], np.nan, ValueError, "max_norm must be at least 0, got nan"),
        ([np.ones(3)], "1", TypeError, "max_norm must be a number, got str"),
        ([np.ones(3)], 10**400, ValueError, "max_norm must fit a float"),
    ],
)
def test_clipping_changes_nothing_when_an_argument_is_bad(grads, max_norm, error, message):
    before = [np.array(g) for g in grads]
    with pytest.raises(error, match=message):
        nk.clip_grad_norm(grads, max_norm)
    assert all((np.asarray(g) == b).all() for g, b in zip(grads, before, strict=True))


def test_interleaved_gradients_do_not_overlap():
    memory = np.ones(12)
    nk.clip_grad_norm([memory[::2], memory[1::2]], 1.0)
    np.testing.assert_allclose(memory, 1 / (np.sqrt(12) + 1e-6), rtol=4 * np.finfo(float).eps)
    with pytest.raises(ValueError, match=r"grads\[2\] must not overlap grads\[0\]"):
        nk.clip_grad_norm([memory[::2], memory[1:4:2], memory[4:5]], 1.0)
