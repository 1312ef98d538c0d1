"""Elementwise functions: accuracy in ULP against a wider type, gradients, layouts, threads, errors."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference


def normal_tail(t):
    """Q(t) = 1 - Phi(t) for t >= 0, in the type of t, to a few ULP. Below 2.5 the series of Phi - 1/2, whose terms are
    positive; above, the continued fraction e^(-t^2/2) / sqrt(2 pi) / (t + 1 / (t + 2 / (t + ...)))."""
    t = np.minimum(t, 150)
    half = np.array(0.5, t.dtype)
    density = np.exp(-half * t * t) / np.sqrt(4 * np.arctan2(half * 2, half * 0))  # arctan2(1, 0) = pi / 2
    low, high = np.minimum(t, 2.5), np.maximum(t, 2.5)
    term = total = low
    for k in range(1, 60):
        term = term * low * low / (2 * k + 1)
        total = total + term
    fraction = high
    for k in range(200, 0, -1):
        fraction = high + k / fraction
    return np.where(t < 2.5, half - density * total, density / fraction)


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(4 * np.arctan2(x * 0 + 1, x * 0))


def normal(x):
    return np.where(x < 0, normal_tail(abs(x)), 1 - normal_tail(abs(x)))


def finite(x):
    return np.maximum(x, -30000)  # stands for -inf where x is multiplied by what vanishes there


# name: value, f', f'', and the bounds in ULP (float32, float64) that the docstrings state
TRUTH = {
    "relu": (lambda x: np.where(x <= 0, 0, x), lambda x: np.where(x <= 0, 0, 1), lambda x: 0 * x, (0, 0)),
    "leaky_relu": (
        lambda x, slope=0.01: np.where(x < 0, slope * x, x),
        lambda x, slope=0.01: np.where(x < 0, slope, 1),
        lambda x, slope=0.01: 0 * x,
        (2, 4),
    ),
    "sigmoid": (
        sigmoid,
        lambda x: sigmoid(x) * sigmoid(-x),
        lambda x: sigmoid(x) * sigmoid(-x) * np.tanh(x / 2),
        (2, 4),
    ),
    "tanh": (
        np.tanh,
        lambda x: 1 / np.cosh(np.clip(x, -5000, 5000)) ** 2,
        lambda x: 2 * np.tanh(x) / np.cosh(np.clip(x, -5000, 5000)) ** 2,
        (2, 4),
    ),
    "gelu": (
        lambda x: finite(x) * normal(x),
        lambda x: normal(x) + finite(x) * density(x),
        lambda x: density(x) * (2 - x * x),
        (4, 8),
    ),
    "silu": (
        lambda x: finite(x) * sigmoid(x),
        lambda x: sigmoid(x) * (1 + finite(x) * sigmoid(-x)),
        lambda x: sigmoid(x) * sigmoid(-x) * (2 + x * (1 - 2 * sigmoid(x))),
        (4, 8),
    ),
    "softplus": (
        lambda x, beta=1.0: np.where(beta * x > 0, x, 0) + np.log1p(np.exp(-np.abs(beta * x))) / beta,
        lambda x, beta=1.0: sigmoid(beta * x),
        lambda x, beta=1.0: beta * sigmoid(beta * x) * sigmoid(-beta * x),
        (4, 8),
    ),
    "elu": (
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x, alpha=1.0: np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0))),
        lambda x, alpha=1.0: np.where(x > 0, 0, alpha * np.exp(np.minimum(x, 0))),
        (2, 4),
    ),
}
CASES = [(name, {}) for name in TRUTH] + [
    ("leaky_relu", {"slope": -0.3}),
    ("softplus", {"beta": 0.125}),
    ("softplus", {"beta": -4.0}),
    ("elu", {"alpha": 1.5}),
]
IDS = [name + "".join(f" {k}={v}" for k, v in parameters.items()) for name, parameters in CASES]
EDGES = [0.0, -0.0, 1e-45, -1e-45, 1e-38, 5e-324, np.inf, -np.inf, np.nan, 3e38, -3e38, 88.72, -87.34, -103.97, -38.5]


def wide(x):
    return x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)


def ulp(truth, dtype):
    """The distance of neighbours of `dtype` at `truth`."""
    info = np.finfo(dtype)
    exponent = np.maximum(np.frexp(np.abs(truth))[1] - 1, info.minexp)
    return np.ldexp(np.ones_like(truth), exponent - info.nmant)


def largest_error(name, x, **parameters):
    """In ULP; where the truth is no finite number of the type, the result must be that very value."""
    y = getattr(nk, name)(x, **parameters)
    with np.errstate(all="ignore"):
        truth = TRUTH[name][0](wide(x), **parameters)
        exact = np.isnan(truth) | np.isinf(truth) | (x == 0)
        np.testing.assert_array_equal(y[exact], truth.astype(x.dtype)[exact])
        return np.max(np.abs(wide(y) - truth)[~exact] / ulp(truth, x.dtype)[~exact], initial=0)


def samples(dtype, rng):
    """Every exponent and sign, the interval where the functions live, and the edges."""
    bits = np.uint32 if dtype == np.float32 else np.uint64
    anywhere = rng.integers(0, np.iinfo(bits).max, 20000, bits, endpoint=True).view(dtype)
    span = 110 if dtype == np.float32 else 760
    live = [rng.uniform(-scale, scale, 20000) for scale in (1, 10, 40, span)]
    with np.errstate(all="ignore"):
        return np.concatenate([anywhere, np.concatenate([*live, EDGES]).astype(dtype)])


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_value_is_within_its_ulp_bound_and_exact_at_the_edges(isa, dtype, rng, name, parameters):
    if dtype == np.float64 and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("needs a type wider than float64")
    assert largest_error(name, samples(dtype, rng), **parameters) <= TRUTH[name][3][dtype == np.float64]


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_gradient_is_within_its_bound(isa, dtype, rng, eps, name, parameters):
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("needs a type wider than float64")
    x = samples(dtype, rng)
    x = x[np.isfinite(x)]
    dy = (rng.standard_normal(x.size) * 10.0 ** rng.integers(-3, 4, x.size)).astype(dtype)
    dx = getattr(nk, name + "_backward")(dy, x, **parameters)
    with np.errstate(all="ignore"):
        z, d = x.astype(np.longdouble), dy.astype(np.longdouble)
        slope, curvature = (f(z, **parameters) for f in TRUTH[name][1:3])
        curvature = np.where(np.isfinite(curvature), curvature, 0)  # beyond the range of x * x: f'' is 0
        truth = d * slope
        # What lies below the normal numbers is rounded to a multiple of the smallest denormal.
        bound = 8 * eps * np.abs(d) * (np.abs(slope) + np.abs(z * curvature)) + np.finfo(dtype).smallest_subnormal
    overflow = np.abs(truth) > np.finfo(dtype).max
    assert (np.abs(dx - truth) <= bound)[~overflow].all()


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_gradient_at_inf_and_nan_is_its_limit(isa, dtype, name, parameters):
    x = np.array([-np.inf, np.inf, np.nan], dtype)
    dx = getattr(nk, name + "_backward")(np.full(3, 2, dtype), x, **parameters)
    with np.errstate(all="ignore"):
        limits = TRUTH[name][1](np.array([-30000.0, 30000.0]), **parameters)
    np.testing.assert_array_equal(dx[:2], (2 * limits).astype(dtype))
    assert np.isnan(dx[2]) or name in ("relu", "leaky_relu", "elu")


@pytest.mark.parametrize("name", TRUTH)
def test_gradient_matches_central_differences(name, rng):
    x = rng.uniform(-4, 4, 200)
    x = x[np.abs(x) > 1e-3]  # relu and its kin have a corner at 0
    f, h = getattr(nk, name), 1e-5
    slope = (f(x + h) - f(x - h)) / (2 * h)
    # |f'''| <= 3 on this range, so the difference errs by h^2 / 2 + 8 eps |f| / h
    bound = h * h / 2 + 8 * 2.3e-16 * (1 + np.abs(f(x))) / h
    assert (np.abs(getattr(nk, name + "_backward")(np.ones_like(x), x) - slope) <= bound).all()


@pytest.mark.parametrize("name", TRUTH)
def test_value_agrees_with_the_reference(dtype, rng, eps, name):
    x = rng.standard_normal(1000).astype(dtype) * 3
    expected = getattr(reference, name)(x.astype(np.float64))
    # 8 ULP here, and the reference's own error in float64
    assert (np.abs(getattr(nk, name)(x) - expected) <= 8 * eps * np.abs(expected) + 1e-15).all()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 255, 256, 257, 300])
@pytest.mark.parametrize("name", TRUTH)
def test_position_and_alignment_do_not_change_bits(isa, dtype, rng, name, n):
    x = rng.standard_normal(n).astype(dtype)
    dy = rng.standard_normal(n).astype(dtype)
    f, g = getattr(nk, name), getattr(nk, name + "_backward")
    alone = np.array([f(x[i : i + 1])[0] for i in range(n)], dtype)
    alone_dx = np.array([g(dy[i : i + 1], x[i : i + 1])[0] for i in range(n)], dtype)
    room = np.zeros((n + 1) * dtype.itemsize, np.uint8)
    for offset in (0, 1, dtype.itemsize):
        out = np.ndarray((n,), dtype, room.data, offset=min(offset, room.size))
        assert f(x, out=out) is out
        assert out.tobytes() == alone.tobytes()
        g(dy, x, out=out)
        assert out.tobytes() == alone_dx.tobytes()


@pytest.mark.parametrize("shape", [(7, 5, 3), (64, 1, 40), (3, 2048), (2, 3, 4, 5, 2), (6000,)])
def test_layouts_give_the_same_bits(isa, dtype, rng, layouts, shape):
    x = rng.standard_normal(shape).astype(dtype)
    dy = rng.standard_normal(shape).astype(dtype)
    y, dx = nk.sigmoid(x), nk.tanh_backward(dy, x)
    for other in layouts(x):
        before = other.tobytes()
        assert nk.sigmoid(other).tobytes() == y.tobytes()
        assert other.tobytes() == before
        for other_dy in layouts(dy):
            assert nk.tanh_backward(other_dy, other).tobytes() == dx.tobytes()


def test_zero_strides_and_permuted_axes_are_read_correctly(isa, dtype, rng):
    row = rng.standard_normal((1, 50, 1)).astype(dtype)
    x = np.broadcast_to(row, (9, 50, 70))
    assert (nk.relu(x) == np.maximum(row, 0)).all()
    assert (nk.relu(x.transpose(1, 2, 0)) == np.maximum(row, 0).transpose(1, 2, 0)).all()
    assert nk.relu(np.broadcast_to(dtype.type(-1), (3, 0, 2))).shape == (3, 0, 2)


def test_any_number_of_threads_gives_the_same_bits(isa, dtype, rng, same_for_any_threads):
    x = rng.standard_normal((300, 401)).astype(dtype)
    dy = rng.standard_normal((401, 300)).astype(dtype).T
    same_for_any_threads(lambda: (nk.gelu(x), nk.gelu(x[::-1, ::-1]), nk.silu_backward(dy, x)))


def test_result_may_overwrite_an_input(isa, dtype, rng):
    x = rng.standard_normal((40, 33)).astype(dtype)
    dy = rng.standard_normal((40, 33)).astype(dtype)
    expected, expected_dx = nk.softplus(x), nk.softplus_backward(dy, x)
    for written in (dy.copy(), x.copy()):
        arguments = (written, x) if (written == dy).all() else (dy, written)
        assert nk.softplus_backward(*arguments, out=written) is written
        assert written.tobytes() == expected_dx.tobytes()
    assert nk.softplus(x, out=x) is x
    assert x.tobytes() == expected.tobytes()


def test_ranks_and_lists(dtype):
    assert nk.relu(np.array(-2.0, dtype)) == 0
    assert nk.relu(np.array(3.0, dtype)).dtype == dtype
    out = np.empty((), dtype)
    assert nk.relu(np.array(3.0, dtype), out=out) is out
    assert out == 3
    assert (nk.relu([[-1.0, 2.0]]) == [[0, 2]]).all()
    assert nk.relu(np.zeros((1,) * 32, dtype)).shape == (1,) * 32


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu"])
def test_fused_activation_has_the_bits_of_the_function(isa, dtype, rng, activation):
    x, w = rng.standard_normal((9, 20)).astype(dtype), rng.standard_normal((37, 20)).astype(dtype)
    assert nk.dense(x, w, activation=activation).tobytes() == getattr(nk, activation)(nk.dense(x, w)).tobytes()


X = np.zeros((2, 3), np.float32)


def read_only():
    x = X.copy()
    x.flags.writeable = False
    return x


MEMORY = np.zeros(20, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.relu(np.arange(3)), TypeError, "x must be float32 or float64, got int64"),
        (lambda: nk.relu(X.astype(np.float16)), TypeError, "x must be float32 or float64, got float16"),
        (lambda: nk.relu(X.astype(">f4")), TypeError, "x must be float32 or float64, got >f4"),
        (lambda: nk.relu(np.ma.masked_array(X)), TypeError, "x must be a plain array, got a masked array"),
        (lambda: nk.relu(X, out=[0]), TypeError, "out must be a NumPy array, got list"),
        (lambda: nk.relu(X, out=np.zeros((2, 3))), TypeError, "out must be float32 like the result, got float64"),
        (lambda: nk.relu(X, out=np.zeros(6, "f4")), ValueError, r"out must have shape \(2, 3\), got \(6,\)"),
        (lambda: nk.relu(X, out=read_only()), ValueError, "out must be writeable, got a read-only array"),
        (lambda: nk.relu(X, out=np.zeros((3, 2), "f4").T), ValueError, "out must be C-contiguous, got strides"),
        (lambda: nk.relu(MEMORY[:10], out=MEMORY[1:11]), ValueError, "out must not overlap x"),
        (lambda: nk.relu_backward(X, MEMORY[:10]), ValueError, r"dy must have shape \(10,\), got \(2, 3\)"),
        (lambda: nk.relu_backward(np.zeros(3), X), TypeError, "dy must be float32 like x, got float64"),
        (
            lambda: nk.relu_backward(MEMORY[:10], MEMORY[10:], out=MEMORY[5:15]),
            ValueError,
            "out must not overlap dy",
        ),
        (lambda: nk.leaky_relu(X, slope="a"), TypeError, "slope must be a number, got str"),
        (lambda: nk.elu(X, alpha=True), TypeError, "alpha must be a number, got bool"),
        (lambda: nk.softplus(X, beta=0), ValueError, "beta must not be 0, got 0"),
        (lambda: nk.dense(X, X, activation="mish"), ValueError, "activation must be one of 'relu', .*, got 'mish'"),
        (lambda: nk.dense(X, X, activation=1), TypeError, "activation must be a string, got int"),
    ],
)
def test_errors_name_argument_wish_and_value(call, error, message):
    with pytest.raises(error, match=message):
        call()
