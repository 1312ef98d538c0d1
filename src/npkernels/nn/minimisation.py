"""Gradient descent on any function that returns its value and its gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from .. import _arguments as check

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Array: TypeAlias = NDArray[Any]
    Function: TypeAlias = Callable[[Array], tuple[Any, ArrayLike]]

# A line search ends where the slope is at most this part of the slope at its start, and the value fell by this part of
# what that slope promised; or after so many evaluations.
SLOPE, FALL, EVALUATIONS = 1e-3, 1e-4, 60


class Minimum(NamedTuple):
    """Where `minimise` ended.

    Attributes
    ----------
    x : array
    value : float
    iterations : int
        Steps taken.
    stopped : str
        The rule that ended it: "tol_step", "tol_value", "tol_grad", "max_iter", "line_search" if no step lowers the
        value any more, or "not_finite" if the next value or gradient is not finite.
    """

    x: Array
    value: float
    iterations: int
    stopped: str


class _Point(NamedTuple):
    """A place, the value and the gradient there."""

    x: Array
    value: float
    gradient: Array


def minimise(
    function: Function,
    x: ArrayLike,
    *,
    lr: float | None = None,
    max_iter: int = 1000,
    tol_step: float = 0,
    tol_value: float = 0,
    tol_grad: float = 1e-6,
) -> Minimum:
    """Gradient descent: ``x -= lr * gradient``, again and again.

    Parameters
    ----------
    function : callable
        ``function(x) -> (value, gradient)``; the gradient has the shape of x.
    x : array of float32 or float64
        The start, of any shape; not written.
    lr : float, optional
        Length of the steps. None: the minimum along each gradient is searched for (steepest descent).
    max_iter : int
        Steps at most.
    tol_step, tol_value, tol_grad : float
        Ends after a step whose Euclidean length, or the change of the value by it, or the length of the gradient
        after it, is below. 0 switches a rule off.

    Returns
    -------
    minimum : Minimum
        ``x, value, iterations, stopped``.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a number is negative, the gradient has another shape than x, or value or gradient are not finite at the
        start.

    Notes
    -----
    The line search doubles the step until the minimum is passed, then takes the step where a straight line through the
    slopes of both ends is 0, until the slope is a thousandth of that at the start and the value has fallen (the strong
    Wolfe conditions [1]_). On a quadratic function the first such step is the minimum.

    References
    ----------
    .. [1] J. Nocedal and S. Wright, "Numerical optimization", 2nd edition, 2006, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> curvature = np.array([1.0, 10.0])
    >>> def bowl(x):
    ...     return curvature @ x**2 / 2, curvature * x
    >>> nn.minimise(bowl, [3.0, 1.0], lr=0.1).iterations
    142
    >>> x, value, iterations, stopped = nn.minimise(bowl, [3.0, 1.0])
    >>> iterations, stopped, bool(value < 1e-12)
    (33, 'tol_grad', True)
    """
    if lr is not None:
        lr = check.number("lr", lr, 0)
    max_iter = check.integer("max_iter", max_iter, 0)
    tol_step, tol_value = check.number("tol_step", tol_step, 0), check.number("tol_value", tol_value, 0)
    tol_grad = check.number("tol_grad", tol_grad, 0)
    here = _evaluate(function, np.array(check.real("x", x)))
    if not _finite(here):
        raise ValueError(f"function must be finite at x, got value {here.value} and gradient {here.gradient}")
    if _length(here.gradient) < tol_grad:
        return Minimum(here.x, here.value, 0, "tol_grad")
    step = 1.0
    for iteration in range(1, max_iter + 1):
        if lr is None:
            there, step = _search(function, here, step)
        else:
            there = _evaluate(function, here.x - here.x.dtype.type(lr) * here.gradient)
        if there is here:
            return Minimum(here.x, here.value, iteration - 1, "line_search")
        if not _finite(there):
            return Minimum(here.x, here.value, iteration - 1, "not_finite")
        before, here = here, there
        if _length(here.gradient) < tol_grad:
            return Minimum(here.x, here.value, iteration, "tol_grad")
        if _length(here.x - before.x) < tol_step:
            return Minimum(here.x, here.value, iteration, "tol_step")
        if abs(here.value - before.value) < tol_value:
            return Minimum(here.x, here.value, iteration, "tol_value")
    return Minimum(here.x, here.value, max_iter, "max_iter")


def _search(function: Function, here: _Point, step: float) -> tuple[_Point, float]:
    """The point near the minimum along the gradient, `here` itself where none is lower, and the step to it."""
    slope = -_dot(here.gradient, here.gradient)
    low, low_slope, high, high_slope = 0.0, slope, math.inf, math.nan  # around the minimum, where the slope is 0
    best, best_step, rising = here, step, None
    for _ in range(EVALUATIONS):
        there = _evaluate(function, here.x - here.x.dtype.type(step) * here.gradient)
        finite = _finite(there)
        slope_there = -_dot(there.gradient, here.gradient) if finite else math.nan
        fell = finite and there.value <= here.value + FALL * step * slope
        if fell and there.value < best.value:
            best, best_step = there, step
        if fell and abs(slope_there) <= -SLOPE * slope:
            return best, best_step
        if fell and slope_there < 0:
            low, low_slope = step, slope_there
            high_slope /= 2 if rising is False else 1  # the rule of Illinois: no end stays for ever
            rising = False
        else:
            high, high_slope = step, slope_there if slope_there > 0 else math.nan
            low_slope /= 2 if rising else 1
            rising = True
        if high == math.inf:
            step *= 2
        elif math.isnan(high_slope):
            step = (low + high) / 2 if low else high / 4
        else:
            step = low + (high - low) * low_slope / (low_slope - high_slope)
    return best, best_step


def _evaluate(function: Function, x: Array) -> _Point:
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite ends the descent
        value, gradient = function(x.copy())
    array = np.array(gradient)  # the function may write into either later on
    check.shape("the gradient", array, x.shape)
    return _Point(x, float(value), array)


def _finite(point: _Point) -> bool:
    return math.isfinite(point.value) and bool(np.isfinite(point.gradient).all())


def _dot(a: Array, b: Array) -> float:
    with np.errstate(over="ignore"):  # of a length beyond all numbers, infinity says enough
        return float(np.multiply(a, b, dtype=np.float64).sum())


def _length(a: Array) -> float:
    return math.sqrt(_dot(a, a))
