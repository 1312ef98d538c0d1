"""Gradients by the result: against the definition, the gradient by the argument, PyTorch; layouts; errors."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

CASES = [
    ("relu", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"slope": 0.5}),
    ("leaky_relu", {"slope": 0}),
    ("sigmoid", {}),
    ("tanh", {}),
    ("softplus", {}),
    ("softplus", {"beta": 4.5}),
    ("softplus", {"beta": -2}),
    ("elu", {}),
    ("elu", {"alpha": 0.3}),
    ("elu", {"alpha": 0}),
    ("selu", {}),
]
LIMITS = {"selu": 2, "elu": 1}


def operands(rng, dtype, count=1001):
    x = np.concatenate([rng.uniform(-12, 12, count), [0, -0.0, 1e-30, -1e-30, np.inf, -np.inf, 1e4, -1e4]])
    return rng.standard_normal(x.size).astype(dtype), x.astype(dtype)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_gradients_of_results_are_near_the_definition(isa, dtype, rng, eps, name, parameters):
    dy, x = operands(rng, dtype)
    y = getattr(nk, name)(x, **parameters)
    wide = [a.astype(np.longdouble) for a in (dy, y)]
    dx = getattr(nk, f"{name}_backward")(dy, y, **parameters, from_output=True)
    assert dx.dtype == dtype
    wanted = getattr(reference, f"{name}_backward")(*wide, **parameters, from_output=True)
    # the constants, a sum and two products are rounded; e^z is within 2 ULP for a z that is rounded, too
    bound = 4 * eps * np.abs(wide[0]) * (np.abs(wanted / np.where(dy == 0, 1, wide[0])) + LIMITS.get(name, 0))
    assert (np.abs(dx - wanted) <= bound + np.finfo(dtype).smallest_subnormal).all()


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_gradients_of_results_are_those_of_arguments(isa, dtype, rng, eps, name, parameters):
    dy, x = operands(rng, dtype)
    y, backward = getattr(nk, name)(x, **parameters), getattr(nk, f"{name}_backward")
    by_x, by_y = backward(dy, x, **parameters), backward(dy, y, **parameters, from_output=True)
    if name.endswith("relu"):
        np.testing.assert_array_equal(by_x, by_y)
    else:
        beta = abs(parameters.get("beta", 1))  # which multiplies the error of y
        slope = np.abs(by_x.astype(float) / np.where(dy == 0, 1, dy))
        assert (np.abs(by_x - by_y) <= 8 * eps * np.abs(dy) * (slope + max(1, beta) * LIMITS.get(name, 1))).all()


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh", "softplus", "elu"])
def test_a_fused_layer_is_trained_by_its_result(rng, activation):
    x, w, b = rng.standard_normal((5, 7)), rng.standard_normal((3, 7)), rng.standard_normal(3)
    c = rng.standard_normal((5, 3))

    def loss(w):
        return (c * nk.dense(x, w, b, activation=activation)).sum()

    y = nk.dense(x, w, b, activation=activation)
    dz = getattr(nk, f"{activation}_backward")(c, y, from_output=True)
    dw = nk.dense_backward(dz, x, w, needs=("w",))[1]
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = 1e-6
        assert abs((loss(w + step) - loss(w - step)) / 2e-6 - dw[place]) < 1e-7


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "elu", "selu", "leaky_relu", "relu"])
def test_gradients_of_results_equal_those_of_pytorch(isa, rng, name):
    torch = pytest.importorskip("torch")
    dy, x = operands(rng, np.float64)
    x = x[np.isfinite(x)]
    dy, y = torch.from_numpy(dy[: x.size]), torch.from_numpy(getattr(nk, name)(x))
    aten, scale, alpha = torch.ops.aten, 1.0507009873554805, 1.6732632423543772
    wanted = {
        "sigmoid": lambda: aten.sigmoid_backward(dy, y),
        "tanh": lambda: aten.tanh_backward(dy, y),
        "elu": lambda: aten.elu_backward(dy, 1, 1, 1, True, y),
        "selu": lambda: aten.elu_backward(dy, alpha, scale, 1, True, y),
        "leaky_relu": lambda: aten.leaky_relu_backward(dy, y, 0.01, True),
        "relu": lambda: aten.threshold_backward(dy, y, 0),
    }[name]()
    dx = getattr(nk, f"{name}_backward")(dy.numpy(), y.numpy(), from_output=True)
    np.testing.assert_allclose(dx, wanted.numpy(), rtol=4e-16, atol=4e-16)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_layouts_threads_and_out_give_the_same_bits(isa, dtype, rng, layouts, same_for_any_threads, name, parameters):
    dy = rng.standard_normal((9, 40, 130)).astype(dtype)
    y = getattr(nk, name)(rng.standard_normal(dy.shape).astype(dtype), **parameters)

    def f(dy, y, **out):
        return getattr(nk, f"{name}_backward")(dy, y, **parameters, from_output=True, **out)

    dx = same_for_any_threads(lambda: f(dy, y))
    for a, b in zip(layouts(dy), layouts(y), strict=True):
        assert f(a, y).tobytes() == f(dy, b).tobytes() == dx.tobytes()
    for target in dy.copy(), y.copy():
        given = {"dy": dy, "y": y}
        given["dy" if (target == dy).all() else "y"] = target
        assert f(**given, out=target) is target
        assert target.tobytes() == dx.tobytes()


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_empty_nan_and_scalar_results(isa, dtype, name, parameters):
    f = getattr(nk, f"{name}_backward")
    empty = np.zeros((0, 3), dtype)
    assert f(empty, empty, **parameters, from_output=True).shape == (0, 3)
    dx = f(np.full((), 2, dtype), np.full((), np.nan, dtype), **parameters, from_output=True)
    assert type(dx) is dtype.type
    assert np.isnan(dx) == (not name.endswith("relu"))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: nk.sigmoid_backward(x, x, from_output=1), TypeError, "from_output must be a bool, got int"),
        (lambda x: nk.elu_backward(x, x, alpha=-1, from_output=True), ValueError, "alpha must be at least 0 with from"),
        (lambda x: nk.elu_backward(x, x, alpha="1", from_output=True), TypeError, "alpha must be a number"),
        (
            lambda x: nk.leaky_relu_backward(x, x, slope=-0.5, from_output=np.True_),
            ValueError,
            "slope must be at least 0 with from_output=True, got -0.5",
        ),
        (lambda x: nk.softplus_backward(x, x, beta=0, from_output=True), ValueError, "beta must not be 0"),
        (lambda x: nk.tanh_backward(x, x[:1], from_output=True), ValueError, r"dy must have shape \(1,\), got \(3,\)"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones(3))


def test_negative_parameters_are_fine_without(dtype):
    x = np.array([-1, 1], dtype)
    np.testing.assert_array_equal(nk.leaky_relu_backward(x, x, slope=-0.5, from_output=np.False_), [0.5, 1])
