"""group_norm and rms_norm: against the definition, differences and PyTorch; layouts, threads, batches; errors."""

import itertools

import numpy as np
import pytest
from bounds import doubles, same_as_differences, wide

import npkernels as nk
from npkernels import reference

# (n, c, *spatial) and groups: elements, tiny planes, bundles of groups, pieces of several planes, parts of planes
GROUPED = [
    ((1, 1), 1),
    ((3, 12), 4),
    ((70, 6, 3), 2),
    ((2, 6, 3, 5), 6),
    ((3, 8, 4, 4), 1),
    ((2, 35, 5, 5), 7),
    ((2, 300, 5, 4), 1),
    ((3, 5, 17), 5),
    ((2, 6, 65, 64), 3),
    ((1, 2, 9001), 2),
]
ROWS = [(1,), (64,), (3, 7), (2, 3, 33), (3, 4097), (500, 40), (12, 5000), (40, 1000)]


def problem(rng, dtype, shape, c):
    x, dy = rng.standard_normal((2, *shape)).astype(dtype)
    return x * 2 + 3, dy, *rng.standard_normal((2, c)).astype(dtype)


def assert_near(got, wanted, limit):
    """Every chain of additions is at most 4096 terms, dealt to 8 lanes or more and put together in double precision."""
    assert got.shape == wanted.shape
    assert (np.abs(got - wanted) <= limit).all()


def sums_of(values, x):
    return np.abs(values).sum((0, *range(2, x.ndim)))


@pytest.mark.parametrize(("shape", "groups"), GROUPED)
def test_group_norm_is_within_the_bound_of_its_definition(isa, dtype, eps, rng, shape, groups):
    x, dy, gamma, beta = problem(rng, dtype, shape, shape[1])
    wx, wdy, wgamma, wbeta = wide(x, dy, gamma, beta)
    got = nk.group_norm(x, groups, gamma, beta)
    assert [a.dtype for a in got] == [dtype] * 3
    assert got[1].shape == got[2].shape == (shape[0], groups)
    y, mean, var = reference.group_norm(wx, groups, wgamma, wbeta)
    k, each = 600 * eps, [np.repeat(a, x[0].size // groups, 1).reshape(shape) for a in (mean, var)]
    by, shift = (a.reshape(-1, *[1] * (x.ndim - 2)) for a in (np.abs(wgamma), np.abs(wbeta)))
    scale = 1 / np.sqrt(each[1] + 1e-5)
    assert_near(got[1], mean, k * (np.sqrt(var) + (np.abs(mean) if dtype == np.float64 else 0)) + eps * np.abs(mean))
    assert_near(got[2], var, k * var)
    assert_near(got[0], y, k * by * (np.abs(wx - each[0]) * scale + 1) + eps * shift)
    mean, var = wide(*got[1:])
    d = nk.group_norm_backward(dy, x, groups, gamma, *got[1:])
    dx, dgamma, dbeta = reference.group_norm_backward(wdy, wx, groups, wgamma, mean, var)
    each = [np.repeat(a, x[0].size // groups, 1).reshape(shape) for a in (mean, var)]
    scale = 1 / np.sqrt(each[1] + 1e-5)
    t, g = np.abs(wx - each[0]) * scale, np.abs(wdy) * by
    rows = g.reshape(shape[0], groups, -1), (g * t).reshape(shape[0], groups, -1)
    means = [np.repeat(a.mean(2), x[0].size // groups, 1).reshape(shape) for a in rows]
    assert_near(d[0], dx, k * scale * (g + means[0] + t * means[1]))
    assert_near(d[1], dgamma, k * sums_of(wdy * t, x))
    assert_near(d[2], dbeta, k * sums_of(wdy, x))


@pytest.mark.parametrize("shape", ROWS)
def test_rms_norm_is_within_the_bound_of_its_definition(isa, dtype, eps, rng, shape):
    x, dy, gamma, _ = problem(rng, dtype, shape, shape[-1])
    y, mean_sq = nk.rms_norm(x, gamma)
    assert y.dtype == mean_sq.dtype == dtype
    assert mean_sq.shape == shape[:-1]
    wx, wdy, wgamma = wide(x, dy, gamma)
    wanted, squares = reference.rms_norm(wx, wgamma, eps=eps)
    k = eps * (4 if dtype == np.float32 else shape[-1] / 8 + 8)
    assert_near(mean_sq, squares, k * squares)
    assert_near(y, wanted, (k + 4 * eps) * np.abs(wanted))
    (squares,) = wide(np.asarray(mean_sq))
    d = nk.rms_norm_backward(dy, x, gamma, mean_sq)
    dx, dgamma = reference.rms_norm_backward(wdy, wx, wgamma, squares, eps=eps)
    scale = 1 / np.sqrt(squares + eps)[..., None]
    t, g = np.abs(wx * scale), np.abs(wdy * wgamma)
    assert_near(d[0], dx, 600 * eps * scale * (g + t * (g * t).mean(-1, keepdims=True)))
    assert_near(d[1], dgamma, 600 * eps * np.abs(wdy * t).sum(tuple(range(x.ndim - 1))))


@pytest.mark.parametrize("shape", [(2, 4, 2), (3, 4, 4, 8), (2, 8, 32, 8)])
def test_group_norm_of_two_values_is_exact(isa, dtype, rng, shape):
    """Half of each group lies 1 below its mean, half 1 above: sums are whole numbers, their divisors powers of 2."""
    groups, size = 2, np.prod(shape[1:]) // 2
    signs = rng.permuted(np.tile([-1, 1], (shape[0], groups, size // 2)), axis=2)
    x = (rng.integers(-9, 10, (shape[0], groups, 1)) + signs).reshape(shape).astype(dtype)
    gamma, beta, dy = (rng.integers(-3, 4, s).astype(dtype) for s in (shape[1], shape[1], shape))
    got = nk.group_norm(x, groups, gamma, beta, eps=0)
    for one, each in zip(got, reference.group_norm(doubles(x)[0], groups, gamma, beta, eps=0), strict=True):
        np.testing.assert_array_equal(one, each)
    d = nk.group_norm_backward(dy, x, groups, gamma, *got[1:], eps=0)
    wanted = reference.group_norm_backward(*doubles(dy, x), groups, *doubles(gamma, *got[1:]), eps=0)
    for one, each in zip(d, wanted, strict=True):
        np.testing.assert_array_equal(one, each)


def test_gradients_equal_central_differences(isa, rng):
    for shape, groups in (((3, 4), 2), ((2, 4, 3), 1), ((2, 4, 5, 4), 4)):
        x, dy, gamma, beta = problem(rng, np.dtype(np.float64), shape, shape[1])
        _, mean, var = nk.group_norm(x, groups, gamma, beta)
        d = nk.group_norm_backward(dy, x, groups, gamma, mean, var)
        loss = lambda a=(x, groups, gamma, beta), dy=dy: (nk.group_norm(*a)[0] * dy).sum()  # noqa: E731
        same_as_differences(loss, (x, d[0]), (gamma, d[1]), (beta, d[2]))
    x, dy, gamma, _ = problem(rng, np.dtype(np.float64), (4, 6), 6)
    dx, dgamma = nk.rms_norm_backward(dy, x, gamma, nk.rms_norm(x, gamma, eps=0.1)[1], eps=0.1)
    same_as_differences(lambda: (nk.rms_norm(x, gamma, eps=0.1)[0] * dy).sum(), (x, dx), (gamma, dgamma))


@pytest.mark.parametrize(("shape", "groups"), GROUPED[1:])
def test_group_norm_equals_that_of_pytorch(isa, rng, shape, groups):
    torch = pytest.importorskip("torch")
    x, dy, gamma, beta = problem(rng, np.dtype(np.float64), shape, shape[1])
    leaves = [torch.from_numpy(a).clone().requires_grad_() for a in (x, gamma, beta)]
    expected = torch.nn.functional.group_norm(leaves[0], groups, leaves[1], leaves[2])
    expected.backward(torch.from_numpy(dy))
    y, mean, var = nk.group_norm(x, groups, gamma, beta)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    for d, leaf in zip(nk.group_norm_backward(dy, x, groups, gamma, mean, var), leaves, strict=True):
        np.testing.assert_allclose(d, leaf.grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("eps", [None, 0.01])
def test_rms_norm_equals_that_of_pytorch(isa, rng, eps):
    torch = pytest.importorskip("torch")
    x, dy, gamma, _ = problem(rng, np.dtype(np.float64), (4, 3, 50), 50)
    leaves = [torch.from_numpy(a).clone().requires_grad_() for a in (x, gamma)]
    expected = torch.nn.functional.rms_norm(leaves[0], (50,), leaves[1], eps)
    expected.backward(torch.from_numpy(dy))
    y, mean_sq = nk.rms_norm(x, gamma, eps=eps)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12)
    for d, leaf in zip(nk.rms_norm_backward(dy, x, gamma, mean_sq, eps=eps), leaves, strict=True):
        np.testing.assert_allclose(d, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("shape", "groups"), GROUPED)
def test_group_norm_gives_the_same_bits_for_layouts_threads_and_batches(
    isa, dtype, rng, layouts, same_for_any_threads, shape, groups
):
    x, dy, gamma, beta = problem(rng, dtype, shape, shape[1])

    def run(x, dy):
        y, mean, var = nk.group_norm(x, groups, gamma, beta)
        return (y, mean, var, *nk.group_norm_backward(dy, x, groups, gamma, mean, var))

    expected = same_for_any_threads(lambda: run(x, dy))
    for a, b in itertools.chain(
        zip(layouts(x), layouts(dy), strict=True), [(np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1), dy)]
    ):
        for got, wanted in zip(run(a, b), expected, strict=True):
            assert got.tobytes() == wanted.tobytes()
    for got, wanted in zip(run(x[-1:], dy[-1:])[:4], expected[:4], strict=True):
        assert got.tobytes() == wanted[-1:].tobytes()


@pytest.mark.parametrize("shape", [(300, 70), (3, 5, 40), (7, 9001), (12, 5000)])
def test_rms_norm_gives_the_same_bits_for_layouts_threads_and_batches(
    isa, dtype, rng, layouts, same_for_any_threads, shape
):
    x, dy, gamma, _ = problem(rng, dtype, shape, shape[-1])

    def run(x, dy):
        y, mean_sq = nk.rms_norm(x, gamma)
        return (y, mean_sq, *nk.rms_norm_backward(dy, x, gamma, mean_sq))

    expected = same_for_any_threads(lambda: run(x, dy))
    for a, b in zip(layouts(x), layouts(dy), strict=True):
        for got, wanted in zip(run(a, b), expected, strict=True):
            assert got.tobytes() == wanted.tobytes()
    for got, wanted in zip(run(x[-1:], dy[-1:])[:3], expected[:3], strict=True):
        assert got.tobytes() == wanted[-1:].tobytes()


@pytest.mark.parametrize(("shape", "groups"), [((2, 40, 3), 10), ((2, 40, 4, 5), 10), ((2, 20, 70, 90), 10)])
@pytest.mark.parametrize("size", [1e25, 3e38, 1e-22, 1e-41])
def test_groups_beyond_the_squares_of_the_dtype(isa, dtype, rng, shape, groups, size):
    """One group of numbers whose squares overflow or vanish among ordinary ones: as the definition in wider numbers."""
    x, dy, gamma, beta = problem(rng, dtype, shape, shape[1])
    size = np.longdouble(size) ** (1 if dtype == np.float32 else 8)
    rows = x.reshape(shape[0], groups, -1)
    rows[1, 3] = (rng.uniform(-1, 1, rows.shape[2]) * size).astype(dtype)
    wx, wdy, wgamma, wbeta = wide(x, dy, gamma, beta)
    y, mean, var = reference.group_norm(wx, groups, wgamma, wbeta, eps=0)
    got = nk.group_norm(x, groups, gamma, beta, eps=0.0)
    np.testing.assert_allclose(got[0].astype(np.longdouble), y, rtol=1e-4, atol=1e-4)
    if size < 1 and got[2][1, 3] < np.finfo(dtype).tiny:
        return  # the variance left the dtype: what the gradient is given is no longer it
    dx, dgamma, _ = reference.group_norm_backward(wdy, wx, groups, wgamma, mean, var, eps=0)
    d = nk.group_norm_backward(dy, x, groups, gamma, *got[1:], eps=0.0)
    scale = np.repeat(1 / np.sqrt(var), x[0].size // groups, 1).reshape(shape)
    tiny = 64 * np.longdouble(np.finfo(dtype).smallest_subnormal)
    assert (np.abs(d[0] - dx) <= 1e-3 * scale + tiny).all()
    np.testing.assert_allclose(d[1].astype(np.longdouble), dgamma, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("size", [1e19, 1e25, 3.3e38, 1e-22, 1e-41, 0.0])
@pytest.mark.parametrize("constant", [False, True])
def test_rows_beyond_the_squares_of_the_dtype(isa, dtype, rng, size, constant):
    size = np.longdouble(size) ** (1 if dtype == np.float32 else 8)
    x = ((1 if constant else rng.uniform(-1, 1, (5, 70))) * np.full((5, 70), size)).astype(dtype)
    dy, gamma = rng.standard_normal((5, 70)).astype(dtype), np.ones(70, dtype)
    eps = 0.0 if size else 1e-5
    y, mean_sq = nk.rms_norm(x, gamma, eps=eps)
    wanted, squares = reference.rms_norm(*wide(x, gamma), eps=eps)
    np.testing.assert_allclose(y.astype(np.longdouble), wanted, rtol=1e-5)
    if mean_sq[0] > np.finfo(dtype).tiny or size == 0:
        dx = reference.rms_norm_backward(*wide(dy, x, gamma), squares, eps=eps)[0]
        got = nk.rms_norm_backward(dy, x, gamma, mean_sq, eps=eps)[0]
        tiny = 64 * np.longdouble(np.finfo(dtype).smallest_subnormal)
        assert (np.abs(got - dx) <= 1e-4 / np.sqrt(squares + eps)[:, None] + tiny).all()


def test_nan_stays_in_its_group(isa, dtype, rng):
    x, _, gamma, beta = problem(rng, dtype, (3, 6, 20), 6)
    clean = nk.group_norm(x, 3, gamma, beta)
    x[1, 2, 5] = np.nan
    for got, wanted in zip(nk.group_norm(x, 3, gamma, beta), clean, strict=True):
        rows, whole = got.reshape(3, 3, -1), wanted.reshape(3, 3, -1)
        assert np.isnan(rows[1, 1]).all()
        rows[1, 1] = whole[1, 1]
        np.testing.assert_array_equal(rows, whole)


def test_empty_arrays(isa, dtype):
    for shape, groups in (((0, 4), 2), ((0, 4, 30), 2), ((2, 4, 0), 2), ((2, 0, 3), 5)):
        x, v, moments = (np.ones(s, dtype) for s in (shape, shape[1], (shape[0], groups)))
        y, mean, var = nk.group_norm(x, groups, v, v)
        assert y.shape == shape
        assert mean.shape == var.shape == (shape[0], groups)
        assert np.isnan(mean).all()
        dx, dgamma, dbeta = nk.group_norm_backward(x, x, groups, v, moments, moments)
        assert dx.shape == shape
        assert dgamma.tolist() == dbeta.tolist() == [0] * shape[1]
    y, mean_sq = nk.rms_norm(np.ones((3, 0), dtype), np.ones(0, dtype))
    assert y.shape == (3, 0)
    assert np.isnan(mean_sq).all()
    none = np.ones((0, 4), dtype)
    assert nk.rms_norm_backward(none, none, np.ones(4, dtype), np.ones(0, dtype))[1].tolist() == [0] * 4


X, V, M = np.ones((2, 6, 3)), np.ones(6), np.ones((2, 3))
ERRORS = [
    (nk.group_norm, (V, 1, V, V), {}, ValueError, r"x must have shape \(n, c, ...\), got \(6,\)"),
    (nk.group_norm, (X, 4, V, V), {}, ValueError, "groups must divide the 6 channels of x, got 4"),
    (nk.group_norm, (X, 0, V, V), {}, ValueError, "groups must be at least 1, got 0"),
    (nk.group_norm, (X, 1.5, V, V), {}, TypeError, "groups must be an int"),
    (nk.group_norm, (X, 2, V[:5], V), {}, ValueError, r"gamma must have shape \(6,\), got \(5,\)"),
    (nk.group_norm, (X, 2, V, V), {"eps": -1}, ValueError, "eps must be at least 0, got -1"),
    (
        nk.group_norm_backward,
        (X[:1], X, 3, V, M, M),
        {},
        ValueError,
        r"dy must have shape \(2, 6, 3\), got \(1, 6, 3\)",
    ),
    (nk.group_norm_backward, (X, X, 2, V, M, M), {}, ValueError, r"mean must have shape \(2, 2\), got \(2, 3\)"),
    (nk.group_norm_backward, (X, X, 3, V, M, M.astype("f4")), {}, TypeError, "var must be float64 like x, got float32"),
    (nk.rms_norm, (np.array(1.0), V), {}, ValueError, "x must have at least one axis"),
    (nk.rms_norm, (X, V), {}, ValueError, r"gamma must have shape \(3,\), got \(6,\)"),
    (nk.rms_norm, (X, V[:3]), {"eps": -0.5}, ValueError, "eps must be at least 0, got -0.5"),
    (nk.rms_norm_backward, (X, X, V[:3], M), {}, ValueError, r"mean_sq must have shape \(2, 6\), got \(2, 3\)"),
]


@pytest.mark.parametrize(("function", "arguments", "options", "error", "message"), ERRORS)
def test_errors_name_what_was_wanted_and_given(function, arguments, options, error, message):
    with pytest.raises(error, match=message):
        function(*arguments, **options)
