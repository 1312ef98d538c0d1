"""Embedding and its gradient: their definition, order of sums, layouts, threads, and arguments."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

# shape of the indices, m, d
SIZES = [
    ((), 1, 1),
    ((7,), 3, 5),
    ((4, 9), 50, 16),
    ((2, 3, 5), 7, 33),
    ((300,), 5000, 70),
    ((20000,), 3, 2),
    ((700, 2), 300_000, 4),
    ((1000,), 40, 600),
]


def problem(rng, dtype, sizes, kind=np.int64):
    shape, m, d = sizes
    return (
        np.array(rng.integers(m, size=shape)).astype(kind),
        rng.standard_normal((m, d)).astype(dtype),
        rng.integers(-3, 4, (*shape, d)).astype(dtype),
    )


@pytest.mark.parametrize("sizes", SIZES)
def test_embedding_is_its_definition(isa, dtype, rng, sizes, same_for_any_threads):
    indices, w, dy = problem(rng, dtype, sizes)
    y, dw = (
        same_for_any_threads(lambda: nk.embedding(indices, w)),
        same_for_any_threads(lambda: nk.embedding_backward(dy, indices, sizes[1])),
    )
    assert y.dtype == dw.dtype == dtype
    np.testing.assert_array_equal(y, reference.embedding(indices, w))
    np.testing.assert_array_equal(dw, reference.embedding_backward(dy, indices, sizes[1]))


@pytest.mark.parametrize("kind", "bBhHiIqQ")
def test_any_integers_are_indices(dtype, rng, kind):
    indices, w, dy = problem(rng, dtype, ((4, 9), 50, 16))
    for given in indices.astype(kind), indices.astype(np.dtype(kind).newbyteorder(">")):
        np.testing.assert_array_equal(nk.embedding(given, w), w[indices])
        np.testing.assert_array_equal(
            nk.embedding_backward(dy, given, 50), reference.embedding_backward(dy, indices, 50)
        )
    assert nk.embedding([[0, 1]], w).shape == (1, 2, 16)


def test_rows_are_added_in_their_order(isa, dtype, rng, same_for_any_threads):
    indices, _, _ = problem(rng, dtype, ((3000,), 17, 40))
    dy = rng.standard_normal((3000, 40)).astype(dtype)
    wanted = np.zeros((17, 40), dtype)
    for row, index in zip(dy, indices, strict=True):
        wanted[index] += row
    np.testing.assert_array_equal(same_for_any_threads(lambda: nk.embedding_backward(dy, indices, 17)), wanted)


@pytest.mark.parametrize("columns", [1, 63, 130, 600])
def test_threads_share_the_columns_of_one_index(isa, dtype, rng, layouts, same_for_any_threads, columns):
    indices = np.where(np.arange(700) % 9 == 5, 1, 2)
    dy = rng.standard_normal((700, columns)).astype(dtype)
    wanted = np.zeros((4, columns), dtype)
    for row, index in zip(dy, indices, strict=True):
        wanted[index] += row
    for gradient in layouts(dy):
        found = same_for_any_threads(lambda gradient=gradient: nk.embedding_backward(gradient, indices, 4))
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("sizes", SIZES[1:])
def test_layouts_change_no_bit(isa, dtype, rng, layouts, sizes):
    indices, w, _ = problem(rng, dtype, sizes)
    dy = rng.standard_normal((*sizes[0], sizes[2])).astype(dtype)
    y, dw = nk.embedding(indices, w), nk.embedding_backward(dy, indices, sizes[1])
    for i, table, gradient in zip(layouts(indices), layouts(w), layouts(dy), strict=True):
        assert nk.embedding(i, w).tobytes() == nk.embedding(indices, table).tobytes() == y.tobytes()
        assert nk.embedding_backward(dy, i, sizes[1]).tobytes() == dw.tobytes()
        assert nk.embedding_backward(gradient, indices, sizes[1]).tobytes() == dw.tobytes()


def test_a_long_sum_is_that_of_chains(dtype, eps):
    n = 100_000
    dw = nk.embedding_backward(np.full((n, 3), 0.1, dtype), np.full(n, 1), 2)
    np.testing.assert_array_equal(dw[0], 0)
    assert (abs(dw[1] / (n * np.float64(dtype.type(0.1))) - 1) <= 2000 * eps).all()


def test_nan_and_inf_travel(isa, dtype, rng):
    indices, w, dy = problem(rng, dtype, ((4, 9), 5, 16))
    w[1, 2], w[3, 4] = np.nan, -np.inf
    np.testing.assert_array_equal(nk.embedding(indices, w), w[indices])
    dy[0, 0, 1] = np.nan
    dw = nk.embedding_backward(dy, indices, 5)
    assert np.isnan(dw[indices[0, 0], 1])
    assert np.isnan(dw).sum() == 1


def test_gradient_is_that_of_pytorch(rng):
    torch = pytest.importorskip("torch")
    indices, w, _ = problem(rng, np.dtype(np.float64), ((4, 9), 50, 16))
    dy = rng.standard_normal((4, 9, 16))
    leaf = torch.from_numpy(w.copy()).requires_grad_()
    y = torch.nn.functional.embedding(torch.from_numpy(indices), leaf)
    y.backward(torch.from_numpy(dy))
    np.testing.assert_array_equal(nk.embedding(indices, w), y.detach().numpy())
    np.testing.assert_allclose(nk.embedding_backward(dy, indices, 50), leaf.grad.numpy(), rtol=1e-14, atol=1e-14)


def test_large_results_are_streamed(isa, dtype, rng):
    indices, w, _ = problem(rng, dtype, ((20000,), 900, 601))
    for _ in range(2):  # the second time into memory that was touched before
        y = nk.embedding(indices, w)
        np.testing.assert_array_equal(y, w[indices])
        del y


def test_read_only_and_empty_arrays(dtype):
    for shape, m, d in (((0,), 0, 3), ((0, 4), 5, 3), ((2,), 5, 0), ((), 2, 3)):
        indices, w = np.zeros(shape, np.int32), np.ones((m, d), dtype)
        w.flags.writeable = indices.flags.writeable = False
        y = nk.embedding(indices, w)
        assert y.shape == (*shape, d)
        assert nk.embedding_backward(y, indices, m).shape == (m, d)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda i, w: nk.embedding(i + 3, w), ValueError, r"indices must be in \[0, m = 4\), got 4"),
        (lambda i, w: nk.embedding(i - 1, w), ValueError, r"indices must be in \[0, m = 4\), got -1"),
        (lambda i, w: nk.embedding(np.array([2**64 - 1], "u8"), w), ValueError, "got 18446744073709551615"),
        (lambda i, w: nk.embedding(i.astype(float), w), TypeError, "indices must be integers, got float64"),
        (lambda i, w: nk.embedding(i > 0, w), TypeError, "indices must be integers, got bool"),
        (lambda i, w: nk.embedding(i, w[0]), ValueError, r"w must have shape \(m, d\), got \(3,\)"),
        (lambda i, w: nk.embedding(i, w.astype(int)), TypeError, "w must be float32 or float64, got int64"),
        (
            lambda i, w: nk.embedding_backward(w, i, 4),
            ValueError,
            r"dy must have shape \(2,\) of indices .* got \(4, 3\)",
        ),
        (
            lambda i, w: nk.embedding_backward(w[:2], i, 1),
            ValueError,
            r"indices must be in \[0, num_embeddings = 1\), got 1",
        ),
        (lambda i, w: nk.embedding_backward(w[:2], i, -1), ValueError, "num_embeddings must be at least 0, got -1"),
        (lambda i, w: nk.embedding_backward(w[:2], i, 4.0), TypeError, "num_embeddings must be an int, got float"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call(np.array([0, 1]), np.ones((4, 3)))


def test_integers_beyond_64_bits():
    for indices in [2**70], [[1, -(2**70)]]:
        with pytest.raises(ValueError, match="indices must fit 64 bits"):
            nk.embedding(indices, np.zeros((3, 2)))
        with pytest.raises(ValueError, match="indices must fit 64 bits"):
            nk.one_hot(indices, 3, dtype=np.float32)
    with pytest.raises(TypeError, match="native byte order, got"):
        nk.one_hot([1], 3, dtype=np.dtype(np.float32).newbyteorder())
