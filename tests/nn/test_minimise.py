"""Gradient descent: where it goes, each rule that ends it, the line search."""

import numpy as np
import pytest

from npkernels import nn


def bowl(curvature, centre=0.0):
    """A quadratic function; its calls are counted."""

    def function(x):
        function.calls += 1
        return float((curvature * (x - centre) ** 2).sum() / 2), curvature * (x - centre)

    function.calls = 0
    return function


def rosenbrock(x):
    a, b = x
    return (1 - a) ** 2 + 100 * (b - a * a) ** 2, np.array([2 * (a - 1) - 400 * a * (b - a * a), 200 * (b - a * a)])


def test_fixed_steps_are_those_of_the_formula():
    x = np.array([4.0, -2.0])
    result = nn.minimise(bowl(np.array([1.0, 3.0])), x, lr=0.25, max_iter=7)
    np.testing.assert_allclose(result.x, [4 * 0.75**7, -2 * 0.25**7], rtol=1e-13)
    assert result.iterations == 7
    assert result.stopped == "max_iter"
    assert result.value == pytest.approx(bowl(np.array([1.0, 3.0]))(result.x)[0])
    assert x.tolist() == [4.0, -2.0]


@pytest.mark.parametrize(
    ("rule", "figure"),
    [
        ({"tol_grad": 1e-3}, lambda k: 8 * 0.5**k),
        ({"tol_grad": 0, "tol_step": 1e-3}, lambda k: 8 * 0.5**k),
        ({"tol_grad": 0, "tol_value": 1e-3}, lambda k: (8 * 0.5 ** (k - 1)) ** 2 / 2 * 0.75),
    ],
)
def test_each_rule_ends_it_at_the_first_step_below(rule, figure):
    """x halves in each step: from 8, k steps leave a gradient of 8 / 2^k and the k-th is as long."""
    tolerance = max(rule.values())
    wanted = next(k for k in range(1, 100) if figure(k) < tolerance)
    result = nn.minimise(bowl(1.0), np.array([8.0]), lr=0.5, **rule)
    assert result.iterations == wanted
    assert result.stopped == max(rule, key=rule.get)


def test_a_rate_too_high_ends_where_numbers_were_finite():
    result = nn.minimise(bowl(1.0), np.array([1.0], np.float32), lr=3.0)
    assert result.stopped == "not_finite"
    assert np.isfinite(result.x).all()
    assert result.x.dtype == np.float32
    double = nn.minimise(bowl(1.0), np.array([1.0]), lr=3.0, max_iter=10_000)
    assert double.stopped == "not_finite"
    assert double.value > 1e300
    there = nn.minimise(bowl(1.0), np.array([3.0]), lr=2.0, max_iter=5)  # from side to side
    assert there.value == 4.5


def test_line_search_takes_one_step_down_a_round_bowl():
    for scale in (1e-6, 1.0, 1e6):
        function = bowl(scale, np.array([1.0, 2.0, 3.0]))
        result = nn.minimise(function, np.zeros(3), tol_grad=1e-9 * scale)
        assert result.iterations == 1
        np.testing.assert_allclose(result.x, [1, 2, 3], rtol=1e-12)
        assert function.calls < 30 if scale == 1e-6 else 5


def test_line_search_keeps_the_rate_of_steepest_descent():
    """Each step lowers a bowl of condition k by at least ((k - 1) / (k + 1))^2; from (k, 1) by exactly that."""
    curvature = np.array([1.0, 20.0])
    start = bowl(curvature)(np.array([20.0, 1.0]))[0]
    result = nn.minimise(bowl(curvature), [20.0, 1.0], max_iter=30)
    assert result.value == pytest.approx(start * (19 / 21) ** 60, rel=1e-2)


def test_line_search_goes_down_a_curved_valley():
    values = []

    def seen(x):
        values.append(rosenbrock(x)[0])
        return rosenbrock(x)

    result = nn.minimise(seen, [-1.2, 1.0], max_iter=20000, tol_grad=1e-5)
    np.testing.assert_allclose(result.x, [1, 1], atol=1e-4)
    assert result.stopped == "tol_grad"


def test_line_search_ends_where_nothing_is_lower():
    result = nn.minimise(lambda x: (1.0, np.ones_like(x)), np.zeros(2))
    assert result.stopped == "line_search"
    assert result.iterations == 0
    with np.errstate(invalid="raise"):
        hole = nn.minimise(lambda x: (np.log(x).sum() ** 2, 2 * np.log(x).sum() / x), np.array([0.2, 3.0]))
    assert hole.value < 1e-12


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_any_shape(shape):
    result = nn.minimise(bowl(2.0, 1.0), np.zeros(shape))
    assert result.x.shape == shape
    np.testing.assert_allclose(result.x, 1, rtol=1e-12)


def test_a_start_at_the_minimum_takes_no_step():
    assert nn.minimise(bowl(1.0), np.zeros(2))[2:] == (0, "tol_grad")
    assert nn.minimise(bowl(1.0), np.ones(2), max_iter=0)[2:] == (0, "max_iter")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((bowl(1.0), [1, 2]), {}, TypeError, "x must be float32 or float64, got int64"),
        ((bowl(1.0), [1.0]), {"lr": -1}, ValueError, "lr must be at least 0"),
        ((bowl(1.0), [1.0]), {"max_iter": -1}, ValueError, "max_iter must be at least 0"),
        ((bowl(1.0), [1.0]), {"tol_step": None}, TypeError, "tol_step must be a number"),
        ((bowl(1.0), [np.inf]), {}, ValueError, "function must be finite at x, got value inf"),
        ((lambda x: (0.0, x[:1]), [1.0, 2.0]), {}, ValueError, r"the gradient must have shape \(2,\), got \(1,\)"),
    ],
)
def test_bad_arguments(arguments, options, error, message):
    with pytest.raises(error, match=message):
        nn.minimise(*arguments, **options)


def test_the_function_may_use_its_memory_again():
    gradient, curvature = np.empty(2), np.array([1.0, 10.0])

    def own_memory(x):
        np.multiply(curvature, x, out=gradient)
        value = gradient @ x / 2
        x[...] = np.nan
        return value, gradient

    for lr in (None, 0.1):
        result = nn.minimise(own_memory, [3.0, 1.0], lr=lr)
        expected = nn.minimise(lambda x: (curvature * x @ x / 2, curvature * x), [3.0, 1.0], lr=lr)
        assert result.iterations == expected.iterations
        np.testing.assert_array_equal(result.x, expected.x)
