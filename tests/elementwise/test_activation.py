"""Elementwise functions: accuracy in ULP against a wider type, gradients, layouts, threads, errors."""

import re

import numpy as np
import pytest
from oracle import CASES, CORNERS, IDS, largest_error, samples, stated_ulp, steepness, truth, wide

import npkernels as nk
from npkernels import reference

WIDER = np.finfo(np.longdouble).nmant >= 63
NAMES = [
    "identity",
    "binary_step",
    "sigmoid",
    "tanh",
    "sqnl",
    "arctan",
    "arsinh",
    "softsign",
    "isru",
    "isrlu",
    "relu",
    "brelu",
    "leaky_relu",
    "prelu",
    "rrelu",
    "elu",
    "selu",
    "celu",
    "srelu",
    "apl",
    "softplus",
    "bent_identity",
    "gelu",
    "silu",
    "mish",
    "hard_sigmoid",
    "hard_swish",
    "relu6",
    "clip",
    "soft_exponential",
    "soft_clipping",
    "sinusoid",
    "sinc",
    "gaussian",
    "sq_rbf",
]


def test_activations_are_functions_by_name():
    assert list(nk.ACTIVATIONS) == NAMES
    for name, f in nk.ACTIVATIONS.items():
        assert f is getattr(nk, name)
        assert f.__name__ == name
        assert callable(getattr(nk, f"{name}_backward"))
    assert set(reference.ACTIVATIONS) == set(NAMES)
    assert {name for name, _ in CASES} | {"brelu", "prelu", "rrelu", "srelu", "apl"} == set(NAMES)


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_value_is_within_its_ulp_bound_and_exact_at_the_edges(isa, dtype, rng, name, parameters):
    if dtype == np.float64 and not WIDER:
        pytest.skip("needs a type wider than float64")
    assert largest_error(name, samples(dtype, rng), **parameters) <= stated_ulp(name, dtype)


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_gradient_is_within_its_bound(isa, dtype, rng, eps, name, parameters):
    if dtype == np.float64 and not WIDER:
        pytest.skip("needs a type wider than float64")
    x = samples(dtype, rng)
    x = x[np.isfinite(x)]
    dy = (rng.standard_normal(x.size) * 10.0 ** rng.integers(-3, 4, x.size)).astype(dtype)
    dx = getattr(nk, f"{name}_backward")(dy, x, **parameters)
    slope, curvature = steepness(name, wide(x), **parameters)
    with np.errstate(all="ignore"):
        expected = wide(dy) * slope
        # What lies below the normal numbers is rounded to a multiple of the smallest denormal.
        bound = 8 * eps * np.abs(dy) * (np.abs(slope) + curvature) + np.finfo(dtype).smallest_subnormal
        ordinary = np.abs(expected) <= np.finfo(dtype).max
        assert (np.abs(wide(dx) - expected) <= bound)[ordinary].all()
    assert (np.isnan(dx) == np.isnan(expected)).all()


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_gradient_at_inf_and_nan_is_its_limit(isa, dtype, name, parameters):
    x = np.array([-np.inf, np.inf, np.nan], dtype)
    dx = getattr(nk, f"{name}_backward")(np.full(3, 2, dtype), x, **parameters)
    limits = truth(f"{name}_backward", np.full(3, 2.0), x.astype(np.float64), **parameters)
    np.testing.assert_allclose(dx, limits.astype(dtype), rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_gradient_matches_central_differences(name, parameters, rng):
    x = rng.uniform(-4, 4, 400)
    x = x[np.min(np.abs(x[:, None] - np.array([0, *CORNERS])), axis=1) > 1e-2]  # where some functions have corners

    def f(z):
        return getattr(nk, name)(z, **parameters)

    h, wider = 2.0**-17, 2.0**-9
    middle, slope = f(x), (f(x + h) - f(x - h)) / (2 * h)
    # the difference errs by a sixth of h^2 times the third derivative, itself a difference, and by 8 eps |f| / h
    third = f(x + 2 * wider) - 2 * f(x + wider) + 2 * f(x - wider) - f(x - 2 * wider)
    bound = h * h * (np.abs(third) / wider**3 + 1) + 16 * np.finfo(float).eps * (1 + np.abs(middle)) / h
    inside = np.isfinite(middle) & np.isfinite(third)
    dx = getattr(nk, f"{name}_backward")(np.ones_like(x), x, **parameters)
    assert inside.any()
    assert (np.abs(dx - slope) <= bound)[inside].all()


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_value_agrees_with_the_reference_in_its_own_type(dtype, rng, eps, name, parameters):
    x = rng.standard_normal(1000).astype(dtype)
    if name == "soft_exponential":
        x = np.abs(x) + abs(parameters["alpha"])  # below alpha, to the end of the domain, the logarithm cancels
    expected = getattr(reference, name)(x, **parameters)
    assert expected.dtype == dtype
    # both round every operation; sums cancel where their terms are of the size of 1 or alpha
    size = np.abs(expected) + (abs(parameters["alpha"]) if name == "soft_exponential" else 0) + 0.25
    assert (np.abs(getattr(nk, name)(x, **parameters) - expected) <= 64 * eps * size).all()


@pytest.mark.skipif(not WIDER, reason="needs a type wider than float64")
def test_reference_of_gelu_is_accurate_far_below_0():
    x = np.linspace(-37.5, 6, 20000)  # below, Phi is denormal
    expected = truth("gelu", wide(x))
    assert (np.abs(reference.gelu(x) - expected) <= 3 * np.finfo(float).eps * np.abs(expected)).all()


@pytest.mark.parametrize("n", [0, 1, 3, 7, 8, 15, 16, 17, 33, 257, 300])
@pytest.mark.parametrize(("name", "parameters"), CASES[::3], ids=IDS[::3])
def test_position_and_alignment_do_not_change_bits(isa, dtype, rng, name, parameters, n):
    x = (rng.standard_normal(n) * 10.0 ** rng.integers(-2, 9, n)).astype(dtype)
    dy = rng.standard_normal(n).astype(dtype)

    def f(*arguments, **out):
        return getattr(nk, name)(*arguments, **parameters, **out)

    def g(*arguments, **out):
        return getattr(nk, f"{name}_backward")(*arguments, **parameters, **out)

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


@pytest.mark.parametrize("name", nk.ACTIVATIONS)
def test_parameters_are_keyword_only(name):
    for f, arrays in ((nk.ACTIVATIONS[name], 1), (getattr(nk, f"{name}_backward"), 2)):
        with pytest.raises(TypeError, match=f"takes {arrays} positional argument"):
            f(*[np.zeros(2)] * arrays, 1.0)


@pytest.mark.parametrize("name", nk.ACTIVATIONS)
def test_docstrings_have_all_sections(name):
    for f in (nk.ACTIVATIONS[name], getattr(nk, f"{name}_backward")):
        assert re.findall(r"^(\w+)\n-{6,}$", f.__doc__, re.M) == ["Parameters", "Returns", "Raises", "Examples"]
        assert max(map(len, f.__doc__.splitlines())) <= 120


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
        (lambda: nk.celu(X, alpha=0.0), ValueError, "alpha must not be 0, got 0"),
        (lambda: nk.soft_clipping(X, alpha=0), ValueError, "alpha must not be 0, got 0"),
        (lambda: nk.clip(X, low=2, high=1), ValueError, "low must be at most high, got 2.0 and 1.0"),
        (lambda: nk.clip_backward(X, X, low=0, high=np.nan), ValueError, "low must be at most high, got 0.0 and nan"),
        (lambda: nk.clip(X, low=2), TypeError, "high"),
        (lambda: nk.soft_exponential(X), TypeError, "alpha"),
        (lambda: nk.gelu(X, approximate="erf"), ValueError, "approximate must be one of 'none', 'tanh', got 'erf'"),
        (lambda: nk.gelu_backward(X, X, approximate=True), TypeError, "approximate must be a string, got bool"),
        (lambda: nk.dense(X, X, activation="mish"), ValueError, "activation must be one of 'relu', .*, got 'mish'"),
        (lambda: nk.dense(X, X, activation=1), TypeError, "activation must be a string, got int"),
    ],
)
def test_errors_name_argument_wish_and_value(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("start", [0, 1, 5])
def test_streamed_results_have_the_same_bits(isa, dtype, rng, start):
    # more than the last cache holds: results are written past it, but not where they overwrite an input
    size = nk._kernels.runtime.cache_sizes_in_bytes()["L3"] // (3 * dtype.itemsize) + 7
    x, dy = (np.resize(rng.standard_normal(5000).astype(dtype), size) for _ in range(2))
    memory = np.empty(size * dtype.itemsize + 8, np.uint8)
    out = np.ndarray((size,), dtype, memory.data, offset=start)
    for y in (nk.relu(x), nk.relu(x, out=out), nk.relu(x.copy(), out=x.copy())):
        assert (y == np.maximum(x, 0)).all()
    for dx in (nk.hard_swish_backward(dy, x), nk.hard_swish_backward(dy, x, out=out)):
        assert dx[:5000].tobytes() == nk.hard_swish_backward(dy[:5000], x[:5000]).tobytes()
        assert (dx[: size // 5000 * 5000].reshape(-1, 5000) == dx[:5000]).all()
    with nk.threads(2):
        assert nk.hard_swish_backward(dy, x).tobytes() == dx.tobytes()
