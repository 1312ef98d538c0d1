"""Regression by gradient descent: a line, polynomials, and the logistic curve between two classes.

The line y = m x + b and the polynomials minimise the mean squared error, whose minimum is also known in closed form.
Too low a degree misses the curve (underfitting), too high a one learns the noise (overfitting): held-out points tell.
The logistic regression minimises the cross-entropy; Newton's method finds the same minimum.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.polynomial import legendre

import npkernels as nk
from npkernels import nn
from npkernels.examples._command import Outcome, command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

DEGREES, DESCENDED = range(1, 16), (1, 3, 5)
CLOSE = 1e-6


def features(x: Array, degree: int) -> Array:
    """Legendre polynomials of degrees 1 to `degree` on [-1, 1]: they span what the powers of x do, and being nearly
    uncorrelated they let gradient descent arrive soon."""
    return np.asarray(legendre.legvander(x, degree)[:, 1:], np.float64)


def cost(
    x: Array, y: Array, loss: Callable[[Array, Array], tuple[Any, Array]]
) -> Callable[[Array], tuple[float, Array]]:
    """The cost of an affine map, as a function of its weights and, last, its bias."""

    def function(parameters: Array) -> tuple[float, Array]:
        w, b = parameters[None, :-1], parameters[-1:]
        value, dprediction = loss(nk.dense(x, w, b), y[:, None])
        _, dw, db = nk.dense_backward(dprediction, x, w, needs=("w", "b"))
        assert dw is not None
        assert db is not None
        return float(value), np.append(dw[0], db)

    return function


def descend(x: Array, y: Array, loss: Callable[[Array, Array], tuple[Any, Array]]) -> Array:
    """Weights and bias at the minimum."""
    return nn.minimise(cost(x, y, loss), np.zeros(x.shape[1] + 1), max_iter=100_000, tol_grad=1e-10).x


def closed_form(x: Array, y: Array) -> Array:
    """The least squares, by NumPy."""
    return np.asarray(np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0])


def newton(x: Array, y: Array) -> Array:
    """The minimum of the logistic cost, by Newton's method on its gradient and its matrix of second derivatives."""
    rows, parameters = np.column_stack([x, np.ones(len(x))]), np.zeros(x.shape[1] + 1)
    for _ in range(50):
        p = 1 / (1 + np.exp(-rows @ parameters))
        parameters -= np.linalg.solve((rows * (p * (1 - p))[:, None]).T @ rows, rows.T @ (p - y))
    return parameters


def run(seed: int, quick: bool) -> Outcome:
    """Three regressions; it is the same quick or not."""
    rng = np.random.default_rng(seed)
    x, x_held_out = rng.uniform(-1, 1, 40), rng.uniform(-1, 1, 500)
    curve: Callable[[Array], Array] = lambda x: np.sin(3 * x) + 0.5 * x  # noqa: E731
    y, y_held_out = (curve(each) + 0.2 * rng.standard_normal(len(each)) for each in (x, x_held_out))
    worst = 0.0
    for degree in DESCENDED:
        found, wanted = descend(features(x, degree), y, nk.mse_loss_with_grad), closed_form(features(x, degree), y)
        worst = max(worst, float(np.abs(found - wanted).max()))
        print(f"degree {degree:2}: the descent is {np.abs(found - wanted).max():.1e} from the closed form")
    fits = {degree: closed_form(features(x, degree), y) for degree in DEGREES}
    errors = {
        degree: [
            float(nk.mse_loss(nk.dense(features(each, degree), fit[None, :-1], fit[-1:]), target[:, None]))
            for each, target in ((x, y), (x_held_out, y_held_out))
        ]
        for degree, fit in fits.items()
    }
    for degree, (seen, held_out) in errors.items():
        print(f"degree {degree:2}: mean squared error {seen:.4f}, held out {held_out:.4f}")
    best = min(errors, key=lambda degree: errors[degree][1])
    points = rng.standard_normal((200, 2)) + np.repeat([[-0.7, 0.0], [0.7, 0.5]], 100, 0)
    classes = np.repeat([0.0, 1.0], 100)
    border = descend(points, classes, nk.binary_cross_entropy_with_logits_with_grad)
    gap = float(np.abs(border - newton(points, classes)).max())
    print(f"logistic: the descent is {gap:.1e} from the optimum")
    reached = worst < CLOSE and gap < CLOSE and errors[1][1] > errors[best][1] < errors[max(DEGREES)][1]
    sentence = (
        f"Descent came within {max(worst, gap):.0e} of the closed form and of the logistic optimum; of degrees 1 to "
        f"{max(DEGREES)} it is {best} that is best on held-out points: {errors[1][1]:.3f}, {errors[best][1]:.3f}, "
        f"{errors[max(DEGREES)][1]:.3f} for the first, the best and the last."
    )
    return Outcome(sentence, reached, lambda figure: draw(figure, x, y, fits, errors, best, points, classes, border))


def draw(
    figure: Any,
    x: Array,
    y: Array,
    fits: dict[int, Array],
    errors: dict[int, list[float]],
    best: int,
    points: Array,
    classes: Array,
    border: Array,
) -> None:
    """Three fits, errors by degree, and the border between the classes."""
    left, middle, right = figure.subplots(1, 3)
    line = np.linspace(-1, 1, 300)
    left.plot(x, y, "k.", markersize=4)
    for degree in (1, best, max(DEGREES)):
        left.plot(line, features(line, degree) @ fits[degree][:-1] + fits[degree][-1], label=f"degree {degree}")
    left.set(title="under- and overfitting", ylim=(y.min() - 0.5, y.max() + 0.5))
    left.legend()
    middle.semilogy(list(errors), list(errors.values()), ".-", label=["seen", "held out"])
    middle.set(title="mean squared error", xlabel="degree")
    middle.legend()
    right.scatter(*points.T, c=classes, s=8, cmap="coolwarm")
    right.axline((0, -border[2] / border[1]), slope=-border[0] / border[1], color="k", linewidth=1)
    right.set(title="logistic regression")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    return command(run, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
