"""What the tests of elementwise functions hold them against: the definitions in a wider type, and distances in ULP."""

import re

import numpy as np

import npkernels as nk
from npkernels import reference

# name, parameters: every function without parameters, the others at several
PLAIN = [name for name, f in nk.ACTIVATIONS.items() if f.__module__ == "npkernels.activation.parameterless"]
CASES = [(name, {}) for name in PLAIN] + [
    *(("leaky_relu", {"slope": slope}) for slope in (0.01, -0.3, 0.0)),
    *(("clip", {"low": low, "high": high}) for low, high in ((-0.75, 2.0), (-np.inf, 0.0))),
    *(("isru", {"alpha": alpha}) for alpha in (1.0, 0.3)),
    *(("isrlu", {"alpha": alpha}) for alpha in (1.0, 2.5)),
    *(("elu", {"alpha": alpha}) for alpha in (1.0, 1.5)),
    *(("celu", {"alpha": alpha}) for alpha in (1.0, 0.3, -1.7)),
    *(("softplus", {"beta": beta}) for beta in (1.0, 0.125, -4.0, 3.3)),
    *(("gelu", {"approximate": approximate}) for approximate in ("none", "tanh")),
    *(("soft_exponential", {"alpha": alpha}) for alpha in (0.0, 0.3, 2.7, -0.6, -3.1)),
    *(("soft_clipping", {"alpha": alpha}) for alpha in (1.0, 0.1, 5.0, 300.0, -2.0)),
]
IDS = [name + "".join(f" {k}={v}" for k, v in parameters.items()) for name, parameters in CASES]
EDGES = [0.0, -0.0, 1e-45, -1e-45, 1e-38, 5e-324, np.inf, -np.inf, np.nan, 3e38, -3e38, 88.72, -87.34, -103.97, -38.5]
CORNERS = (-3.0, -2.0, -1.5, -1.0, -0.75, 0.5, 0.6, 1.0, 2.0, 2.4142135623730951, 3.0, np.pi, 6.0)


def normal_tail(t):
    """Q(t) = 1 - Phi(t) for t >= 0, in the type of t, to a few ULP. Below 2.5 the series of Phi - 1/2, whose terms are
    positive; above, the continued fraction e^(-t^2/2) / sqrt(2 pi) / (t + 1 / (t + 2 / (t + ...)))."""
    t = np.minimum(t, 150)
    half = np.array(0.5, t.dtype)
    low, high = np.minimum(t, 2.5), np.maximum(t, 2.5)
    term = total = low
    for k in range(1, 60):
        term = term * low * low / (2 * k + 1)
        total = total + term
    fraction = high
    for k in range(200, 0, -1):
        fraction = high + k / fraction
    return np.where(t < 2.5, half - density(t) * total, density(t) / fraction)


def density(x):
    x = np.clip(x, -150, 150)
    return np.exp(-x * x / 2) / np.sqrt(8 * np.arctan(np.ones((), x.dtype)))


def gelu(x):
    phi = np.where(x < 0, normal_tail(abs(x)), 1 - normal_tail(abs(x)))
    return np.where(x == -np.inf, 0, x * phi)


def gelu_backward(dy, x):
    phi = np.where(x < 0, normal_tail(abs(x)), 1 - normal_tail(abs(x)))
    return dy * (phi + np.where(np.isinf(x), 0, x) * density(x))


def truth(name, *arrays, **parameters):
    """The definition in the type of the arrays; that of gelu by other means, for the reference's has float64 only."""
    f = getattr(reference, name)
    if name.startswith("gelu") and parameters.get("approximate", "none") == "none":
        f, parameters = {"gelu": gelu, "gelu_backward": gelu_backward}[name], {}
    with np.errstate(all="ignore"):
        return f(*arrays, **parameters)


def wide(x):
    with np.errstate(invalid="ignore"):  # of a signalling NaN
        return x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)


def ulp(value, dtype):
    """The distance of neighbours of `dtype` at `value`."""
    info = np.finfo(dtype)
    exponent = np.maximum(np.frexp(np.abs(value))[1] - 1, info.minexp)
    return np.ldexp(np.ones_like(value), exponent - info.nmant)


def stated_ulp(name, dtype):
    """The bound that the docstring of a function states."""
    narrow, double = re.search(
        r"within (\d) ULP \(float32\) and (\d) ULP \(float64\)", getattr(nk, name).__doc__
    ).groups()
    return int(narrow) if dtype == np.float32 else int(double)


def largest_error(name, x, **parameters):
    """In ULP; what is not finite must be that very value, and so must a value at 0 or inf that the type can hold."""
    y = getattr(nk, name)(x, **parameters)
    expected = truth(name, wide(x), **parameters)
    size = np.abs(expected)
    if name == "soft_exponential" and parameters["alpha"] > 0:  # a sum of two terms
        size = np.abs(expected - parameters["alpha"]) + parameters["alpha"]
    with np.errstate(all="ignore"):
        rounded = expected.astype(x.dtype)
        exact = ~np.isfinite(expected) | ((x == 0) | np.isinf(x)) & (rounded == expected)
        np.testing.assert_array_equal(y[exact], rounded[exact])
        overflow = np.isinf(rounded) & ~exact  # a largest number is as near
        assert (np.abs(y[overflow]) >= np.finfo(x.dtype).max * (1 - 8 * np.finfo(x.dtype).eps)).all()
        return np.max((np.abs(wide(y) - expected) / ulp(size, x.dtype))[~exact & ~overflow], initial=0)


def samples(dtype, rng, count=8000):
    """Every exponent and sign, the intervals where the functions live and have corners, and the edges."""
    bits = np.uint32 if dtype == np.float32 else np.uint64
    anywhere = rng.integers(0, np.iinfo(bits).max, count, bits, endpoint=True).view(dtype)
    span = 110 if dtype == np.float32 else 760
    live = [rng.uniform(-scale, scale, count) for scale in (1, 4, 12, 40, span)]
    near = [corner + rng.uniform(-1, 1, count // 20) * 10.0 ** rng.uniform(-7, -1, count // 20) for corner in CORNERS]
    with np.errstate(all="ignore"):
        return np.concatenate([anywhere, np.concatenate([*live, *near, EDGES]).astype(dtype)])


def steepness(name, x, **parameters):
    """f'(x) and |x f''(x)|, that by a difference of f'."""
    one, step = np.ones_like(x), 2.0**-20
    slope, above, below = (truth(f"{name}_backward", one, z, **parameters) for z in (x, x * (1 + step), x * (1 - step)))
    with np.errstate(all="ignore"):
        curvature = np.abs(above - below) / (2 * step)
    return slope, np.where(np.isfinite(curvature), curvature, 0)  # it vanishes where x * x overflows
