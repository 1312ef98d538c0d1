import tracemalloc

import numpy as np
import pytest
from bounds import assert_exact, assert_near, integers

import npkernels as nk
from npkernels import reference


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def affine(x, w, b=0.0):
    return x @ w.T + b


def affine_backward(dy, x, w):
    dy2, x2 = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return dy @ w, dy2.T @ x2, dy2.sum(0)


@pytest.mark.parametrize("n", [1, 10, 15, 16, 17, 47, 48, 49, 65])
@pytest.mark.parametrize("m", [1, 5, 6, 7, 8, 9, 17, 40])
def test_products_of_integers_are_exact(isa, dtype, rng, m, n):
    for k in (1, 2, 15, 16, 33, 61):
        x, w, b = integers(rng, (m, k), dtype), integers(rng, (n, k), dtype), integers(rng, n, dtype)
        assert_exact(nk.dense(x, w, b), affine, (x, w, b))
        assert_exact(nk.dense(x, w), affine, (x, w))
        assert_exact(nk.matmul(x, w.T), affine, (x, w))
        assert_exact(nk.matmul(x, np.ascontiguousarray(w.T)), affine, (x, w))
        dy = integers(rng, (m, n), dtype)
        assert_exact(nk.dense_backward(dy, x, w), affine_backward, (dy, x, w))


@pytest.mark.parametrize("k", [255, 256, 257, 511, 512, 513, 1024, 1100, 2500, 5003])
def test_products_longer_than_a_block_of_k_are_exact(isa, dtype, rng, k):
    for m, n in ((11, 300), (1, 70), (70, 1), (3, 17)):
        x, w, b = integers(rng, (m, k), dtype), integers(rng, (n, k), dtype), integers(rng, n, dtype)
        assert_exact(nk.dense(x, w, b), affine, (x, w, b))
        assert_exact(nk.matmul(x, w.T), affine, (x, w))
        # and over so many samples
        dy, tall = integers(rng, (k, m), dtype), integers(rng, (k, n), dtype)
        gradients = nk.dense_backward(dy, tall, integers(rng, (m, n), dtype))[1:]
        assert_exact(gradients, lambda dy, tall: (dy.T @ tall, dy.sum(0)), (dy, tall))


@pytest.mark.parametrize("sizes", [(40, 33, 65), (11, 512, 300), (11, 2500, 300), (200, 50, 100)])
def test_rounding_is_near_that_of_sums_of_random_signs(isa, dtype, eps, rng, sizes):
    m, k, n = sizes
    x, w, b = normal(rng, (m, k), dtype), normal(rng, (n, k), dtype), normal(rng, n, dtype)
    assert_near(nk.dense(x, w, b), affine, (x, w, b), k + 1, eps)
    assert_near(nk.matmul(x, w.T), affine, (x, w), k, eps)
    dy = normal(rng, (m, n), dtype)
    assert_near(nk.dense_backward(dy, x, w), affine_backward, (dy, x, w), (n, m, m), eps)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu"])
def test_fused_activation_equals_the_definition_of_the_sum(isa, dtype, eps, rng, activation):
    x, w, b = normal(rng, (19, 40), dtype), normal(rng, (23, 40), dtype) / 6, normal(rng, 23, dtype)
    plain = nk.dense(x, w, b).astype(np.float64)
    wanted = reference.ACTIVATIONS[activation](plain)
    got = nk.dense(x, w, b, activation=activation)
    # 8 ULP here; the definition's gelu rounds x / sqrt 2, which erfc amplifies by x^2
    wide_eps = np.finfo(np.float64).eps * (plain**2 if activation == "gelu" else 0)
    assert (abs(got - wanted) <= (8 * eps + wide_eps) * abs(wanted) + np.finfo(dtype).tiny).all()


@pytest.mark.parametrize("shape", [(7,), (1, 7), (3, 7), (2, 3, 7), (2, 1, 3, 7), (0, 7), (2, 0, 7)])
def test_leading_axes_are_rows(dtype, rng, shape):
    x, w, b = integers(rng, shape, dtype), integers(rng, (5, 7), dtype), integers(rng, 5, dtype)
    y = nk.dense(x, w, b)
    assert y.shape == (*shape[:-1], 5)
    assert_exact(y, affine, (x, w, b))
    dy = integers(rng, y.shape, dtype)
    assert_exact(nk.dense_backward(dy, x, w), affine_backward, (dy, x, w))


def test_empty_inner_axis_gives_the_bias(isa, dtype):
    b = np.arange(3, dtype=dtype)
    assert np.array_equal(nk.dense(np.empty((2, 0), dtype), np.empty((3, 0), dtype), b), [b, b])
    assert nk.dense(np.empty((2, 4), dtype), np.empty((0, 4), dtype)).shape == (2, 0)
    dx, dw, db = nk.dense_backward(np.ones((0, 3), dtype), np.empty((0, 4), dtype), np.ones((3, 4), dtype))
    assert dx.shape == (0, 4)
    assert np.array_equal(dw, np.zeros((3, 4)))
    assert np.array_equal(db, np.zeros(3))


def test_strides_change_no_bit(isa, dtype, rng, layouts):
    x, w, b = normal(rng, (21, 35), dtype), normal(rng, (50, 35), dtype), normal(rng, 50, dtype)
    dy = normal(rng, (21, 50), dtype)
    y, gradients, c = nk.dense(x, w, b), nk.dense_backward(dy, x, w), nk.matmul(x, w.T)
    for x_, w_, b_, dy_ in zip(layouts(x), layouts(w), layouts(b), layouts(dy), strict=True):
        assert np.array_equal(nk.dense(x_, w_, b_), y)
        assert np.array_equal(nk.matmul(x_, w_.T), c)
        for one, other in zip(nk.dense_backward(dy_, x_, w_), gradients, strict=True):
            assert np.array_equal(one, other)
    assert np.array_equal(nk.dense(np.broadcast_to(x[:1], x.shape), w, b), np.broadcast_to(y[:1], y.shape))


def test_leading_axes_that_do_not_fold_change_no_bit(dtype, rng):
    x, w = normal(rng, (4, 3, 5, 7), dtype), normal(rng, (6, 7), dtype)
    view = x.transpose(2, 0, 1, 3)
    assert np.array_equal(nk.dense(view, w), nk.dense(np.ascontiguousarray(view), w))


def test_leading_axes_that_do_not_fold_are_not_copied(rng):
    # NumPy's setter of `shape` makes a copy only to find that it is one.
    x, w = rng.standard_normal((50, 40, 30, 64), dtype="f4").transpose(0, 2, 1, 3), np.ones((2, 64), "f4")
    dy = rng.standard_normal((50, 40, 30, 2), dtype="f4").transpose(0, 2, 1, 3)
    calls = {
        lambda: nk.dense(x, w): 50 * 30 * 40 * 2 * 4,
        lambda: nk.matmul(x, w.T): 50 * 30 * 40 * 2 * 4,
        lambda: nk.dense_backward(dy, x, w, needs=("x",)): x.nbytes,
    }
    tracemalloc.start()
    for call, result in calls.items():
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        call()
        assert tracemalloc.get_traced_memory()[1] - before < result + 100000
    tracemalloc.stop()


def test_a_sample_does_not_depend_on_its_batch(isa, dtype, rng):
    x, w, b = normal(rng, (70, 300), dtype), normal(rng, (130, 300), dtype), normal(rng, 130, dtype)
    y = nk.dense(x, w, b)
    for rows in (slice(0, 1), slice(3, 4), slice(10, 15), slice(69, 70)):
        assert np.array_equal(nk.dense(x[rows], w, b), y[rows])


@pytest.mark.parametrize("k", [511, 512, 513, 1024, 1031, 2100])
def test_long_sums_do_not_depend_on_batch_layout_or_threads(isa, dtype, eps, rng, layouts, same_for_any_threads, k):
    """Chains are lanes of a dot product for few rows, tiles of a packed matrix for many, whole lines of a w.T."""
    x, w, b = normal(rng, (60, k), dtype), normal(rng, (101, k), dtype), normal(rng, 101, dtype)
    y = nk.dense(x, w, b)
    assert_near(y, affine, (x, w, b), k + 1, eps)
    for rows in (1, 2, 4, 7, 8, 9, 16, 17, 24, 25, 48, 49):
        for x_, w_ in zip(layouts(x[:rows]), layouts(w), strict=True):
            assert np.array_equal(nk.dense(x_, w_, b), y[:rows])
            assert np.array_equal(nk.dense(x_, w_[:37], b[:37]), y[:rows, :37])
    assert np.array_equal(nk.dense(x[:3], np.asfortranarray(w)), nk.dense(x, w)[:3])
    same_for_any_threads(lambda: nk.dense(np.tile(x, (4, 1)), np.tile(w, (20, 1))))
    same_for_any_threads(lambda: nk.dense(x[:1], np.tile(w, (40, 1))))


@pytest.mark.parametrize("k", [96, 600, 1024, 1030])
def test_where_an_operand_begins_changes_no_bit(isa, dtype, rng, k):
    """Kernels that read from memory take whole cache lines, wherever rows of the weights begin."""
    x, w, b = normal(rng, (3, k), dtype), normal(rng, (70, k), dtype), normal(rng, 70, dtype)
    dy = normal(rng, (1, 70), dtype)
    want = nk.dense(x, w, b), nk.dense(x[:1], w, b), *nk.dense_backward(dy, x[:1], w)
    memory = np.empty(w.size + 64 // w.itemsize, dtype)
    for begin in range(64 // w.itemsize):
        moved = memory[begin : begin + w.size].reshape(w.shape)
        moved[...] = w
        got = nk.dense(x, moved, b), nk.dense(x[:1], moved, b), *nk.dense_backward(dy, x[:1], moved)
        assert all(map(np.array_equal, want, got))


def test_chains_of_long_sums_keep_the_sign_of_zero_and_nan(isa, dtype):
    x, w = np.zeros((20, 1001), dtype), np.ones((50, 1001), dtype)
    b = np.full(50, -0.0, dtype)
    x[3, 1000] = np.nan
    w[4] = -1
    many = nk.dense(x, w, b)
    assert np.isnan(many[3]).all()
    assert np.isfinite(np.delete(many, 3, axis=0)).all()
    for i in range(20):
        assert nk.dense(x[i : i + 1], w, b).tobytes() == many[i : i + 1].tobytes()


def test_threads_change_no_bit(isa, dtype, rng, same_for_any_threads):
    x, w, b = normal(rng, (150, 200), dtype), normal(rng, (170, 200), dtype), normal(rng, 170, dtype)
    dy = normal(rng, (150, 170), dtype)
    same_for_any_threads(lambda: nk.dense(x, w, b, activation="tanh"))
    same_for_any_threads(lambda: nk.dense_backward(dy, x, w))
    same_for_any_threads(lambda: nk.dense(np.tile(x, (20, 1)), w[:10], b[:10]))


def test_nan_and_inf_travel(isa, dtype):
    x, w = np.ones((3, 20), dtype), np.ones((30, 20), dtype)
    x[1, 5], w[7, 3] = np.nan, np.inf
    y = nk.dense(x, w, activation="relu")
    assert np.isnan(y[1]).all()
    assert np.isinf(y[[0, 2], 7]).all()
    assert np.isfinite(np.delete(y[[0, 2]], 7, axis=1)).all()
    assert nk.dense(np.full((1, 1), -0.0, dtype), np.ones((1, 1), dtype), activation="relu")[0, 0] == 0


def test_gradients_equal_central_differences(isa, rng):
    x, w, b = rng.standard_normal((5, 4)), rng.standard_normal((3, 4)), rng.standard_normal(3)
    dy = rng.standard_normal((5, 3))
    gradients = nk.dense_backward(dy, x, w)
    for argument, gradient in zip((x, w, b), gradients, strict=True):
        for index in np.ndindex(argument.shape):
            before, step = argument[index], 1e-3
            argument[index] = before + step
            above = (nk.dense(x, w, b) * dy).sum()
            argument[index] = before - step
            below = (nk.dense(x, w, b) * dy).sum()
            argument[index] = before
            # the map is linear in each argument: the difference quotient is exact but for rounding
            assert abs((above - below) / (2 * step) - gradient[index]) < 1e-10


@pytest.mark.parametrize("needs", [(), ("x",), ("w",), ("b",), ("b", "x"), ("w", "b")])
def test_needs_leaves_out_the_rest(rng, needs):
    dy, x, w = rng.standard_normal((5, 3)), rng.standard_normal((5, 4)), rng.standard_normal((3, 4))
    for name, part, whole in zip(
        "xwb", nk.dense_backward(dy, x, w, needs=needs), nk.dense_backward(dy, x, w), strict=True
    ):
        assert part is None if name not in needs else np.array_equal(part, whole)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (4, 5)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((4,), (4,)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((6, 1, 3, 4), (2, 4, 5)),
        ((2, 3, 4), (4,)),
        ((4,), (2, 4, 5)),
        ((0, 3, 4), (4, 5)),
        ((3, 0), (0, 5)),
        ((1, 3, 4), (7, 4, 5)),
        ((5, 1, 17, 40), (5, 33, 40, 9)),
    ],
)
def test_matmul_has_the_meaning_of_numpy(isa, dtype, rng, a, b):
    a, b = integers(rng, a, dtype), integers(rng, b, dtype)
    assert_exact(nk.matmul(a, b), np.matmul, (a, b))


@pytest.mark.parametrize("shape", [(2, 3, 90, 70, 80), (9, 8, 40, 45, 50), (50, 2, 1, 7, 5)])
def test_matrices_of_a_stack_do_not_depend_on_each_other(dtype, rng, layouts, shape):
    *leading, m, k, n = shape
    a, b = normal(rng, (*leading, m, k), dtype), normal(rng, (*leading, k, n), dtype)
    wanted = np.empty((*leading, m, n), dtype)
    for index in np.ndindex(*leading):
        wanted[index] = nk.matmul(a[index], b[index])
    for a_, b_ in zip(layouts(a), layouts(b), strict=True):
        for threads in (1, 2, 3):
            with nk.threads(threads):
                assert np.array_equal(nk.matmul(a_, b_), wanted)
    views = (x.transpose(1, 0, 2, 3) for x in (a, b))  # leading axes that do not fold into one
    assert np.array_equal(nk.matmul(*views), wanted.transpose(1, 0, 2, 3))
    some = nk.matmul(a[::-1, :1], b[:, 0, None])
    assert np.array_equal(some[-1], nk.matmul(a[:1, :1], b[-1:, :1])[0])


def test_out_is_written_and_returned(isa, dtype, rng):
    x, w = normal(rng, (9, 20), dtype), normal(rng, (17, 20), dtype)
    out = np.full((9, 17), np.nan, dtype)
    assert nk.dense(x, w, out=out) is out
    assert np.array_equal(out, nk.dense(x, w))
    assert nk.matmul(x, w.T, out=out) is out
    assert np.array_equal(out, nk.matmul(x, w.T))
    raw = np.zeros(9 * 17 * dtype.itemsize + 1, np.uint8)
    unaligned = np.ndarray((9, 17), dtype, raw.data, offset=1)
    assert np.array_equal(nk.dense(x, w, out=unaligned), out)


x32, w32 = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nk.dense(x32.astype(int), w32), TypeError, "x must be float32 or float64, got int64"),
        (lambda: nk.dense(x32.astype(np.float16), w32), TypeError, "x must be float32 or float64, got float16"),
        (lambda: nk.dense(x32.astype(">f4"), w32), TypeError, "x must be float32 or float64, got >f4"),
        (lambda: nk.dense(np.ma.array(x32), w32), TypeError, "x must be a plain array, got a masked array"),
        (lambda: nk.dense(x32, w32.astype(float)), TypeError, "w must be float32 like x, got float64"),
        (lambda: nk.dense([[1.0], [1.0, 2.0]], w32), ValueError, "x must be an array"),
        (lambda: nk.dense(x32, w32[:, :2]), ValueError, r"w must have shape (n, 3), got (4, 2)"),
        (lambda: nk.dense(x32, w32[0]), ValueError, r"w must have shape (n, k), got (3,)"),
        (lambda: nk.dense(x32[0, 0], w32), ValueError, r"x must have shape (..., k), got ()"),
        (lambda: nk.dense(x32, w32, x32[0]), ValueError, r"b must have shape (4,), got (3,)"),
        (lambda: nk.dense(x32, w32, activation="swish"), ValueError, "activation must be one of"),
        (lambda: nk.dense(x32, w32, activation=3), TypeError, "activation must be a string, got int"),
        (lambda: nk.dense(x32, w32, out=np.ones((2, 4))), TypeError, "out must be float32"),
        (lambda: nk.dense(x32, w32, out=[[1.0]]), TypeError, "out must be a NumPy array, got list"),
        (lambda: nk.dense(x32, w32, out=np.ones((4, 2), "f4")), ValueError, r"out must have shape (2, 4), got (4, 2)"),
        (lambda: nk.dense(x32, w32, out=np.ones((4, 2), "f4").T), ValueError, "out must be C-contiguous"),
        (lambda: nk.dense(x32, w32[:3], out=x32), ValueError, "out must not overlap x"),
        (lambda: nk.dense_backward(x32, x32, w32), ValueError, r"dy must have shape (2, 4), got (2, 3)"),
        (
            lambda: nk.dense_backward(x32, x32, w32[:3], needs=("y",)),
            ValueError,
            "needs may hold 'x', 'w', 'b', got 'y'",
        ),
        (lambda: nk.dense_backward(x32, x32, w32[:3], needs="x"), TypeError, "needs must be a tuple of names, got str"),
        (lambda: nk.matmul(x32, w32), ValueError, r"b must have shape (..., 3, n), got (4, 3)"),
        (lambda: nk.matmul(x32, w32.astype(float)), TypeError, "b must be float32 like a, got float64"),
        (lambda: nk.matmul(x32[0, 0], w32), ValueError, "a must have at least one axis"),
        (lambda: nk.matmul(np.ones((2, 3, 3)), np.ones((4, 3, 3))), ValueError, "leading axes of b must broadcast"),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_an_out_that_is_refused_is_not_written():
    out = np.full((2, 4), 7, np.float32)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable"):
        nk.dense(x32, w32, out=out)
    assert (out == 7).all()


def test_sizes_that_overflow_are_value_errors():
    wide = np.lib.stride_tricks.as_strided(np.zeros(1), (2**40, 1), (0, 8))
    with pytest.raises(ValueError, match="overflows"):
        nk.dense(wide, wide)
    with pytest.raises(ValueError, match="overflows"):
        nk.matmul(wide, wide.T)


def test_sizes_that_fit_but_cannot_be_had_are_memory_errors():
    wide = np.lib.stride_tricks.as_strided(np.zeros(1), (2**29, 1), (0, 8))
    with pytest.raises(MemoryError):
        nk.dense(wide, wide)
