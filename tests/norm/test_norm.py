"""Normalisation: against the definition, central differences and PyTorch; accuracy; layouts; errors."""

import functools
import math

import numpy as np
import pytest
from bounds import doubles, same_as_differences, wide

import npkernels as nk
from npkernels import reference

# (n, c, *spatial): columns, runs of positions, several small planes, parts of large ones, more channels than lanes
SHAPES = [
    (1, 1),
    (2, 3),
    (37, 5),
    (1100, 70),
    (700, 3, 2),
    (3, 2, 3, 5),
    (2, 3, 4, 4),
    (61, 4, 17),
    (130, 2, 7, 9),
    (2, 3, 16, 16),
    (3, 35, 300),
    (2, 2, 65, 64),
    (1, 1, 9001),
]
ROWS = [
    (1, 1),
    (3, 7),
    (5, 16),
    (4, 17),
    (2, 3, 33),
    (9, 100),
    (3, 4096),
    (3, 4097),
    (2, 9001),
    (500, 40),
    (40, 1000),
    (64,),
]
VECTOR_BYTES = {"generic": 16, "avx2": 32, "avx512": 64}


def chain(isa, dtype, count):
    """Additions that follow one another: blocks of at most 4096 are dealt to four chains of each lane, short planes not
    all of whose lanes are used to half as many."""
    return min(count, 4096) // (2 * VECTOR_BYTES[isa] // dtype.itemsize) + 20


def normal(rng, dtype, *shape):
    return rng.standard_normal(shape).astype(dtype)


def problem(rng, dtype, shape, features, offset=3.0):
    x, dy = normal(rng, dtype, *shape) * dtype.type(2) + dtype.type(offset), normal(rng, dtype, *shape)
    return x, dy, normal(rng, dtype, features), normal(rng, dtype, features)


def spread(values, x, axes):
    """Statistics with the reduced axes put back."""
    return np.expand_dims(values, axes) if x.ndim > len(axes) else values


def assert_forward(isa, dtype, eps, got, x, gamma, beta, wanted, axes):
    """Of the sums see `chain`. Where each block has its moments, only the roundings of x - centre are left."""
    y, mean, var = got
    y_wanted, mean_wanted, var_wanted = wanted
    k, back = chain(isa, dtype, x.size // max(1, mean_wanted.size)), functools.partial(spread, x=x, axes=axes)
    d = np.abs(x - back(mean_wanted))
    size = np.abs(x.astype(np.longdouble)).mean(axes)
    mean_error = k * eps * d.mean(axes)
    if dtype == np.float64:
        mean_error = mean_error + k * eps * size  # no wider type puts the blocks together
    var_error = k * eps * var_wanted
    assert (np.abs(mean - mean_wanted) <= mean_error + eps * np.abs(mean_wanted)).all()
    assert (np.abs(var - var_wanted) <= var_error + eps * var_wanted).all()
    scale = 1 / np.sqrt(var_wanted + 1e-5)
    relative = var_error / (2 * (var_wanted + 1e-5)) + 4 * eps
    term = np.abs(gamma) * back(scale) * (d * back(relative) + back(mean_error))
    assert (np.abs(y - y_wanted) <= term + eps * (np.abs(y_wanted) + np.abs(beta))).all()


def assert_backward(isa, dtype, eps, got, dy, x, gamma, mean, var, wanted, axes, shared):
    """dx from means over `axes`, dgamma and dbeta from sums over `shared`."""
    dx, dgamma, dbeta = got
    scale = spread(1 / np.sqrt(var + 1e-5), x, axes)
    t, g = np.abs(x - spread(mean, x, axes)) * scale, np.abs(dy * gamma)
    k = chain(isa, dtype, max(x.size // max(1, dgamma.size), x.size // max(1, mean.size)))
    assert (np.abs(dgamma - wanted[1]) <= k * eps * np.abs(dy * t).sum(shared)).all()
    assert (np.abs(dbeta - wanted[2]) <= k * eps * np.abs(dy).sum(shared)).all()
    sums = g.mean(axes, keepdims=True) + t * (g * t).mean(axes, keepdims=True)
    assert (np.abs(dx - wanted[0]) <= eps * scale * (6 * g + k * sums)).all()


def by_channel(values, x):
    return values.reshape(-1, *[1] * (x.ndim - 2))


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_is_within_the_bound_of_its_definition(isa, dtype, eps, rng, shape):
    x, dy, gamma, beta = problem(rng, dtype, shape, shape[1])
    wide_x, wide_dy, wide_gamma, wide_beta = wide(x, dy, gamma, beta)
    axes = (0, *range(2, x.ndim))
    y, mean, var = got = nk.batch_norm(x, gamma, beta)
    assert [a.dtype for a in got] == [dtype] * 3
    assert (y.shape, mean.shape, var.shape) == (shape, (shape[1],), (shape[1],))
    wanted = reference.batch_norm(wide_x, wide_gamma, wide_beta)
    spread_gamma, spread_beta = by_channel(wide_gamma, x), by_channel(wide_beta, x)
    assert_forward(isa, dtype, eps, got, wide_x, spread_gamma, spread_beta, wanted, axes)
    wide_mean, wide_var = wide(mean, var)
    given = nk.batch_norm_inference(x, gamma, beta, mean, var)
    exact = reference.batch_norm_inference(wide_x, wide_gamma, wide_beta, wide_mean, wide_var)
    # the difference, the scale (two roundings and its own), the product, and the sum
    assert (np.abs(given - exact) <= 3 * eps * (np.abs(exact - spread_beta) + np.abs(spread_beta))).all()
    got = nk.batch_norm_backward(dy, x, gamma, mean, var)
    wanted = reference.batch_norm_backward(wide_dy, wide_x, wide_gamma, wide_mean, wide_var)
    assert_backward(isa, dtype, eps, got, wide_dy, wide_x, spread_gamma, wide_mean, wide_var, wanted, axes, axes)


@pytest.mark.parametrize(
    "shape", [(64, 5), (1024, 70), (16, 3, 2), (2, 3, 4, 4), (32, 2, 8, 16), (16, 3, 16, 16), (8, 35, 128)]
)
@pytest.mark.parametrize("function", ["batch_norm", "layer_norm"])
def test_norms_of_two_values_are_exact(isa, dtype, rng, function, shape):
    """Half the values of a channel lie 2^i below its mean, half above it: every statistic and result is a whole number,
    or one with few binary digits, as sums are divided by a power of 2."""
    if function == "layer_norm":
        shape = (*shape[1:], shape[0])  # so that rows are as long as a power of 2
    many = math.prod(shape) // shape[1] if function == "batch_norm" else shape[-1]
    groups = math.prod(shape) // many
    signs = rng.permuted(np.tile(np.repeat([-1, 1], [many // 2, many - many // 2]), (groups, 1)), axis=1)
    values = rng.integers(-9, 10, (groups, 1)) + signs * 2.0 ** rng.integers(-1, 3, (groups, 1))
    if function == "batch_norm":
        x = np.moveaxis(values.reshape(shape[1], shape[0], *shape[2:]), 0, 1)
    else:
        x = values.reshape(shape)
    x, features = np.ascontiguousarray(x, dtype), shape[1] if function == "batch_norm" else shape[-1]
    gamma, beta, dy = (rng.integers(-3, 4, s).astype(dtype) for s in (features, features, shape))
    forward, backward = (getattr(nk, function + suffix) for suffix in ("", "_backward"))
    got = forward(x, gamma, beta, eps=0)
    for one, wanted in zip(got, getattr(reference, function)(*doubles(x, gamma, beta), eps=0), strict=True):
        np.testing.assert_array_equal(one, wanted)
    arguments = dy, x, gamma, got[1], got[2]
    wanted = getattr(reference, f"{function}_backward")(*doubles(*arguments), eps=0)
    for one, each in zip(backward(*arguments, eps=0), wanted, strict=True):
        np.testing.assert_array_equal(one, each)


@pytest.mark.parametrize("shape", ROWS)
def test_layer_norm_is_within_the_bound_of_its_definition(isa, dtype, eps, rng, shape):
    x, dy, gamma, beta = problem(rng, dtype, shape, shape[-1])
    wide_x, wide_dy, wide_gamma, wide_beta = wide(x, dy, gamma, beta)
    y, mean, var = nk.layer_norm(x, gamma, beta)
    assert y.dtype == mean.dtype == var.dtype == dtype
    assert (y.shape, mean.shape, var.shape) == (shape, shape[:-1], shape[:-1])
    wanted = reference.layer_norm(wide_x, wide_gamma, wide_beta)
    mean, var = np.asarray(mean), np.asarray(var)
    assert_forward(isa, dtype, eps, (y, mean, var), wide_x, wide_gamma, wide_beta, wanted, (x.ndim - 1,))
    wide_mean, wide_var = wide(mean, var)
    got = nk.layer_norm_backward(dy, x, gamma, mean, var)
    wanted = reference.layer_norm_backward(wide_dy, wide_x, wide_gamma, wide_mean, wide_var)
    axes, shared = (x.ndim - 1,), tuple(range(x.ndim - 1))
    assert_backward(isa, dtype, eps, got, wide_dy, wide_x, wide_gamma, wide_mean, wide_var, wanted, axes, shared)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 3, 6), (2, 2, 17, 16)])
def test_gradients_equal_central_differences(isa, rng, shape):
    x, dy, gamma, beta = problem(rng, np.dtype(np.float64), shape, shape[1])
    _, mean, var = nk.batch_norm(x, gamma, beta)
    dx, dgamma, dbeta = nk.batch_norm_backward(dy, x, gamma, mean, var)
    same_as_differences(lambda: (nk.batch_norm(x, gamma, beta)[0] * dy).sum(), (x, dx), (gamma, dgamma), (beta, dbeta))
    gamma, beta = rng.standard_normal((2, shape[-1]))
    _, mean, var = nk.layer_norm(x, gamma, beta)
    dx, dgamma, dbeta = nk.layer_norm_backward(dy, x, gamma, mean, var)
    same_as_differences(lambda: (nk.layer_norm(x, gamma, beta)[0] * dy).sum(), (x, dx), (gamma, dgamma), (beta, dbeta))


@pytest.mark.parametrize("shape", [(9, 5), (4, 3, 6), (3, 4, 20, 21)])
def test_results_equal_those_of_pytorch(isa, rng, shape):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x, dy, gamma, beta = problem(rng, np.dtype(np.float64), shape, shape[1])
    row_gamma, row_beta = rng.standard_normal((2, shape[-1]))
    for forward, backward, parameters, other in (
        (
            nk.batch_norm,
            nk.batch_norm_backward,
            (gamma, beta),
            lambda t, g, b: functional.batch_norm(t, None, None, g, b, True),
        ),
        (
            nk.layer_norm,
            nk.layer_norm_backward,
            (row_gamma, row_beta),
            lambda t, g, b: functional.layer_norm(t, shape[-1:], g, b),
        ),
    ):
        leaves = [torch.from_numpy(a).clone().requires_grad_() for a in (x, *parameters)]
        expected = other(*leaves)
        expected.backward(torch.from_numpy(dy))
        y, mean, var = forward(x, *parameters)
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12, atol=1e-13)
        for d, leaf in zip(backward(dy, x, parameters[0], mean, var), leaves, strict=True):
            np.testing.assert_allclose(d, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_variance_keeps_its_digits_where_the_mean_is_large(isa, rng):
    x = (1e4 + rng.standard_normal((64, 3, 30, 30))).astype(np.float32)
    x[:, 1] = 2.0**24  # x^2 would lose everything
    x[:, 1, ::2] += 2
    x[0, 2, 0, 0] = 0  # a first value far from the others
    exact = x.astype(np.float64)
    y, mean, var = nk.batch_norm(x, np.ones(3, "f4"), np.zeros(3, "f4"))
    eps = float(np.finfo(np.float32).eps)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=eps)
    np.testing.assert_allclose(var, exact.var((0, 2, 3)), rtol=4 * eps)
    wanted = reference.batch_norm(exact, np.ones(3), np.zeros(3))[0]
    np.testing.assert_allclose(y, wanted, rtol=4 * eps, atol=4 * eps)
    rows = x.reshape(-1, 900)
    y, mean, var = nk.layer_norm(rows, np.ones(900, "f4"), np.zeros(900, "f4"))
    np.testing.assert_allclose(var, rows.astype(np.float64).var(1), rtol=4 * eps)


def test_means_of_large_values_do_not_overflow(isa, dtype):
    big = float(np.finfo(dtype).max) / 4
    for shape in ((5000, 2), (40, 2, 20), (3, 2, 5000)):
        x = np.full(shape, big, dtype)
        mean = nk.batch_norm(x, np.ones(2, dtype), np.zeros(2, dtype))[1]
        np.testing.assert_allclose(mean, big, rtol=4 * float(np.finfo(dtype).eps))
        x[::2] *= -3
        mean = nk.batch_norm(x, np.ones(2, dtype), np.zeros(2, dtype))[1]
        assert np.isfinite(mean).all()


def test_one_value_a_channel_and_constant_channels_have_variance_zero(isa, dtype):
    for shape in ((1, 3), (1, 3, 1, 1), (64, 3, 4)):
        x = np.broadcast_to(np.array([1, -2, 5], dtype).reshape(1, 3, *[1] * (len(shape) - 2)), shape)
        y, mean, var = nk.batch_norm(x, np.ones(3, dtype), np.array([1, 2, 3], dtype))
        np.testing.assert_array_equal(mean, np.array([1, -2, 5], dtype))
        np.testing.assert_array_equal(var, np.zeros(3, dtype))
        np.testing.assert_array_equal(y, np.broadcast_to(by_channel(np.array([1, 2, 3], dtype), x), shape))


@pytest.mark.parametrize("shape", [(40, 5), (40, 5, 7), (40, 5, 20), (3, 5, 500)])
def test_nan_and_inf_stay_in_their_channel(isa, dtype, rng, shape):
    x = normal(rng, dtype, *shape)
    clean = nk.batch_norm(x, np.ones(5, dtype), np.zeros(5, dtype))
    x[1, 1], x[2, 3] = np.nan, np.inf
    y, mean, var = nk.batch_norm(x, np.ones(5, dtype), np.zeros(5, dtype))
    wanted = reference.batch_norm(x.astype(np.float64), np.ones(5), np.zeros(5))
    np.testing.assert_array_equal(np.isnan(mean), np.isnan(wanted[1]))
    assert mean[3] == np.inf
    np.testing.assert_array_equal(np.isnan(var), np.isnan(wanted[2]))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(wanted[0]))
    np.testing.assert_array_equal(y[:, ::2], clean[0][:, ::2])
    rows = nk.layer_norm(np.array([[1, np.nan, 2], [1, 2, 3]], dtype), np.ones(3, dtype), np.zeros(3, dtype))[0]
    assert np.isnan(rows).tolist() == [[True] * 3, [False] * 3]


def test_empty_arrays(isa, dtype):
    def ones(n):
        return np.ones(n, dtype)

    for shape in ((0, 3), (0, 3, 4), (2, 3, 0), (0, 0)):
        with pytest.raises(ValueError, match=r"x must hold at least one value a channel, got shape"):
            nk.batch_norm(ones(shape), ones(shape[1]), ones(shape[1]))
        c = shape[1]
        assert nk.batch_norm_inference(ones(shape), *[ones(c)] * 4).shape == shape
        dx, dgamma, dbeta = nk.batch_norm_backward(ones(shape), ones(shape), *[ones(c)] * 3)
        assert dx.shape == shape
        assert (dgamma == 0).all()
        assert (dbeta == 0).all()
    assert [a.shape for a in nk.batch_norm(ones((2, 0)), ones(0), ones(0))] == [(2, 0), (0,), (0,)]
    y, mean, var = nk.layer_norm(ones((3, 0)), ones(0), ones(0))
    assert y.shape == (3, 0)
    assert np.isnan(mean).all()
    assert np.isnan(var).all()
    assert [a.shape for a in nk.layer_norm(ones((0, 4)), ones(4), ones(4))] == [(0, 4), (0,), (0,)]
    dx, dgamma, dbeta = nk.layer_norm_backward(ones((0, 4)), ones((0, 4)), ones(4), ones(0), ones(0))
    assert dx.shape == (0, 4)
    assert dgamma.tolist() == dbeta.tolist() == [0] * 4
    assert [a.shape for a in nk.layer_norm_backward(ones((3, 0)), ones((3, 0)), ones(0), ones(3), ones(3))] == [
        (3, 0),
        (0,),
        (0,),
    ]


X, V = np.ones((4, 3)), np.ones(3)
ERRORS = [
    (nk.batch_norm, (np.ones(3), V, V), {}, ValueError, r"x must have shape \(n, c, ...\), got \(3,\)"),
    (nk.batch_norm, (X.astype(int), V, V), {}, TypeError, "x must be float32 or float64, got int64"),
    (nk.batch_norm, (X, V.astype("f4"), V), {}, TypeError, "gamma must be float64 like x, got float32"),
    (nk.batch_norm, (X, V, np.ones(4)), {}, ValueError, r"beta must have shape \(3,\), got \(4,\)"),
    (nk.batch_norm, (X, V, V), {"eps": -1}, ValueError, "eps must be at least 0, got -1"),
    (nk.batch_norm, (X, V, V), {"eps": "1"}, TypeError, "eps must be a number, got str"),
    (nk.batch_norm_inference, (X, V, V, V, np.ones(2)), {}, ValueError, r"var must have shape \(3,\), got \(2,\)"),
    (nk.batch_norm_inference, (X, V, V, V, V), {"out": np.ones((3, 4))}, ValueError, "out must have shape"),
    (nk.batch_norm_inference, (X, V, V, V, V), {"out": X.astype("f4")}, TypeError, "out must be float64 like"),
    (nk.batch_norm_inference, (X, V, V, V, V), {"out": np.ones((3, 4)).T}, ValueError, "out must be C-contiguous"),
    (nk.batch_norm_backward, (X[:3], X, V, V, V), {}, ValueError, r"dy must have shape \(4, 3\), got \(3, 3\)"),
    (nk.batch_norm_backward, (X, X, V, V, [1, 2, 3]), {}, TypeError, "var must be float32 or float64, got int64"),
    (nk.layer_norm, (np.float64(1), V, V), {}, ValueError, "x must have at least one axis, got a 0-d array"),
    (nk.layer_norm, (X, np.ones(4), V), {}, ValueError, r"gamma must have shape \(3,\), got \(4,\)"),
    (nk.layer_norm, (X, V, V), {"eps": np.nan}, ValueError, "eps must be at least 0, got nan"),
    (nk.layer_norm_backward, (X, X, V, V, np.ones(4)), {}, ValueError, r"mean must have shape \(4,\), got \(3,\)"),
    (nk.layer_norm_backward, (X.astype("f4"), X, V, V, V), {}, TypeError, "dy must be float64 like x, got float32"),
]


@pytest.mark.parametrize(("function", "arguments", "options", "error", "message"), ERRORS)
def test_errors_name_argument_wish_and_value(function, arguments, options, error, message):
    with pytest.raises(error, match=message):
        function(*arguments, **options)


@pytest.mark.parametrize("side", [20, 33])
def test_batch_norm_of_more_than_the_caches_hold_is_that_of_its_parts(isa, dtype, eps, rng, side):
    # results are written past the caches; planes of odd sizes begin in the middle of a vector
    x, dy, gamma, beta = problem(rng, dtype, (8, 12, side, side), 12)
    beyond = nk._kernels.runtime.cache_sizes_in_bytes()["L3"] // 2 if side == 20 else 24 << 20
    times = beyond // x.nbytes + 1
    large_x, large_dy = (np.tile(a, (min(times, (64 << 20) // x.nbytes), 1, 1, 1)) for a in (x, dy))
    mean, var = nk.batch_norm(x, gamma, beta)[1:]
    y = nk.batch_norm_inference(large_x, gamma, beta, mean, var)
    assert (y.reshape(-1, *x.shape) == nk.batch_norm_inference(x, gamma, beta, mean, var)).all()
    dx, dgamma, dbeta = nk.batch_norm_backward(large_dy, large_x, gamma, mean, var)
    one, dgamma_one, dbeta_one = nk.batch_norm_backward(dy, x, gamma, mean, var)
    # sums in other orders: a few eps of the root of their squares, see `assert_near`
    t = (x - by_channel(mean, x)) / np.sqrt(by_channel(var, x))
    for sums, wanted, terms in ((dgamma, dgamma_one, dy * t), (dbeta, dbeta_one, dy)):
        size = np.sqrt((terms.astype(float) ** 2).sum((0, 2, 3)) * (x.size // 12))
        assert (np.abs(sums / (len(dx) // 8) - wanted) <= eps * size).all()
    assert (np.abs(dx.reshape(-1, *x.shape) - one) <= 4 * eps * (1 + np.abs(one))).all()
