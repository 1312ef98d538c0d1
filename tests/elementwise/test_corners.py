"""Activations and their gradients at corners, both zeros, infinities and NaN: PyTorch's where it has the function."""

import numpy as np
import pytest
from oracle import CASES, CORNERS, IDS

import npkernels as nk
from npkernels import reference

SLOPES = 0.25, -0.5, 0.0
CASES = [
    *CASES,
    *(("prelu", {"slope": s}) for s in SLOPES),
    ("brelu", {}),
    ("rrelu", {}),
    ("clip", {"low": -2.0, "high": -0.0}),
]
IDS = [*IDS, *(f"prelu slope={s}" for s in SLOPES), "brelu", "rrelu", "clip high=-0.0"]


def points(dtype):
    sizes = sorted({0.0, *map(abs, CORNERS), np.inf}) + [np.nan]
    return np.array([sign * size for size in sizes for sign in (1.0, -1.0)], dtype)


def zeros(array):
    """2 where an element is +0, 1 where it is -0, 0 elsewhere."""
    return np.where(array == 0, 2 - np.signbit(array), 0)


def gradients(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_values_have_the_zeros_of_the_definition(isa, dtype, name, parameters):
    x = points(dtype)
    with np.errstate(all="ignore"):
        expected = getattr(reference, name)(x, **parameters)
    at = (x == 0) | np.isnan(x) | np.isinf(x)
    y = getattr(nk, name)(x, **parameters)
    np.testing.assert_array_equal(zeros(y)[at], zeros(expected)[at])
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=IDS)
def test_gradients_at_corners_are_those_of_the_definition(isa, dtype, eps, name, parameters):
    for x in points(dtype):  # one at a time: the gradient of a parameter is a sum
        x, dy = np.array([x]), np.array([3.0], dtype)
        with np.errstate(all="ignore"):
            expected = getattr(reference, f"{name}_backward")(dy, x, **parameters)
        for d, wanted in zip(
            gradients(getattr(nk, f"{name}_backward")(dy, x, **parameters)), gradients(expected), strict=True
        ):
            np.testing.assert_allclose(d, wanted, rtol=32 * eps, atol=8 * eps)


# As PyTorch calls them
TORCH = {
    "relu": lambda F, x: F.relu(x),
    "relu6": lambda F, x: F.relu6(x),
    "leaky_relu": lambda F, x, slope=0.01: F.leaky_relu(x, slope),
    "rrelu": lambda F, x: F.rrelu(x),
    "prelu": lambda F, x, slope: F.prelu(x, slope),
    "clip": lambda F, x, low, high: F.hardtanh(x, low, high),
    "sigmoid": lambda F, x: F.sigmoid(x),
    "tanh": lambda F, x: F.tanh(x),
    "gelu": lambda F, x, approximate="none": F.gelu(x, approximate=approximate),
    "silu": lambda F, x: F.silu(x),
    "softplus": lambda F, x, beta=1.0: F.softplus(x, beta, 1e30),
    "elu": lambda F, x, alpha=1.0: F.elu(x, alpha),
    "selu": lambda F, x: F.selu(x),
    "celu": lambda F, x, alpha=1.0: F.celu(x, alpha),
    "mish": lambda F, x: F.mish(x),
    "hard_sigmoid": lambda F, x: F.hardsigmoid(x),
    "hard_swish": lambda F, x: F.hardswish(x),
    "softsign": lambda F, x: F.softsign(x),
    "arctan": lambda F, x: x.arctan(),
    "arsinh": lambda F, x: x.arcsinh(),
    "sinusoid": lambda F, x: x.sin(),
}
# Where x is NaN a gradient is NaN, but where it is the choice of a factor.
ROUNDED = "hard_sigmoid", "hard_swish", "celu"  # PyTorch's float64 gradients have factors rounded to float32
NAN_GRADIENTS = "elu", "selu", "celu", "hard_swish"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [c for c in CASES if c[0] in TORCH],
    ids=[i for i, c in zip(IDS, CASES, strict=True) if c[0] in TORCH],
)
def test_corners_are_those_of_pytorch(isa, dtype, eps, name, parameters):
    torch = pytest.importorskip("torch")
    for value in points(dtype):
        x, dy = np.array([value]), np.array([3.0], dtype)
        options = dict(parameters)
        leaves = [torch.from_numpy(x.copy()).requires_grad_(True)]
        if name == "prelu":
            leaves.append(torch.tensor([options.pop("slope")], dtype=leaves[0].dtype, requires_grad=True))
        expected = TORCH[name](torch.nn.functional, *leaves, **options)
        expected.backward(torch.from_numpy(dy))
        y, expected = getattr(nk, name)(x, **parameters), expected.detach().numpy()
        if not (np.isinf(value) and np.isnan(expected[0])):  # then here it is the limit
            np.testing.assert_allclose(y, expected, rtol=4 * eps, atol=8 * eps)  # of the size of 1 are their terms
            if y[0] == 0:
                np.testing.assert_array_equal(zeros(y), zeros(expected))
        if np.isnan(value) and name in NAN_GRADIENTS:
            continue
        for d, leaf in zip(gradients(getattr(nk, f"{name}_backward")(dy, x, **parameters)), leaves, strict=True):
            wanted = leaf.grad.numpy()
            if not (np.isinf(value) and np.isnan(wanted[0])):
                tolerance = max(1e-6 if name in ROUNDED else 0, 4 * eps)
                np.testing.assert_allclose(np.reshape(d, -1), wanted, rtol=tolerance, atol=16 * eps)


def test_slopes_drawn_in_training_count_at_0(isa, dtype, rng):
    x = np.array([0.0, -0.0, np.nan, 1.0, -1.0], dtype)
    y, slopes = nk.rrelu(x, training=True, rng=rng)
    dx = nk.rrelu_backward(np.full(5, 2, dtype), x, slopes=slopes)
    np.testing.assert_array_equal(dx, np.where(x > 0, 2, 2 * slopes))
    np.testing.assert_array_equal(zeros(y)[:2], [2, 1])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu"])
def test_fused_activations_keep_what_is_special(isa, dtype, activation):
    b = points(dtype)
    wanted = getattr(nk, activation)(b + 0)  # a sum of no products is 0, and 0 + -0 is 0
    zero = np.zeros((len(b), 1), dtype)
    assert nk.dense(zero[:1], zero, b, activation=activation).tobytes() == wanted.tobytes()
    x, w = zero.reshape(1, 1, -1, 1)[:, :, :1], zero.reshape(-1, 1, 1, 1)
    assert nk.conv2d(x, w, b, activation=activation).tobytes() == wanted.tobytes()
